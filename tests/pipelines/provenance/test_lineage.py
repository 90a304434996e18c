"""From a score back to its sources, and from a source forward to all that used it, held against what the pool's own files say."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from curate.digest import hex_of
from curate.errors import CeterisError, StoreError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from pipelines import verbs
from pipelines.cli import app
from pipelines.provenance.index import index
from pipelines.provenance.lineage import trace
from pipelines.provenance.uses import uses
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.verdicts import compare

TAUGHT = """
models:
  matcher: {filter_network: {trusted: trusted/, samples: 64}}
  counts: {passage_counts: {}}
signals: {match: {clip_score: {model: matcher}}, again: {repeated_text: {model: counts}}}
stages:
  some: {keep: "text_length.words > 3 and again.later_chars >= 0"}
  best: {after: some, keep: {top: match.score, count: 20}}
subsets: [some, best]
"""


@pytest.fixture(scope="module")
def rows(place: Path) -> pl.DataFrame:
    """The pool's rows, in order, with their hosts."""
    frame = pl.concat([pl.read_parquet(path) for path in sorted((place / "shards").glob("*.parquet"))])
    return frame.with_columns(host=pl.col("url").str.extract("//([^/]+)/"))


@pytest.fixture(scope="module")
def trained(scored: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Run, Evaluation]:
    """Two seeds of each arm, and their verdict, in a store of its own."""
    shutil.copytree(scored.store.path(""), at := tmp_path_factory.mktemp("lineage") / "store")
    done = replace(scored, store=Store.open(at))
    compare(done)
    return done.store, Run(done.store, done.run), done


def of_arm(trained: tuple[Store, Run, Evaluation], rows: pl.DataFrame, uids: "np.ndarray") -> pl.DataFrame:
    """The pool's rows with these uids."""
    wanted = {(int(high), int(low)) for high, low in uids}
    return rows.filter(pl.Series([(int(high), int(low)) in wanted for high, low in trained[1].uids()]))


def test_a_score_leads_back_to_its_conditions_stages_rows_and_sources(trained, rows) -> None:
    store, run, done = trained
    (found,) = trace(store, ["long", "seed", "1"]).lineages
    assert found.score["key"] == done.arms["long"].scores[1]
    assert found.score["weights"] == done.training("long", 1)["weights"]
    assert found.conditions["scale"] == done.scale.digest
    assert found.items["tasks"] == list(done.scale.tasks)
    assert found.items["leaked"] == len(done.leaked)
    assert found.recipe["digest"] == run.facts["recipe"]
    assert found.subset == {"name": "long", "digest": run.facts["subsets"]["long"]}
    assert [(one["stage"], one["kept"]) for one in found.stages] == [(one["stage"], one["kept"]) for one in run.funnel()]
    mine = of_arm(trained, rows, run.subset("long").uids)
    assert found.rows == mine.height == 120
    for column in ("source", "license", "host"):
        expected = {value or "(none)": count for value, count in mine[column].value_counts().iter_rows()}
        assert dict(found.sources[column]) == expected, column
    assert sum(count for _, count in found.sources["license.class"]) == 120
    assert not found.models


def test_every_arm_has_the_rows_it_was_trained_on(trained, rows) -> None:
    store, _, done = trained
    (whole,) = trace(store, ["whole pool"]).lineages
    assert (whole.score["kind"], whole.rows, whole.subset["name"]) == ("pool", done.arms["whole pool"].rows, "pool")
    (parent,) = trace(store, ["unique"]).lineages
    assert (parent.score["kind"], parent.subset) == ("parent", None)
    assert [one["stage"] for one in parent.stages] == ["pool", "basic", "unique"]
    draws = [trace(store, ["random 120"], seed=seed).lineages[0] for seed in (0, 1)]
    assert [one.rows for one in draws] == [120, 120]
    assert draws[0].sources != draws[1].sources
    key = done.arms["long"].scores[0]
    for words in ([key], [key.removeprefix("scores/")], [str(store.path(key))], [key.rpartition("/")[0]], ["long", "seed", "0"]):
        assert trace(store, words).lineages[0].score["key"] == key


def test_a_verdict_s_line_leads_to_both_its_arms(trained, tmp_path: Path) -> None:
    store, _, done = trained
    found = trace(store, ["long", "against", "random 120"])
    assert [one.score["arm"] for one in found.lineages] == ["long", "random 120"]
    line = compare(done, "long", "random 120").line
    assert (found.verdict["answer"], found.verdict["difference"]) == (line.answer, pytest.approx(line.difference))
    with pytest.raises(CeterisError, match="random 120 was not judged against unique"):
        trace(store, ["random 120", "against", "unique"])

    # Scores judged again with a delta of another day leave the line that its evaluation wrote down how to judge.
    copied = Store.open(shutil.copytree(store.path(""), tmp_path / "s"))
    for delta in (97.0, 98.0, 99.0):
        headline = done.scale.headline.model_copy(update={"delta": delta})
        compare(replace(done, store=copied, scale=done.scale.model_copy(update={"headline": headline})))
    assert trace(copied, ["long", "against", "random 120"]).verdict == found.verdict
    assert found.verdict["delta"] == done.scale.headline.delta


def test_what_is_no_score_is_refused(trained, tmp_path) -> None:
    store, _, _ = trained
    for words in (["lnog"], ["long", "seed", "9"], ["scores/none/none/seed-0"]):
        with pytest.raises(CeterisError, match="no score is called"):
            trace(store, words)
    with pytest.raises(StoreError, match="has no scores"):
        trace(Store.open(tmp_path / "store"), ["long"])


def test_without_the_list_of_rows_a_draw_is_not_known_and_a_subset_is(trained, tmp_path) -> None:
    shutil.copytree(trained[0].path(""), tmp_path / "store")
    store = Store.open(tmp_path / "store")
    for key in store.storage.list("rows/"):
        store.storage.delete(key)
    (drawn,), (mine,) = (trace(store, words).lineages for words in (["random 120"], ["long"]))
    assert (drawn.rows, drawn.sources) == (None, {})
    assert "not kept any more" in drawn.notes[0]
    assert mine.rows == 120
    assert mine.sources == trace(trained[0], ["long"]).lineages[0].sources
    found = uses(store, source="oldforum.example")
    assert {score["rows"] for score in found.runs[0].scores if score["arm"] == "random 120"} == {None}


@pytest.mark.parametrize("indexed", [False, True])
def test_a_source_leads_forward_to_all_that_used_it(trained, rows, indexed) -> None:
    store, run, done = trained
    if indexed:
        index(store)
    host = "oldforum.example"
    found = uses(store, source=host)
    assert any("by the index" in note for note in found.notes) == indexed
    (used,) = found.runs
    theirs = rows.filter(pl.col("host") == host)
    assert used.rows == theirs.height
    expected = {name: of_arm(trained, rows, run.subset(name).uids).filter(pl.col("host") == host).height for name in ("pool", "long")}
    assert {one["name"]: one["rows"] for one in used.subsets} == expected
    by_arm = {(one["arm"], one["seed"]): one["rows"] for one in used.scores}
    for name, arm in done.arms.items():
        for seed in arm.scores:
            (back,) = trace(store, [name], seed=seed).lineages
            assert by_arm.get((name, seed), 0) == dict(back.sources["host"]).get(host, 0), (name, seed)
    (verdict,) = {tuple(one["file"] for one in used.verdicts)}
    assert verdict


def test_a_row_leads_forward_only_to_what_used_it(trained, rows) -> None:
    store, run, _ = trained
    kept, dropped = (int(np.flatnonzero((run.codes("long") == 0) == inside)[0]) for inside in (True, False))
    uids = hex_of(run.uids())
    (used,) = uses(store, uid=uids[kept]).runs
    assert {one["name"]: one["rows"] for one in used.subsets} == {"pool": 1, "long": 1}
    assert {one["arm"] for one in used.scores} >= {"long", "whole pool"}
    (used,) = uses(store, url=rows["url"][dropped]).runs
    assert "long" not in {one["name"] for one in used.subsets}
    assert "long" not in {one["arm"] for one in used.scores}
    with pytest.raises(CeterisError, match="no row has the source nowhere"):
        uses(store, source="nowhere")
    with pytest.raises(CeterisError, match="in one way"):
        uses(store)


def test_models_are_named_backward_and_forward_with_the_rows_they_learned_from(place, rows, tmp_path) -> None:
    run = verbs.run(Recipe.parse(TAUGHT, base=place), place / "shards", store=tmp_path / "store", executor=InProcess())
    trusted = pl.concat([pl.read_parquet(path) for path in sorted((place / "trusted").glob("*.parquet"))])
    source = trusted["source"].drop_nulls()[0]
    (used,) = uses(run.store, source=source).runs
    models = {one["name"]: one["rows"] for one in used.models}
    assert models["matcher"] == trusted.filter(pl.col("source") == source).height
    assert models.get("counts", 0) == rows.filter(pl.col("source") == source).height
    only = rows.filter(~pl.col("source").is_in(trusted["source"].implode()))["source"].drop_nulls()
    if len(only):
        assert {one["name"] for one in uses(run.store, source=only[0]).runs[0].models} == {"counts"}


def test_the_command_says_it_in_both_directions(trained) -> None:
    store, _, done = trained

    def said(*arguments: str, code: int = 0) -> str:
        told = CliRunner().invoke(app, ["trace", *arguments, "--store", store.address])
        assert told.exit_code == code, told.output
        return told.stdout

    back = said("long", "seed", "1")
    assert done.arms["long"].scores[1] in back
    assert "rows by host" in back
    assert "difference" in said("long", "against", "whole pool")
    assert json.loads(said("long", "--json"))["rows"] == 120
    forward = said("--source", "oldforum.example")
    assert "subset long" in forward
    assert "verdict runs/" in forward
    assert json.loads(said("--source", "oldforum.example", "--json"))["runs"]
    assert CliRunner().invoke(app, ["trace", "--store", store.address]).exit_code != 0
