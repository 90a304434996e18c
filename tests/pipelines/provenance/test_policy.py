import json
import re

import polars as pl
import pytest
from typer.testing import CliRunner

from curate.errors import CeterisError, RecipeError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from pipelines import verbs
from pipelines.cli import app
from pipelines.provenance.policy import Policy
from pipelines.provenance.policy_check import check
from tests.pipelines.provenance.licensed import DECLARED, ROWS, curated, rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return curated(tmp_path_factory.mktemp("licensed"))


def offences(run, text, subset="told", **more):
    found = check(run.subset(subset), Policy.parse(text), **more)
    return {one.clause: one.rows for one in found.offences}


def test_classes_and_licences_decide_by_what_is_declared(run):
    quiet = "conflicts: note\nabsent: note\n"
    assert offences(run, f"{quiet}classes: {{allow: [public-domain, permissive]}}") == {"classes.allow": 4 + 2 + 3 + 5 + 2 + 2 + 1}
    assert offences(run, f"{quiet}classes: {{refuse: [non-commercial]}}") == {"classes.refuse": 5}
    assert offences(run, f"{quiet}licences: {{refuse: ['CC-BY-*']}}") == {"licences.refuse": 8 + 4 + 2 + 5 + 2}
    named = offences(run, f"{quiet}licences: {{allow: [MIT, 'CC-BY-SA-*']}}")
    assert named == {"licences.allow": ROWS - DECLARED[None] - 8 - 2 - 4 - 2}


def test_of_alternatives_the_better_may_be_chosen(run):
    assert "licences.refuse" not in offences(run, "licences: {refuse: [GPL-3.0-only]}")
    assert Policy.parse("licences: {refuse: [MIT]}").refusal("MIT AND Zlib", "permissive") == "licences.refuse"


def test_words_that_were_not_understood_are_let_in_by_no_licence_name():
    policy = Policy.parse("licences: {allow: [MIT]}")
    assert policy.refusal("MIT", "permissive") is None
    assert policy.refusal("MIT", "unknown") == "licences.allow"


@pytest.mark.parametrize(
    ("policy", "expression", "clause"),
    [
        ("allow: ['CC-BY-*']", "CC-BY-4.0 AND LicenseRef-All-Rights-Reserved", "licences.allow"),
        ("allow: ['MIT*']", "MIT WITH LicenseRef-Commons-Clause", "licences.allow"),
        ("allow: ['CC-BY-*', 'LicenseRef-*']", "CC-BY-4.0 AND LicenseRef-All-Rights-Reserved", None),
        ("allow: ['MIT WITH Swift-exception']", "MIT WITH Swift-exception", None),
        ("refuse: ['GPL-*']", "GPL-3.0-only OR MIT", None),
        ("refuse: ['GPL-*']", "MIT AND GPL-3.0-only", "licences.refuse"),
    ],
)
def test_a_pattern_names_one_licence_and_never_what_else_an_expression_has(policy, expression, clause):
    assert Policy.parse(f"licences: {{{policy}}}").refusal(expression, "permissive") == clause


def test_absent_is_never_open_whatever_is_allowed(run):
    everything = (
        "classes: {allow: [public-domain, permissive, share-alike, copyleft, no-derivatives, non-commercial, proprietary, unknown]}"
    )
    found = offences(run, everything)
    assert found == {"absent": DECLARED[None], "conflicts": 1}
    noted = check(run.subset("told"), Policy.parse(f"{everything}\nabsent: note\nconflicts: note"))
    assert noted.passed
    assert noted.noted == {"absent": DECLARED[None], "conflicts": 1}


def test_scope_and_confidence_have_a_least(run):
    assert offences(run, "scope: item")["scope"] == 2
    assert "scope" not in offences(run, "scope: page")
    assert offences(run, "confidence: 0.6")["confidence"] == 2  # of a conflict, and of words that were not understood
    assert "confidence" not in offences(run, "confidence: 0.1")


def test_opt_outs_are_words_of_a_column_and_null_is_unsaid(run):
    said = rows()["robots"]
    assert offences(run, "opt_outs: {pool.robots: noai}")["opt_outs.pool.robots"] == said.str.contains("NoAI").sum()
    both = offences(run, "opt_outs: {pool.robots: [noai, null]}")["opt_outs.pool.robots"]
    assert both == said.str.contains("NoAI").fill_null(True).sum()
    assert "opt_outs.license.noai" not in offences(run, "opt_outs: {license.noai: true}")


def test_required_roles_are_filled_with_more_than_blanks(run):
    found = offences(run, "required: [source, url, html]")
    assert found["required.url"] == 1
    assert found["required.source"] == rows()["source"].null_count()
    assert found["required.html"] == ROWS


def test_rows_that_nobody_asked_offend_in_a_way_of_their_own(run):
    alone = verbs.run(
        Recipe.parse('stages: {bare: {keep: "text_length.words > 0"}}\nsubsets: [bare]'),
        run.pool,
        store=run.store.address,
        executor=InProcess(),
    )
    found = check(alone.subset("bare"), Policy.parse("classes: {allow: [unknown]}"))
    assert [(one.clause, one.rows) for one in found.offences] == [("evidence", ROWS)]
    assert "license.class is not None" in found.fix


def test_every_offence_is_written_with_its_row(run, tmp_path):
    out = tmp_path / "offences.parquet"
    found = check(run.subset("told"), Policy.parse("classes: {refuse: [non-commercial]}\nabsent: note\nconflicts: note"), out=out, first=2)
    held = pl.read_parquet(out)
    assert set(held["uid"]) == set(rows().filter(pl.col("license") == "CC BY-NC 4.0")["uid"])
    assert held["clause"].unique().to_list() == ["classes.refuse"]
    assert held["value"].unique().to_list() == ["CC-BY-NC-4.0 (non-commercial)"]
    assert len(found.first) == 2
    assert found.first == held.head(2).select("uid", "clause", "value").to_dicts()
    with pytest.raises(CeterisError, match="there is a file already"):
        check(run.subset("told"), Policy.parse("scope: item"), out=out)


def test_offences_name_rows_as_the_pool_does_but_those_that_another_run_restricts(tmp_path):
    (tmp_path / "p").mkdir()
    frame = pl.DataFrame({"uid": ["doc/1", "doc/2"], "text": ["one two", "three four"], "license": ["MIT", "MIT"], "flag": [0, 1]})
    frame.write_parquet(tmp_path / "p" / "0.parquet")
    made = []
    for first in ("", 'restricted: "pool.flag == 1"\n'):
        recipe = Recipe.parse(first + 'stages: {told: {keep: "license.class is not None"}}\nsubsets: [told]')
        made.append(verbs.run(recipe, tmp_path / "p", store=tmp_path / "s", executor=InProcess()))
    found = check(made[0].subset("told"), Policy.parse("classes: {refuse: [permissive]}"))
    assert [one.get("original") for one in found.first] == ["doc/1", None]
    assert [*found.first[1]] == ["uid", "clause", "value"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("classes: {allow: [permisive]}", r"p:1:19: 'permisive' is no class\n  fix: did you mean permissive"),
        ("licences: {allow: [MTI]}", r"p:1:20: 'MTI' is no licence that SPDX lists\n  fix: did you mean MIT"),
        ("clases: {}", r"p:1:1: unknown key clases\n  fix: did you mean classes"),
        ("scope: item\nconfidence: 1.5", r"p:2:13: confidence: should be less than or equal to 1"),
        ("conflicts: ignore", r"p:1:12: conflicts: should be 'refuse' or 'note'"),
        ("[]", "p:1:1: a policy is a mapping"),
    ],
)
def test_mistakes_are_named_with_line_and_column(text, what):
    with pytest.raises(RecipeError, match=what):
        Policy.parse(text, where="p")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("opt_outs:\n  pool.robot: noai", r"p:2:3: the pool has no column robot\n  fix: did you mean robots"),
        ("opt_outs: {license.noal: true}", r"p:1:12: there is no column license.noal\n  fix: did you mean license.noai"),
        ("opt_outs: {pool.robots: []}", r"p:1:25: opt_outs.pool.robots names no value"),
        ("required: [sorce]", r"p:1:12: no pool has a role sorce\n  fix: did you mean source"),
    ],
)
def test_what_the_run_does_not_have_is_named_at_its_place_too(run, text, what):
    with pytest.raises(RecipeError, match=what):
        check(run.subset("told"), Policy.parse(text, where="p"))


def test_an_offence_says_where_its_clause_stands(run):
    policy = Policy.parse("classes:\n  refuse: [permissive]\nrequired: [url, source]", where="p")
    found = {one.clause: one.where for one in check(run.subset("told"), policy).offences}
    assert found == {
        **{"absent": "by default", "conflicts": "by default", "classes.refuse": "p:2:3"},
        **{"required.url": "p:3:12", "required.source": "p:3:17"},
    }


def test_rows_that_were_taken_down_are_in_no_audit_and_no_attribution(tmp_path):
    from pipelines.provenance.attribution import attribution
    from pipelines.provenance.obligations import obligations
    from pipelines.provenance.revoke import revoke

    run = curated(tmp_path)
    gone = rows().filter(pl.col("license") == "CC-BY-4.0")["uid"][0]
    before = attribution(run.subset("told"), tmp_path / "before.csv")
    told = revoke([f"uid:{gone}"], store=run.store.address, copies=False, yes=True, executor=InProcess())
    assert [(one["layout"], one["files"]) for one in told.touched["exports"]] == [("attribution", ["before.csv"])]
    fresh = Run.open(f"{run.store.address}/{run.folder}")
    assert obligations(fresh.subset("told")).rows == check(fresh.subset("told"), Policy.parse("scope: item")).rows == ROWS - 1
    attribution(fresh.subset("told"), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().count("\n") == before.rows
    assert gone not in (tmp_path / "a.csv").read_text()


def test_json_schema_is_published_and_describes_every_key():
    schema = Policy.json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["additionalProperties"] is False
    assert all(each.get("description") for each in schema["properties"].values())
    assert set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema))) <= set(schema["$defs"])
    assert "permissive" in json.dumps(schema["$defs"]["ClassKeys"])


def test_the_command_ends_with_1_where_a_row_offends_and_0_where_none_does(run, tmp_path):
    at = ["--store", run.store.address, "--run", run.folder.removeprefix("runs/")]
    strict, lenient = tmp_path / "strict.yaml", tmp_path / "lenient.yaml"
    strict.write_text("classes: {allow: [public-domain]}\n")
    lenient.write_text("classes: {refuse: [proprietary]}\nconflicts: note\n")
    failed = CliRunner().invoke(app, ["audit", "open", "--policy", str(strict), *at])
    assert failed.exit_code == 1
    assert f"{strict}:1:11" in failed.output
    passed = CliRunner().invoke(app, ["audit", "open", "--policy", str(lenient), "--json", *at])
    assert passed.exit_code == 0
    assert json.loads(passed.stdout)[0]["passed"]
