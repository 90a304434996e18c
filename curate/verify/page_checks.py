"""Where a stored Parquet file is damaged: every page held against its checksum, without pyarrow, which damaged footers can end."""

import zlib
from collections.abc import Iterator
from typing import Any

from curate.footer import struct_at

_ROW_GROUPS, _COLUMNS, _META_DATA = 4, 1, 3
_PATH, _SIZE, _DATA_OFFSET, _DICTIONARY_OFFSET = 3, 7, 9, 11
_COMPRESSED, _CRC, _DATA_PAGE, _DATA_PAGE_2, _VALUES = 3, 4, 5, 8, 1
_BROKEN = (IndexError, KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)


def damage(data: bytes) -> str:
    """The first column, row group and rows whose page is not what its checksum says; or that the footer, or bytes between, are damaged."""
    if len(data) < 12 or data[-4:] != b"PAR1":
        return "its end, which is cut off or overwritten"
    size = int.from_bytes(data[-8:-4], "little")
    try:
        groups = struct_at(data[-8 - size : -8])[0][_ROW_GROUPS]
        chunks = [(number, column[_META_DATA]) for number, group in enumerate(groups) for column in group[_COLUMNS]]
        named = [(number, b".".join(chunk[_PATH]).decode("utf-8", "replace"), chunk) for number, chunk in chunks]
    except _BROKEN:
        return "its footer"
    for number, name, chunk in named:
        try:
            for first, values, sound in _pages(data, chunk):
                if not sound:
                    return f"column {name}, row group {number}, lines {first} to {first + values - 1}"
        except _BROKEN:
            return f"column {name}, row group {number}, the header of a page"
    return "its footer, or bytes between its pages"


def _pages(data: bytes, chunk: dict[int, Any]) -> Iterator[tuple[int, int, bool]]:
    """(the first line, the number of lines, whether it is as its checksum says) of each page of a column chunk."""
    at = min(offset for offset in (chunk.get(_DICTIONARY_OFFSET), chunk[_DATA_OFFSET]) if offset is not None)
    end, line = at + chunk[_SIZE], 0
    while at < end:
        header, begin = struct_at(data, at)
        page = data[begin : begin + header[_COMPRESSED]]
        values = (header.get(_DATA_PAGE) or header.get(_DATA_PAGE_2) or {_VALUES: 0})[_VALUES]
        if not page or len(page) < header[_COMPRESSED]:
            raise IndexError("a page runs over the end")
        yield line, values, zlib.crc32(page) == header[_CRC] & 0xFFFFFFFF
        at, line = begin + header[_COMPRESSED], line + values
