"""CommonPool metadata to DataComp's `.npy`: shape rules and the best 30% by the stored L/14 score, Ceteris and pandas, one core each.

`python -m benchmarks.metadata FOLDER`. FOLDER is a pool of benchmarks.metadata_pool. Captions of more than two words and more than five
characters, shorter side from 200 pixels, aspect ratio up to 3, and of these the first 30% by score, rows equal to the last one kept; uids
as a sorted array of `u8,u8`. Answers are checked first: the files of all engines are equal byte for byte, and equal to what a loop over
rows in plain Python finds.

pandas reads the same columns shard by shard: once with its own vectorised methods, as its documentation advises, and once with a Python
function of each value of every row ("row by row"), as the script with which DataComp's baselines are made has it. Ceteris starts with an
empty store, and leaves in it what pandas does not make: digests of the shards, an index of uids that are found to be unique, evidence and a
reason for every row. "ceteris, two commands" is `curate run` and `curate export` as one types them, interpreters' starts included.
"""

import functools
import hashlib
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._run import ROOT, Answers, Engine, Work, Workload, command

FILES = "*.parquet"
WIDTH, HEIGHT, SCORE = "original_width", "original_height", "clip_l14_similarity_score"
COLUMNS = ["uid", "text", WIDTH, HEIGHT, SCORE]
WORDS, CHARACTERS, SIDE, ASPECT = 2, 5, 200, 3
RECIPE = f"""
stages:
  basic:
    keep: >-
      text_length.words > {WORDS} and text_length.chars > {CHARACTERS}
      and pool.{WIDTH} >= {SIDE} and pool.{HEIGHT} >= {SIDE}
      and pool.{WIDTH} / pool.{HEIGHT} <= {ASPECT} and pool.{HEIGHT} / pool.{WIDTH} <= {ASPECT}
  best: {{after: basic, keep: {{top: pool.{SCORE}, fraction: 0.3, ties: keep}}}}
subsets: [best]
"""


@functools.cache
def _scratch() -> "tempfile.TemporaryDirectory[str]":
    """Lives as long as the process."""
    return tempfile.TemporaryDirectory()


def first(folder: Path, documents: int) -> Path:
    """The pool's first rows: whole shards as they are, and a part of the next."""
    import pyarrow.parquet as pq

    place = Path(_scratch().name) / f"pool-{documents}"
    place.mkdir(exist_ok=True)
    for file in sorted(folder.glob(FILES)):
        rows = pq.read_metadata(file).num_rows
        if documents > 0 and not (place / file.name).exists():
            if rows <= documents:
                (place / file.name).symlink_to(file.resolve())
            else:
                pq.write_table(pq.read_table(file).slice(0, documents), place / file.name, compression="snappy")
        documents -= rows
    return place


def answer(file: Path) -> dict[str, Any]:
    """What is compared: the digest of the file, and its rows."""
    import numpy as np

    return {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "rows": len(np.load(file, mmap_mode="r"))}


def ceteris(folder: Path, _part: str, documents: int) -> Work:
    """In this process, as a Python program does it."""
    from curate.executor import InProcess
    from curate.recipe import Recipe
    from curate.store import Store
    from pipelines.verbs import export, open_pool, run

    pool, place, turns = first(folder, documents), Path(_scratch().name), itertools.count()

    def work() -> dict[str, Any]:
        turn = f"{documents}-{next(turns)}"
        recipe, store = Recipe.parse(RECIPE), Store.open(str(place / f"store-{turn}"))
        made = run(recipe, open_pool(recipe, pool, store), store=store, executor=InProcess())
        export(made.subset("best"), place / f"out-{turn}", "npy")
        return {**answer(place / f"out-{turn}" / "subset.npy"), "documents": made.funnel()[0]["kept"]}

    return work


def commands(folder: Path, _part: str, documents: int) -> Work:
    """`curate run` and `curate export`."""
    pool, place, turns = first(folder, documents), Path(_scratch().name), itertools.count()
    (place / "best.yaml").write_text(RECIPE, encoding="utf-8")

    def work() -> dict[str, Any]:
        turn = f"{documents}-{next(turns)}"
        store, out = ["--store", str(place / f"store-{turn}")], place / f"out-{turn}"
        said = ["run", str(place / "best.yaml"), "--pool", str(pool), "--workers", "1"], ["export", "best", str(out), "--layout", "npy"]
        for line in said:
            whole = [sys.executable, "-m", "pipelines.cli", *line, *store]
            subprocess.run(whole, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)})
        return {**answer(out / "subset.npy"), "documents": rows_of(pool)}

    return work


def pandas(folder: Path, _part: str, documents: int) -> Work:
    """Shard by shard: masks, one threshold, uids to numbers, sorted."""
    import numpy as np
    import pandas as pd

    pool, out = first(folder, documents), Path(_scratch().name) / f"pandas-{documents}.npy"

    def work() -> dict[str, Any]:
        parts = []
        for file in sorted(pool.glob(FILES)):
            rows = pd.read_parquet(file, columns=COLUMNS)
            shorter, longer = rows[[WIDTH, HEIGHT]].min(axis=1), rows[[WIDTH, HEIGHT]].max(axis=1)
            captioned = (rows["text"].str.split().str.len() > WORDS) & (rows["text"].str.len() > CHARACTERS)
            parts.append(rows.loc[captioned & (shorter >= SIDE) & (longer / shorter <= ASPECT), ["uid", SCORE]].dropna())
        rows = pd.concat(parts)
        scores = rows[SCORE].to_numpy()
        threshold = np.sort(scores)[::-1][len(scores) * 3 // 10 - 1]
        kept = rows.loc[scores >= threshold, "uid"]
        uids = np.array([(int(uid[:16], 16), int(uid[16:], 16)) for uid in kept], np.dtype("u8,u8"))
        uids.sort()
        np.save(out, uids)
        return {**answer(out), "documents": rows_of(pool)}

    return work


def applied(folder: Path, _part: str, documents: int) -> Work:
    """The same with a Python function for each value of each row, as the script of DataComp's baselines has it."""
    import numpy as np
    import pandas as pd

    pool, out = first(folder, documents), Path(_scratch().name) / f"applied-{documents}.npy"

    def work() -> dict[str, Any]:
        parts, scores = [], []
        for file in sorted(pool.glob(FILES)):
            rows = pd.read_parquet(file, columns=COLUMNS)
            words, characters = rows.text.apply(lambda text: len(text.split())), rows.text.apply(len)
            number = rows.uid.apply(int, base=16)
            high, low = (number // 2**64).astype("uint64"), (number % 2**64).astype("uint64")
            uids = np.array(list(zip(high, low, strict=True)), np.dtype("u8,u8"))
            shorter, longer = np.minimum(rows[WIDTH], rows[HEIGHT]), np.maximum(rows[WIDTH], rows[HEIGHT])
            there = (words > WORDS) & (characters > CHARACTERS) & (shorter >= SIDE) & (longer / shorter <= ASPECT) & rows[SCORE].notna()
            parts.append(uids[there])
            scores.append(rows[SCORE][there].to_numpy())
        every = np.concatenate(scores)
        threshold = np.sort(every)[::-1][len(every) * 3 // 10 - 1]
        kept = np.concatenate(parts)[every >= threshold]
        kept.sort()
        np.save(out, kept)
        return {**answer(out), "documents": rows_of(pool)}

    return work


def plain(folder: Path, _part: str, documents: int) -> Work:
    """A loop over rows; only asked for answers."""
    import numpy as np
    import pyarrow.parquet as pq

    pool, out = first(folder, documents), Path(_scratch().name) / f"plain-{documents}.npy"

    def work() -> dict[str, Any]:
        found = []
        for file in sorted(pool.glob(FILES)):
            for batch in pq.ParquetFile(file).iter_batches(columns=COLUMNS):
                for uid, text, width, height, score in zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True):
                    shaped = min(width, height) >= SIDE and max(width, height) <= ASPECT * min(width, height)
                    if shaped and score is not None and len(text.split()) > WORDS and len(text) > CHARACTERS:
                        found.append((score, uid))
        last = sorted((score for score, _ in found), reverse=True)[len(found) * 3 // 10 - 1]
        kept = sorted((int(uid[:16], 16), int(uid[16:], 16)) for score, uid in found if score >= last)
        np.save(out, np.array(kept, np.dtype("u8,u8")))
        return {**answer(out), "documents": rows_of(pool)}

    return work


def rows_of(pool: Path) -> int:
    """Rows by the footers."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(file).num_rows for file in pool.glob(FILES))


def check(_folder: Path, _part: str, documents: int, answers: Answers) -> dict[str, Any]:
    """Every engine writes the same bytes, of some of the rows."""
    one: dict[str, Any] = next(iter(answers.values()))
    assert all(found == one for found in answers.values()), f"the same file: {answers}"
    assert 0 < one["rows"] < one["documents"] <= documents, "some rows are kept"
    return {**one, "engines": sorted(answers)}


def judge(folder: Path, part: str, documents: int, answers: Answers) -> dict[str, dict[str, Any]]:
    """As checked, on all rows."""
    check(folder, part, documents, answers)
    return {name: {"rows kept": found["rows"]} for name, found in answers.items()}


WORKLOAD = Workload(
    name="metadata",
    about=__doc__,
    engines={
        "ceteris": Engine(ceteris),
        "ceteris, two commands": Engine(commands, tree=True),
        "pandas": Engine(pandas, "pandas"),
        "pandas, row by row": Engine(applied, "pandas"),
        "plain Python": Engine(plain, clocked=False),
    },
    check=check,
    judge=judge,
    checked=120_000,
    size=lambda found: int(found["documents"]),
)

if __name__ == "__main__":
    command(WORKLOAD)
