"""The role face_boxes: where the faces of an image are, as text, `[[left, top, right, bottom], ...]` in shares of its width and height."""

import json
import math
from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from curate.signal import NOT_FINITE
from curate.values import WRONG_TYPE, Values, decoded

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


def _text(value: Any) -> tuple[str | None, str | None]:
    if isinstance(value, bytes):
        value, code = decoded(value)
        if code:
            return None, code
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None, "bad_json"
    if value is None:
        return None, None
    if not isinstance(value, list) or not all(isinstance(box, list) and len(box) == 4 for box in value):
        return None, WRONG_TYPE
    numbers = [number for box in value for number in box]
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers):
        return None, WRONG_TYPE
    if not all(math.isfinite(number) for number in numbers):
        return None, NOT_FINITE
    return json.dumps([[float(number) for number in box] for box in value]), None
