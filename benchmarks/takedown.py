# ruff: noqa: T201  a benchmark prints
"""How long a take-down of 1,000 addresses takes on a store of a million rows, and a run after it.

`python -m benchmarks.takedown FOLDER [--urls 1000]`, where FOLDER holds the pool and store of `benchmarks.provenance_store`. The store is
copied, so that the one that is there stays.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import polars as pl

from benchmarks.provenance_store import POOL, SAVED, STORE


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--urls", type=int, default=1000)
    given = parser.parse_args()
    copy, names = given.folder / "store-taken-down", given.folder / "urls.txt"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(given.folder / STORE, copy)
    urls = pl.read_parquet(given.folder / POOL / "*.parquet", columns=["url"])["url"].unique(maintain_order=True)
    names.write_text("\n".join(urls.sample(given.urls, seed=5)), encoding="utf-8")
    asked = ["revoke", "--from", str(names), "--store", str(copy), "--workers", "1"]
    timed("what they touch", *asked)
    timed("taken down", *asked, "--yes", "--reason", "benchmark")
    recipe = [str(given.folder / SAVED), "--pool", str(given.folder / POOL), "--workers", "1"]
    timed("the run after it", "run", *recipe, "--store", str(copy))
    shutil.rmtree(copy)


def timed(what: str, *arguments: str) -> None:
    """One command as a process of its own."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "pipelines.cli", *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    print(f"{what}: {seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} CPU s, {used.ru_maxrss / 1024:,.0f} MB, status {status}")


if __name__ == "__main__":
    main()
