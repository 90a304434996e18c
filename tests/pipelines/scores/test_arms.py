"""Arms of a run whose rules repeat: copies are trained on, sizes are of rows."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from curate.digest import UInt64s, hex_of
from curate.executor import InProcess
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import run as select
from curate.store import Store
from eval_fixed_model.rows.images import Rows
from pipelines.catalog import catalogue
from pipelines.scores.arms import Arms, arms_of

RECIPE = """
stages:
  good:   {keep: "pool.x > 0.2"}
  twice:  {after: good, keep: {repeat: 2}}
  drawn:  {after: twice, keep: {soft_cap: pool.x, penalty: 0.1, temperature: 0.2, count: 300, seed: 0}}
  best:   {after: twice, keep: {top: pool.x, count: 20}}
  both:   {all_of: [twice, drawn]}
subsets: [twice, drawn, best, both]
"""
LOST = 3
"""Rows that the instrument cannot decode."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Arms]:
    folder = tmp_path_factory.mktemp("arms")
    (folder / "pool").mkdir()
    x = np.random.default_rng(0).random(100)
    pl.DataFrame({"text": [f"a text {n}" for n in range(100)], "x": x}).write_parquet(folder / "pool" / "0.parquet", row_group_size=30)
    store = Store.open(folder / "store")
    done = select(Recipe.parse(RECIPE), Pool.open(folder / "pool"), catalogue(), store, InProcess(), lambda *_: None)
    run = Run(store, done.folder)
    uids = run.uids()[:-LOST]
    nothing = np.zeros((len(uids), 1), np.uint8)
    return run, arms_of(run, Rows("scale", nothing, nothing.astype(np.uint16), uids, pl.DataFrame()), np.zeros((0, 2), np.uint64))


def times(uids: UInt64s) -> Counter[str]:
    return Counter(hex_of(uids))


def test_an_arm_holds_every_copy_of_its_rows(made: tuple[Run, Arms]) -> None:
    run, found = made
    there = hex_of(run.uids()[:-LOST])
    for name in ("twice", "drawn", "best", "both"):
        expected = {uid: int(count) for uid, count in zip(there, run.copies(name), strict=False) if count}
        assert times(found.arms[name].uids) == expected
    assert max(times(found.arms["drawn"].uids).values()) > 3


def test_random_controls_have_as_many_different_rows(made: tuple[Run, Arms]) -> None:
    _, found = made
    for name in ("twice", "drawn", "best", "both"):
        rows = found.arms[name].rows
        assert (name, f"random {rows}") in found.contrasts
        assert set(times(found.arms[f"random {rows}"].members(0)).values()) == {1}


def test_the_recipe_without_its_last_stage_has_the_copies_before_it(made: tuple[Run, Arms]) -> None:
    _, found = made
    assert ("twice", "good") in found.contrasts
    assert set(times(found.arms["good"].uids).values()) == {1}
    assert times(found.arms["twice"].uids) == {uid: 2 for uid in times(found.arms["good"].uids)}
    assert {control for name, control in found.contrasts if name == "both"} >= {"twice", "drawn"}
    assert {control for name, control in found.contrasts if name == "best"} >= {"twice"}
