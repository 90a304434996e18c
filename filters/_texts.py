"""Texts as bytes, what the character of each byte is, and where the lines lie: what the kernels of the text rules read."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters._buffers import Bytes, Offsets, flat
from filters._compiled import kernel, load64, store64, zeros
from filters._lines import BREAKS, SPACES

Counts = npt.NDArray[np.int64]
Sizes = npt.NDArray[np.uint32]

SPACE, BREAK, NEWLINE, FIRST_CLASS, REST = 1, 2, 4, 8, 128
"""Bits of a kind: white space (all bytes of it); what parts lines; a newline; the first of up to four classes; a character's later byte."""

_ONES, _HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_BYTES_AT_ONCE = 1 << 23


class Texts(NamedTuple):
    """n texts: `data`, their bytes end to end and eight zeros; `kinds`, what each byte is (as long); `offsets` (n + 1,)."""

    data: Bytes
    kinds: Bytes
    offsets: Offsets


class Lines(NamedTuple):
    """The lines of n texts: from `starts` to `stops` in the data, without what parts them; how many `words` (of `str.split`) and
    characters each has; `kinds`, those of its bytes, white space aside; `firsts` (n + 1,), where each text's lines begin.
    """

    starts: Counts
    stops: Counts
    words: Sizes
    chars: Sizes
    kinds: Bytes
    firsts: Counts


class Pieces(NamedTuple):
    """Parts of n texts, from `starts` to `stops` in the data; `firsts` (n + 1,): where each text's parts begin."""

    starts: Counts
    stops: Counts
    firsts: Counts


def measured(texts: pl.Series, classes: Sequence[str], measure: Callable[[Texts], Counts], names: Sequence[str]) -> pl.DataFrame:
    """What `measure` counts in each text (n, len(names)), as Int64 columns, null where the text is; a few megabytes at a time."""
    sizes = texts.str.len_bytes().fill_null(0).cast(pl.Int64).cum_sum().to_numpy()
    counts, start = [np.empty((0, len(names)), np.int64)], 0
    while start < len(texts):
        before = sizes[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(sizes, before + _BYTES_AT_ONCE, side="right")))
        counts.append(measure(read(texts[start:end], classes)))
        start = end
    frame = pl.from_numpy(np.concatenate(counts), schema=dict.fromkeys(names, pl.Int64), orient="row")
    there = texts.is_not_null().alias("there")
    return frame.select(pl.when(there).then(pl.col(name)) for name in names)


def share(part: str | pl.Expr, whole: str | pl.Expr) -> pl.Expr:
    """Part of whole as Float64; null where the whole is 0."""
    part, whole = (pl.col(one) if isinstance(one, str) else one for one in (part, whole))
    return pl.when(whole > 0).then(part / whole)


def any_of(characters: str) -> str:
    """The class of these characters, for `read`."""
    return "[" + "".join(rf"\x{{{ord(one):x}}}" for one in characters) + "]" if characters else r"[^\s\S]"


def read(texts: pl.Series, classes: Sequence[str]) -> Texts:
    """The texts of a String column, each character marked as of which of `classes` (regular expressions) it is; null is empty."""
    stored, offsets = flat(texts)
    size = int(offsets[-1] - offsets[0])
    data, kinds = np.zeros(size + 8, np.uint8), np.zeros(size + 8, np.uint8)
    data[:size] = stored[offsets[0] : offsets[-1]]
    _classify(data, size, _table(tuple(classes)), kinds)
    return Texts(data, kinds, offsets - offsets[0])


def lines(texts: Texts, parting: int, strip: bool) -> Lines:
    r"""Every line, as `str.splitlines` finds them (`parting` BREAK) or parted by `\n` alone (NEWLINE); after what parts lines at a text's
    end there is none. `strip`: without white space around.
    """
    count = int(np.count_nonzero(texts.kinds & parting)) + len(texts.offsets) - 1
    bounds, sizes = np.empty((2, count), np.int64), np.empty((2, count), np.uint32)
    kinds, firsts = np.empty(count, np.uint8), np.empty(len(texts.offsets), np.int64)
    total = _part(*texts, parting, strip, bounds[0], bounds[1], sizes[0], sizes[1], kinds, firsts)
    return Lines(bounds[0][:total], bounds[1][:total], sizes[0][:total], sizes[1][:total], kinds[:total], firsts)


def chosen(found: Lines, which: npt.NDArray[np.bool_]) -> Pieces:
    """Those lines alone."""
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(which)])
    return Pieces(found.starts[which], found.stops[which], before[found.firsts])


def paragraphs(texts: Texts, found: Lines) -> Pieces:
    r"""What two newlines or more part, white space around the text aside; of a text of white space, one that is empty.

    `found`: all lines parted by `\n`.
    """
    count = found.starts.size + texts.offsets.size - 1
    made = Pieces(np.empty(count, np.int64), np.empty(count, np.int64), np.empty(texts.offsets.size, np.int64))
    total = _paragraphs(texts.kinds, texts.offsets, found.starts, found.stops, found.firsts, *made)
    return Pieces(made.starts[:total], made.stops[:total], made.firsts)


def summed(values: npt.NDArray[Any], firsts: Counts) -> Counts:
    """The sums of what belongs to each text (n,), where `firsts` (n + 1,) says which begin its values."""
    totals: Counts = np.concatenate([np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)])
    return np.diff(totals[firsts])


@functools.cache
def _table(classes: tuple[str, ...]) -> Bytes:
    """The kind of every code point, by the Unicode data of polars, so that one library decides everywhere."""
    every = np.delete(np.arange(0x110000, dtype="<u4"), slice(0xD800, 0xE000)).tobytes().decode("utf-32-le")
    kinds = np.zeros(0x110000, np.uint8)
    for place, members in enumerate([any_of(SPACES), any_of(BREAKS), r"\n", *classes]):
        runs = pl.Series([every]).str.extract_all(f"{members}+")[0]
        kinds[np.frombuffer("".join(runs).encode("utf-32-le"), "<u4")] |= 1 << place
    return kinds


@kernel
def _classify(data: Bytes, size: int, table: Bytes, kinds: Bytes) -> None:
    i = np.int64(0)
    while i < size:
        x = load64(data, i)
        if not x & _HIGH:
            found = np.uint64(0)
            for place in range(8):
                shift = np.uint64(8 * place)
                found |= np.uint64(table[(x >> shift) & np.uint64(0x7F)]) << shift
            store64(kinds, i, found)
            i += 8
            continue
        code, rest = np.int64(data[i]), np.int64(0)
        if code >= 0x80:
            rest = np.int64(1) + (code >= 0xE0) + (code >= 0xF0)
            code &= 0x3F >> rest
            for k in range(i + 1, i + 1 + rest):
                code = code << 6 | np.int64(data[k]) & 0x3F
        kinds[i] = table[code]
        for k in range(i + 1, i + 1 + rest):
            kinds[k] = table[code] & SPACE | REST
        i += 1 + rest
    kinds[size:] = 0


@kernel
def _part(
    data: Bytes,
    kinds: Bytes,
    offsets: Offsets,
    parting: int,
    strip: bool,
    starts: Counts,
    stops: Counts,
    words: Sizes,
    chars: Sizes,
    unions: Bytes,
    firsts: Counts,
) -> int:
    """Fill in the lines, and return how many there are: eight bytes at a time, what counts as bits in each of them."""
    ends, count = np.uint64(parting) * _ONES, 0
    for row in range(offsets.size - 1):
        firsts[row] = count
        i, stop = offsets[row], offsets[row + 1]
        while i < stop:
            begin, size = i, np.int64(8)
            begun, rests, union, before = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(1)
            while size == 8:
                x = load64(kinds, i)
                size = min(np.int64(zeros(x & ends) >> np.uint64(3)), stop - i)
                if size < 8:
                    used = (np.uint64(1) << np.uint64(8 * size)) - np.uint64(1)
                    x = x & used | _ONES & ~used  # behind the line there is white space
                gaps = x & _ONES
                begun += ((~gaps & (gaps << np.uint64(8) | before) & _ONES) * _ONES) >> np.uint64(56)
                rests += (((x >> np.uint64(7)) & _ONES) * _ONES) >> np.uint64(56)
                union |= x
                before = gaps >> np.uint64(56)
                i += size
            end, outside = i, np.int64(rests)
            if i < stop:
                i += 2 if data[i] == 0x0D and i + 1 < stop and data[i + 1] == 0x0A else 1
                while kinds[i] & REST:
                    i += 1
            while strip and begin < end and kinds[begin] & SPACE:
                outside -= kinds[begin] >> 7
                begin += 1
            while strip and begin < end and kinds[end - 1] & SPACE:
                outside -= kinds[end - 1] >> 7
                end -= 1
            union |= union >> np.uint64(32)
            union |= union >> np.uint64(16)
            union |= union >> np.uint64(8)
            starts[count], stops[count], words[count], chars[count] = begin, end, begun, end - begin - outside
            unions[count] = union & np.uint64(0xFE)
            count += 1
    firsts[offsets.size - 1] = count
    return count


@kernel
def _paragraphs(
    kinds: Bytes, offsets: Counts, starts: Counts, stops: Counts, firsts: Counts, begins: Counts, ends: Counts, own: Counts
) -> int:
    count = 0
    for row in range(offsets.size - 1):
        own[row] = count
        first, last = offsets[row], offsets[row + 1]
        while first < last and kinds[first] & SPACE:
            first += 1
        while first < last and kinds[last - 1] & SPACE:
            last -= 1
        begins[count], ends[count], inside = first, last, True
        for line in range(firsts[row], firsts[row + 1]):
            if first < starts[line] < last and inside == (starts[line] == stops[line]):
                if inside:  # the first empty line after a piece
                    ends[count] = stops[line - 1]
                    count += 1
                else:
                    begins[count], ends[count] = starts[line], last
                inside = not inside
        count += 1
    own[offsets.size - 1] = count
    return count
