"""Three-valued answers of conditions, and what is refused before a row is read."""

import math
import re
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import RecipeError
from curate.expression import parse

CLASS = pl.Enum(["public-domain", "permissive", "copyleft", "unknown"])


def answers(text, frame):
    (clause,) = parse(text)
    return clause.evaluate(frame).to_list()


def column(values, dtype, name="s.a"):
    return pl.DataFrame({name: pl.Series(values, dtype=dtype)})


def kleene(op, a, b=None):
    """The truth tables, written out by their reading: unknown is one of true and false."""
    options = {True: {True}, False: {False}, None: {True, False}}
    combine = {"and": lambda x, y: x and y, "or": lambda x, y: x or y, "not": lambda x, _: not x}[op]
    found = {combine(x, y) for x in options[a] for y in options[b]}
    return found.pop() if len(found) == 1 else None


TREES = st.recursive(
    st.sampled_from(["s.a", "s.b", "s.c"]), lambda t: st.tuples(st.just("not"), t) | st.tuples(st.sampled_from(["and", "or"]), t, t)
)


def text_of(tree):
    if isinstance(tree, str):
        return tree
    return f"(not {text_of(tree[1])})" if tree[0] == "not" else f"({text_of(tree[1])} {tree[0]} {text_of(tree[2])})"


def value_of(tree, row):
    if isinstance(tree, str):
        return row[tree]
    return kleene(tree[0], *(value_of(part, row) for part in tree[1:]))


EVERY = [{"s.a": a, "s.b": b, "s.c": c} for a in (True, False, None) for b in (True, False, None) for c in (True, False, None)]


@given(TREES)
def test_and_or_not_follow_kleenes_tables(tree):
    frame = pl.DataFrame(EVERY, schema=dict.fromkeys(("s.a", "s.b", "s.c"), pl.Boolean))
    assert answers(text_of(tree), frame) == [value_of(tree, row) for row in EVERY]


def test_is_none_is_the_only_test_that_is_true_where_there_is_no_value():
    frame = column([1, None], pl.Int32)
    assert answers("s.a is None", frame) == [False, True]
    assert answers("s.a is not None", frame) == [True, False]
    for text in ("s.a == 1", "s.a != 1", "s.a in [1]", "s.a not in [2]", "s.a + 1 > 0", "not s.a == 1"):
        assert answers(text, frame)[1] is None, text


def test_not_a_number_and_infinity_are_no_values():
    for dtype in (pl.Float32, pl.Float64):
        frame = column([0.5, math.nan, math.inf, -math.inf, None], dtype)
        assert answers("s.a >= 0.5", frame) == [True, None, None, None, None]
        assert answers("s.a is None", frame) == [False, True, True, True, True]
        assert answers("not s.a < 0.5", frame) == [True, None, None, None, None]


def test_literals_take_the_columns_dtype():
    frame = column([0.7, np.nextafter(np.float32(0.7), np.float32(1))], pl.Float32)
    assert answers("s.a >= 0.7", frame) == [True, True]
    assert answers("s.a > 0.7", frame) == [False, True]
    assert answers("s.a == 0.7", frame) == [True, False]
    assert answers("0.7 <= s.a", frame) == [True, True]
    assert answers("s.a in [0.7]", frame) == [True, False]
    assert answers("s.a >= 0.7", column([0.7], pl.Float64)) == [True]


def test_literals_take_the_dtype_in_arithmetic_too():
    frame = column([0.1, 0.2], pl.Float32)
    assert answers("s.a * 3 >= 0.3", frame) == [bool(np.float32(0.1) * np.float32(3) >= np.float32(0.3)), True]


NEAR = st.fractions(-1, 1, max_denominator=4) | st.integers(-400, 400)


@given(value=st.integers(-128, 127), off=NEAR, op=st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
def test_whole_columns_compare_exactly_with_any_number(value, off, op):
    bound = Fraction(value + off)
    exact = {"==": value == bound, "!=": value != bound, "<": value < bound, "<=": value <= bound, ">": value > bound, ">=": value >= bound}
    written = f"{bound.numerator}/{bound.denominator}"
    assert answers(f"s.a {op} {written}", column([value, None], pl.Int8)) == [exact[op], None]
    if value >= 0:
        assert answers(f"s.a {op} {written}", column([value, None], pl.UInt16)) == [exact[op], None]


def test_large_whole_numbers_are_not_rounded():
    frame = pl.DataFrame({"s.a": pl.Series([2**64 - 1, 2**53 + 1], dtype=pl.UInt64), "s.b": pl.Series([-1, 2**53], dtype=pl.Int64)})
    assert answers("s.a == 18446744073709551615", frame) == [True, False]
    assert answers("s.a == s.b", frame) == [False, False]
    assert answers("s.a > s.b", frame) == [True, True]
    assert answers("s.a - s.b == 1", frame) == [False, True]
    assert answers("s.a > -1", frame) == [True, True]


def test_unsigned_arithmetic_does_not_wrap():
    frame = pl.DataFrame({"s.a": pl.Series([1], dtype=pl.UInt8), "s.b": pl.Series([2], dtype=pl.UInt8)})
    assert answers("s.a - s.b < 0", frame) == [True]
    assert answers("s.a + 255 == 256", frame) == [True]
    assert answers("-s.a == -1", frame) == [True]
    assert answers("s.a / s.b == 0.5", frame) == [True]


def test_division_by_zero_is_no_value():
    frame = pl.DataFrame({"s.a": [1.0, 0.0, 6.0], "s.b": [0, 0, 2]})
    assert answers("s.a / s.b == 3", frame) == [None, None, True]
    assert answers("(s.a / s.b) is None", frame) == [True, True, False]


def test_classes_are_equal_by_name_and_ordered_as_declared():
    frame = column(["unknown", "permissive", None, "public-domain"], CLASS)
    assert answers("s.a <= 'permissive'", frame) == [False, True, None, True]
    assert answers("s.a in ['unknown', 'copyleft']", frame) == [True, False, None, False]
    assert answers("'permissive' < s.a", frame) == [True, False, None, False]


def test_texts_compare_exactly():
    frame = pl.DataFrame({"s.a": ["en", "EN", "", None], "s.b": ["en", "en", None, None]})
    assert answers("s.a == 'en'", frame) == [True, False, False, None]
    assert answers("s.a == s.b", frame) == [True, False, None, None]
    assert answers("s.a not in ['en', 'de']", frame) == [False, True, True, None]


def test_no_rows_have_no_answers():
    assert answers("s.a > 1 or s.a is None", column([], pl.Float32)) == []


@pytest.mark.parametrize(
    ("text", "place", "what", "fix"),
    [
        ("text_length.wrods > 2", 1, "unknown column text_length.wrods", "did you mean text_length.words?"),
        ("text_length.words > 2 and langauge.code == 'en'", 27, "unknown column langauge.code", "did you mean language.code?"),
        ("license.class == 'permisive'", 18, "license.class is never 'permisive'", "did you mean permissive?"),
        ("language.code > 2", 17, "cannot compare: language.code is String, 2 is a number", ""),
        ("text_length.words == 'two'", 22, "cannot compare: text_length.words is UInt32, 'two' is text", ""),
        ("text_length.words", 1, "expected a condition: text_length.words is UInt32", "compare it with something"),
        ("not language.code", 5, "expected a condition: language.code is String", ""),
        ("language.code + 1 > 2", 1, "expected a number: language.code is String", ""),
        ("pool.boxes == 1", 1, "pool.boxes is List", "only `is None` can ask about it"),
        ("pool.flag > false", 1, "truth values have no order", ""),
    ],
)
def test_what_cannot_be_asked_is_refused_before_a_row_is_read(text, place, what, fix):
    dtypes = {
        "text_length.words": pl.UInt32(),
        "language.code": pl.String(),
        "license.class": CLASS,
        "pool.boxes": pl.List(pl.Float32()),
        "pool.flag": pl.Boolean(),
    }
    *earlier, last = parse(text, where="r.yaml", line=3, column=1)
    for clause in earlier:
        clause.check(dtypes)
    with pytest.raises(RecipeError, match=re.escape(f"r.yaml:3:{place}: {what}")) as raised:
        last.check(dtypes)
    assert fix in raised.value.fix


def test_anything_may_be_asked_whether_it_is_there():
    frame = pl.DataFrame({"pool.boxes": [[1.0], None]})
    assert answers("pool.boxes is None", frame) == [False, True]


def test_a_column_of_nulls_has_no_answers():
    frame = pl.DataFrame({"pool.empty": [None, None]})
    for text in ("pool.empty > 1", "pool.empty == 'x'", "pool.empty in [1, 2]", "pool.empty", "pool.empty + 1 > 2"):
        assert answers(text, frame) == [None, None], text
    assert answers("pool.empty is None", frame) == [True, True]


NUMBERS = st.lists(st.none() | st.floats(-4, 4, width=32), min_size=1, max_size=6)


@given(a=NUMBERS, b=NUMBERS, op=st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
def test_answers_do_not_depend_on_the_other_rows(a, b, op):
    for text in (f"s.a {op} 0.5", f"s.a {op} 0.5 or s.a is None", f"s.a * 2 {op} s.a + 1"):
        both = answers(text, column(a + b, pl.Float32))
        assert both == answers(text, column(a, pl.Float32)) + answers(text, column(b, pl.Float32))
