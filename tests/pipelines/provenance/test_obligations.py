import json

import polars as pl
import pytest
from typer.testing import CliRunner

from curate.executor import InProcess
from curate.recipe import Recipe
from pipelines import verbs
from pipelines.cli import app
from pipelines.provenance.obligations import obligations
from tests.pipelines.provenance.licensed import DECLARED, ROWS, curated


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return curated(tmp_path_factory.mktemp("licensed"))


@pytest.fixture(scope="module")
def told(run):
    return obligations(run.subset("told"))


def rows_of(found, *keys):
    return {tuple(one[key] for key in keys): one["rows"] for one in found}


def test_counts_are_of_what_was_declared(told):
    declared = rows_of(told.declared, "expression", "class")
    assert told.rows == ROWS == sum(declared.values())
    assert declared["CC-BY-4.0", "permissive"] == 6 + 2
    assert (declared["MIT", "permissive"], declared["MIT", "unknown"]) == (8, 1)
    assert declared[None, "unknown"] == DECLARED[None]
    assert rows_of(told.classes, "class")[("non-commercial",)] == 5
    assert told.no_evidence == told.unreadable == 0
    assert told.fix == ""


def test_obligations_are_counted_with_the_licences_that_ask_and_where(told):
    asked = {one["obligation"]: one for one in told.obligations}
    assert asked["share-alike"]["rows"] == 4 + 2 + 3
    assert asked["no-commercial"]["rows"] == 5
    assert asked["attribution"]["rows"] == 8 + 4 + 2 + 5 + 2
    assert asked["permission"]["rows"] == 2
    (source,) = [one for one in asked["no-commercial"]["licences"] if one["licence"] == "CC-BY-NC-4.0"]
    assert source["source"] == "https://creativecommons.org/licenses/by-nc/4.0/legalcode"
    assert "GPL-3.0-only" not in {one["licence"] for one in asked["share-alike"]["licences"]}


def test_conflicts_are_named_with_their_rows_and_their_reason(told):
    found = {(one.kind, one.one, one.other): one for one in told.conflicts}
    alike = {key[1:] for key in found if key[0] == "share-alike"}
    assert alike == {("CC-BY-SA-1.0", "CC-BY-SA-3.0"), ("CC-BY-SA-1.0", "GPL-2.0-only"), ("CC-BY-SA-3.0", "GPL-2.0-only")}
    assert found["limits", "CC-BY-SA-3.0", "CC-BY-NC-4.0"].rows == 4
    assert found["terms", "Apache-2.0", "GPL-2.0-only"].other_rows == 3
    assert found["commercial", "rows that ask no-commercial", "the others"].rows == 5
    assert found["permission", "rows that ask permission", "the others"].rows == 2
    assert [one.rows for one in told.conflicts if one.kind == "rows"] == [1]


def test_scope_and_confidence_are_shown_and_conflicts_are_less_sure(told):
    assert rows_of(told.scopes, "scope")[("item",)] == ROWS - DECLARED[None] - 2
    values = [one["confidence"] for one in told.confidence if one["confidence"] is not None]
    assert values == sorted(values, reverse=True)
    assert min(values) < 0.5


def test_an_open_subset_has_no_conflict(run):
    found = obligations(run.subset("open"))
    assert {one["class"] for one in found.classes} == {"permissive", "public-domain"}
    assert not [one for one in found.conflicts if one.kind != "rows"]


def test_rows_that_nobody_asked_are_no_evidence_and_the_fix_gathers_them(run):
    recipe = 'stages: {bare: {keep: "text_length.words > 0"}, %s}\nsubsets: [bare%s]'
    alone = verbs.run(Recipe.parse(recipe % ("", "")), run.pool, store=run.store.address, executor=InProcess())
    found = obligations(alone.subset("bare"))
    assert found.no_evidence == found.rows == ROWS
    stage = found.fix.split("`")[1]
    again = verbs.run(Recipe.parse(recipe % (stage, ", bare_asked")), run.pool, store=run.store.address, executor=InProcess())
    assert obligations(again.subset("bare_asked")).no_evidence == 0
    assert again.subset("bare_asked").digest == alone.subset("bare").digest


def test_rows_that_forbid_in_one_place_what_another_permits_say_on_what_they_differ(tmp_path):
    (tmp_path / "pool").mkdir()
    said = ["CC BY 4.0 ; CC BY-NC 4.0", "MIT ; Apache-2.0"]
    pl.DataFrame({"text": ["a", "b"], "license": said}).write_parquet(tmp_path / "pool" / "0.parquet")
    recipe = Recipe.parse('stages: {all: {keep: "license.class is not None"}}\nsubsets: [all]')
    found = obligations(verbs.run(recipe, tmp_path / "pool", store=tmp_path / "store", executor=InProcess()).subset("all"))
    assert {one.one: one.why for one in found.conflicts if one.kind == "rows"} == {
        "CC-BY-4.0, CC-BY-NC-4.0": "places of a row differ; only some of them ask no-commercial",
        "MIT, Apache-2.0": "places of a row differ",
    }


def test_audit_shows_the_subsets_that_are_named(run):
    at = ["--store", run.store.address, "--run", run.folder.removeprefix("runs/")]
    shown = CliRunner().invoke(app, ["audit", "open", "--by", "license.class", *at, "--json"])
    (counts,) = json.loads(shown.stdout).values()
    assert set(counts[0]) == {"license.class", "open"}


def test_audit_says_it_in_tables_and_in_json(run):
    call = ["audit", "told", "--licences", "--store", run.store.address, "--run", run.folder.removeprefix("runs/")]
    shown = CliRunner().invoke(app, call)
    assert shown.exit_code == 0
    assert "no use that is primarily for commercial advantage" in shown.output
    assert "nothing here is cleared" in shown.output
    made = CliRunner().invoke(app, [*call, "--json"])
    (found,) = json.loads(made.stdout)
    assert found["rows"] == ROWS
    assert found["conflicts"]
