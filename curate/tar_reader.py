"""Rows of tar shards, read in place: each member by its offset, only those asked for."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from curate import jsonl
from curate.boxes import BOXES_KIND, boxes_in
from curate.layouts import BYTES, GENERIC
from curate.probes import Found, Unreadable
from curate.tars import DUPLICATE, IMAGE, JSON, TEXT, Samples, TarError, known_samples, samples_of
from curate.values import UNREADABLE, Values, decoded, nulls
from curate.wanted import IMAGE_KIND, MISSING_MEMBER, Indices, Wanted

ROWS_PER_GROUP = 1024
SUCCESS = "success"
"""The status of a row whose image img2dataset has fetched."""

_Part = tuple[bytes | None, str | None]


def probe_tar(file: Path, path: str) -> Found | Unreadable:
    """The samples of a webdataset shard: `key`, `image`, `txt`, and the scalars of their json, as the first samples show them."""
    with file.open("rb") as stream:
        head = stream.read(6)
    if head.startswith((b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ")):
        detail = "it is compressed: the members of a tar are read in place, from any one on"
        return Unreadable(path, "compressed_tar", detail, "unpack the compression, not the tar (gunzip, unzstd); images gain nothing by it")
    try:
        samples = samples_of(file)
    except TarError as error:
        return Unreadable(path, error.code, error.detail, "make or download it again")
    rows = len(samples.keys)
    groups = tuple(min(ROWS_PER_GROUP, rows - start) for start in range(0, rows, ROWS_PER_GROUP))
    if not rows:
        return Found((), {}, ())
    with file.open("rb") as stream:
        sample = [_parsed(stream.fileno(), samples, row) for row in range(min(rows, jsonl.SAMPLE_LINES))]
    columns = {"key": "String", "image": BYTES} | ({"txt": "String"} if (samples.offsets[TEXT] >= 0).any() else {})
    return Found(groups, {**jsonl.kinds(sample), **columns}, ())


def webdataset_rows(path: Path, wanted: Sequence[Wanted], rows: Indices) -> list[Values]:
    """The asked columns of samples by number; a part that a sample lacks is null, one that cannot be read has a code."""
    try:
        samples = known_samples(path)
        with path.open("rb") as stream:
            handle, numbers = stream.fileno(), rows.tolist()
            if rows.size and numbers[-1] >= len(samples.keys):
                raise TarError("truncated", "samples are gone")
            own = {"key", "image", "txt"}
            asked = any(want.column not in own for want in wanted if want.column is not None)
            parsed = [_parsed(handle, samples, row) for row in numbers] if asked else []
            return [_column(handle, samples, want, numbers, parsed) for want in wanted]
    except (OSError, TarError):
        return [nulls(want.dtype, rows.size, UNREADABLE if want.column else None) for want in wanted]


def _column(handle: int, samples: Samples, want: Wanted, rows: list[int], parsed: list[dict[str, Any] | None]) -> Values:
    if want.column is None:
        return nulls(want.dtype, len(rows), None)
    if want.column == "key":
        return pl.Series([samples.keys[row] for row in rows], dtype=pl.String), pl.Series([None] * len(rows), dtype=pl.String)
    if want.column in ("image", "txt") and want.kind in (IMAGE_KIND, "String"):
        parts = [_part(handle, samples, IMAGE if want.column == "image" else TEXT, row) for row in rows]
        return _values([(data, code) if want.kind == IMAGE_KIND or data is None else decoded(data) for data, code in parts], want.dtype)
    if want.kind == BOXES_KIND:
        return boxes_in(parsed, want.column)
    return jsonl.series(parsed, want.column, want.kind)


def _values(pairs: Sequence[tuple[Any, str | None]], dtype: pl.DataType) -> Values:
    values, codes = zip(*pairs, strict=True) if pairs else ((), ())
    return pl.Series(values, dtype=dtype), pl.Series(codes, dtype=pl.String)


def _part(handle: int, samples: Samples, part: str, row: int) -> _Part:
    """A part's bytes; or None, and the code of why, or None where the sample has no such part."""
    if code := samples.codes[part].get(row):
        return None, code
    size = int(samples.sizes[part][row])
    if size < 0:
        return None, None
    data = os.pread(handle, size, int(samples.offsets[part][row]))
    return (data, None) if len(data) == size else (None, UNREADABLE)


def _parsed(handle: int, samples: Samples, row: int) -> dict[str, Any] | None:
    """A sample's json; nothing where it has none, None where that is no JSON object."""
    data, code = _part(handle, samples, JSON, row)
    return {} if data is None and code is None else jsonl.parse(data or b"")


def probe_pair(
    tar: Path, name: str, columns: Mapping[str, str], keys: Sequence[str | None]
) -> tuple[dict[str, str], tuple[Unreadable, ...]]:
    """What a tar adds to the table beside it (img2dataset's pair), and what is wrong with it; `keys` are the table's."""
    if any(column.lower() in GENERIC["image"] for column in columns):
        return {}, ()
    try:
        samples = samples_of(tar)
    except (OSError, TarError) as error:
        code = error.code if isinstance(error, TarError) else "unreadable_file"
        return {"image": BYTES}, (Unreadable(name, code, str(error), "make or download it again"),)
    there = set(keys)
    lost = [key for key in samples.keys if key not in there] if keys else []
    if not lost:
        return {"image": BYTES}, ()
    detail = f"{len(lost)} of its samples have no row in the table beside it, the first {lost[0]!r}"
    return {"image": BYTES}, (Unreadable(name, "members_without_row", detail, "make or download both again"),)


def pair_images(tar: Path, keys: pl.Series, statuses: pl.Series | None) -> Values:
    """The image of each row of a table, from the tar beside it, by key. None where it has none: `missing_member`, but without a code where
    the row's status says that it could not be fetched."""
    try:
        samples = known_samples(tar)
        asked = zip(keys.to_list(), statuses.to_list() if statuses is not None else [SUCCESS] * len(keys), strict=True)
        with tar.open("rb") as stream:
            pairs = [_image(stream.fileno(), samples, samples.rows.get(key), status) for key, status in asked]
    except (OSError, TarError):
        return nulls(pl.Binary(), len(keys), UNREADABLE)
    return _values(pairs, pl.Binary())


def _image(handle: int, samples: Samples, row: int | None, status: str | None) -> _Part:
    if row == -1:
        return None, DUPLICATE
    data, code = (None, None) if row is None else _part(handle, samples, IMAGE, row)
    if data is None and code is None:
        return None, MISSING_MEMBER if status == SUCCESS else None
    return data, code
