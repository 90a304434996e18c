"""Conditions on one row's evidence: checked against dtypes before a row is read, then true, false or unknown (Kleene) for each row."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import polars as pl

from curate.errors import RecipeError, nearest
from curate.grammar import ARITHMETIC, Node, Parser, Starts

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    **{"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv},
    **{"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},
}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_WHOLE_RANGE = {getattr(pl, f"Int{bits}"): (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64, 128)} | {
    getattr(pl, f"UInt{bits}"): (0, 2**bits - 1) for bits in (8, 16, 32, 64)
}
_FLOAT32_MAX = 3.4028234663852886e38
_EXACT = 2.0**126


@dataclass(frozen=True, eq=False)
class Clause:
    """One operand of a rule's top-level `and`. Equal clauses mean the same, however they are written.

    `text` is as written, `columns` the evidence it asks, "signal.column" in order of first use.
    """

    text: str
    columns: tuple[str, ...]
    tree: Node

    def __eq__(self, other: object) -> bool:
        """Equal meaning."""
        return isinstance(other, Clause) and self.canonical() == other.canonical()

    def __hash__(self) -> int:
        """Of the evidence."""
        return hash(self.columns)

    def canonical(self) -> list[object]:
        """JSON-able, and equal exactly for equal clauses."""
        return self.tree.canonical()

    def check(self, dtypes: Mapping[str, pl.DataType]) -> None:
        """RecipeError, at file:line:column, for an unknown column, an unknown category or operands whose types do not go together."""
        _expect(self.tree, dtypes, "truth")

    def evaluate(self, frame: pl.DataFrame) -> pl.Series:
        """One Boolean per row of a frame whose columns are named "signal.column": null where the evidence does not tell.

        Numbers are compared as numbers, never wrapped: whole columns exactly, a Float32 column with the literal rounded to Float32.
        Whole-number arithmetic is exact; with `/` or a float it is Float64 (Float32 if all its float columns are). A result that is not
        finite is null. Enums are equal by name and ordered as declared. Raises what `check` raises.
        """
        self.check(frame.schema)
        return _truth(self.tree, frame).rename("")


def parse(text: str, *, where: str = "", line: int = 1, column: int = 1, starts: Starts = ()) -> tuple[Clause, ...]:
    """The clauses of a condition that begins at `line`, `column` of the file `where`: its top-level `and` split, left to right.

    `starts` gives (offset, line, column) of each line of the file that the text was folded from.
    """
    nodes = Parser(text, where, line, column, starts).condition()
    return tuple(Clause(node.text, tuple(dict.fromkeys(node.columns())), node) for node in nodes)


def parse_order(text: str, *, where: str = "", line: int = 1, column: int = 1) -> tuple[str, bool]:
    """`signal.column [asc | desc]` as (column, ascending)."""
    return Parser(text, where, line, column).order()


# Checking


def _dtype(node: Node, dtypes: Mapping[str, pl.DataType]) -> pl.DataType:
    if node.op == "column":
        return _column_dtype(node, dtypes)
    if node.op == "literal":
        return _literal_dtype(node.value)
    if node.op in ("and", "or", "not"):
        for part in node.parts:
            _expect(part, dtypes, "truth")
    elif node.op in ("is", "is not"):
        _dtype(node.parts[0], dtypes)
    elif node.op in (*ARITHMETIC, "neg"):
        return _number_dtype(node, [_expect(part, dtypes, "number") for part in node.parts])
    else:
        for right in node.parts[1:]:
            _comparable(node, node.parts[0], right, dtypes)
    return pl.Boolean()


def _column_dtype(node: Node, dtypes: Mapping[str, pl.DataType]) -> pl.DataType:
    name = str(node.value)
    if name not in dtypes:
        signal = name.split(".")[0]
        mates = [known for known in dtypes if known.startswith(f"{signal}.")]
        raise RecipeError(f"unknown column {name}", where=node.where, fix=nearest(name, mates or list(dtypes)))
    return dtypes[name]


def _literal_dtype(value: Fraction | str | bool | None) -> pl.DataType:
    if isinstance(value, Fraction):
        return pl.Int128() if value.denominator == 1 and abs(value) < 2**63 else pl.Float64()
    return pl.Boolean() if isinstance(value, bool) else pl.String()


def _number_dtype(node: Node, found: list[pl.DataType]) -> pl.DataType:
    """Of arithmetic: columns decide, literals follow them."""
    floats = [dtype for dtype, part in zip(found, node.parts, strict=True) if not dtype.is_integer() and part.op != "literal"]
    if floats:
        return pl.Float32() if all(dtype == pl.Float32 for dtype in floats) else pl.Float64()
    whole = all(dtype.is_integer() for dtype in found) and node.op != "/"
    return pl.Int128() if whole else pl.Float64()


def _family(dtype: pl.DataType) -> str:
    if dtype.is_numeric():
        return "number"
    if dtype == pl.Boolean:
        return "truth"
    if dtype == pl.Null:
        return "any"
    return "text" if isinstance(dtype, pl.String | pl.Enum | pl.Categorical) else "other"


def _expect(node: Node, dtypes: Mapping[str, pl.DataType], family: str) -> pl.DataType:
    dtype = _dtype(node, dtypes)
    if _family(dtype) not in (family, "any"):
        wanted = {"truth": "a condition", "number": "a number"}[family]
        fix = "compare it with something" if family == "truth" else "write a number, without quotes, or a column of numbers"
        raise RecipeError(f"expected {wanted}: {_described(node, dtype)}", where=node.where, fix=fix)
    return dtype


def _described(node: Node, dtype: pl.DataType) -> str:
    if node.op == "column":
        return f"{node.text} is {'Enum' if isinstance(dtype, pl.Enum) else dtype}"
    kind = {"number": "a number", "truth": "a truth value", "text": "text"}[_family(dtype)]
    return f"{node.text} is {kind}"


def _comparable(node: Node, left: Node, right: Node, dtypes: Mapping[str, pl.DataType]) -> None:
    a, b = _dtype(left, dtypes), _dtype(right, dtypes)
    for side, dtype in ((left, a), (right, b)):
        if _family(dtype) == "other":
            what = f"{_described(side, dtype)}, which cannot be compared"
            raise RecipeError(what, where=side.where, fix="only `is None` can ask about it")
    families = {_family(a), _family(b)} - {"any"}
    both = f"{_described(left, a)}, {_described(right, b)}"
    if len(families) > 1:
        fix = (
            "write a number, without quotes"
            if "number" in families and families <= {"number", "text"}
            else "compare with a value of its kind"
        )
        text = _family(a) == "text" and "number" in families
        raise RecipeError(f"cannot compare: {both}", where=right.where, fix="write the text in quotes" if text else fix)
    ordering = node.op in ("<", "<=", ">", ">=")
    if ordering and "truth" in families:
        raise RecipeError(f"truth values have no order: {both}", where=node.where, fix="compare by == or !=")
    for side, dtype, other in ((left, a, right), (right, b, left)):
        if isinstance(dtype, pl.Enum) and other.op == "literal" and other.value not in dtype.categories.to_list():
            names = dtype.categories.to_list()
            fix = f"{nearest(str(other.value), names)} {side.text} is one of: {', '.join(names)}"
            raise RecipeError(f"{side.text} is never {other.text}", where=other.where, fix=fix)
    mixed = isinstance(a, pl.Enum) != isinstance(b, pl.Enum) or (isinstance(a, pl.Enum) and a != b)
    if ordering and mixed and "literal" not in (left.op, right.op) and families == {"text"}:
        raise RecipeError(f"no common order: {both}", where=node.where, fix="compare by == or !=")


# Evaluating


def _truth(node: Node, frame: pl.DataFrame) -> pl.Series:
    if node.op in ("and", "or"):
        result = _truth(node.parts[0], frame)
        for part in node.parts[1:]:
            other = _truth(part, frame)
            result = result & other if node.op == "and" else result | other
        return result
    if node.op == "not":
        return ~_truth(node.parts[0], frame)
    if node.op in ("is", "is not"):
        absent = _value(node.parts[0], frame).is_null()
        return absent if node.op == "is" else ~absent
    if node.op in ("in", "not in"):
        found = _among(_value(node.parts[0], frame), [part.value for part in node.parts[1:]])
        return found if node.op == "in" else ~found
    if node.op == "column":
        return _value(node, frame).cast(pl.Boolean)
    left, right = node.parts
    if right.op == "literal":
        return _against(_value(left, frame), node.op, right.value)
    if left.op == "literal":
        return _against(_value(right, frame), _FLIPPED[node.op], left.value)
    return _between(_value(left, frame), node.op, _value(right, frame))


def _value(node: Node, frame: pl.DataFrame) -> pl.Series:
    if node.op == "column":
        return _finite(frame.get_column(str(node.value)))
    if node.op in (*ARITHMETIC, "neg"):
        return _arithmetic(node, frame)
    return _truth(node, frame)


def _finite(values: pl.Series) -> pl.Series:
    if not values.dtype.is_float():
        return values
    return values.set(~values.is_finite(), None)


def _arithmetic(node: Node, frame: pl.DataFrame) -> pl.Series:
    dtype = _dtype(node, frame.schema)
    sides = [_operand(part, dtype, frame) for part in node.parts]
    if node.op == "neg":
        sides = [pl.Series([0], dtype=dtype), *sides]
    result = _apply(sides[0], "-" if node.op == "neg" else node.op, sides[1])
    if dtype.is_float():
        return _finite(result)
    shadow = _apply(sides[0].cast(pl.Float64), "-" if node.op == "neg" else node.op, sides[1].cast(pl.Float64))
    return result.set(shadow.abs() >= _EXACT, None)


def _operand(node: Node, dtype: pl.DataType, frame: pl.DataFrame) -> pl.Series:
    if node.op != "literal":
        return _value(node, frame).cast(dtype)
    assert isinstance(node.value, Fraction)
    number = int(node.value) if dtype.is_integer() else _rounded(node.value)
    return pl.Series([number], dtype=dtype)


def _rounded(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


def _apply(left: pl.Series, op: str, right: pl.Series) -> pl.Series:
    result: pl.Series = _OPERATORS[op](left, right)
    return result


def _same(values: pl.Series, answer: bool) -> pl.Series:
    """`answer` where there is a value, null where there is none."""
    return pl.select(pl.when(values.is_not_null()).then(pl.lit(answer))).to_series()


def _against(values: pl.Series, op: str, literal: Fraction | str | bool | None) -> pl.Series:
    if values.dtype == pl.Null:
        return values.cast(pl.Boolean)
    if isinstance(literal, Fraction):
        return _against_whole(values, op, literal) if values.dtype in _WHOLE_RANGE else _against_real(values, op, literal)
    if isinstance(values.dtype, pl.Enum):
        rank = values.dtype.categories.to_list().index(literal)
        ranks = values.to_physical()
        return _apply(ranks, op, pl.Series([rank], dtype=ranks.dtype))
    plain = values.cast(pl.String) if isinstance(values.dtype, pl.Categorical) else values
    return _apply(plain, op, pl.Series([literal], dtype=plain.dtype))


def _against_whole(values: pl.Series, op: str, number: Fraction) -> pl.Series:
    """x < 1.5 is x < 2 on whole numbers; a bound outside the dtype's range has one answer for every value."""
    low, high = _WHOLE_RANGE[type(values.dtype)]
    if op in ("==", "!=") and (number.denominator != 1 or not low <= number <= high):
        return _same(values, op == "!=")
    bound = math.ceil(number) if op in ("<", ">=") else math.floor(number)
    if bound > high or bound < low:
        return _same(values, (bound > high) == (op in ("<", "<=")))
    return _apply(values, op, pl.Series([bound], dtype=values.dtype))


def _against_real(values: pl.Series, op: str, number: Fraction) -> pl.Series:
    near = _rounded(number)
    dtype = pl.Float32 if values.dtype == pl.Float32 and abs(near) <= _FLOAT32_MAX else pl.Float64
    return _apply(values.cast(dtype), op, pl.Series([near], dtype=dtype))


def _among(values: pl.Series, literals: list[Fraction | str | bool | None]) -> pl.Series:
    found = _against(values, "==", literals[0])
    for literal in literals[1:]:
        found = found | _against(values, "==", literal)
    return found


def _between(left: pl.Series, op: str, right: pl.Series) -> pl.Series:
    if pl.Null in (left.dtype, right.dtype):
        return pl.Series([None], dtype=pl.Boolean).new_from_index(0, len(left))
    if left.dtype.is_numeric():
        whole = left.dtype.is_integer() and right.dtype.is_integer()
        dtype = pl.Int128 if whole else pl.Float64
        return _apply(left.cast(dtype), op, right.cast(dtype))
    if isinstance(left.dtype, pl.Enum) and left.dtype == right.dtype:
        return _apply(left.to_physical(), op, right.to_physical())
    if left.dtype == pl.Boolean:
        return _apply(left, op, right)
    return _apply(left.cast(pl.String), op, right.cast(pl.String))
