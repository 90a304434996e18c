"""From Arrow arrays to values that filters and rules can trust, with an error code beside each that cannot be."""

from typing import Any

import polars as pl
import pyarrow as pa

from curate.layouts import BYTES, NULL, SCALARS, kind_of
from curate.signal import NOT_FINITE

UNREADABLE, INVALID_UTF8, WRONG_TYPE = "unreadable", "invalid_utf8", "wrong_type"

Values = tuple[pl.Series, pl.Series]
"""Values and, aligned, error codes (null: fine)."""


def nulls(dtype: pl.DataType, count: int, code: str | None) -> Values:
    """`count` nulls, all with the same code."""
    return pl.Series([None], dtype=dtype).new_from_index(0, count), pl.Series([code], dtype=pl.String).new_from_index(0, count)


def no_codes(count: int) -> pl.Series:
    """All fine."""
    return pl.Series([None], dtype=pl.String).new_from_index(0, count)


def scalars(array: Any, kind: str) -> Values:
    """Values in the dtype of the kind; bytes that are no UTF-8, numbers not finite and values that do not fit are null with a code."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    found = kind_of(array.type)
    if found == NULL:
        return nulls(SCALARS[kind], len(array), None)
    if kind == "String" and found in ("String", BYTES):
        return _texts(array)
    if found not in SCALARS:
        return nulls(SCALARS[kind], len(array), WRONG_TYPE)
    if pa.types.is_timestamp(array.type) and array.type.tz:
        array = array.cast(pa.timestamp(array.type.unit, "UTC"))
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64())
    before = series_of(array)
    if before.dtype == SCALARS[kind] and (not before.dtype.is_float() or before.is_finite().all()):
        return before, no_codes(len(before))
    values = before.cast(SCALARS[kind], strict=False)
    lost = values.is_null() & before.is_not_null()
    code = WRONG_TYPE
    if SCALARS[kind].is_float():
        lost |= ~values.is_finite().fill_null(True)
        code = NOT_FINITE
    if not lost.any():
        return values, no_codes(len(values))
    frame = pl.DataFrame({"value": values, "lost": lost})
    kept = frame.select(pl.when(~pl.col("lost")).then("value")).to_series()
    return kept, frame.select(pl.when("lost").then(pl.lit(code))).to_series()


def series_of(array: Any) -> pl.Series:
    """An Arrow array as a series."""
    series = pl.from_arrow(array)
    if not isinstance(series, pl.Series):
        raise TypeError("an Arrow array becomes one series")
    return series


def _texts(array: Any) -> Values:
    binary = array.cast(pa.large_binary())
    texts = pa.chunked_array([chunk.view(pa.large_string()) for chunk in binary.chunks], type=pa.large_string())
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        values, codes = zip(*[decoded(value) for value in binary.to_pylist()], strict=True)
        return pl.Series(values, dtype=pl.String), pl.Series(codes, dtype=pl.String)
    return series_of(texts), no_codes(len(array))


def decoded(value: bytes | None) -> tuple[str | None, str | None]:
    """Bytes as text, or the code of why not."""
    if value is None:
        return None, None
    try:
        return value.decode(), None
    except UnicodeDecodeError:
        return None, INVALID_UTF8
