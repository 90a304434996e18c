import re
from dataclasses import replace
from typing import Literal

import polars as pl
import pytest

from curate.errors import RecipeError
from curate.planner import make_plan
from curate.pool import Pool
from curate.recipe import Recipe
from curate.signal import ModelRef, signal


@pytest.fixture
def planned(filters, texts, tmp_path):
    pl.DataFrame({"text": ["a", "b"]}).write_parquet(tmp_path / "trusted.parquet")

    def plan(text, weights=(), lists=(), pool=texts, catalogue=None):
        recipe = Recipe.parse(text, where="recipe.yaml", base=tmp_path)
        return make_plan(recipe, pool, catalogue or filters(), dict(weights), dict(lists))

    return plan


NET = "models: {m: {net: {trusted: trusted.parquet, width: 2}}}\n"

# What is wrong, where it is (line:column of the recipe), what is said and what to do.
WRONG = [
    (
        'stages:\n  a: {keep: "lenght.chars > 1"}',
        "2:3",
        "there is no filter called lenght",
        "did you mean length? (filters of your own: --filters FOLDER)",
    ),
    ('stages:\n  a: {keep: "length.chars > 1 and length.char > 1"}', "2:35", "unknown column length.char", "did you mean length.chars?"),
    ('stages:\n  a: {keep: "pool.qualty > 1"}', "2:14", "unknown column pool.qualty", "did you mean pool.quality?"),
    ("stages:\n  a: {keep: {top: pool.qualty, count: 1}}", "2:3", "unknown column pool.qualty", "did you mean pool.quality?"),
    ("stages:\n  a: {keep: {top: length.first, count: 1}}", "2:3", "top needs numbers; length.first is String", "length.chars"),
    ("stages:\n  a: {keep: {top: length.kind, count: 1}}", "2:3", "top needs numbers; length.kind is Enum", "length.chars"),
    ("stages:\n  a: {keep: \"length.kind == 'middle'\"}", "2:29", "length.kind is never 'middle'", "short, long"),
    ('stages:\n  a: {keep: "length.error is None"}', "2:14", "unknown column length.error", "did you mean"),
    ('stages:\n  a: {keep: "alike.group > 1"}', "2:3", "alike is a grouping: it judges rows together", "one_per: alike"),
    ("stages:\n  a: {keep: {top: alike.similarity, count: 1}}", "2:3", "alike is a grouping", "one_per: alike"),
    ("stages:\n  a: {keep: {one_per: length}}", "2:3", "length is not a grouping", "one_per takes"),
    ("stages:\n  a: {keep: {one_per: twins}}", "2:3", "there is no filter called twins", "choose from: alike"),
    ('stages:\n  a: {keep: "net.mean > 1"}', "2:3", "net is a model, not a signal", "models:"),
    ('stages:\n  a: {keep: "picture.bytes > 1"}', "2:3", "picture reads the role image, which this pool lacks", "--role image=COLUMN"),
    ('stages:\n  a: {keep: "scored.score > 1"}', "2:3", "scored needs a model for `model`", "name a model under `models:`"),
    (
        'signals:\n  s: {length: {limt: 3}}\nstages: {a: {keep: "s.chars > 1"}}',
        "2:3",
        "length has no parameter limt",
        "did you mean limit?",
    ),
    ('signals:\n  s: {length: {limit: x}}\nstages: {a: {keep: "s.chars > 1"}}', "2:3", "limit must be int, not 'x'", "limit: 5"),
    ('signals:\n  s: {length: {limit: true}}\nstages: {a: {keep: "s.chars > 1"}}', "2:3", "limit must be int, not True", "limit: 5"),
    ('signals:\n  s: {length: {limit: null}}\nstages: {a: {keep: "s.chars > 1"}}', "2:3", "limit must be int, not None", "limit: 5"),
    ('signals:\n  s: {length: {strict: 1}}\nstages: {a: {keep: "s.chars > 1"}}', "2:3", "strict must be bool, not 1", "strict: False"),
    ("signals:\n  s: {alike: {bits: 3}}\nstages: {a: {keep: {one_per: s}}}", "2:3", "alike has no parameter bits", "floor"),
    (
        "signals:\n  s: {alike: {threshold: 0.4}}\nstages: {a: {keep: {one_per: s}}}",
        "2:3",
        "threshold 0.4 is below the floor 0.5 of what is stored",
        "set floor: 0.4",
    ),
    ("signals:\n  s: {alike: {threshold: 1.5}}\nstages: {a: {keep: {one_per: s}}}", "2:3", "threshold 1.5 is above 1", "0 to 1"),
    ("signals:\n  s: {same: {threshold: 0.5}}\nstages: {a: {keep: {one_per: s}}}", "2:3", "same has no parameter threshold", "none"),
    ("signals:\n  unused: {length: {limt: 3}}\nstages: {a: {}}", "2:3", "length has no parameter limt", "did you mean limit?"),
    ("signals:\n  unused: {lenght: {}}\nstages: {a: {}}", "2:3", "there is no filter called lenght", "did you mean length?"),
    ("signals:\n  unused: {alike: {threshold: 0.4}}\nstages: {a: {}}", "2:3", "threshold 0.4 is below the floor", "set floor: 0.4"),
    ("signals:\n  unused: {scored: {}}\nstages: {a: {}}", "2:3", "scored needs a model for `model`", "name a model"),
    ("signals:\n  unused: {net: {}}\nstages: {a: {}}", "2:3", "net is a model, not a signal", "models:"),
    (
        "stages:\n  lawful: {keep: {random: 1, seed: 0}}\n  a: {}",
        "2:3",
        "lawful is the name of the pool without what is",
        "rename the stage",
    ),
    ("stages:\n  unseen: {keep: {random: 1, seed: 0}}", "2:3", "unseen is the name of the pool without", "rename the stage"),
    (NET + "stages:\n  unseen: {keep: {random: 1, seed: 0}}", "3:3", "unseen is the name of the pool without the rows", "rename the stage"),
    ("models:\n  m: {net: {width: 2}}\nstages: {a: {}}", "2:3", "net needs trusted", "add `trusted: ...`"),
    ("models:\n  m: {net: {trusted: x}}\nstages: {a: {}}", "2:3", "net needs width", "add `width: ...`"),
    ("models:\n  m: {net: {trusted: nowhere, width: 2}}\nstages: {a: {}}", "2:3", "the training rows of net cannot be opened", "`trusted`"),
    (
        "models:\n  m: {net: {trusted: trusted.parquet, wdth: 2}}\nstages: {a: {}}",
        "2:3",
        "net has no parameter wdth",
        "did you mean width?",
    ),
    ("models:\n  m: {length: {}}\nstages: {a: {}}", "2:3", "length is not a model", "signals:"),
    ("models:\n  m: {nett: {}}\nstages: {a: {}}", "2:3", "there is no filter called nett", "did you mean net?"),
    (
        NET + 'signals:\n  s: {scored: {}}\nstages: {a: {keep: "s.score > 1"}}',
        "3:3",
        "scored needs a model",
        "add `model: NAME` with one of: m",
    ),
    (NET + 'signals:\n  s: {scored: {model: [m]}}\nstages: {a: {keep: "s.score > 1"}}', "3:3", "scored needs a model", "one of: m"),
]


@pytest.mark.parametrize(("text", "place", "what", "fix"), WRONG, ids=[what for _, _, what, _ in WRONG])
def test_what_is_wrong_is_said_before_a_row_is_read(planned, text, place, what, fix):
    with pytest.raises(RecipeError, match=re.escape(what)) as raised:
        planned(text + "\nsubsets: [" + ("unseen]" if "unseen:" in text else "a]"))
    assert fix in raised.value.fix
    assert raised.value.where == f"recipe.yaml:{place}"


def test_a_signal_that_no_stage_uses_needs_no_roles_and_is_not_measured(planned):
    plan = planned("{signals: {unused: {picture: {}}, twins: {alike: {threshold: 0.9}}}, stages: {a: {}}, subsets: [a]}")
    assert (plan.measures, plan.groups) == ({}, {})


def test_a_missing_role_is_told_beside_those_there_are(planned, filters):
    lower = signal(version=1, reads=["url"], writes={"x": pl.Int8})(lambda batch: batch)
    with pytest.raises(RecipeError, match=r"lower reads the role url, which this pool lacks \(it has source, text\)"):
        planned('{stages: {a: {keep: "lower.x > 1"}}, subsets: [a]}', catalogue=filters(lower=lower))


def test_nodes_know_their_parents_reasons_and_measures(planned):
    plan = planned(
        """
stages:
  a: {keep: "length.chars > 1 and length.kind == 'long'"}
  b: {after: a, keep: {top: pool.quality, count: 2}}
  c: {minus: [a, b]}
subsets: [c]
"""
    )
    assert list(plan.nodes) == ["pool", "a", "b", "c"]
    assert list(plan.measures) == ["length"]
    a, c = plan.nodes["a"], plan.nodes["c"]
    assert [(reason.kind, reason.text) for reason in a.reasons[1:4]] == [
        (kind, "length.chars > 1") for kind in ("dropped", "no evidence", "quarantined")
    ]
    assert [c.reasons[code] for code in c.inherits[0]] == list(a.reasons)
    assert c.reasons[-2:] == c.reasons[c.code("dropped", "in b") :]
    assert [node.is_global for node in plan.nodes.values()] == [False, False, True, False]


def ids(plan):
    return {name: node.id for name, node in plan.nodes.items()}


BASE = '{stages: {a: {keep: "length.chars > 1"}, b: {after: a, keep: {one_per: alike}}}, subsets: [b]}'


def test_equal_prefixes_share_decisions_and_what_decides_changes_them(planned, tmp_path):
    base = ids(planned(BASE))
    spaced = ids(planned(BASE.replace("length.chars > 1", "(length.chars)  >  1")))
    later = ids(planned(BASE.replace("{one_per: alike}", "{one_per: alike, keeper: components}")))
    signals = ids(planned("{signals: {length: {length: {limit: 9}}}, " + BASE[1:]))
    threshold = ids(planned("{signals: {alike: {alike: {threshold: 0.9}}}, " + BASE[1:]))
    assert spaced == base
    assert later["a"] == base["a"] == threshold["a"]
    assert len({base["b"], later["b"], threshold["b"], signals["b"]}) == 4
    assert signals["a"] != base["a"]
    pl.DataFrame({"text": ["x"]}).write_parquet(tmp_path / "other.parquet")
    assert not set(ids(planned(BASE, pool=Pool.open(tmp_path / "other.parquet"))).values()) & set(base.values())


def test_thresholds_move_without_new_evidence_and_floors_do_not(planned):
    folders = [
        planned(f"{{signals: {{alike: {{alike: {{{given}}}}}}}, {BASE[1:]}").groups["alike"].folder
        for given in ("", "threshold: 0.9", "floor: 0.4", "floor: 0.4, threshold: 0.4")
    ]
    assert folders[0] == folders[1] != folders[2] == folders[3]


def test_models_stay_pending_until_they_are_made_and_their_rows_leave_every_stage(planned):
    text = NET + 'signals: {s: {scored: {model: m}}}\nstages: {a: {keep: "s.score > 1"}, b: {}}\nsubsets: [a]'
    draft = planned(text)
    made = draft.models["m"]
    assert draft.measures["s"].pending
    assert list(draft.nodes) == ["pool", "unseen", "a", "b"]
    assert draft.nodes["a"].parents == draft.nodes["b"].parents == ("unseen",)
    plan = planned(text, {made.id: "f" * 64}, {made.id: "models/x/rows.json"})
    assert not plan.measures["s"].pending
    assert plan.measures["s"].parameters == {"scale": 1.0, "model": "f" * 64}
    assert plan.nodes["unseen"].rule.lists == ("models/x/rows.json",)
    assert plan.measures["s"].fingerprint != draft.measures["s"].fingerprint
    other = planned(text.replace("width: 2", "width: 3"))
    assert other.models["m"].id != made.id


def test_what_is_built_in_needs_no_model_and_a_model_of_its_name_goes_first(planned, filters):
    @signal(version=1, reads=["text"], writes={"x": pl.Float32})
    def either(batch, *, by: Literal["plain", "fancy"] | ModelRef = "plain"):
        return batch

    known, tail = filters(either=either), 'stages: {a: {keep: "s.x > 1"}}\nsubsets: [a]'
    for given, by in [("", "plain"), ("by: fancy", "fancy")]:
        plan = planned(f"signals: {{s: {{either: {{{given}}}}}}}\n{tail}", catalogue=known)
        assert (plan.measures["s"].parameters, plan.measures["s"].pending) == ({"by": by}, False)
    named = planned(NET.replace("{m:", "{fancy:") + "signals: {s: {either: {by: fancy}}}\n" + tail, catalogue=known)
    assert named.measures["s"].pending
    with pytest.raises(RecipeError, match="either needs a model for `by`") as raised:
        planned("signals: {s: {either: {by: fanci}}}\n" + tail, catalogue=known)
    assert raised.value.fix == "add `by: NAME` with one of: plain, fancy"


def test_the_engines_own_content_key_never_hides_a_filter_of_that_name(planned, filters):
    @signal(version=1, reads=["text"], writes={"words": pl.UInt8})
    def content(batch):
        return batch

    plan = planned(NET + 'stages: {a: {keep: "content.words > 1"}}\nsubsets: [a]', catalogue=filters(content=content))
    assert plan.measures["content"].signal is content


def test_the_kind_of_device_is_part_of_how_and_reaches_the_workers(planned, filters):
    there = {"auto": "", "cpu": "", "cuda": "cuda-9.0"}

    @signal(version=1, reads=["text"], writes={"value": pl.Float32}, device=there.__getitem__)
    def felt(batch, *, device: str = "auto"):
        return batch.select(value=pl.lit(1.0, pl.Float32))

    text = 'signals: {f: {felt: {device: WHERE}}}\nstages: {a: {keep: "f.value > 0"}}'
    entries = {**filters(), "felt": replace(filters()["length"], found=felt)}
    plans = {name: planned(text.replace("WHERE", name), catalogue=entries).measures["f"] for name in there}
    assert plans["auto"].fingerprint == plans["cpu"].fingerprint != plans["cuda"].fingerprint
    assert plans["cuda"].parameters == {"device": "cuda-9.0"}
    assert plans["cpu"].parameters["device"].startswith("cpu-")


def test_what_goes_into_a_fingerprint_stays_as_it_is(planned):
    plan = planned('signals:\n  s: {length: {limit: 3}}\nstages:\n  a: {keep: "s.chars > 1"}\n  b: {keep: {one_per: alike}}\n')
    found = {name: measure.fingerprint for name, measure in plan.measures.items()}
    assert found == {
        "s": "838bcd33dfb3a68dfb444b29de8664302821b66e04b679cf8119c970acfefe50",
        "alike.sketch": "809c2faaf780fed9c8a924c58d884e17821d0e524df1143f66604f7e8b329929",
    }
