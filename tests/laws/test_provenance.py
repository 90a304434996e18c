"""Law 7: every row of the pool answers `why`, whatever became of it."""

import shutil
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from curate.audit import mix, near, why
from curate.digest import hex_of
from curate.errors import CeterisError, PoolError
from curate.exports.export import export
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import Outcome
from curate.store import Store
from tests.laws.conftest import Runner


def test_every_row_answers_why(undisturbed: tuple[Store, Outcome]) -> None:
    store, outcome = undisturbed
    run = Run(store, outcome.folder)
    kinds: Counter[str] = Counter()
    for uid in hex_of(run.uids())[::7]:
        story = why(run, uid)
        assert story["uid"] == uid
        assert story["shard"] in [shard.path for shard in run.pool.shards]
        for stage, verdict in story["stages"].items():
            kinds[verdict["kind"]] += 1
            assert (stage in story["subsets"]) == (verdict["kind"] == "in" and stage in run.facts["subsets"])
            assert verdict["kind"] == "in" or (verdict["rule"] and verdict["stage"])
    assert kinds["in"]
    assert kinds["dropped"]


def test_a_duplicate_names_its_survivor_and_how_alike_they_are(undisturbed: tuple[Store, Outcome]) -> None:
    store, outcome = undisturbed
    run = Run(store, outcome.folder)
    stages = [name for name, node in run.facts["nodes"].items() if node["grouping"]]
    if not stages:
        pytest.skip("this recipe groups nothing")
    found = 0
    for stage in stages:
        reasons = run.decided(stage).reasons
        own = [code for code, reason in enumerate(reasons) if reason.stage == stage and reason.kind == "dropped"]
        places = [place for place, code in enumerate(run.codes(stage).tolist()) if code in own]
        for uid in hex_of(run.uids()[places[:10]]) if places else []:
            verdict = why(run, uid)["stages"][stage]
            assert why(run, verdict["survivor"])["stages"][stage]["kind"] == "in"
            assert outcome.plan.groups[run.facts["nodes"][stage]["grouping"]].threshold <= verdict["similarity"] + 1e-4
        found += len(places)
    assert found


def test_a_quarantined_row_says_what_could_not_be_read(demo_folder: Path, do: Runner, tmp_path: Path) -> None:
    recipe = Recipe.parse("{stages: {unique: {keep: {one_per: near_duplicate_image}}}, subsets: [unique]}")
    outcome = do(recipe, Pool.open(demo_folder / "shards"), tmp_path / "store")
    run = Run(Store.open(tmp_path / "store"), outcome.folder)
    kinds = [reason.kind for reason in run.decided("unique").reasons]
    places = [place for place, code in enumerate(run.codes("unique").tolist()) if kinds[code] == "quarantined"]
    assert places
    story = why(run, hex_of(run.uids()[places[:1]])[0])
    assert story["stages"]["unique"]["kind"] == "quarantined"
    assert story["values"]["near_duplicate_image.sketch.error"] in ("not_an_image", "truncated_image", "broken_image")


def test_the_rows_at_a_cut_are_the_last_kept_and_the_first_dropped(undisturbed: tuple[Store, Outcome]) -> None:
    store, outcome = undisturbed
    run = Run(store, outcome.folder)
    stage = next((name for name, one in outcome.decided.items() if one.cut is not None and one.cut.value is not None), None)
    if stage is None:
        pytest.skip("this recipe cuts nothing")
    rows = near(run, stage, 3)
    column = next(key for key in rows[0] if "." in key)
    assert [row["kept"] for row in rows] == [True] * 3 + [False] * 3
    assert rows == sorted(rows, key=lambda row: -row[column])
    assert rows[2][column] == pytest.approx(outcome.decided[stage].cut.value)


def test_a_row_that_is_not_there_is_refused(undisturbed: tuple[Store, Outcome]) -> None:
    store, outcome = undisturbed
    with pytest.raises(CeterisError, match="the pool has no row 0000"):
        why(Run(store, outcome.folder), "0" * 32)


@pytest.mark.parametrize("harm", ["other content", "gone"])
def test_a_pool_that_changed_after_the_run_is_refused_not_shown(text_folder: Path, do: Runner, tmp_path: Path, harm: str) -> None:
    shutil.copytree(text_folder, tmp_path / "pool")
    recipe = Recipe.parse('{stages: {a: {keep: "text_length.words > 3"}}, subsets: [a]}')
    run = Run(Store.open(tmp_path / "s"), do(recipe, Pool.open(tmp_path / "pool"), tmp_path / "s").folder)
    shard = tmp_path / "pool" / "1.parquet"
    if harm == "gone":
        shard.unlink()
    else:
        pl.read_parquet(shard).with_columns(text=pl.lit("changed")).write_parquet(shard)
    again = Run(run.store, run.folder)
    for read in (
        lambda: why(again, again.subset("a").hex[0]),
        lambda: mix(again, "text"),
        lambda: export(again, "a", tmp_path / "x", "parquet"),
    ):
        with pytest.raises(PoolError, match="is gone" if harm == "gone" else "holds other content") as error:
            read()
        assert error.value.where == str(shard)
    assert export(again, "a", tmp_path / "uids", "uids")["rows"] == len(again.subset("a"))
