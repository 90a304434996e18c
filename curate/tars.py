"""The members of a tar shard: where the image, the caption and the metadata of each sample lie, found without extracting anything.

Headers are read one after the other and content is skipped. Links, devices and names that point elsewhere are never followed: their
place in a sample has an error code instead. POSIX ustar and pax, GNU long names and GNU base-256 sizes
(https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html, GNU tar's manual, "Basic Tar Format").
"""

import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BLOCK = 512
IMAGE, TEXT, JSON = "image", "txt", "json"
PARTS: dict[str, str] = {
    **dict.fromkeys(("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "img"), IMAGE),
    "txt": TEXT,
    "json": JSON,
}
"""What a member is of its sample, by all of its name behind the first dot, in lower case."""

LIMITS = {IMAGE: 1 << 30, TEXT: 1 << 30, JSON: 1 << 26}
"""Bytes of the largest member that is read."""

UNSAFE_NAME, NOT_A_FILE, TOO_LARGE = "unsafe_name", "not_a_file", "too_large"
DUPLICATE, TWO_IMAGES = "duplicate_member", "two_images"
_HEADER_LIMIT, _WINDOW = 1 << 20, 4096
_REGULAR, _WITHOUT_DATA, _SPARSE = b"0\x007", b"12345 6", b"S"
_ZERO = bytes(BLOCK)


class TarError(Exception):
    """The file is no whole tar: a code, and what is wrong where."""

    def __init__(self, code: str, detail: str) -> None:
        """Both are shown."""
        super().__init__(detail)
        self.code, self.detail = code, detail


class Member(NamedTuple):
    """One entry of a tar: its name as written, where its content lies, and the code of why that cannot be used (None: it can)."""

    name: str
    offset: int
    size: int
    code: str | None


class Samples(NamedTuple):
    """The samples of a tar, in the order in which each appears first, and the number of each key (-1: several samples have it). For each
    part: offsets and sizes (-1: it has none), and the codes of those that cannot be read, by row."""

    keys: list[str]
    rows: dict[str, int]
    offsets: dict[str, npt.NDArray[np.int64]]
    sizes: dict[str, npt.NDArray[np.int64]]
    codes: dict[str, dict[int, str]]


def samples_of(path: Path) -> Samples:
    """Group a tar's members by key: the path up to the first dot of the file name, as webdataset does. TarError, OSError.

    A part that comes twice in one sample is an error of it; where other samples lie between, it begins another sample of that key.
    Members without a key (hidden, or without a dot) and folders are no samples.
    """
    keys: list[str] = []
    rows: dict[str, int] = {}
    repeated: set[str] = set()
    offsets, sizes = ({part: array("q") for part in LIMITS} for _ in range(2))
    codes: dict[str, dict[int, str]] = {part: {} for part in LIMITS}
    for member in members_of(path):
        key, part = split(member.name)
        if not key:
            continue
        row = rows.get(key, -1)
        twice = row >= 0 and part is not None and offsets[part][row] >= 0
        if row < 0 or (twice and row != len(keys) - 1):
            if row >= 0:
                repeated.add(key)
            row, twice = len(keys), False
            rows[key] = row
            keys.append(key)
            for numbers in (*offsets.values(), *sizes.values()):
                numbers.append(-1)
        if part is None:
            continue
        code = (TWO_IMAGES if part == IMAGE else DUPLICATE) if twice else member.code
        if code is None and member.size > LIMITS[part]:
            code = TOO_LARGE
        if code:
            codes[part][row] = code
        offsets[part][row], sizes[part][row] = member.offset, member.size
    whole = [{part: np.frombuffer(numbers, np.int64) for part, numbers in each.items()} for each in (offsets, sizes)]
    return Samples(keys, {**rows, **dict.fromkeys(repeated, -1)}, whole[0], whole[1], codes)


def split(name: str) -> tuple[str, str | None]:
    """A member's key ("" where it has none) and which part of its sample it is (None: none of ours)."""
    while name.startswith("./"):
        name = name[2:]
    folder, slash, file = name.rpartition("/")
    stem, dot, ending = file.partition(".")
    return (folder + slash + stem, PARTS.get(ending.lower())) if stem and dot else ("", None)


def members_of(path: Path) -> Iterator[Member]:
    """Every entry but folders, in order. TarError where the structure breaks: nothing behind that place can be trusted."""
    handle = os.open(path, os.O_RDONLY)
    try:
        yield from _walk(handle, os.fstat(handle).st_size)
    finally:
        os.close(handle)


def _walk(handle: int, total: int) -> Iterator[Member]:
    at, window, first, ended = 0, b"", 0, False
    long_name, pax = "", dict[str, str]()
    while at < total:
        if not first <= at <= first + len(window) - BLOCK:
            window, first = os.pread(handle, _WINDOW, at), at
        block = window[at - first : at - first + BLOCK]
        if len(block) < BLOCK:
            raise TarError("truncated", f"it ends within the header at byte {at}")
        at += BLOCK
        ended = block == _ZERO
        if ended:
            continue
        kind, size = _checked(block, at - BLOCK)
        if kind in b"xLKg":
            data = _extra(handle, at, size)
            at += _padded(size)
            if kind == b"L":
                long_name = _text(data)
            elif kind == b"x":
                pax = _records(data)
            continue
        claimed = pax.get("size", "")
        size = int(claimed) if claimed.isdecimal() and len(claimed) < 20 else size
        extended = kind == _SPARSE and bool(block[482])
        while extended:
            extended = bool(os.pread(handle, BLOCK, at)[504:505].strip(b"\0"))
            at += BLOCK
        name = pax.get("path") or long_name or _name(block)
        sparse = kind == _SPARSE or any(key.startswith("GNU.sparse") for key in pax)
        held = 0 if kind in _WITHOUT_DATA else size
        if at + held > total:
            raise TarError("truncated", f"{name!r} has {size} bytes from byte {at} on, the file ends at {total}")
        folder = kind == b"5" or (kind == b"\0" and name.endswith("/"))
        if not folder:
            yield Member(name, at, held, _code(name, kind, sparse))
        at += _padded(held)
        long_name, pax = "", {}
    if not ended:
        raise TarError("truncated", "there is no end mark (a block of zeros): more may have followed")


def _code(name: str, kind: bytes, sparse: bool) -> str | None:
    if name.startswith("/") or ".." in name.split("/"):
        return UNSAFE_NAME
    return None if kind in _REGULAR and not sparse else NOT_A_FILE


def _checked(block: bytes, at: int) -> tuple[bytes, int]:
    """The type and size of a header whose checksum is right."""
    wrong = TarError("bad_header", f"the header at byte {at} is damaged")
    try:
        right = _number(block[148:156]) == sum(block) - sum(block[148:156]) + 8 * 32
        size = _number(block[124:136])
    except ValueError:
        raise wrong from None
    if not right or size < 0:
        raise wrong
    return block[156:157], size


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big") if field[0] == 0x80 else -1
    return int(field.strip(b" \0") or b"0", 8)


def _extra(handle: int, at: int, size: int) -> bytes:
    data = os.pread(handle, size, at) if size <= _HEADER_LIMIT else b""
    if len(data) != size:
        raise TarError("bad_header", f"the long header at byte {at} claims {size} bytes")
    return data


def _records(data: bytes) -> dict[str, str]:
    """A pax header's records: `LENGTH KEY=VALUE` and a line feed each."""
    found, at = dict[str, str](), 0
    while at < len(data):
        length, _, rest = data[at : at + 24].partition(b" ")
        if not length.isdigit() or not rest or not int(length):
            break
        record = data[at + len(length) + 1 : at + int(length) - 1]
        key, _, value = record.partition(b"=")
        found[key.decode("utf-8", "backslashreplace")] = _text(value)
        at += int(length)
    return found


def _name(block: bytes) -> str:
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


_known: dict[tuple[str, int, int], Samples] = {}


def known_samples(path: Path) -> Samples:
    """As `samples_of`; this process remembers those of the last few files."""
    found = path.stat()
    key = (str(path), found.st_size, found.st_mtime_ns)
    samples = _known.get(key)
    if samples is None:
        samples = samples_of(path)
        while len(_known) >= 4:
            _known.pop(next(iter(_known)), None)
        _known[key] = samples
    return samples
