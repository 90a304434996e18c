"""The text demo's recipe holds together, and what it keeps is right against what the generator planted."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from curate.digest import hex_of
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from curate.rule import Top
from eval_fixed_model.scale import load_scale
from pipelines import run
from pipelines.catalog import catalogue
from pipelines.demo.text.make_pool import make_pool

RECIPE = Path(__file__).parents[2] / "pipelines" / "recipes" / "demo-text.yaml"
ROWS = 1_500


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.load(RECIPE)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """Of a small pool with another seed, what each node keeps, with what was planted."""
    folder = tmp_path_factory.mktemp("demo text")
    make_pool(folder, rows=ROWS, seed=5, shards=2)
    shutil.copyfile(RECIPE, folder / RECIPE.name)
    scaled = Recipe.load(folder / RECIPE.name)
    scaled = scaled.set("subsets", ["basic", "unasked", "unique", "deduplicated", "scored", "combined"])
    for stage in ("scored", "combined"):
        scaled = scaled.set(f"stages.{stage}.keep.count", ROWS * 2 // 5)
    done: Run = run(scaled, store=folder / ".ceteris", executor=InProcess())
    truth = pl.read_parquet(folder / "truth" / "truth.parquet").with_columns(content=pl.coalesce("copy_of", "uid"))
    return {name: truth.filter(pl.col("uid").is_in(hex_of(done.subset(name).uids))) for name in ("pool", *scaled.subsets)}


def test_every_filter_and_the_scale_exist(recipe: Recipe) -> None:
    known = catalogue()
    named = {part.kind for part in (*recipe.models.values(), *recipe.signals.values())}
    asked = {column.split(".")[0] for stage in recipe.stages.values() if stage.rule for column in stage.rule.columns}
    assert named | asked - set(recipe.signals) <= set(known)
    assert recipe.evaluate is not None
    assert load_scale(recipe.evaluate.scale).name == "tiny-text"


def test_the_parts_start_from_the_pool_and_combined_is_all_of_them(recipe: Recipe) -> None:
    assert recipe.subsets == ("basic", "deduplicated", "scored", "combined")
    assert [recipe.stages[name].parents for name in ("basic", "deduplicated", "scored")] == [("pool",)] * 3
    assert [recipe.stages[name].parents for name in ("unasked", "unique", "combined")] == [("basic",), ("unasked",), ("unique",)]
    assert recipe.stages["unique"].rule == recipe.stages["deduplicated"].rule
    scored, combined = (recipe.stages[name].rule for name in ("scored", "combined"))
    assert isinstance(scored, Top)
    assert scored == combined  # equal sizes share a random control


def test_what_each_stage_is_for_it_does(kept: dict[str, pl.DataFrame]) -> None:
    pool, clean = kept["pool"], pl.col("kind") == "clean"
    share = {name: {kind: rows.filter(kind=kind).height for kind in pool["kind"].unique()} for name, rows in kept.items()}
    assert share["basic"]["clean"] > 0.95 * share["pool"]["clean"]
    assert share["basic"]["foreign"] + share["basic"]["noise"] + share["basic"]["table"] + share["basic"]["blank"] <= 5
    assert share["unasked"]["leaked"] == 0 < share["basic"]["leaked"]
    assert share["unasked"]["clean"] == share["basic"]["clean"]
    left = kept["deduplicated"].filter(clean)
    copies = pool.filter(clean)["copy_of"].count()
    assert left["content"].n_unique() == pool.filter(clean)["content"].n_unique()  # nothing goes but copies
    assert left.height - left["content"].n_unique() < 0.1 * copies
    assert share["scored"]["boilerplate"] < 0.05 * share["pool"]["boilerplate"]


def test_combined_is_cleaner_than_every_part(kept: dict[str, pl.DataFrame]) -> None:
    good = {name: rows["good"].mean() for name, rows in kept.items()}
    assert good["pool"] < good["deduplicated"] < good["basic"] < good["unique"] + 0.05
    assert good["combined"] > max(good[name] for name in ("pool", "deduplicated", "basic", "unique"))
    distinct = {name: rows.filter("good")["content"].n_unique() / rows.height for name, rows in kept.items()}
    assert distinct["combined"] == max(distinct.values())


def test_defects_that_no_filter_aims_at_stay(kept: dict[str, pl.DataFrame]) -> None:
    for kind in ("spliced", "scanned", "shuffled"):
        assert kept["combined"].filter(kind=kind).height > 0.3 * kept["pool"].filter(kind=kind)["content"].n_unique()
