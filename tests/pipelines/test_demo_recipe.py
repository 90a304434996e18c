"""The demo's recipe holds together, and its duplicates are right against what the generator planted."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.grouping import keep_one
from curate.recipe import Recipe
from curate.rule import OnePer, Top
from eval_fixed_model.scale import load_scale
from filters.near_duplicate_image import near_duplicate_image, sketch
from pipelines.catalog import catalogue
from pipelines.demo.make_pool import make_pool

RECIPE = Path(__file__).parents[2] / "pipelines" / "recipes" / "demo.yaml"


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.load(RECIPE)


def test_every_filter_and_the_scale_exist(recipe: Recipe) -> None:
    known = catalogue()
    named = {part.kind for part in (*recipe.models.values(), *recipe.signals.values())}
    asked = {column.split(".")[0] for stage in recipe.stages.values() if stage.rule for column in stage.rule.columns}
    assert named | asked - set(recipe.signals) <= set(known)
    assert recipe.evaluate is not None
    assert load_scale(recipe.evaluate.scale).name == "tiny-image-text"


def test_the_parts_start_from_the_pool_and_combined_is_all_of_them(recipe: Recipe) -> None:
    assert recipe.subsets == ("basic", "deduplicated", "scored", "combined")
    assert [recipe.stages[name].parents for name in ("basic", "deduplicated", "scored")] == [("pool",)] * 3
    assert [recipe.stages[name].parents for name in ("unique", "combined")] == [("basic",), ("unique",)]
    assert recipe.stages["unique"].rule == recipe.stages["deduplicated"].rule
    scored, combined = (recipe.stages[name].rule for name in ("scored", "combined"))
    assert isinstance(scored, Top)
    assert scored == combined  # equal sizes share a random control


def test_twins_are_copies(recipe: Recipe, tmp_path: Path) -> None:
    make_pool(tmp_path, rows=3_000, seed=5, shards=1)
    pool = pl.read_parquet(tmp_path / "shards").with_columns(image=pl.col("image").struct.field("bytes"))
    truth = pl.read_parquet(tmp_path / "truth").with_columns(picture=pl.coalesce("copy_of", "uid"))
    rule = recipe.stages["deduplicated"].rule
    assert isinstance(rule, OnePer)
    given = recipe.signals[rule.grouping].parameters
    made = sketch(pool).with_columns(truth["picture"]).filter(pl.col("key").is_not_null())
    keys = {key: n for n, key in enumerate(made["key"].unique(maintain_order=True))}
    sketches = made.select("key", "hashes", "thumbnail")
    found = near_duplicate_image.pairs(sketches, bits=given["bits"])
    ends = tuple(np.array([keys[key] for key in found[side]], np.int64) for side in ("a", "b"))
    classes = np.array([keys[key] for key in made["key"]], np.int64)
    survivor, _ = keep_one(classes, (ends[0], ends[1], found["similarity"].to_numpy()), float(given["threshold"]))
    picture, gone = made["picture"].to_numpy(), survivor != np.arange(made.height)
    copies, left = made.height - len(set(picture)), (~gone).sum() - len(set(picture[~gone]))
    assert (picture[survivor[gone]] == picture[gone]).mean() >= 0.99
    assert 1 - left / copies >= 0.95
