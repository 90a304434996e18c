"""Peak memory of near-duplicates through `curate run`, over the corpus and over a much larger one.

`python -m benchmarks.memory FOLDER [--documents 1000000]`. FOLDER has text-*.parquet. The larger corpus is made of distinct copies: a
letter is appended to every word of three letters or more, another one for each copy, so copies are not alike and each has the duplicates
planted in it. It is kept in FOLDER/grown-N (1.7 GB for a million documents of 3 KB). One process, an empty store each time; memory is the
proportional set size of all processes, looked at twice a second. Its ratio is the figure; seconds are of one run.
"""

import os
import resource
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._machine import machine, watched
from benchmarks._run import ROOT, THREADS, options, save

FILES = "text-*.parquet"
RECIPE = """
signals:
  twins: {near_duplicate_text: {bands: 16, rows: 8, threshold: 0.7}}
stages:
  unique: {keep: {one_per: twins}}
subsets: [unique]
"""


def main() -> None:
    """The command line."""
    parser = options("memory", __doc__)
    parser.add_argument("folder", type=Path, help="the corpus of benchmarks.text_corpus")
    parser.add_argument("--documents", type=int, default=1_000_000)
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    before = os.getloadavg()
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch) / "corpus"
        small.mkdir()
        for file in given.folder.glob(FILES):
            (small / file.name).symlink_to(file.resolve())
        runs = [measured(small, Path(scratch)), measured(grown(given.folder, given.documents), Path(scratch))]
    report: dict[str, Any] = {**machine(), "load average": {"before": before, "after": os.getloadavg()}, "runs": runs}
    report["peak of the larger over the smaller"] = round(runs[1]["peak MiB"] / runs[0]["peak MiB"], 3)
    save("memory", given, report)


def grown(folder: Path, documents: int) -> Path:
    """A corpus of so many distinct documents, made unless it is there."""
    import polars as pl

    place, files = folder / f"grown-{documents}", sorted(folder.glob(FILES))
    letters, left = ["", *string.ascii_lowercase], documents
    assert documents <= len(letters) * pl.scan_parquet(files).select(pl.len()).collect().item(), "a copy for every letter at most"
    for letter in letters:
        for file in files:
            made = place / f"text-{letter or '0'}-{file.name}"
            if left > 0 and not made.exists():
                place.mkdir(exist_ok=True)
                texts = pl.read_parquet(file, columns=["text"], n_rows=left)
                varied = texts.select(pl.col("text").str.replace_all(r"(\p{L}{3,})", "${1}" + letter)) if letter else texts
                varied.write_parquet(made.with_suffix(".part"), row_group_size=4096)
                made.with_suffix(".part").rename(made)
            left -= pl.scan_parquet(made).select(pl.len()).collect().item() if left > 0 else 0
    return place


def measured(pool: Path, scratch: Path) -> dict[str, Any]:
    """One run with an empty store."""
    recipe = scratch / "unique.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    store = tempfile.mkdtemp(dir=scratch)
    command = [sys.executable, "-m", "pipelines.cli", "run", str(recipe), "--pool", str(pool), "--store", store, "--workers", "1"]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **dict.fromkeys(THREADS, "1")}) as process:
        peak = watched(process)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"curate run ended with {process.returncode}: what it said is above")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"pool": pool.name, "peak MiB": peak, "wall": round(wall, 1), "processor": round(used, 1)}


if __name__ == "__main__":
    main()
