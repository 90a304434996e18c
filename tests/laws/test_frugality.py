"""Law 5: nothing is measured twice; a changed rule measures nothing on a row that has its evidence."""

import shutil
from pathlib import Path

import pytest

from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import Outcome
from curate.store import Store
from tests.laws.conftest import Runner


@pytest.fixture
def copied(undisturbed: tuple[Store, Outcome], tmp_path: Path) -> Store:
    """A copy of the case's store, to go on from."""
    shutil.copytree(undisturbed[0].path(""), tmp_path / "copy")
    return Store.open(tmp_path / "copy")


def test_a_second_run_measures_nothing(case: tuple[Recipe, Pool], copied: Store, do: Runner) -> None:
    again = do(*case, copied)
    assert again.effort.measured == {}
    assert not any(again.effort.linked.values())


def test_every_row_is_measured_once_by_each_signal(undisturbed: tuple[Store, Outcome]) -> None:
    store, outcome = undisturbed
    run = Run(store, outcome.folder)
    for name, measured in outcome.effort.measured.items():
        assert run.evidence(name).height == measured <= run.pool.rows


@pytest.fixture(scope="module")
def scored(demo_folder: Path, do: Runner, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Pool, Store]:
    """Scores behind a cheap rule and a grouping, run once."""
    text = """
models: {matcher: {filter_network: {trusted: trusted/, seed: 0, samples: 256}}}
signals: {match: {clip_score: {model: matcher}}, twins: {near_duplicate_image: {bits: 6}}}
stages:
  basic: {keep: "text_length.words > 6"}
  unique: {after: basic, keep: {one_per: twins, prefer: [match.score desc]}}
  best: {after: unique, keep: {top: match.score, fraction: 0.3}}
  good: {after: basic, keep: "match.score >= 0.1"}
subsets: [best, good]
"""
    recipe, pool = Recipe.parse(text, base=demo_folder), Pool.open(demo_folder / "shards")
    store = Store.open(tmp_path_factory.mktemp("scored") / "store")
    do(recipe, pool, store)
    return recipe, pool, store


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("stages.good.keep", "match.score >= 0.3"),
        ("stages.best.keep.fraction", 0.7),
        ("signals.twins.near_duplicate_image", {"bits": 6, "threshold": 0.999}),
    ],
)
def test_another_threshold_measures_and_links_nothing(
    scored: tuple[Recipe, Pool, Store], do: Runner, tmp_path: Path, path: str, value: object
) -> None:
    recipe, pool, store = scored
    copy = tmp_path / "copy"
    shutil.copytree(store.path(""), copy)
    before = Run.latest(Store.open(copy)).facts["subsets"]
    outcome = do(recipe.set(path, value), pool, copy)
    assert outcome.effort.measured == {}
    assert not any(outcome.effort.linked.values())
    assert outcome.subsets != before


def test_loosening_the_first_rule_measures_only_the_newly_admitted(scored: tuple[Recipe, Pool, Store], do: Runner, tmp_path: Path) -> None:
    recipe, pool, store = scored
    copy = tmp_path / "copy"
    shutil.copytree(store.path(""), copy)
    before = Run.latest(Store.open(copy))
    had = before.evidence("match").height
    outcome = do(recipe.set("stages.basic.keep", "text_length.words > 4"), pool, copy)
    after = Run(Store.open(copy), outcome.folder)
    admitted = after.decided("basic").kept - before.decided("basic").kept
    assert admitted > 0
    assert outcome.effort.measured == {"match": admitted, "twins.sketch": admitted}
    assert after.evidence("match").height == had + admitted
