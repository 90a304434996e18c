import pickle
import sys
from typing import Literal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from curate.errors import SignalBugError
from curate.signal import NOT_FINITE, ROWS_PER_CALL, ModelRef, signal

KINDS = pl.Enum(["short", "long"])
ROWS = pl.DataFrame({"text": ["a", None, "abc", "abcdef"], "url": ["u"] * 4})


@signal(version=3, reads=["text"], optional=["license"], writes={"chars": pl.UInt32, "kind": KINDS}, uses=["polars"])
def size(batch, *, limit: int = 2):
    chars = pl.col("text").str.len_chars()
    kind = pl.when(chars > limit).then(pl.lit("long")).when(chars <= limit).then(pl.lit("short"))
    return batch.select(kind=kind.cast(KINDS), chars=chars)


def test_an_optional_role_that_a_frame_lacks_is_null_in_a_call_of_ones_own():
    assert_frame_equal(size(ROWS), size(ROWS.with_columns(license=pl.lit(None, pl.String))))

    @signal(version=1, reads=[], optional=["image", "url"], writes={"kinds": pl.String})
    def kinds(batch):
        return batch.select(kinds=pl.lit(f"{batch.schema['image']} {batch.schema['url']} {batch['url'].to_list()}").repeat_by(1).explode())

    one = kinds(pl.DataFrame({"url": ["u"]}))
    assert one["kinds"].to_list() == ["Binary String ['u']"]
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="text"):
        size(ROWS.drop("text"))  # what it reads must be there


def seen(batch_size=None):
    calls = []

    @signal(version=1, reads=["text"], writes={"value": pl.Float32}, batch=batch_size)
    def watch(batch):
        calls.append(batch["text"].to_list())
        return batch.select(value=pl.col("text").str.len_chars().cast(pl.Float32))

    return watch, calls


def test_it_sees_its_roles_only_and_answers_in_declared_order():
    rows = ROWS.with_columns(license=pl.lit(None, pl.String))
    expected = {"chars": [1, None, 3, 6], "kind": ["short", None, "long", "long"], "error": [None] * 4}
    assert_frame_equal(size(rows), pl.DataFrame(expected, schema={"chars": pl.UInt32, "kind": KINDS, "error": pl.String}))
    assert size(rows, limit=5)["kind"].to_list() == ["short", None, "short", "long"]
    assert size.roles == ("text", "license")
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="license"):
        size.measure(ROWS, {})


def test_no_rows_give_no_rows_of_the_same_columns():
    assert_frame_equal(size(pl.DataFrame(schema={"text": pl.String, "license": pl.String})), pl.DataFrame(schema=size.schema))


def test_a_fixed_batch_is_filled_with_its_last_row():
    watch, calls = seen(3)
    assert watch(ROWS)["value"].to_list() == [1.0, None, 3.0, 6.0]
    assert calls == [["a", None, "abc"], ["abcdef"] * 3]


def test_a_call_has_a_bounded_number_of_rows():
    watch, calls = seen()
    watch(pl.DataFrame({"text": ["x" * 300] * (2 * ROWS_PER_CALL + 1)}))
    assert [len(call) for call in calls] == [ROWS_PER_CALL, ROWS_PER_CALL, 1]


def test_a_call_has_more_rows_where_they_are_small():
    watch, calls = seen()
    watch(pl.DataFrame({"text": ["x"] * (2 * ROWS_PER_CALL + 1)}))
    watch(pl.DataFrame({"text": ["x" * 300] * (2 * ROWS_PER_CALL + 1)}))
    assert [len(call) for call in calls] == [2 * ROWS_PER_CALL + 1, ROWS_PER_CALL, ROWS_PER_CALL, 1]


def test_numbers_that_are_not_finite_become_errors_but_keep_an_earlier_one():
    @signal(version=1, reads=["text"], writes={"a": pl.Float64, "b": pl.Float32})
    def odd(batch):
        return pl.DataFrame(
            {"a": [1.0, float("nan"), None, float("-inf")], "b": [float("inf"), 2.0, None, 3.0], "error": [None, None, None, "own"]},
            schema={"a": pl.Float64, "b": pl.Float32, "error": pl.String},
        )

    assert odd(ROWS).to_dict(as_series=False) == {
        "a": [1.0, None, None, None],
        "b": [None, 2.0, None, 3.0],
        "error": [NOT_FINITE, NOT_FINITE, None, "own"],
    }


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (lambda b: b.select(chars=pl.col("text")), "must return 4 rows of .*it returned 4 rows of .chars: String"),
        (lambda b: b.select(chars=pl.lit(1, pl.UInt32)), "it returned 1 rows"),
        (lambda b: b.select(words=pl.col("text").str.len_chars()), "it returned 4 rows of .words"),
        (lambda b: b.select("text", chars=pl.col("text").str.len_chars()), "it returned 4 rows of .text"),
        (lambda b: b["missing"], "raised ColumnNotFoundError"),
        (lambda _: None, "returned a NoneType, not a frame"),
        (lambda b: b.lazy(), "returned a LazyFrame, not a frame"),
    ],
)
def test_whatever_else_it_returns_is_a_bug_that_names_it(made, what):
    @signal(version=1, reads=["text"], writes={"chars": pl.UInt32})
    def wrong(batch):
        return made(batch)

    with pytest.raises(SignalBugError, match=f"signal wrong .*{what}"):
        wrong(ROWS)


def test_parameters_are_keywords_with_defaults_except_models():
    @signal(version=1, reads=[], writes={})
    def fine(batch, *, model: ModelRef, bits: int = 4):
        return batch

    assert (fine.defaults, fine.models) == ({"bits": 4}, {"model": ()})

    @signal(version=1, reads=[], writes={})
    def either(batch, *, model: Literal["plain", "fancy"] | ModelRef = "plain"):
        return batch

    assert (either.defaults, either.models) == ({"model": "plain"}, {"model": ("plain", "fancy")})
    with pytest.raises(TypeError, match="parameter bits must be keyword-only"):
        signal(version=1, reads=[], writes={})(lambda batch, bits=4: batch.head(bits))
    with pytest.raises(TypeError, match="parameter bits needs a default"):
        signal(version=1, reads=[], writes={})(lambda batch, *, bits: batch.head(bits))


def test_it_travels_by_the_place_of_its_file(tmp_path, monkeypatch):
    source = "from curate.signal import signal\n\n@signal(version=1, reads=[], writes={})\ndef mine_abroad(b):\n    return b\n"
    (tmp_path / "mine_abroad.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import mine_abroad

    sent = pickle.dumps(mine_abroad.mine_abroad)
    assert b"Signal" not in sent
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "mine_abroad")
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert pickle.loads(sent).name == "mine_abroad"
