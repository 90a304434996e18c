"""Law 3: every decision can be made again from stored evidence and the recipe alone."""

import shutil
from pathlib import Path

from curate.executor import InProcess
from curate.pool import Pool
from curate.recipe import Recipe
from curate.run import Outcome, resolve
from curate.store import Store
from curate.verify.store import Asked, verify_store
from pipelines.catalog import catalogue
from tests.laws.conftest import Runner


def _again(store: Store, outcome: Outcome, folder: Path) -> Path:
    """The store without its decisions, subsets and runs."""
    copy = folder / "again"
    shutil.copytree(store.path(""), copy)
    for name in ("decisions", "subsets", "runs", "ledger"):
        shutil.rmtree(copy / name)
    return copy


def test_decisions_are_made_again_without_measuring(
    case: tuple[Recipe, Pool], undisturbed: tuple[Store, Outcome], do: Runner, tmp_path: Path
) -> None:
    store, first = undisturbed
    second = do(*case, _again(store, first, tmp_path))
    assert second.effort.measured == {}
    assert not any(second.effort.linked.values())
    assert second.subsets == first.subsets
    assert {name: (one.counts, one.sums, one.samples) for name, one in second.decided.items()} == {
        name: (one.counts, one.sums, one.samples) for name, one in first.decided.items()
    }


def test_decisions_are_made_again_without_the_pool(demo_folder: Path, do: Runner, tmp_path: Path) -> None:
    """The shards are gone: whatever is decided now was decided from evidence."""
    pool_folder = tmp_path / "pool"
    shutil.copytree(demo_folder / "shards", pool_folder)
    pool = Pool.open(pool_folder)
    recipe = Recipe.parse(
        "{stages: {basic: {keep: \"text_length.words > 3 and language.code == 'en'\"},"
        " unique: {after: basic, keep: {one_per: near_duplicate_image, prefer: [license.class asc]}}}, subsets: [unique]}"
    )
    store = Store.open(tmp_path / "store")
    first = do(recipe, pool, store)
    copy = _again(store, first, tmp_path)
    shutil.rmtree(pool_folder)
    assert do(recipe, pool, copy).subsets == first.subsets


def test_every_store_verifies(undisturbed: tuple[Store, Outcome]) -> None:
    """By `verify`, which judges from the store alone: no filter is loaded."""
    store, outcome = undisturbed
    found, _ = verify_store(store, Asked(), InProcess(), lambda *_: None)
    assert [str(one) for one in found.findings] == []
    assert found.checked["decisions"] == outcome.plan.pool.rows * (len(outcome.plan.nodes) - 1)


def test_the_plan_alone_names_what_is_stored(case: tuple[Recipe, Pool], undisturbed: tuple[Store, Outcome]) -> None:
    store, outcome = undisturbed
    plan = resolve(*case, catalogue(), store)
    assert plan.id == outcome.plan.id
    assert {node.id for node in plan.nodes.values()} == {node.id for node in outcome.plan.nodes.values()}
