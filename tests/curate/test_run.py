"""The main flow end to end; what holds for every recipe is in tests/laws."""

import json
import shutil
from collections import Counter

import polars as pl
import pytest

from curate import ledger, pieces
from curate.audit import uid_of, why
from curate.errors import CeterisError, SignalBugError, StoreError
from curate.executor import Processes
from curate.grouping import grouping
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import resolve, run
from curate.signal import signal
from curate.store import Store

RECIPE = '{stages: {long: {keep: "length.chars > 2"}}, subsets: [long]}'


def test_what_is_kept_dropped_and_quarantined(finished, texts):
    funnel = {line["stage"]: line for line in finished.funnel()}
    assert {name: (line["in"], line["kept"]) for name, line in funnel.items()} == {
        "pool": (12, 12),
        "some": (12, 9),
        "best": (9, 4),
        "unique": (9, 5),
        "both": (None, 2),
        "rest": (9, 4),
    }
    assert Counter(reason["kind"] for reason in funnel["some"]["reasons"]) == {"dropped": 1, "no evidence": 1, "quarantined": 1}
    assert {reason["kind"]: reason["rows"] for reason in funnel["rest"]["reasons"]} == {"dropped": 4, "no evidence": 1}
    every = pl.concat([texts.read(shard, roles=["text"]).frame for shard in texts.shards])["text"].to_list()
    kept = {
        name: [text for text, code in zip(every, finished.codes(name), strict=True) if code == 0]
        for name in ("best", "unique", "both", "rest")
    }
    assert sorted(kept["best"]) == ["ABC", "abc", "abcd", "lorem ipsum"]
    assert len({"ABC", "abcd"} & {*kept["unique"]}) == 1
    assert {"xyz", "xy", "lorem ipsum", "q"} < {*kept["unique"]}
    assert kept["both"] == [text for text in kept["best"] if text in kept["unique"]]


def test_a_pool_that_moved_is_read_where_it_lies_now(do, store, tmp_path):
    pl.DataFrame({"text": ["a", "abc"]}).write_parquet(tmp_path / "first.parquet")
    first = do(RECIPE, Pool.open(tmp_path / "first.parquet"), store)
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "first.parquet", tmp_path / "elsewhere" / "second.parquet")
    moved = Pool.open(tmp_path / "elsewhere")
    again = do(RECIPE.replace("> 2", "> 0"), moved, store)
    assert again.effort.measured == {}
    other = do("{signals: {picked: {length: {limit: 9}}}, " + RECIPE.replace("length.chars", "picked.chars")[1:], moved, store)
    assert [other.decided["long"].kept, again.decided["long"].kept, first.decided["long"].kept] == [1, 2, 1]
    assert Run(store, first.folder).pool.root == tmp_path / "elsewhere"
    assert Run(Store.open(store.address), first.folder).pool.to_json() == moved.to_json()
    assert other.effort.measured == {"picked": 2}
    assert len([key for key in store.storage.list("pools/") if "/pool-" in key]) == 2


def test_evidence_of_one_column_is_never_used_for_another_in_the_same_role(do, store, tmp_path):
    pl.DataFrame({"text": ["a", "abc", "abcd"], "body": ["abc", "a", "b"]}).write_parquet(tmp_path / "a.parquet")
    kept = [
        Run(store, do(RECIPE, Pool.open(tmp_path / "a.parquet", roles={"text": column}), store).folder).codes("long").tolist()
        for column in ("text", "body", "text")
    ]
    assert [[code == 0 for code in codes] for codes in kept] == [[False, True, True], [True, False, False], [False, True, True]]


def test_another_scale_or_number_of_seeds_is_another_run(do, store, texts):
    text = "{errors_at_most: 1.0, evaluate: {scale: tiny-image-text, seeds: 3}, " + RECIPE[1:]
    runs = [Run(store, do(given, texts, store).folder) for given in (text, text.replace("seeds: 3", "seeds: 5"))]
    assert [run.facts["evaluate"]["seeds"] for run in runs] == [3, 5]
    assert runs[0].facts["subsets"] == runs[1].facts["subsets"]


def test_decisions_of_a_driver_that_died_are_swept_and_those_published_are_not(do, store, texts, filters):
    text = "{errors_at_most: 1.0, " + RECIPE[1:]
    plan = resolve(Recipe.parse(text), texts, filters(), store)
    place = f"decisions/{plan.nodes['long'].id[:16]}"
    left = store.put_frame(place, "000000", pl.DataFrame({"code": [0]}))
    done = do(text, texts, store)
    kept = [part.key for part in done.decided["long"].parts]
    assert store.storage.list(f"{place}/parts/") == sorted(kept)
    assert left.key not in kept
    do(text.replace("> 2", "> 3"), texts, store)
    do(text, texts, store)
    assert store.storage.list(f"{place}/parts/") == sorted(kept)


def test_one_signal_under_two_names_measures_once(do, store, texts):
    text = """
errors_at_most: 1.0
signals: {again: {length: {limit: 5}}}
stages: {a: {keep: "length.chars > 0 and again.chars > 1"}, b: {keep: "again.chars > 2"}}
subsets: [a, b]
"""
    outcome = do(text, texts, store)
    assert sum(outcome.effort.measured.values()) == 12
    assert len({measure.folder for measure in outcome.plan.measures.values()}) == 1
    assert do(text, texts, store).effort.measured == {}


def rows_measured(outcome, store):
    found = Run(store, outcome.folder).evidence("length")
    assert found["chars"].to_list() == [row % 37 + 1 for row in found["row"].to_list()]
    return found["row"].to_list()


def test_evidence_gathered_bit_by_bit_is_merged_and_nothing_is_lost(do, store, tmp_path, monkeypatch):
    frame = pl.DataFrame({"text": ["x" * (row % 37 + 1) for row in range(60)], "n": range(60)})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=10)
    pool, measured = Pool.open(tmp_path / "a.parquet"), 0
    recipe = '{stages: {a: {keep: "pool.n % and length.chars > 3"}}, subsets: [a]}'
    late = [(60, f">= {start}", range(start, 60)) for start in (54, 53, 52, 51, 50, 49, 45)]
    early = [(20, f"< {stop}", [*range(stop), *range(max(stop, 45), 60)]) for stop in range(3, 61, 3)]
    for most, rule, there in [*late, *early]:
        monkeypatch.setattr(pieces, "PIECE_ROWS", most)
        outcome = do(recipe.replace("%", rule), pool, store)
        measured += outcome.effort.measured.get("length", 0)
        assert rows_measured(outcome, store) == list(there)
    assert measured == 60
    (parts,) = store.parts(outcome.plan.measures["length"].folder).values()
    assert len(parts) < len([*late, *early]) / 2
    assert do(recipe.replace("%", ">= 0"), pool, store).effort.measured == {}
    run = Run(store, outcome.folder)
    assert [why(run, uid_of(run, row))["values"]["length.chars"] for row in (0, 19, 59)] == [1, 20, 23]


def test_a_bug_of_a_signal_names_the_stage_the_file_and_the_rows(do, store, texts, filters):
    @signal(version=1, reads=["text"], writes={"x": pl.Int8})
    def broken(batch):
        raise ValueError("oh")

    with pytest.raises(SignalBugError, match="signal broken raised ValueError: oh") as raised:
        do('{stages: {a: {keep: "broken.x > 1"}}, subsets: [a]}', texts, store, filters(broken=broken))
    assert raised.value.where == "stage a, 0.parquet, rows 0 to 3"


def test_too_many_errors_stop_before_a_subset_is_written(do, store, texts):
    with pytest.raises(
        CeterisError, match=r"stage long: 1 of 12 rows \(8.3%\) cannot be measured; at most 5.0% may: 1 length: shouted\n"
    ) as raised:
        do(RECIPE, texts, store)
    assert "--set errors_at_most=1" in raised.value.fix
    assert store.storage.list("subsets/") == []
    assert do("{errors_at_most: 0.1, " + RECIPE[1:], texts, store).effort.measured == {}


def test_every_kind_of_evidence_that_failed_is_named_with_its_codes(do, filters, store, tmp_path):
    @signal(version=1, reads=["text"], writes={"key": pl.Binary})
    def torn(batch):
        """No key for x."""
        bad = pl.col("text") == "x"
        return batch.select(key=pl.when(~bad).then(pl.col("text").cast(pl.Binary)), error=pl.when(bad).then(pl.lit("crossed")))

    (tmp_path / "p").mkdir()
    pl.DataFrame({"text": ["!a", "!b", "x", "y"], "q": [1.0, float("nan"), 1.0, 1.0]}).write_parquet(tmp_path / "p" / "a.parquet")
    pool, mine = Pool.open(tmp_path / "p"), filters(torn=grouping("torn", version=1, sketch=torn))
    for keep, codes in (
        ("pool.q > 0 and length.chars > 0", "1 length: shouted, 1 pool.q: not_finite\n"),
        ("length.chars > 0", "2 length: shouted\n"),
    ):
        with pytest.raises(CeterisError, match=f"2 of 4 rows .* may: {codes}"):
            do(f'{{stages: {{a: {{keep: "{keep}"}}}}, subsets: [a]}}', pool, store, mine)
    for _ in range(2):  # decided anew, then as it was decided before
        with pytest.raises(CeterisError, match=r"1 of 4 rows .* may: 1 torn.sketch: crossed\n"):
            do("{stages: {a: {keep: {one_per: torn}}}, subsets: [a]}", pool, store, mine)


def test_the_run_last_recorded_is_the_latest_also_when_it_was_recorded_before(do, store, tmp_path):
    pl.DataFrame({"text": ["a", "abc"]}).write_parquet(tmp_path / "a.parquet")
    pool = Pool.open(tmp_path / "a.parquet")
    one, two = do(RECIPE, pool, store), do(RECIPE.replace("> 2", "> 0"), pool, store)
    assert Run.latest(store).folder == two.folder
    do(RECIPE.replace("> 2", "> 0"), pool, store)
    assert len(store.storage.list("ledger/")) == 2
    assert do(RECIPE, pool, store).folder == one.folder
    assert Run.latest(store).folder == one.folder
    head = store.json(store.storage.list("ledger/")[-1])["head"]
    assert ledger.check(store.storage.get(f"{one.folder}/ledger.jsonl").decode(), where="x") == head


def test_the_ledger_says_from_what_by_what_and_how_many(finished):
    text = finished.store.storage.get(f"{finished.folder}/ledger.jsonl").decode()
    facts = [json.loads(line) for line in text.splitlines()]
    first = ["pool", "recipe", "run", "signal", "signal", "grouping", *["stage"] * 6, *["subset"] * 5]
    assert [fact["what"] for fact in facts if fact["what"] != "files"] == [*first, "end"]
    assert facts[0]["rows"] == 12
    assert facts[2]["executor"] == "in-process"
    assert {fact["name"]: fact["measured"] for fact in facts if fact["what"] == "signal"} == {"length": 12, "alike.sketch": 9}
    assert {fact["stage"]: fact["digest"] for fact in facts if fact["what"] == "subset"} == finished.facts["subsets"]
    assert "lorem" not in text
    assert ledger.check(text, where="x") == finished.store.json("ledger/00000001.json")["head"]


def test_two_runs_at_once_are_refused(do, store, texts):
    with store.writer(), pytest.raises(StoreError, match="being written by pid"):
        do(RECIPE, texts, store)


def test_workers_elsewhere_need_a_store_that_they_can_see(texts, filters):
    with pytest.raises(StoreError, match="this needs a store on a local disk"):
        run(Recipe.parse(RECIPE), texts, filters(), Store.open("memory:unseen"), Processes(2), lambda *_: None)
