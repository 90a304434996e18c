"""Copies through a run: from the rule that repeats to the subset, through every combination."""

import json

import numpy as np
import polars as pl
import pytest

from curate import arrivals, decisions, sampling
from curate.errors import CeterisError, RecipeError
from curate.mix import Mix
from curate.pool import Pool
from curate.record import Run
from curate.reduce import Cut
from curate.repetition import Repeat
from curate.sampling import used
from curate.store import Store

RECIPE = """
stages:
  some:    {keep: "pool.x is not None and pool.x > 1"}
  twice:   {after: some, keep: {repeat: 2}}
  drawn:   {keep: {soft_cap: pool.x, penalty: 0.5, count: 40, seed: 0}}
  both:    {all_of: [twice, drawn]}
  either:  {any_of: [twice, drawn]}
  rest:    {minus: [twice, drawn]}
  plain:   {minus: [some, twice]}
  first:   {after: drawn, keep: {top: pool.x, fraction: 0.5}}
  again:   {after: drawn, keep: {repeat: 3}}
  redrawn: {after: again, keep: {soft_cap: pool.x, penalty: 2, fraction: 1.0, seed: 1}}
  one:     {after: twice, keep: {one_per: same, prefer: [pool.x desc]}}
  even:    {after: twice, keep: {balance: pool.kind, at_most: 2, seed: 0}}
subsets: [twice, both, either, rest, plain, first, again, redrawn, one, even]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, do):
    folder = tmp_path_factory.mktemp("copies")
    x = [None, 0.5, 1.5, 2.0, 2.5, 3.0, 3.5, 1.5, 0.0, 2.0, 6.0, -1.0]
    frame = pl.DataFrame({"text": [f"text {n % 9}" for n in range(12)], "x": x, "kind": ["a", "b", None] * 4})
    (folder / "pool").mkdir()
    frame[:7].write_parquet(folder / "pool" / "0.parquet", row_group_size=3)
    frame[7:].write_parquet(folder / "pool" / "1.parquet")
    store = Store.open(folder / "store")
    return Run(store, do(RECIPE, Pool.open(folder / "pool"), store).folder)


def copies(run, stage):
    return run.copies(stage).astype(int)


def test_copies_combine_as_multisets_do_and_minus_takes_rows_whole(run):
    twice, drawn = copies(run, "twice"), copies(run, "drawn")
    assert twice.tolist() == [0, 0, 2, 2, 2, 2, 2, 2, 0, 2, 2, 0]
    assert drawn.sum() == 40
    assert drawn[0] == 0
    assert drawn[10] > drawn[8]
    assert (copies(run, "both") == np.minimum(twice, drawn)).all()
    assert (copies(run, "either") == np.maximum(twice, drawn)).all()
    assert (copies(run, "rest") == np.where(drawn > 0, 0, twice)[np.arange(12)]).all()
    assert not copies(run, "plain").any()


def test_rules_after_a_repetition_count_rows_and_keep_their_copies(run):
    drawn, first = copies(run, "drawn"), copies(run, "first")
    assert (first > 0).sum() == (drawn > 0).sum() // 2
    assert (first[first > 0] == drawn[first > 0]).all()
    assert (copies(run, "again") == 3 * drawn).all()
    assert copies(run, "redrawn").sum() == (drawn > 0).sum(), "as many draws as rows enter, not as many as their copies"
    assert set(copies(run, "one")[copies(run, "one") > 0].tolist()) == {2}
    assert set(copies(run, "even")[copies(run, "even") > 0].tolist()) == {2}


def test_subsets_and_funnel_tell_rows_from_samples(run):
    lines = {line["stage"]: line for line in run.funnel()}
    for name in ("twice", "both", "redrawn"):
        subset = run.subset(name)
        assert (len(subset), int(subset.copies.sum())) == (lines[name]["kept"], lines[name]["samples"])
    assert lines["twice"] | {"kept": 8, "samples": 16} == lines["twice"]
    assert "samples" not in lines["some"]
    assert "samples" not in lines["plain"] or lines["plain"]["samples"] == 0


def test_balance_says_t_and_which_rows_have_no_evidence(run):
    line = next(line for line in run.funnel() if line["stage"] == "even")
    assert line["note"] == "t is 2: 2 of 2 entries have more rows"
    assert {reason["kind"] for reason in line["reasons"]} >= {"no evidence"}


def test_decisions_written_before_rules_repeated_still_load(run):
    store, node = run.store, run.facts["nodes"]["some"]["id"]
    key = f"{decisions.folder(node)}/manifest.json"
    value = store.json(key)
    del value["samples"]
    value["cut"] = {name: None for name in ("last", "value", "survivors", "lasts", "note")} | {"entering": 3, "kept": 2}
    other = Store.open("memory:before")
    other.put_json(key, json.loads(json.dumps(value)))
    old = decisions.load(other, node)
    assert (old.samples, old.kept, old.cut) == (None, 8, Cut(3, 2))


def test_a_row_used_too_often_is_refused_by_name(run, do):
    recipe = "{stages: {a: {keep: {repeat: 300}}, b: {after: a, keep: {repeat: 300}}}, subsets: [b]}"
    with pytest.raises(CeterisError, match="stage b: a row would be used 90,000 times, and 65,535 is the most"):
        do(recipe, run.pool, Store.open("memory:often"))


def test_a_high_penalty_draws_rows_in_turn(run, do):
    store = Store.open("memory:penalty")
    recipe = "{stages: {a: {keep: {soft_cap: pool.x, penalty: 1000, count: 50, seed: 0}}}, subsets: [a]}"
    drawn = Run(store, do(recipe, run.pool, store).folder)
    assert drawn.funnel()[1]["samples"] == 50
    assert "note" not in drawn.funnel()[1] or drawn.funnel()[1]["note"] is None
    assert sorted(drawn.copies("a").tolist()) == [0] + [4] * 5 + [5] * 6


def test_more_draws_than_copies_are_possible_are_noted(run, do, monkeypatch):
    for module in (arrivals, sampling):
        monkeypatch.setattr(module, "MOST_COPIES", 3)
    store = Store.open("memory:most")
    recipe = "{stages: {a: {keep: {soft_cap: pool.x, penalty: 0.1, count: 50, seed: 0}}}, subsets: [a]}"
    line = Run(store, do(recipe, run.pool, store).folder).funnel()[1]
    assert (line["kept"], line["samples"]) == (11, 33)
    assert line["note"] == "11 rows can be drawn 33 times together, not 50: a row is drawn 3 times at most"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{soft_cap: pool.kind, penalty: 1, count: 5, seed: 0}", r"soft_cap needs numbers; pool\.kind is String"),
        ("{balance: pool.x, at_most: 5, seed: 0}", r"balance needs entries or names; pool\.x is Float64"),
        ("{balance: pool.sort, at_most: 5, seed: 0}", r"unknown column pool\.sort"),
    ],
)
def test_columns_that_do_not_fit_are_refused_before_a_row_is_read(run, do, rule, said):
    with pytest.raises(RecipeError, match=said):
        do(f"{{stages: {{a: {{keep: {rule}}}}}, subsets: [a]}}", run.pool, Store.open("memory:unfit"))


def test_other_rules_use_what_they_keep_once():
    rule = Mix("s.s", (("a", 1),), None, None, 0)
    times, bare = used(
        Cut(3, 3, lasts=(None,)), rule, pl.DataFrame({"s.s": ["a", "b", "a"]}), np.zeros((3, 2), np.uint64), np.arange(3), None
    )
    assert (times.tolist(), times.dtype, bare) == ([0, 0, 0], np.uint16, None)
    assert Repeat(2).columns == ()
