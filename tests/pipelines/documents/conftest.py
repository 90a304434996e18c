"""A run over texts with all that is awkward to describe: hostile licences, restricted rows, repetition, shards whose columns differ."""

from pathlib import Path

import polars as pl
import pytest

from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from pipelines import verbs

HOSTILE = "<script>alert(1)</script>|[x](javascript:alert(2))`\u202ecod\u2066e\u2069`"
SECRET = "the words of a row that nobody may see"
MINE = """
import polars as pl

from curate import signal


@signal(version={version}, reads=["text"], writes={{"score": pl.Int64}}, uses=["xxhash"])
def mine(batch: pl.DataFrame) -> pl.DataFrame:
    '''How long the text is.'''
    return batch.select(score=pl.col("text").str.len_chars().cast(pl.Int64){more})
"""
RECIPE = """
restricted: "pool.flag == 1"
stages:
  said: {keep: "text_length.words > 2 and license.class in ['permissive', 'public-domain', 'unknown']"}
  longest: {after: said, keep: {top: mine.score, count: 20}}
  often: {after: longest, keep: {repeat: 3}}
subsets: [said, often]
"""


def write_filter(folder: Path, version: int = 1, more: str = "") -> Path:
    """A folder with a filter of one's own; another version measures other numbers."""
    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(MINE.format(version=version, more=more), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two shards of 30 texts; the second has a column more."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "pool").mkdir()
    licences = ["CC-BY-4.0", "MIT", HOSTILE, None, "CC0-1.0"]
    for shard in range(2):
        rows = range(shard * 30, shard * 30 + 30)
        frame = pl.DataFrame(
            {
                "text": [
                    SECRET if row == 7 else f"the {row} children and the weather of day {row * row}" + " again" * (row % 7) for row in rows
                ],
                "license": [licences[row % 5] for row in rows],
                "source": [f"site{row % 3}.example" for row in rows],
                "flag": [int(row == 7) for row in rows],
            }
        )
        frame = frame.with_columns(seen=pl.lit(1.5)) if shard else frame
        frame.write_parquet(folder / "pool" / f"{shard}.parquet")
    filters = [write_filter(folder / "mine")]
    recipe = Recipe.parse(RECIPE, where="texts.yaml", base=folder)
    return verbs.run(recipe, folder / "pool", store=folder / "s", executor=InProcess(), filters=filters)
