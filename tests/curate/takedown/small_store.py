"""A small store of one run over texts, and the request that takes a ninth of its rows down."""

import random
from pathlib import Path
from typing import Any

import polars as pl

from curate.executor import InProcess
from curate.pool import Pool
from curate.recipe import Recipe
from curate.run import Outcome, run
from curate.store import Store
from curate.takedown.named_rows import Plain
from curate.takedown.request import look, take_down
from pipelines.catalog import catalogue

RECIPE = """
stages:
  basic: {keep: "text_length.words > 3"}
  unique: {after: basic, keep: {one_per: near_duplicate_text, prefer: [pool.quality desc]}}
  best: {after: unique, keep: {top: pool.quality, fraction: 0.4}}
  rest: {minus: [basic, best]}
subsets: [basic, best, rest]
"""
ROWS, SHARDS = 180, 3
GONE = tuple(range(0, ROWS, 9))
WORDS = "river park green three tall dogs running old bridge market winter garden letter window orchestra".split()  # noqa: SIM905


def made_rows() -> pl.DataFrame:
    draw = random.Random(8)
    texts = [f"{' '.join(draw.choices(WORDS, k=draw.randint(2, 16)))} number {row}" for row in range(ROWS)]
    texts[1] = texts[0].replace("number 0", "number 0 again")  # a near copy of one that leaves
    return pl.DataFrame(
        {
            "uid": [draw.randbytes(16).hex() for _ in texts],
            "text": texts,
            "url": [f"https://www.host{row % 9}.example.org/page/{row:05d}.html" for row in range(ROWS)],
            "quality": [None if row % 13 == 0 else round(draw.random(), 3) for row in range(ROWS)],
        }
    )


def write(rows: pl.DataFrame, folder: Path, shards: int = SHARDS) -> Pool:
    folder.mkdir(parents=True)
    for shard in range(shards):
        rows[shard::shards].write_parquet(folder / f"{shard}.parquet", row_group_size=32)
    return Pool.open(folder)


def select(pool: Pool, store: Store) -> Outcome:
    return run(Recipe.parse(RECIPE), pool, catalogue(), store, InProcess(), lambda *_: None)


def urls_of(rows: pl.DataFrame) -> Plain:
    return Plain(urls=frozenset(rows["url"][list(GONE)].to_list()))


def done(store: Store, plain: Plain) -> dict[str, Any]:
    return take_down(look(store, plain), who="somebody", reason="asked", time="2026-01-02T03:04:05+00:00")


def uids_of(rows: pl.DataFrame) -> list[str]:
    return rows["uid"][list(GONE)].to_list()
