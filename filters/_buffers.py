"""Columns of bytes as flat arrays and back, without a Python object per row."""

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


def flat(column: pl.Series) -> tuple[Bytes, Offsets]:
    """All bytes of a String or Binary column of n rows, one row after the other, read-only, and n + 1 offsets; null rows are empty."""
    if column.null_count():  # what was masked keeps its bytes
        column = column.fill_null(b"" if column.dtype == pl.Binary else "")
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return np.frombuffer(b"", np.uint8), np.zeros(len(array) + 1, np.int64)
    width = np.dtype(np.int64) if pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type) else np.dtype(np.int32)
    stops = np.frombuffer(offsets, width)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, np.uint8), stops.astype(np.int64)


def binary(values: npt.NDArray[np.generic], offsets: Offsets, valid: npt.NDArray[np.bool_]) -> pl.Series:
    """A Binary column of n rows, little-endian: row i is values[offsets[i] : offsets[i + 1]], or null where not `valid`."""
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    edges = offsets * little.itemsize
    nulls = pa.py_buffer(np.packbits(valid, bitorder="little"))
    column = pa.Array.from_buffers(pa.large_binary(), len(valid), [nulls, pa.py_buffer(edges), pa.py_buffer(little)])
    return pl.Series(values=column, dtype=pl.Binary)
