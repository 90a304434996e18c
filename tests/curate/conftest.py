"""Filters that need no file of their own, a pool of texts, and runs over it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.catalogue import Entry, Filter
from curate.executor import InProcess
from curate.grouping import LINK_SCHEMA, grouping
from curate.model import Made, model
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import Outcome, run
from curate.signal import ModelRef, signal
from curate.store import Store

KINDS = pl.Enum(["short", "long"])


@dataclass(frozen=True)
class Live(Entry):
    """A filter of this process, for executors that start no other."""

    found: Any = None

    def load(self) -> Filter:
        """It is here."""
        return self.found


@signal(version=1, reads=["text"], writes={"chars": pl.UInt32, "kind": KINDS, "first": pl.String})
def length(batch, *, limit: int = 5, strict: bool = False):
    """Characters; short up to `limit`; an error for a text that begins with "!"."""
    text, chars = pl.col("text"), pl.col("text").str.len_chars()
    return batch.select(
        chars=chars,
        kind=pl.when(chars > limit).then(pl.lit("long")).when(chars <= limit).then(pl.lit("short")).cast(KINDS),
        first=text.str.slice(0, 1),
        error=pl.when(text.str.starts_with("!")).then(pl.lit("shouted")),
    )


@signal(version=1, reads=["image"], writes={"bytes": pl.UInt32})
def picture(batch):
    return batch.select(bytes=pl.col("image").bin.size().cast(pl.UInt32))


@signal(version=1, reads=["text"], writes={"score": pl.Float32})
def scored(batch, *, model: ModelRef, scale: float = 1.0):
    return batch.select(score=pl.col("text").str.len_chars().cast(pl.Float32) * scale)


@signal(version=1, reads=["text"], writes={"key": pl.Binary})
def letters(batch):
    return batch.select(key=pl.col("text").str.to_lowercase().cast(pl.Binary))


def shared_letters(sketches, *, floor: float = 0.5):
    """Texts by the share of their letters that both have."""
    keys = [key for _, frame in sketches.read(["key"]) for key in frame["key"]]
    pairs = [
        (i, j, len({*keys[i]} & {*keys[j]}) / len({*keys[i]} | {*keys[j]})) for j in range(sketches.fresh, len(keys)) for i in range(j)
    ]
    yield pl.DataFrame([pair for pair in pairs if pair[2] >= floor], schema=LINK_SCHEMA, orient="row")


alike = grouping("alike", version=1, sketch=letters, links=shared_letters, threshold=0.75)


@model(version=1, reads=["text"], rows=["trusted"])
def net(rows, *, seed: int = 0, width: int):
    import numpy as np

    return Made({"mean": np.full(width, rows["text"].str.len_chars().mean())}, {"rows": rows.height, "seed": seed})


same = grouping("same", version=1, sketch=letters)
FILTERS = {"length": length, "picture": picture, "scored": scored, "alike": alike, "same": same, "net": net}

Catalogued = Callable[..., Mapping[str, Entry]]
Do = Callable[..., Outcome]


@pytest.fixture(scope="session")
def filters() -> Catalogued:
    """The catalogue of this file's filters and those given, all of one source."""
    return lambda source="1", **more: {name: Live(name, "", source, None, found) for name, found in {**FILTERS, **more}.items()}


@pytest.fixture(scope="session")
def do(filters: Catalogued) -> Do:
    """Run a recipe, in process."""

    def runner(recipe: Recipe | str, pool: Pool, store: Store, catalogue: Mapping[str, Entry] | None = None) -> Outcome:
        recipe = recipe if isinstance(recipe, Recipe) else Recipe.parse(recipe, where="recipe.yaml")
        return run(recipe, pool, catalogue or filters(), store, InProcess(), lambda *_: None)

    return runner


TEXTS = ["abc", "ABC", "abcd", None, "xyz", "xy", "!loud", "lorem ipsum", "lorem ipsun", "", "q", "abc"]
RECIPE = """
errors_at_most: 0.2
stages:
  some:   {keep: "length.chars > 0"}
  best:   {after: some, keep: {top: pool.quality, fraction: 0.5}}
  unique: {after: some, keep: {one_per: alike, prefer: [pool.quality desc]}}
  both:   {all_of: [best, unique]}
  rest:   {minus: [some, best]}
subsets: [best, unique, both, rest]
"""


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """Twelve texts in two shards and three row groups, with a quality that one lacks and an odd column."""
    folder = tmp_path_factory.mktemp("texts")
    quality = [0.5, 0.9, 0.9, 0.1, None, 0.2, 0.7, 0.6, 0.3, 0.8, 0.4, 0.5]
    frame = pl.DataFrame({"text": TEXTS, "quality": quality, "a.b": range(12), "source": ["web", "book", None] * 4})
    frame[:8].write_parquet(folder / "0.parquet", row_group_size=4)
    frame[8:].write_parquet(folder / "1.parquet")
    return Pool.open(folder)


@pytest.fixture(scope="session")
def finished(texts: Pool, do: Do, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """RECIPE run on `texts`."""
    store = Store.open(tmp_path_factory.mktemp("finished") / "store")
    return Run(store, do(RECIPE, texts, store).folder)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store on disk."""
    return Store.open(tmp_path / "store")
