"""Vectors that a pool brings, one a row: Parquet lists of floats, and the arrays of an `.npz` beside a Parquet shard (DataComp's features).

They are offered as Binary: the little-endian float16 numbers of the vector, as signals write embeddings.
"""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from curate.layouts import vector_kind
from curate.signal import NOT_FINITE
from curate.values import UNREADABLE, WRONG_TYPE, Values, nulls, series_of

WRONG_LENGTH = "wrong_length"
SAMPLE = 64
"""So many rows of each row group must agree on the length of their lists before a column counts as vectors."""

_CHUNK = 1 << 22
BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError, RuntimeError, struct.error, SyntaxError)
"""What reading a damaged, encrypted or foreign `.npz` raises."""


class Stored(NamedTuple):
    """One array of an `.npz`: (rows, length) numbers of `dtype`; `offset` of the first in the file, None where they are compressed."""

    name: str
    rows: int
    length: int
    dtype: np.dtype[Any]
    offset: int | None


def arrays_of(path: Path) -> list[Stored]:
    """The two-dimensional float arrays of an `.npz` file, found without reading them or any pickle; others are none of ours.

    One of BROKEN where the file cannot be understood.
    """
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        found = [_stored(archive, file, info) for info in archive.infolist() if info.filename.endswith(".npy")]
    return [each for each in found if each is not None]


def _stored(archive: zipfile.ZipFile, file: IO[bytes], info: zipfile.ZipInfo) -> Stored | None:
    with archive.open(info) as member:
        shape, fortran, dtype = _header(member)
        ahead = member.tell()
    if dtype.kind != "f" or len(shape) != 2 or not shape[1]:
        return None
    if fortran and min(shape) > 1:
        raise ValueError(f"{info.filename} is stored column by column")
    if ahead + shape[0] * shape[1] * dtype.itemsize != info.file_size:
        raise ValueError(f"{info.filename} holds {info.file_size} bytes, not {shape[0]} x {shape[1]} numbers")
    offset = None
    if info.compress_type == zipfile.ZIP_STORED:
        file.seek(info.header_offset)
        name, extra = struct.unpack("<26xHH", file.read(30))  # the local header's own lengths (PKWARE's APPNOTE, 4.3.7)
        offset = info.header_offset + 30 + name + extra + ahead
    return Stored(info.filename.removesuffix(".npy"), shape[0], shape[1], dtype, offset)


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"an array of version {version}")
    return read(member)


_streams: dict[tuple[str, str, int], tuple[IO[bytes], int]] = {}


def read_array(path: Path, name: str, shape: tuple[int, int], rows: npt.NDArray[np.int64]) -> Values:
    """The vectors of sorted rows of an array of this shape: only they are read where it is stored as it is; else the file is unpacked up
    to them, and a next call goes on from there."""
    stored = next((each for each in arrays_of(path) if each.name == name), None)
    if stored is None or (stored.rows, stored.length) != shape:
        raise ValueError(f"{path.name} has no array {name} of the shape {shape}")
    if stored.offset is not None:
        return vectors(np.memmap(path, stored.dtype, "r", stored.offset, shape)[rows])
    first, width = int(rows[0]), shape[1] * stored.dtype.itemsize
    data = _unpacked(path, name, first * width, (int(rows[-1]) + 1 - first) * width)
    return vectors(np.frombuffer(data, stored.dtype).reshape(-1, shape[1])[rows - first])


def _unpacked(path: Path, name: str, start: int, size: int) -> bytes:
    key = (str(path), name, path.stat().st_mtime_ns)
    stream, at = _streams.pop(key, (None, 0))
    if stream is None or at > start:
        stream = zipfile.ZipFile(path).open(f"{name}.npy")  # noqa: SIM115  (kept for the next group)
        _header(stream)
        at = 0
    while at < start:
        skipped = len(stream.read(min(_CHUNK, start - at)))
        if not skipped:
            raise EOFError(f"{name} ends early")
        at += skipped
    data = stream.read(size)
    if len(data) != size:
        raise EOFError(f"{name} ends early")
    while len(_streams) >= 8:
        _streams.pop(next(iter(_streams)))[0].close()
    _streams[key] = stream, start + size
    return data


def vectors(matrix: npt.NDArray[Any]) -> Values:
    """An (n, d) array as float16 vectors; a row with a number that is not finite (in float16) is null, `not_finite`."""
    with np.errstate(over="ignore"):
        halves = np.ascontiguousarray(matrix, dtype="<f2")
    whole = np.isfinite(halves).all(axis=1)
    return _series(halves, whole), pl.Series(whole).replace_strict({True: None, False: NOT_FINITE}, return_dtype=pl.String)


def listed(array: Any, length: int) -> Values:
    """An Arrow column of lists of floats as vectors: null stays null; another length is `wrong_length`, a null inside `not_finite`."""
    if not _of_floats(array.type):
        return nulls(pl.Binary(), len(array), None if pa.types.is_null(array.type) else WRONG_TYPE)
    lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False).astype(np.float64)  # null reads NaN
    fits = lengths == length
    numbers = pc.list_flatten(array.filter(pa.array(fits)))
    flat = numbers.to_numpy(zero_copy_only=False)  # null reads NaN
    values, codes = vectors((flat if flat.dtype.kind == "f" else flat.astype(np.float64)).reshape(-1, length))
    where = np.where(fits, np.cumsum(fits) - 1, 0)
    frame = pl.DataFrame({"value": values, "code": codes}) if fits.any() else pl.DataFrame({"value": [None], "code": [None]})
    frame = frame.cast({"value": pl.Binary, "code": pl.String})[where].with_columns(fits=pl.Series(fits), wrong=pl.Series(lengths >= 0))
    code = pl.when("fits").then("code").otherwise(pl.when("wrong").then(pl.lit(WRONG_LENGTH)))
    read = frame.select(value=pl.when("fits").then("value"), code=code)
    return read["value"], read["code"]


def listed_kinds(parquet: Any, lists: list[str]) -> dict[str, str]:
    """The kind of each of these columns of lists of floats: a vector where the lists of the first rows are equally long, the type where
    they are not, Null where there is none to see."""
    seen: dict[str, set[int]] = {name: set() for name in lists}
    for group in range(parquet.metadata.num_row_groups):
        wanted = [name for name in lists if not seen[name]]
        batch: Any = next(parquet.iter_batches(SAMPLE, row_groups=[group], columns=wanted, use_threads=False), None) if wanted else None
        for name in wanted if batch else ():
            seen[name] = set(pc.list_value_length(batch.column(name)).drop_null().to_pylist())
    types = {field.name: field.type for field in parquet.schema_arrow}
    return {name: _kind(types[name], lengths) for name, lengths in seen.items()}


def _kind(arrow: Any, lengths: set[int]) -> str:
    if not lengths:
        return "Null"
    return vector_kind(lengths.pop()) if len(lengths) == 1 and lengths != {0} else f"nested {arrow}"


def float_lists(parquet: Any) -> list[str]:
    """The columns of a Parquet file that are lists of floats of no stated length."""
    return [field.name for field in parquet.schema_arrow if _of_floats(field.type) and not pa.types.is_fixed_size_list(field.type)]


def _of_floats(arrow: Any) -> bool:
    lists = pa.types.is_list(arrow) or pa.types.is_large_list(arrow) or pa.types.is_fixed_size_list(arrow)
    return bool(lists and pa.types.is_floating(arrow.value_type))


def _series(halves: npt.NDArray[np.float16], whole: npt.NDArray[np.bool_]) -> pl.Series:
    width = halves.shape[1] * 2
    valid = None if whole.all() else pa.array(whole).buffers()[1]
    array = pa.Array.from_buffers(pa.binary(width), len(halves), [valid, pa.py_buffer(halves)])
    return series_of(array.cast(pa.large_binary()))


def read_sibling(parquet: Path, name: str, shape: tuple[int, int], rows: npt.NDArray[np.int64]) -> Values:
    """Vectors of the `.npz` beside a Parquet shard; all null and `unreadable` where it no longer reads as when the pool was opened."""
    try:
        return read_array(parquet.with_suffix(".npz"), name, shape, rows)
    except BROKEN:
        return nulls(pl.Binary(), rows.size, UNREADABLE)
