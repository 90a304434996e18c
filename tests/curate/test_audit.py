import polars as pl
import pytest

from curate import audit
from curate.audit import EXCERPT, mix, near, trusted_dropped, uid_of, why
from curate.errors import CeterisError
from curate.grouping import grouping
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.signal import signal


@pytest.fixture
def row(finished):
    """The story of a row of `texts`, by its number."""
    return lambda number: why(finished, uid_of(finished, number))


def test_a_kept_row_tells_its_place_its_values_and_the_cuts_it_passed(row):
    found = row(7)
    assert (found["shard"], found["row"], found["text"], found["source"]) == ("0.parquet", 7, "lorem ipsum", "book")
    assert found["values"] == {
        "length.chars": 11,
        "length.kind": "long",
        "length.first": "l",
        "pool.quality": 0.6,
        "alike.sketch.key": b"lorem ipsum".hex(),
    }
    assert found["stages"]["best"] == {"kind": "in", "stage": "best", "rule": "top 0.5 by pool.quality desc", "cut": 0.5}
    assert found["stages"]["unique"]["kind"] == "in"
    assert "survivor" not in found["stages"]["unique"]
    assert found["subsets"] == ["pool", "best", "unique", "both"]


def test_a_duplicate_names_its_survivor_and_how_alike_they_are(finished, row):
    found = row(8)
    assert found["stages"]["unique"] == {
        "kind": "dropped",
        "stage": "unique",
        "rule": "one per alike, preferring pool.quality desc",
        "survivor": uid_of(finished, 7),
        "similarity": round(10 / 11, 4),
    }
    for same in (0, 11):
        assert row(same)["stages"]["unique"]["survivor"] in {uid_of(finished, 1), uid_of(finished, 2)}


def test_a_survivor_names_the_duplicates_that_left_for_it(finished, row, monkeypatch):
    left = {number: row(number)["stages"]["unique"] for number in (0, 1, 2, 8, 11)}
    for kept in (1, 2, 7):
        mine = [uid_of(finished, number) for number, verdict in left.items() if verdict.get("survivor") == uid_of(finished, kept)]
        told = row(kept)["stages"]["unique"].get("stands_for", {"rows": 0, "first": []})
        assert (told["rows"], [one["uid"] for one in told["first"]]) == (len(mine), mine)
    assert row(7)["stages"]["unique"]["stands_for"]["rows"] == 1
    monkeypatch.setattr("curate.audit.STOOD_FOR", 0)
    assert row(7)["stages"]["unique"]["stands_for"] == {"rows": 1, "first": []}


def test_a_row_without_a_key_is_kept_and_said_to_be_alone(do, store, tmp_path):
    recipe = "{stages: {a: {keep: {one_per: same}}}, subsets: [a]}"
    run = run_on(pl.DataFrame({"text": ["abc", "ABC", None, None]}), recipe, do, store, tmp_path / "p")
    stories = [why(run, uid_of(run, number))["stages"]["a"] for number in range(4)]
    assert [one.get("alone") for one in stories] == [None, None, "it has no key", "it has no key"]
    assert [one["kind"] for one in stories[2:]] == ["in", "in"]


def test_a_row_decided_upstream_carries_that_stages_reason(row):
    for number, kind in ((9, "dropped"), (3, "no evidence"), (6, "quarantined")):
        verdicts = row(number)["stages"]
        assert {name: verdict["kind"] for name, verdict in verdicts.items()} == dict.fromkeys(verdicts, kind)
        assert all((verdict["stage"], verdict["rule"]) == ("some", "length.chars > 0") for verdict in verdicts.values())
        assert not any("cut" in verdict for verdict in verdicts.values())
    assert row(6)["values"]["length.error"] == "shouted"
    assert row(6)["subsets"] == ["pool"]


def test_a_row_without_a_value_to_rank_has_no_evidence_and_was_never_below_the_cut(row):
    verdict = row(4)["stages"]["best"]
    assert (verdict["kind"], verdict.get("cut")) == ("no evidence", None)
    assert row(5)["stages"]["best"] | {"kind": "dropped", "cut": 0.5} == row(5)["stages"]["best"]


def test_a_combination_names_the_operand_that_decided(row):
    assert row(10)["stages"]["both"] | {"kind": "dropped", "stage": "best", "cut": 0.5} == row(10)["stages"]["both"]
    assert row(7)["stages"]["rest"] == {"kind": "dropped", "stage": "rest", "rule": "in best"}
    assert row(4)["stages"]["rest"]["rule"] == "not known whether in best"


def test_an_unknown_row_is_said_to_be_unknown(finished):
    for uid in ("0" * 32, "no such", ""):
        with pytest.raises(CeterisError, match="the pool has no row") as raised:
            why(finished, uid)
        assert raised.value.fix
    uid = uid_of(finished, 7)
    assert why(finished, uid.upper()) == why(finished, uid)
    with pytest.raises(CeterisError, match=r"no row number 12$"):
        uid_of(finished, 12)


def run_on(frame, recipe, do, store, folder, **how):
    folder.mkdir()
    frame.write_parquet(folder / "a.parquet")
    return Run(store, do(recipe, Pool.open(folder, **how), store).folder)


KEEP = '{stages: {a: {keep: "length.chars > 2"}}, subsets: [a]}'


def test_a_row_is_found_by_the_pools_own_id_and_tells_it(do, store, tmp_path):
    run = run_on(pl.DataFrame({"uid": ["doc/1", "doc/2"], "text": ["abc", "x" * (EXCERPT + 9)]}), KEEP, do, store, tmp_path / "p")
    found = why(run, "doc/2")
    assert (found["row"], found["original"]) == (1, "doc/2")
    assert found["uid"] in run.subset("a").hex
    assert why(run, found["uid"]) == found
    assert found["text"].endswith(f"... ({EXCERPT + 9} characters)")


def test_an_id_that_is_unique_inside_its_source_only_is_found_with_it(do, store, tmp_path):
    frame = pl.DataFrame({"id": ["1", "1"], "text": ["abc", "abcd"], "source": ["web", "book"], "added": ["2024", "2025"]})
    run = run_on(frame, KEEP, do, store, tmp_path / "p")
    assert run.pool.layout == "dolma"
    assert [why(run, uid)["text"] for uid in ("web/1", "book/1")] == ["abc", "abcd"]
    assert why(run, "book/1")["original"] == "book/1"


def test_rows_around_a_cut_are_the_nearest_on_both_sides(finished):
    found = near(finished, "best", 2)
    assert [(line["pool.quality"], line["kept"]) for line in found] == [(0.6, True), (0.5, True), (0.5, False), (0.4, False)]
    assert {line["uid"] for line in near(finished, "best", 99)} == {uid_of(finished, n) for n in (0, 1, 2, 5, 7, 8, 10, 11)}
    for stage in ("some", "unique", "both"):
        with pytest.raises(CeterisError, match=f"stage {stage} has no cut"):
            near(finished, stage)


def test_the_smallest_first_and_odd_column_names(do, store, texts):
    stages = "low: {keep: {top: length.chars asc, count: 3}}, odd: {keep: {top: pool.`a.b`, count: 2}}"
    text = f"{{errors_at_most: 1.0, stages: {{{stages}}}, subsets: [low, odd]}}"
    run = Run(store, do(text, texts, store).folder)
    assert [(line["length.chars"], line["kept"]) for line in near(run, "low", 2)] == [(1, True), (2, True), (3, False), (3, False)]
    assert [(line["pool.a.b"], line["kept"]) for line in near(run, "odd", 1)] == [(10, True), (9, False)]
    assert why(run, uid_of(run, 11))["values"]["pool.a.b"] == 11
    assert mix(run, "pool.a.b", ["odd"]).rows() == [("10", 1), ("11", 1)]


def test_a_mix_counts_every_row_of_every_subset(finished):
    table = mix(finished, "source")
    assert {row[0]: row[1:] for row in table.rows()}["(none)"][0] == 4
    assert table.select(pl.exclude("source").sum()).row(0) == (12, 4, 5, 2, 4)
    chars = {row[0]: row[1] for row in mix(finished, "length.chars", ["pool"]).rows()}
    assert chars == {"3": 4, "11": 2, "4": 1, "2": 1, "5": 1, "0": 1, "1": 1, "(none)": 1}


@signal(version=1, reads=["text"], writes={"key": pl.Binary})
def no_text(batch):
    return batch.select(key=pl.lit(b"\xff") + pl.col("text").cast(pl.Binary))


def test_keys_are_counted_as_hex(do, store, tmp_path, filters):
    recipe = "{stages: {a: {keep: {one_per: digest}}}, subsets: [pool, a]}"
    pl.DataFrame({"text": ["x", "x", "y"]}).write_parquet(tmp_path / "a.parquet")
    catalogue = filters(digest=grouping("digest", version=1, sketch=no_text))
    run = Run(store, do(recipe, Pool.open(tmp_path / "a.parquet"), store, catalogue).folder)
    assert sorted(mix(run, "digest.sketch.key").rows()) == [("ff78", 2, 1), ("ff79", 1, 1)]


def test_rows_that_were_never_measured_are_not_rows_without_a_value(do, store, texts):
    stages = 'a: {keep: "pool.quality > 0.6 and late.chars > 3"}'
    text = f"{{errors_at_most: 1.0, signals: {{late: {{length: {{limit: 9}}}}}}, stages: {{{stages}}}, subsets: [pool, a]}}"
    run = Run(store, do(text, texts, store).folder)
    assert {row[0]: row[1:] for row in mix(run, "late.kind").rows()} == {"(not measured)": (8, 0), "short": (4, 1)}


@pytest.mark.parametrize(
    ("column", "what", "fix"),
    [
        ("sorce", "no role sorce", "source"),
        ("lenght.chars", "no signal lenght", "length"),
        ("length.char", "length has no column char", "did you mean chars?"),
        ("pool.qualty", "no column 'qualty'", "quality"),
    ],
)
def test_a_mix_by_an_unknown_column_names_the_known_ones(finished, column, what, fix):
    with pytest.raises(CeterisError, match=what) as raised:
        mix(finished, column)
    assert fix in raised.value.fix


def test_trusted_rows_leave_every_stage_and_every_count(do, store, texts, tmp_path):
    pl.DataFrame({"text": ["abc", "q"]}).write_parquet(tmp_path / "trusted.parquet")
    text = "{errors_at_most: 1.0, models: {m: {net: {trusted: trusted.parquet, width: 1}}}, stages: {a: {}}, subsets: [a]}"
    run = Run(store, do(Recipe.parse(text, base=tmp_path), texts, store).folder)
    assert trusted_dropped(run) == 3
    found = why(run, uid_of(run, 0))
    assert found["subsets"] == []
    assert found["stages"]["a"] == {"kind": "dropped", "stage": "unseen", "rule": "trusted: a model was trained on it"}
    assert why(run, uid_of(run, 1))["subsets"] == ["pool", "a"]
    assert mix(run, "source").select(pl.exclude("source").sum()).row(0) == (9, 9)
    assert audit.trusted_dropped(Run(store, do("{stages: {a: {}}, subsets: [a]}", texts, store).folder)) == 0


def test_rows_that_cannot_be_read_are_not_counted_as_trusted(do, store, tmp_path):
    pl.DataFrame({"text": ["abc"]}).write_parquet(tmp_path / "trusted.parquet")
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "a.jsonl").write_text('{"text": "abc"}\n{"text": \n{"text": "other"}\n', encoding="utf-8")
    text = "{errors_at_most: 1.0, models: {m: {net: {trusted: trusted.parquet, width: 1}}}, stages: {a: {}}, subsets: [a]}"
    run = Run(store, do(Recipe.parse(text, base=tmp_path), Pool.open(tmp_path / "pool"), store).folder)
    unseen = run.decided("unseen")
    told = {(reason.kind, reason.text): count for reason, count in zip(unseen.reasons, unseen.counts, strict=True) if count}
    assert told == {("in", ""): 1, ("dropped", "trusted: a model was trained on it"): 1, ("quarantined", "its content cannot be read"): 1}
    assert trusted_dropped(run) == 1
