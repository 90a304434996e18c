"""The role face_boxes: where the faces of an image are, as text, `[[left, top, right, bottom], ...]` in shares of its width and height."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from curate.signal import NOT_FINITE
from curate.values import WRONG_TYPE, Values, decoded

BAD_JSON = "bad_json"
BOXES_KIND = "Boxes"
"""The kind asked for where boxes are wanted, however they are stored."""


def boxes(array: Any) -> Values:
    """An Arrow column of lists of boxes, or of their JSON, as JSON texts; what holds no boxes of 4 numbers is null with a code."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    return boxes_of(array.to_pylist())


def boxes_of(values: Sequence[Any]) -> Values:
    """Lists of boxes, or their JSON, as JSON texts."""
    texts, codes = zip(*[_text(value) for value in values], strict=True) if values else ((), ())
    return pl.Series(texts, dtype=pl.String), pl.Series(codes, dtype=pl.String)


def boxes_in(rows: Sequence[Mapping[str, Any] | None], column: str) -> Values:
    """The boxes in a column of parsed JSON; of a row that is no JSON object (None) it is not known that there are none: bad_json."""
    values, codes = boxes_of([None if row is None else row.get(column) for row in rows])
    broken = pl.Series([row is None for row in rows], dtype=pl.Boolean)
    return values, pl.DataFrame([codes.alias("code"), broken.alias("broken")]).select(
        pl.when("broken").then(pl.lit(BAD_JSON)).otherwise("code").alias("code")
    ).to_series()


def _text(value: Any) -> tuple[str | None, str | None]:
    if isinstance(value, bytes):
        value, code = decoded(value)
        if code:
            return None, code
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None, BAD_JSON
    if value is None:
        return None, None
    if not isinstance(value, list) or not all(isinstance(box, list) and len(box) == 4 for box in value):
        return None, WRONG_TYPE
    numbers = [number for box in value for number in box]
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers):
        return None, WRONG_TYPE
    if not all(abs(number) <= sys.float_info.max for number in numbers):  # NaN and integers beyond any float too
        return None, NOT_FINITE
    return json.dumps([[float(number) for number in box] for box in value]), None
