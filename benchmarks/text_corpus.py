# ruff: noqa: T201  a benchmark prints
"""A corpus with planted near-duplicates: `PYTHONPATH=. python benchmarks/text_corpus.py FOLDER [--documents 50000] [--seed 1]`.

Real sentences of this machine's Python (docstrings of its library, package descriptions) and manual pages, drawn anew into documents of
lognormal length, mean about 3 KB. A tenth of the documents are copies of others: equal, or with words or one block replaced until the
Jaccard similarity of their word 5-grams is near .95, .9, .8, .7 or .5; the exact one of every pair is written to truth.parquet. The same
machine and seed give the same corpus; another machine gives another, so only ratios within one run compare. Technical prose, mostly
English.
"""

import argparse
import ast
import gzip
import importlib.metadata
import random
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipelines.planted import varied

LEVELS = {"exact": 1.0, "0.95": 0.95, "0.9": 0.9, "0.8": 0.8, "0.7": 0.7, "0.5": 0.5}
SHORTEST, SHARDS = 400, 8


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    pool = sorted({sentence for text in sources() for sentence in sentences(text)})
    rows = documents(pool, given.documents, draw)
    given.folder.mkdir(parents=True, exist_ok=True)
    size = -(-len(rows) // SHARDS)
    for shard, part in enumerate(rows.select("id", "text").iter_slices(size)):
        part.write_parquet(given.folder / f"text-{shard:05d}.parquet", row_group_size=4096)
    rows.select("id", "orig_id", "jaccard_true", "level").write_parquet(given.folder / "truth.parquet")
    print(f"{len(pool)} sentences, {len(rows)} documents, {rows['text'].str.len_bytes().sum() / 1e6:.1f} MB")


def sources() -> Iterator[str]:
    """Texts of this machine."""
    for distribution in importlib.metadata.distributions():
        yield distribution.read_text("METADATA") or ""
    for file in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        if "site-packages" not in file.parts:
            yield from docstrings(file)
    for file in sorted(Path("/usr/share/man").rglob("*.gz")):
        page = gzip.decompress(file.read_bytes()).decode("utf-8", "replace")
        yield re.sub(r"\\f.|\\", "", re.sub(r"(?m)^[.'].*$", "\n", page))


def docstrings(file: Path) -> Iterator[str]:
    """Those of a module and of all in it."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def sentences(text: str) -> Iterator[str]:
    """Sentences of six words or more that are mostly letters."""
    for paragraph in text.split("\n\n"):
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(paragraph.split())):
            if 40 <= len(sentence) <= 600 and sentence.count(" ") >= 5 and sum(map(str.isalpha, sentence)) > 0.68 * len(sentence):
                yield sentence


def documents(pool: list[str], count: int, draw: random.Random) -> pl.DataFrame:
    """Shuffled rows: id, text, orig_id (-1: no copy), jaccard_true, level (single, orig, or that of the copy)."""
    copies = {level: count // 60 for level in LEVELS}
    rows: list[tuple[str, int, float, str]] = []
    for _ in range(count - sum(copies.values())):
        length, parts = min(max(draw.lognormvariate(7.45, 1.05), 60), 150_000), [draw.choice(pool)]
        while sum(map(len, parts)) < length:
            parts += draw.choices(pool, k=max(1, int(length - sum(map(len, parts))) // 200))
        rows.append((" ".join(parts), -1, 1.0, "single"))
    originals = iter(draw.sample([i for i, row in enumerate(rows) if len(row[0]) > SHORTEST], sum(copies.values())))
    for level, number in copies.items():
        for original in (next(originals) for _ in range(number)):
            text = rows[original][0]
            rows[original] = (text, -1, 1.0, "orig")
            fresh = " ".join(draw.choices(pool, k=1 + len(text) // 100))
            copy = varied(text, fresh, LEVELS[level], block=draw.random() < 0.5, draw=draw)
            own, new = grams(text.split()), grams(copy.split())
            rows.append((copy, original, len(own & new) / len(own | new), level))
    order = draw.sample(range(len(rows)), len(rows))
    place = {old: new for new, old in enumerate(order)}
    return pl.DataFrame(
        [(new, rows[old][0], place.get(rows[old][1], -1), *rows[old][2:]) for new, old in enumerate(order)],
        schema={"id": pl.Int64, "text": pl.String, "orig_id": pl.Int64, "jaccard_true": pl.Float64, "level": pl.String},
        orient="row",
    )


def grams(words: list[str]) -> set[tuple[str, ...]]:
    """Every five words in a row."""
    return set(zip(*(words[i:] for i in range(5)), strict=False))


if __name__ == "__main__":
    main()
