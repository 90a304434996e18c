"""A Parquet footer's null counts, read without pyarrow: asking it for a damaged column chunk ends the process (seen in pyarrow 26)."""

from pathlib import Path
from typing import Any

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_ROW_GROUPS, _COLUMNS, _META_DATA, _PATH, _STATISTICS, _NULL_COUNT = 4, 1, 3, 3, 12, 3


def null_counts(file: Path) -> list[dict[str, int | None]]:
    """For each row group, leaf column ("image.bytes") to its number of nulls, None where the footer does not say.

    ValueError for a footer that cannot be read. The layout is parquet.thrift's, in Thrift's compact protocol
    (https://github.com/apache/parquet-format, https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
    """
    with file.open("rb") as stream:
        stream.seek(-8, 2)
        size = int.from_bytes(stream.read(4), "little")
        stream.seek(-8 - size, 2)
        reader = _Compact(stream.read(size))
    try:
        chunks = [[column[_META_DATA] for column in group[_COLUMNS]] for group in reader.struct()[_ROW_GROUPS]]
        return [{_named(chunk[_PATH]): chunk.get(_STATISTICS, {}).get(_NULL_COUNT) for chunk in group} for group in chunks]
    except (IndexError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"the footer's row groups cannot be read: {error!r}") from error


def struct_at(data: bytes, at: int = 0) -> tuple[dict[int, Any], int]:
    """The struct that begins at a byte, as {field id: value}, and where it ends. IndexError, KeyError or RecursionError where none does."""
    reader = _Compact(data)
    reader.at = at
    return reader.struct(), reader.at


def _named(path: list[bytes]) -> str:
    return b".".join(path).decode("utf-8", "replace")


class _Compact:
    """Thrift's compact protocol: structs as {field id: value}. IndexError at the end of the bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise IndexError("a number runs over 64 bits")

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def struct(self) -> dict[int, Any]:
        made: dict[int, Any] = {}
        field = 0
        while head := self.byte():
            field = field + (head >> 4) if head >> 4 else self.zigzag()
            made[field] = self.value(head & 0x0F)
        return made

    def value(self, kind: int) -> Any:
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind in (_I16, _I32, _I64):
            return self.zigzag()
        if kind == _STRUCT:
            return self.struct()
        if kind in (_LIST, _SET):
            head = self.byte()
            count = self.varint() if head >> 4 == 15 else head >> 4
            return [self.byte() if head & 0x0F in (_TRUE, _FALSE) else self.value(head & 0x0F) for _ in range(count)]
        if kind == _MAP:
            return self.map()
        size = {_BYTE: 1, _DOUBLE: 8}[kind] if kind != _BINARY else self.varint()
        self.at += size
        if self.at > len(self.data):
            raise IndexError("a value runs over the end")
        return self.data[self.at - size : self.at]

    def map(self) -> list[tuple[Any, Any]]:
        count = self.varint()
        kinds = self.byte() if count else 0
        return [(self.value(kinds >> 4), self.value(kinds & 0x0F)) for _ in range(count)]
