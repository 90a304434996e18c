"""The row grammar: what reads as what, and where exactly a mistake is."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import RecipeError
from curate.expression import parse, parse_order
from curate.grammar import Node


def shape(text):
    (clause,) = parse(text)
    return clause.canonical()


def col(name):
    return ["column", name]


def num(value):
    return [{"number": value}]


A, B, C, D = (col(f"s.{name}") for name in "abcd")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("s.a or s.b and s.c", ["or", A, ["and", B, C]]),
        ("s.a or not s.b and s.c", ["or", A, ["and", ["not", B], C]]),
        ("(s.a or s.b) is None", ["is", ["or", A, B]]),
        ("not s.a == 1", ["not", ["==", A, num("1")]]),
        ("s.a + s.b * s.c < -s.d", ["<", ["+", A, ["*", B, C]], ["neg", D]]),
        ("s.a - s.b - s.c > 0", [">", ["-", ["-", A, B], C], num("0")]),
        ("(s.a < s.b) == s.c", ["==", ["<", A, B], C]),
        ("s.a not in ['x', \"y\"]", ["not in", A, ["x"], ["y"]]),
        ("s.a in [1, -2.50, true]", ["in", A, num("1"), num("-5/2"), [True]]),
        ("s.a is not None", ["is not", A]),
        ("s.a >= 1e-4", [">=", A, num("1/10000")]),
        ("s.a > 1/3 + 1/6", [">", A, num("1/2")]),
        ("s.a == 'it\\'s \\\\ \\n'", ["==", A, ["it's \\ \n"]]),
        ("pool.`my column` > .5", [">", col("pool.my column"), num("1/2")]),
        ("filtre.größe > 0", [">", col("filtre.größe"), num("0")]),
    ],
)
def test_text_reads_as_tree(text, tree):
    assert shape(text) == tree


def test_top_level_and_is_split_left_to_right():
    first, second, third = parse("s.a > 2 and (s.b == 1 and s.c) and s.d is None")
    assert [clause.text for clause in (first, second, third)] == ["s.a > 2", "(s.b == 1 and s.c)", "s.d is None"]
    assert [clause.columns for clause in (first, second, third)] == [("s.a",), ("s.b", "s.c"), ("s.d",)]


def test_and_inside_anything_else_is_not_split():
    for text in ("(s.a and s.b)", "s.a and s.b or s.c", "not (s.a and s.b)"):
        assert len(parse(text)) == 1


@pytest.mark.parametrize(
    ("text", "column", "what", "fix"),
    [
        ("", 1, "expected a value, found the end", ""),
        ("s.a >", 6, "expected a value, found the end", ""),
        ("s.a > 1 s.b", 9, "a condition ends here, found s.b", "join conditions by `and` or `or`"),
        ("s.a = 1", 5, "'=' means nothing here", "write == to compare"),
        ("s.a > 1 & s.b", 9, "'&' means nothing here", "write and"),
        ("s.a == 'open", 8, '"\'" means nothing here', "close the text with the quote that opens it"),
        ("s.a == None", 8, "nothing equals None", "write `x is None`"),
        ("s.a is 3", 8, "expected None after `is`, found 3", ""),
        ("0 < s.a < 1", 9, "comparisons do not chain", "write `a < b and b < c`"),
        ("s.a in []", 9, "a list needs a literal here", "an empty list would keep no row"),
        ("s.a in [s.b]", 9, "a list holds literals; s.b is none", "compare with it by =="),
        ("len(s.a) > 2", 1, "the row grammar has no functions: len", "measure it in a signal"),
        ("s.a == open", 8, "evidence is named signal.column; found open", "texts stand in quotes: 'open'"),
        ("words > 2", 1, "evidence is named signal.column; found words", ""),
        ("s.a.b > 2", 1, "evidence is named signal.column; found s.a.b", ""),
        ("s.a == True", 8, "True means nothing here", "true and false"),
        ("(s.a > 1", 9, "expected ) to close the parenthesis, found the end", ""),
        ("1 == 1", 3, "1 == 1 asks for no evidence", ""),
        ("s.a > 1/0", 8, "division by zero", ""),
        ("s.a > 1e999", 7, "a number out of all range", ""),
        ("s.a == 'a\\q'", 8, "\\q means nothing in a text", "write \\\\ for a backslash"),
        ("not " * 200 + "s.a", 405, "nested more than 100 deep", "split it over stages"),
    ],
)
def test_mistake_is_named_at_its_column(text, column, what, fix):
    with pytest.raises(RecipeError, match=re.escape(f"r.yaml:1:{column}: {what}")) as raised:
        parse(text, where="r.yaml")
    assert fix in raised.value.fix


def test_place_counts_from_where_the_text_stands():
    with pytest.raises(RecipeError, match=r"^r\.yaml:7:21: ") as first:
        parse("s.a > 1 = s.b", where="r.yaml", line=7, column=13)
    assert first.value.fix == "write == to compare"
    with pytest.raises(RecipeError, match=r"^r\.yaml:8:5: "):
        parse("s.a > 1 and\n    = 1", where="r.yaml", line=7, column=13)


@pytest.mark.parametrize(
    ("text", "order"),
    [("s.a", ("s.a", False)), ("s.a desc", ("s.a", False)), ("s.a asc", ("s.a", True)), ("pool.`x y` asc", ("pool.x y", True))],
)
def test_order_is_descending_unless_asc(text, order):
    assert parse_order(text) == order


@pytest.mark.parametrize("text", ["s.a up", "s.a asc s.b", "s", "s.a > 1", "'text'", ""])
def test_order_is_one_column_and_its_direction(text):
    with pytest.raises(RecipeError, match=r"a direction is asc or desc|one column and its direction|evidence is named"):
        parse_order(text)


def literal(value: Fraction | str | None) -> str:
    if isinstance(value, Fraction):
        return f"({value.numerator}/{value.denominator})"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


COLUMNS = st.sampled_from(["s.a", "s.b", "pool.`odd name`"])
NUMBERS = st.sampled_from(["0", "12", "0.5", "1e-4", "(1/3)", "-2"])
TEXTS = st.text("ab'\\\n", max_size=3).map(literal)
VALUES = st.recursive(
    COLUMNS,
    lambda v: st.tuples(v, st.sampled_from("+-*/"), v | NUMBERS).map(lambda t: "({} {} {})".format(*t)) | v.map("-{}".format),
    max_leaves=4,
)
TESTS = st.one_of(
    st.tuples(VALUES, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), VALUES | NUMBERS).map(" ".join),
    VALUES.map("{} is None".format),
    st.tuples(COLUMNS, TEXTS, TEXTS).map(lambda t: "{} not in [{}, {}]".format(*t)),
)
CONDITIONS = st.recursive(
    TESTS,
    lambda c: st.tuples(c, st.sampled_from(["and", "or"]), c).map(lambda t: "({}) {}  ({})".format(*t)) | c.map("not ({})".format),
    max_leaves=6,
)


def written(node: Node) -> str:
    """A tree as text, every operation in parentheses."""
    if node.op == "column":
        return ".".join(f"`{part}`" for part in str(node.value).split("."))
    if node.op == "literal":
        return {True: "true", False: "false"}[node.value] if isinstance(node.value, bool) else literal(node.value)
    parts = [written(part) for part in node.parts]
    if node.op in ("not", "neg"):
        return f"({'not ' if node.op == 'not' else '-'}{parts[0]})"
    if node.op in ("is", "is not"):
        return f"({parts[0]} {node.op} None)"
    if node.op in ("in", "not in"):
        return f"({parts[0]} {node.op} [{', '.join(parts[1:])}])"
    return "(" + f" {node.op} ".join(parts) + ")"


@given(CONDITIONS)
def test_written_out_in_full_a_condition_means_the_same(text):
    clauses = parse(text)
    again = parse(" and ".join(written(clause.tree) for clause in clauses))
    assert [clause.canonical() for clause in again] == [clause.canonical() for clause in clauses]
    assert again == clauses


@given(CONDITIONS)
def test_clauses_as_written_read_back_the_same(text):
    clauses = parse(text)
    assert parse(" and ".join(clause.text if clause.tree.op != "or" else f"({clause.text})" for clause in clauses)) == clauses


def refusal(text: str) -> RecipeError | None:
    try:
        parse(text, where="r.yaml")
    except RecipeError as error:
        return error
    return None


@given(st.text("s.ab12 ()[]<>=!+-*/'\"`,\\\nandornotisNone", max_size=30))
def test_any_text_reads_or_is_refused_with_a_place(text):
    found = refusal(text)
    assert found is None or re.fullmatch(r"r\.yaml:\d+:\d+", found.where)
