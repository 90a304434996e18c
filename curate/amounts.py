"""Shares, counts and seeds as recipes write them."""

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from curate.shape import Unfit
from curate.yaml_source import Number

_SHARE_TEXT = re.compile(r"\d+/\d+|(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_SHARE_FIX = "write 0.3, 1/3 or the like, without a percent sign"
_SHARE_SCHEMA = {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": r"^\d+/\d+$"}]}
_AMOUNT_SCHEMA = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\d+/\d+$"}]}


def share(value: Any) -> Fraction:
    """A share between 0 and 1, exact as written: 0.29 is 29/100. ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Fraction):
        raise Unfit("a share is written 0.3 or 1/3", _SHARE_FIX)
    text = value.text if isinstance(value, Number) else float.__repr__(value) if isinstance(value, float) else str(value)
    if len(text) > 64 or not _SHARE_TEXT.fullmatch(text) or re.fullmatch(r"\d+/0+", text):
        raise Unfit(f"a share is written 0.3 or 1/3 and lies between 0 and 1, not {text}", _SHARE_FIX)
    exact = Fraction(text)
    if exact > 1:
        raise Unfit(f"a share lies between 0 and 1, not {text}", _SHARE_FIX)
    return exact


def _amount(value: Any) -> Fraction | int:
    """A whole number is a count of rows, anything with a dot or a slash a share."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise Unfit(f"a count of rows is not negative: {value}", "give 0 or more")
        return value
    return share(value)


Share = Annotated[Fraction, PlainValidator(share), WithJsonSchema(_SHARE_SCHEMA)]
Amount = Annotated[Fraction | int, PlainValidator(_amount), WithJsonSchema(_AMOUNT_SCHEMA)]
Count = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def quota(fraction: Fraction | None, count: int | None, entering: int) -> int:
    """How many of the rows entering, rounded down."""
    return int(fraction * entering) if fraction is not None else min(count or 0, entering)


def canonical_size(fraction: Fraction | None, count: int | None) -> dict[str, Any]:
    """JSON-able identity."""
    return {"fraction": str(fraction)} if fraction is not None else {"count": count}


def size(fraction: Fraction | None, count: int | None) -> str:
    """For people."""
    if fraction is None:
        return f"{count} rows"
    near = str(float(fraction))
    return near if Fraction(near) == fraction else str(fraction)
