"""JSON lines, plain or compressed: streamed in bounded memory, one row per line that is not blank."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from curate.layouts import NULL, SCALARS
from curate.signal import NOT_FINITE

LINES_PER_GROUP = 4096
SAMPLE_LINES = 1000
LINE_LIMIT = 1 << 30
TOO_LONG = b"{"
"""What a line over the limit is read as: broken JSON, never a shortened text."""

NESTED = "nested JSON"
RATIO_LIMIT, RATIO_FLOOR, EXPANDED_LIMIT = 1000, 64 << 20, 64 << 30
_CHUNK = 1 << 20
_CODECS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}


class BombError(Exception):
    """A compressed file expands beyond RATIO_LIMIT times its size (and RATIO_FLOOR bytes), or beyond EXPANDED_LIMIT bytes."""


BROKEN = (pa.ArrowException, OSError, BombError)
"""What reading a file's lines may raise."""


class Lines:
    """The rows of a JSON-lines file from the first on: `row` is the number of the next one."""

    def __init__(self, path: Path) -> None:
        """Open for streaming."""
        self._path, self.row = path, 0
        self._lines = _stream(path)

    def skip_to(self, row: int) -> None:
        """Move forward, without parsing."""
        while self.row < row and next(self._lines, None) is not None:
            self.row += 1

    def take(self, count: int) -> list[bytes]:
        """The next `count` lines, fewer at the end."""
        lines = [line for _, (_, line) in zip(range(count), self._lines, strict=False)]
        self.row += len(lines)
        return lines

    def close(self) -> None:
        """Let go of the file."""
        self._lines.close()


def _stream(path: Path) -> Any:
    """(number from 1, line) of lines that are not blank; one longer than LINE_LIMIT is let go and stands as TOO_LONG."""
    codec, first = _CODECS.get(path.suffix.lower()), True
    size, expanded, number = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        source: Any = pa.CompressedInputStream(file, codec) if codec else file
        rest: list[bytes] = []
        kept = 0
        while chunk := source.read(_CHUNK):
            expanded += len(chunk)
            if codec and (expanded > max(RATIO_FLOOR, RATIO_LIMIT * size) or expanded > EXPANDED_LIMIT):
                raise BombError(f"{size} bytes expand to more than {expanded}")
            if first:
                chunk, first = chunk.removeprefix(b"\xef\xbb\xbf"), False
            *whole, last = chunk.split(b"\n")
            for piece in whole:
                line = TOO_LONG if kept > LINE_LIMIT else b"".join([*rest, piece]) if rest else piece
                rest, kept, number = [], 0, number + 1
                if line and not line.isspace():
                    yield number, line
            kept += len(last)
            if kept > LINE_LIMIT:
                rest.clear()
            else:
                rest.append(last)
        line = TOO_LONG if kept > LINE_LIMIT else b"".join(rest)
        if line and not line.isspace():
            yield number + 1, line


def parse(line: bytes) -> dict[str, Any] | None:
    """One row, None where the line is no JSON object. Bytes that are no UTF-8 survive as surrogates, to be found value by value."""
    try:
        value = json.loads(line.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def kinds(rows: Sequence[Mapping[str, Any] | None]) -> dict[str, str]:
    """Name -> kind of the columns of a sample, in order of first appearance. JSON has one kind of number: Float64; a column of which some
    rows say one kind and some another is text."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for name, value in (row or {}).items():
            found.setdefault(name, set()).add(_kind(value))
    return {name: _of_all(some - {NULL}) for name, some in found.items()}


def _of_all(some: set[str]) -> str:
    """One row that says otherwise is that row's fault, or a number written as text, and not the column's end."""
    scalars = some - {NESTED}
    if len(scalars) > 1:
        return "String"
    return next(iter(scalars or some), NULL)


def line_numbers(path: Path, rows: Sequence[int]) -> list[int]:
    """The lines, counted from 1, on which these rows stand, ascending. Reads the file up to the last of them."""
    wanted, found = set(rows), list[int]()
    for row, (number, _) in enumerate(_stream(path)):
        if row in wanted:
            found.append(number)
            if len(found) == len(wanted):
                break
    return found


def series(rows: Sequence[Mapping[str, Any] | None], column: str, kind: str) -> tuple[pl.Series, pl.Series]:
    """The column's values in the dtype of its kind (null where faulty) and error codes: bad_json, invalid_utf8, not_finite or wrong_type.

    As text (kind "String") numbers and booleans are written as JSON writes them.
    """
    values: list[Any] = []
    codes: list[str | None] = []
    for row in rows:
        value, code = (None, "bad_json") if row is None else _value(row.get(column), kind)
        values.append(value)
        codes.append(code)
    return pl.Series(column, values, dtype=SCALARS[kind]), pl.Series(column, codes, dtype=pl.String)


def _value(value: Any, kind: str) -> tuple[Any, str | None]:
    if value is None:
        return None, None
    if kind == "Float64":
        return _number(value)
    if kind == "Boolean":
        return (value, None) if isinstance(value, bool) else (None, "wrong_type")
    if isinstance(value, (dict, list)):
        return None, "wrong_type"
    return _text(value if isinstance(value, str) else json.dumps(value))


def _number(value: Any) -> tuple[float | None, str | None]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None, "wrong_type"
    try:
        number = float(value)
    except OverflowError:
        return None, NOT_FINITE
    return (number, None) if math.isfinite(number) else (None, NOT_FINITE)


def _text(value: str) -> tuple[str | None, str | None]:
    try:
        value.encode()
    except UnicodeEncodeError:
        return None, "invalid_utf8"
    return value, None


def _kind(value: Any) -> str:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, (int, float)):
        return "Float64"
    return "String" if isinstance(value, str) else NESTED


def batches(path: Path) -> Iterator[list[bytes]]:
    """All lines, LINES_PER_GROUP at a time."""
    lines = Lines(path)
    while group := lines.take(LINES_PER_GROUP):
        yield group
