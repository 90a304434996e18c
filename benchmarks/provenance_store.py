# ruff: noqa: T201  a benchmark prints
"""A pool with addresses, sources and licences, and a store with runs over it.

`python -m benchmarks.provenance_store FOLDER [--rows 1000000] [--workers 1]`. FOLDER/pool holds Parquet shards of 100,000 rows in four row
groups: uid (32 hex digits), text, url, source, license. Hosts are as frequent as Zipf's law has it; a host has one source and mostly one
licence; one address in a hundred repeats another row's of its shard. Texts are those of benchmarks.metadata_pool, some with an e-mail
address. FOLDER/store holds two runs of FOLDER/subsets.yaml: three stages, two subsets, and the second run with a tighter cut. What lies
there already is used as it is: equal seeds and rows make equal files.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.metadata_pool import HOSTS, SHARD_ROWS, Random, captions, hexed, hosts_of, vocabulary

GROUPS = 4
SOURCES = ("common-crawl", "wikimedia", "flickr", "arxiv", "stack-exchange", "gutenberg", "government", "museum")
LICENSES = (
    *("CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0", "https://creativecommons.org/licenses/by/2.0/", "CC BY-NC 4.0", "CC BY-ND 3.0", "MIT"),
    *("Apache-2.0", "All rights reserved", "Public domain", "proprietary", ""),
)
RECIPE = """
stages:
  basic: {keep: "text_length.words > 2 and text_length.chars > 5"}
  open:  {after: basic, keep: "license.class not in ['proprietary', 'non-commercial']"}
  long:  {after: open, keep: {top: text_length.words, fraction: 0.5}}
subsets: [open, long]
"""
TIGHTER = "stages.long.keep.fraction=0.3"
POOL, STORE, SAVED = "pool", "store", "subsets.yaml"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    print(write(given.folder, given.rows, given.seed))
    for run in curate(given.folder, given.workers):
        print(run)


def write(folder: Path, rows: int, seed: int, shard_rows: int = SHARD_ROWS) -> str:
    """Make the pool; says how large it is."""
    pool = folder / POOL
    pool.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, 3])
    words, hosts = vocabulary(np.random.default_rng([seed, 0])), hosts_of(np.random.default_rng([seed, 1]))
    kinds = random.integers(0, len(SOURCES), HOSTS), random.integers(0, len(LICENSES), HOSTS)
    for number, start in enumerate(range(0, rows, shard_rows)):
        file = pool / f"{number:08d}.parquet"
        if not file.exists():
            made = shard(np.random.default_rng([seed, 4, number]), shard_rows, words, hosts, *kinds).slice(0, rows - start)
            pq.write_table(made, file.with_suffix(".part"), row_group_size=-(-shard_rows // GROUPS))
            file.with_suffix(".part").rename(file)
    return f"{rows:,} rows in {pool}"


def shard(
    random: Random, rows: int, words: pa.Array, hosts: pa.Array, sources: npt.NDArray[np.int64], licenses: npt.NDArray[np.int64]
) -> pa.Table:
    """The rows of one shard."""
    places = np.where(random.random(rows) < 0.01, random.integers(0, rows, rows), np.arange(rows))  # whose address a row has
    host = ((HOSTS ** random.random(rows)).astype(np.int64) - 1)[places]  # the k-th host as often as 1 / k
    odd = random.random(rows) < 0.05
    licence = np.where(odd, random.integers(0, len(LICENSES), rows), licenses[host])
    url = pc.binary_join_element_wise(hosts.take(pa.array(host)), hexed(random, rows, 8).take(pa.array(places)), ".html", "")
    text = captions(random, rows, words)
    mail = pc.binary_join_element_wise(text, "write to someone@example.org", " ")
    return pa.table(
        {
            "uid": hexed(random, rows, 16),
            "text": pc.if_else(pa.array(random.random(rows) < 0.01), mail, text),
            "url": url,
            "source": pa.array(SOURCES).take(pa.array(sources[host])),
            "license": pa.array([name or None for name in LICENSES]).take(pa.array(licence)),
        }
    )


def curate(folder: Path, workers: int = 1) -> list[str]:
    """Run the recipe, and once more with a tighter cut; what each run is called and took."""
    from curate.recipe import Recipe
    from curate.store import Store
    from pipelines.verbs import run
    from pipelines.verbs import workers as executor_of

    (folder / SAVED).write_text(RECIPE, encoding="utf-8")
    recipe, store, said = Recipe.load(folder / SAVED), Store.open(folder / STORE), []
    executor = executor_of(workers)
    try:
        for one in (recipe, recipe.set_text(TIGHTER)):
            start = time.perf_counter()
            made = run(one, folder / POOL, store=store, executor=executor)
            said.append(f"{made.folder}: {time.perf_counter() - start:.1f} s, {made.facts['subsets']}")
    finally:
        executor.close()
    return said


if __name__ == "__main__":
    main()
