"""A pool of texts whose rows declare what a test plants, and a run over it; shared by the tests of licences."""

from pathlib import Path

import polars as pl

from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from pipelines import verbs

DECLARED = {
    "CC-BY-4.0": 6,
    '<a href="https://creativecommons.org/licenses/by/4.0/">terms</a>': 2,
    "CC BY-SA 3.0": 4,
    "CC-BY-SA-1.0": 2,
    "GPL-2.0-only": 3,
    "CC BY-NC 4.0": 5,
    "CC-BY-ND-3.0": 2,
    "MIT": 8,
    "Apache-2.0": 3,
    "MIT OR GPL-3.0-only": 2,
    "CC0-1.0": 4,
    "All rights reserved": 2,
    "MIT License, for Good, not Evil": 1,
    "License :: OSI Approved :: MIT License ; License :: OSI Approved :: Apache Software License": 1,
    None: 5,
}
"""What fields say, and how many rows say so. The link speaks of a page."""
ROWS = sum(DECLARED.values())
SHARDS = 3
RECIPE = """
stages:
  told: {keep: "license.class is not None"}
  open: {after: told, keep: "license.class in ['public-domain', 'permissive']"}
  some: {keep: "text_length.words > 5 and license.class is not None"}
  bare: {keep: "text_length.words > 0"}
subsets: [told, open, some, bare]
"""


def rows() -> pl.DataFrame:
    """In an order that mixes licences over the shards: uid, text, license, url, source, robots, headline, writer."""
    said = [text for text, many in DECLARED.items() for _ in range(many)]
    order = sorted(range(ROWS), key=lambda row: (row * 29) % ROWS)
    frame = pl.DataFrame({"number": order, "license": [said[row] for row in order]}, schema={"number": pl.Int64, "license": pl.String})
    number = pl.col("number")
    return frame.select(
        uid=pl.format("{}", number.map_elements(lambda n: f"{n:032x}", pl.String)),
        text=pl.when(number % 2 == 0).then(pl.lit("a longer text of more than five words")).otherwise(pl.lit("a short text")),
        license="license",
        url=pl.when(number == 7).then(pl.lit("  ")).otherwise(pl.format("https://h{}.example.org/{}", number % 3, number)),
        source=pl.when(number % 4 > 0).then(pl.format("site-{}", number % 4)),
        robots=pl.when(number % 5 == 0).then(pl.lit("index, NoAI")).when(number % 5 == 1).then(pl.lit("noairlines")),
        headline=pl.format("Work {}", number),
        writer=pl.when(number % 2 == 0).then(pl.lit("A. Writer")),
    )


def curated(folder: Path) -> Run:
    """The pool in a folder, and the recipe run on it."""
    (folder / "pool").mkdir()
    every = rows()
    for shard in range(SHARDS):
        every[shard * ROWS // SHARDS : (shard + 1) * ROWS // SHARDS].write_parquet(folder / "pool" / f"{shard}.parquet")
    return verbs.run(Recipe.parse(RECIPE), folder / "pool", store=folder / "store", executor=InProcess())
