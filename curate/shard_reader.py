"""Rows of one shard: only the groups and columns asked for; what cannot be read becomes null with an error code, never a lost row."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate import jsonl
from curate.boxes import BOXES_KIND, boxes, boxes_in
from curate.layouts import BYTES, IMAGE, kind_of, vector_length
from curate.shard_files import text_files
from curate.tar_reader import pair_images, webdataset_rows
from curate.values import UNREADABLE, Values, decoded, nulls, scalars, series_of
from curate.vectors import listed, read_sibling
from curate.wanted import IMAGE_KIND, NO_COLUMN, Indices, Place, Wanted

OUTSIDE_POOL, MISSING_FILE = "outside_pool", "missing_file"


def read_rows(place: Place, wanted: Sequence[Wanted], rows: Indices) -> list[Values]:
    """Values and error codes of each wanted column at the given sorted row numbers of the shard."""
    edges = np.concatenate([[0], np.cumsum(place.groups, dtype=np.int64)])
    cuts = np.searchsorted(rows, edges)
    parts: list[list[Values]] = [[] for _ in wanted]
    for group, (low, high) in enumerate(pairwise(cuts.tolist())):
        if low == high:
            continue
        for part, values in zip(parts, _read_group(place, wanted, group, rows[low:high], int(edges[group])), strict=True):
            part.append(values)
    return [_joined(part, want) for part, want in zip(parts, wanted, strict=True)]


def _read_group(place: Place, wanted: Sequence[Wanted], group: int, rows: Indices, first: int) -> list[Values]:
    if place.ending == "parquet":
        return _parquet_group(place, wanted, group, rows - first, first)
    if place.ending == "tar":
        return webdataset_rows(place.root / place.path, wanted, rows)
    if place.ending == "jsonl":
        return _jsonl_rows(place, wanted, rows)
    return _text_rows(place, wanted, rows)


def _joined(parts: Sequence[Values], want: Wanted) -> Values:
    if not parts:
        return pl.Series(want.name, [], dtype=want.dtype), pl.Series([], dtype=pl.String)
    if len(parts) == 1:
        return parts[0][0].alias(want.name), parts[0][1].alias("")
    values = pl.concat([values.alias(want.name) for values, _ in parts])
    return values, pl.concat([codes.alias("") for _, codes in parts])


def _parquet_group(place: Place, wanted: Sequence[Wanted], group: int, rows: Indices, group_start: int) -> list[Values]:
    """A column that does not read back leaves the others of its group whole, whichever columns are asked for together."""
    path = place.root / place.path
    try:
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            there = set(file.schema_arrow.names)
            asked = {want.column for want in wanted if want.column is not None and want.column in there}
            beside = any(want.kind == IMAGE_KIND and want.column and want.column not in there for want in wanted)
            columns = sorted(asked | ({"key", "status"} & there if beside else set()))
            arrays = _arrays(file, group, columns, rows)
    except (pa.ArrowException, OSError, ValueError):
        return [nulls(want.dtype, rows.size, UNREADABLE if want.column else None) for want in wanted]
    results = []
    for want in wanted:
        length = vector_length(want.kind)
        if length and want.column and want.column not in there and path.with_suffix(".npz").is_file():
            results.append(read_sibling(path, want.column, (sum(place.groups), length), group_start + rows))
        elif beside and want.kind == IMAGE_KIND and arrays.get("key") is not None and path.with_suffix(".tar").is_file():
            status = arrays.get("status")
            statuses = None if status is None else scalars(status, "String")[0]
            results.append(pair_images(path.with_suffix(".tar"), scalars(arrays["key"], "String")[0], statuses))
        elif want.column is None or want.column not in there:
            results.append(nulls(want.dtype, rows.size, NO_COLUMN if want.column else None))
        elif (array := arrays[want.column]) is None:
            results.append(nulls(want.dtype, rows.size, UNREADABLE))
        elif want.kind == IMAGE_KIND:
            results.append(_images(place, array))
        elif want.kind == BOXES_KIND:
            results.append(boxes(array))
        elif length:
            results.append(listed(array, length))
        else:
            results.append(scalars(array, want.kind))
    return results


def _arrays(file: Any, group: int, columns: Sequence[str], rows: Indices) -> dict[str, Any]:
    """Arrow arrays by name, None for those that cannot be read."""
    if not columns:
        return {}
    try:
        table = file.read_row_group(group, columns=columns, use_threads=False)
        return {name: _taken(table.column(name), rows) for name in columns}
    except (pa.ArrowException, OSError, ValueError):
        if len(columns) == 1:
            return {columns[0]: None}
        return {name: _arrays(file, group, [name], rows)[name] for name in columns}


def _taken(column: Any, rows: Indices) -> Any:
    """The rows of a column: a slice where they follow each other, which also keeps columns of more than 2 GiB whole."""
    first, last = int(rows[0]), int(rows[-1])
    part = column.slice(first, rows.size) if last - first + 1 == rows.size else column.take(pa.array(rows))
    if len(part) != rows.size:
        raise ValueError("a column is shorter than its row group")
    return part


def _images(place: Place, array: Any) -> Values:
    """Image bytes from struct{bytes, path}, from bytes, or from the files that paths name."""
    kind = kind_of(array.type)
    if kind == BYTES:
        return series_of(array.cast(pa.large_binary())), pl.Series([None] * len(array), dtype=pl.String)
    if kind == IMAGE:
        held = pc.struct_field(array, "bytes").to_pylist()
        paths = pc.struct_field(array, "path") if array.type.get_field_index("path") >= 0 else pa.nulls(len(array), pa.string())
    else:
        held, paths = [None] * len(array), array
    if None not in held:
        return pl.Series(held, dtype=pl.Binary), pl.Series([None] * len(held), dtype=pl.String)
    names, codes = scalars(pa.chunked_array([paths]) if isinstance(paths, pa.Array) else paths, "String")
    named = zip(held, names, codes, strict=True)
    found = [_image_at(place, name, code) if data is None else (data, None) for data, name, code in named]
    values, faults = zip(*found, strict=True)
    return pl.Series(values, dtype=pl.Binary), pl.Series(faults, dtype=pl.String)


def _image_at(place: Place, name: str | None, code: str | None) -> tuple[bytes | None, str | None]:
    if name is None:
        return None, code
    path, code = referenced(place.root, place.path, name)
    if path is None:
        return None, code
    try:
        return path.read_bytes(), None
    except OSError:
        return None, UNREADABLE


def referenced(root: Path, shard: str, name: str) -> tuple[Path | None, str | None]:
    """The regular file that a shard's row names relative to the shard, or the code of what is wrong with it."""
    if "\0" in name:
        return None, MISSING_FILE
    real_root = os.path.realpath(root)
    real = os.path.realpath(os.path.join(real_root, os.path.dirname(shard), name))
    if os.path.commonpath([real_root, real]) != real_root:
        return None, OUTSIDE_POOL
    try:
        regular = stat.S_ISREG(os.stat(real).st_mode)
    except OSError:
        return None, MISSING_FILE
    return (Path(real), None) if regular else (None, MISSING_FILE)


def references(place: Place, column: str) -> Iterator[tuple[str, int, int]]:
    """(path, size, mtime_ns) of every image file that rows name; sizes of -1 where a file is not there or not the pool's."""
    for group in range(len(place.groups)):
        for name in _paths(place, column, group):
            path, _ = referenced(place.root, place.path, name)
            found = path.stat() if path else None
            yield (name, found.st_size, found.st_mtime_ns) if found else (name, -1, 0)


def _paths(place: Place, column: str, group: int) -> list[str]:
    first = sum(place.groups[:group])
    rows = np.arange(first, first + place.groups[group])
    if place.ending == "parquet":
        array = _group_column(place, column, group)
        if array is not None and kind_of(array.type) == IMAGE:
            if array.type.get_field_index("path") < 0:
                return []
            missing = pc.is_null(pc.struct_field(array, "bytes"))
            return scalars(pc.struct_field(array, "path").filter(missing), "String")[0].drop_nulls().to_list()
    return read_rows(place, [Wanted(column, column, "String")], rows)[0][0].drop_nulls().to_list()


def _group_column(place: Place, column: str, group: int) -> Any:
    try:
        with pq.ParquetFile(place.root / place.path, page_checksum_verification=True) as file:
            return _arrays(file, group, [column], np.arange(place.groups[group]))[column]
    except (pa.ArrowException, OSError, ValueError):
        return None


_open_lines: dict[tuple[str, int, int], jsonl.Lines] = {}


def _jsonl_rows(place: Place, wanted: Sequence[Wanted], rows: Indices) -> list[Values]:
    parsed = _parsed(place, rows)
    if parsed is None:
        return [nulls(want.dtype, rows.size, UNREADABLE if want.column else None) for want in wanted]
    return [_jsonl_column(place, want, parsed) for want in wanted]


def _jsonl_column(place: Place, want: Wanted, parsed: Sequence[Mapping[str, Any] | None]) -> Values:
    if want.column is None:
        return nulls(want.dtype, len(parsed), None)
    if want.kind == BOXES_KIND:
        return boxes_in(parsed, want.column)
    if want.kind != IMAGE_KIND:
        return jsonl.series(parsed, want.column, want.kind)
    names, codes = jsonl.series(parsed, want.column, "String")
    values, faults = zip(*[_image_at(place, name, code) for name, code in zip(names, codes, strict=True)], strict=True)
    return pl.Series(values, dtype=pl.Binary), pl.Series(faults, dtype=pl.String)


def _parsed(place: Place, rows: Indices) -> list[dict[str, Any] | None] | None:
    """The rows' objects; None where the file no longer reads back. The stream stays open: groups read in order read the file once."""
    path = place.root / place.path
    try:
        found = path.stat()
        key = (str(path), found.st_size, found.st_mtime_ns)
        lines = _open_lines.pop(key, None)
        if lines is None or lines.row > rows[0]:
            lines = jsonl.Lines(path)
        lines.skip_to(int(rows[0]))
        block = lines.take(int(rows[-1] - rows[0]) + 1)
    except jsonl.BROKEN:
        return None
    for other in list(_open_lines):
        if (stale := _open_lines.pop(other, None)) is not None:
            stale.close()
    _open_lines[key] = lines
    if len(block) != rows[-1] - rows[0] + 1:
        return None
    return [jsonl.parse(block[row]) for row in (rows - rows[0]).tolist()]


def _text_rows(place: Place, wanted: Sequence[Wanted], rows: Indices) -> list[Values]:
    files = text_files(place.root, place.path)
    if len(files) != sum(place.groups):
        return [nulls(want.dtype, rows.size, UNREADABLE if want.column else None) for want in wanted]
    names = [files[row] for row in rows.tolist()]
    return [_text_column(place, want, names) for want in wanted]


def _text_column(place: Place, want: Wanted, names: Sequence[str]) -> Values:
    if want.column != "text":
        values = names if want.column == "path" else [None] * len(names)
        return pl.Series(values, dtype=want.dtype), pl.Series([None] * len(names), dtype=pl.String)
    texts, codes = zip(*[_text_at(place.root / name) for name in names], strict=True)
    return pl.Series(texts, dtype=pl.String), pl.Series(codes, dtype=pl.String)


def _text_at(path: Path) -> tuple[str | None, str | None]:
    try:
        return decoded(path.read_bytes())
    except OSError:
        return None, UNREADABLE
