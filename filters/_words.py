"""Words, their runs, and pieces of text that are said again, compiled; what is said again is told by 64-bit hashes."""

import numpy as np
import numpy.typing as npt

from filters._buffers import Bytes
from filters._compiled import Number, kernel, load64, zeros
from filters._texts import BREAK, FIRST_CLASS, REST, SPACE, Counts, Pieces, Sizes, Texts

Hashes = npt.NDArray[np.uint64]

LETTER, SOLID, BULLET, SYMBOL = FIRST_CLASS, FIRST_CLASS << 1, FIRST_CLASS << 2, FIRST_CLASS << 3
"""What `quality` asks of characters: a letter; a letter or digit; a bullet; one of # . and the ellipsis."""

TOP, DUPLICATED = (2, 3, 4), (5, 6, 7, 8, 9, 10)

_SEED, _ROUND, _PLACE = np.uint64(0x51ED270B9F3C42A7), np.uint64(0xD6E8FEB86659FD93), np.uint64(0x9E3779B97F4A7C15)
_ONES = np.uint64(0x0101010101010101)
_LETTERS, _SOLIDS, _SYMBOLS = (np.uint64(bit) * _ONES for bit in (LETTER, SOLID, SYMBOL))
_LOWER = np.uint64(0x2020202020202020)
_WORDS = (b"the", b"be", b"to", b"of", b"and", b"that", b"have", b"with")
_STOP_WORDS = np.array([int.from_bytes(word, "little") for word in _WORDS], np.uint64)


def repeated(texts: Texts, pieces: Pieces) -> Counts:
    """Of each text: how many of its pieces stood before in it, and the code points of those (n, 2)."""
    return _repeated(texts.data, texts.kinds, *pieces)


def quality(texts: Texts, blank_lines: bool, spaced_ellipsis: bool) -> Counts:
    """The columns of `QUALITY`, of each text."""
    return _quality(*texts, blank_lines, spaced_ellipsis)


QUALITY = (
    "words", "solid", "characters", "alphabetic", "stop_words", "stop_word_uses", "hashes", "ellipses", "lines", "bulleted", "trailing"
)  # fmt: skip


def grams(texts: Texts) -> Counts:
    """Of each text its code points, and those that the commonest run of each length in `TOP` and the repeated ones of each in `DUPLICATED`
    count for (n, 1 + len(TOP) + len(DUPLICATED)).
    """
    return _grams(*texts)


@kernel
def _hash(data: Bytes, i: Number, stop: Number) -> np.uint64:
    """Of data[i:stop]; equal bytes have equal hashes. Eight bytes may be read behind them."""
    h, size = _SEED, np.uint64(stop - i)
    while stop - i > 8:
        h = (h ^ load64(data, i)) * _ROUND
        h ^= h >> np.uint64(29)
        i += 8
    x = np.uint64(0)
    if stop > i:
        unused = np.uint64(8 * (i + 8 - stop))
        x = load64(data, i) << unused >> unused
    h = (h ^ x) * _ROUND
    return (h ^ (h >> np.uint64(32)) ^ size) * _PLACE


@kernel
def _room(count: int, table: Sizes) -> np.uint64:
    """Empty a table for so many hashes, and return by how much to shift them."""
    bits = 2
    while (1 << bits) < 2 * count:
        bits += 1
    table[: 1 << bits] = 0
    return np.uint64(64 - bits)


@kernel
def _met(hashes: Hashes, number: int, table: Sizes, shift: np.uint64) -> Number:
    """The first number whose hash is the same; it is entered in the table if it is this one."""
    place = np.int64(hashes[number] >> shift)
    last = (np.int64(1) << np.int64(np.uint64(64) - shift)) - 1
    while True:
        entry = np.int64(table[place])
        if entry == 0:
            table[place] = number + 1
            return number
        if hashes[entry - 1] == hashes[number]:
            return entry - 1
        place = (place + 1) & last


@kernel
def _repeated(data: Bytes, kinds: Bytes, starts: Counts, stops: Counts, firsts: Counts) -> Counts:
    found, most = np.zeros((firsts.size - 1, 2), np.int64), np.int64(0)
    for row in range(firsts.size - 1):
        most = max(most, firsts[row + 1] - firsts[row])
    hashes, table = np.empty(most, np.uint64), np.empty(4 * most + 4, np.uint32)
    for row in range(firsts.size - 1):
        first, count = firsts[row], firsts[row + 1] - firsts[row]
        shift = _room(count, table)
        for number in range(count):
            piece = first + number
            hashes[number] = _hash(data, starts[piece], stops[piece])
            if _met(hashes, number, table, shift) < number:
                found[row, 0] += 1
                for i in range(starts[piece], stops[piece]):
                    found[row, 1] += not kinds[i] & REST
    return found


@kernel
def _word(kinds: Bytes, i: Number, stop: Number) -> tuple[Number, np.uint64, Number]:
    """The end of the word at `i`, the kinds of its bytes (each in one of eight bytes), and how many of its bytes begin no character."""
    size: Number = np.int64(8)
    union, rests = np.uint64(0), np.uint64(0)
    while size == 8:
        x = load64(kinds, i)
        size = min(np.int64(zeros(x & _ONES) >> np.uint64(3)), stop - i)
        if size < 8:
            x &= (np.uint64(1) << np.uint64(8 * size)) - np.uint64(1)
        union |= x
        rests += (((x >> np.uint64(7)) & _ONES) * _ONES) >> np.uint64(56)
        i += size
    return i, union, np.int64(rests)


@kernel
def _ends_in_ellipsis(data: Bytes, start: Number, stop: Number, spaced: bool) -> bool:
    if stop - start >= 3:
        one, two, three = data[stop - 3], data[stop - 2], data[stop - 1]
        if (one == 0x2E and two == 0x2E and three == 0x2E) or (one == 0xE2 and two == 0x80 and three == 0xA6):
            return True
        if spaced and stop - start >= 5 and one == 0x2E and two == 0x20 and three == 0x2E:
            return bool(data[stop - 5] == 0x2E and data[stop - 4] == 0x20)
    return False


@kernel
def _spaced_ellipses(data: Bytes, i: Number, stop: Number) -> int:
    found = 0
    while i + 5 <= stop:
        if data[i] == data[i + 2] == data[i + 4] == 0x2E and data[i + 1] == data[i + 3] == 0x20:
            found += 1
            i += 4
        i += 1
    return found


@kernel
def _quality(data: Bytes, kinds: Bytes, offsets: Counts, blank_lines: bool, spaced: bool) -> Counts:
    found = np.zeros((offsets.size - 1, 11), np.int64)
    for row in range(offsets.size - 1):
        start, stop = offsets[row], offsets[row + 1]
        words, solid, alphabetic, stops, uses, hashes, ellipses, bulleted = 0, 0, 0, 0, 0, 0, 0, 0
        characters: Number = 0
        lines: Number = 0
        trailing: Number = 0
        i, begun = start, start  # where the line begins
        end: Number = np.int64(-1)  # where its last word ends
        while i < stop:
            kind = kinds[i]
            if kind & SPACE:
                if kind & BREAK:
                    lines += blank_lines or end >= 0
                    trailing += end >= 0 and _ends_in_ellipsis(data, start, end, spaced)
                    i += data[i] == 0x0D and i + 1 < stop and data[i + 1] == 0x0A
                    begun, end = i + 1, np.int64(-1)
                    while kinds[begun] & REST:
                        begun += 1
                i += 1
                continue
            bulleted += bool(end < 0 and kind & BULLET != 0)
            begin = i
            end, union, rests = _word(kinds, i, stop)
            i = end
            words += 1
            alphabetic += union & _LETTERS != 0
            if union & _SOLIDS:
                solid += 1
                characters += end - begin - rests
            if end - begin <= 4:
                unused = np.uint64(8 * (begin + 8 - end))
                lower = (load64(data, begin) | _LOWER) << unused >> unused
                for place in range(8):
                    if lower == _STOP_WORDS[place]:
                        uses += 1
                        stops |= 1 << place
            if union & _SYMBOLS:
                dots = 0
                for k in range(begin, end):
                    byte = data[k]
                    hashes += byte == 0x23
                    dots = dots + 1 if byte == 0x2E else 0
                    ellipses += dots == 3 or (byte == 0xE2 and data[k + 1] == 0x80 and data[k + 2] == 0xA6)
                    dots = 0 if dots == 3 else dots
        if begun < stop:
            lines += blank_lines or end >= 0
            trailing += end >= 0 and _ends_in_ellipsis(data, start, end, spaced)
        if spaced:
            ellipses += _spaced_ellipses(data, start, stop)
        distinct = 0
        for place in range(8):
            distinct += stops >> place & 1
        found[row, 0], found[row, 1], found[row, 2], found[row, 3] = words, solid, characters, alphabetic
        found[row, 4], found[row, 5], found[row, 6], found[row, 7] = distinct, uses, hashes, ellipses
        found[row, 8], found[row, 9], found[row, 10] = lines, bulleted, trailing
    return found


@kernel
def _grams(data: Bytes, kinds: Bytes, offsets: Counts) -> Counts:
    found, longest = np.zeros((offsets.size - 1, 10), np.int64), np.int64(0)
    for row in range(offsets.size - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    room = longest // 2 + 2
    words, ends, hashes = np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.uint64)
    table, places, numbers, uses = (
        np.empty(4 * room, np.uint32),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
    )
    for row in range(offsets.size - 1):
        i, stop, count, size = offsets[row], offsets[row + 1], 0, 0
        ends[0] = 0
        while i < stop:
            if kinds[i] & SPACE:
                size += not kinds[i] & REST
                i += 1
                continue
            begin = i
            i, _, rests = _word(kinds, i, stop)
            words[count] = _hash(data, begin, i)
            ends[count + 1] = ends[count] + i - begin - rests
            count += 1
        found[row, 0] = size + ends[count]
        left = max(count - 1, 0)  # places where the runs of n words may occur again: those where the runs of n - 1 do, here and one on
        for place in range(left):
            places[place], hashes[place] = place, words[place]
        for n in range(2, 11):
            if count < n:
                break
            kept = 0
            for k in range(left):
                place = places[k]
                if place + n <= count and (n == 2 or (k + 1 < left and places[k + 1] == place + 1)):
                    places[kept] = place
                    hashes[kept] = hashes[k] * _PLACE + words[place + n - 1]
                    kept += 1
            shift = _room(kept, table)
            for k in range(kept):
                uses[k] = 0
                numbers[k] = _met(hashes, k, table, shift)
                uses[numbers[k]] += 1
            most, best, left, free = 1, 0, 0, 0
            for k in range(kept):
                number, place = numbers[k], places[k]
                used = abs(uses[number])  # negative: met by who reads from left to right and steps over what was met
                if used == 1:
                    continue
                if used > most:
                    most, best = used, place
                if n >= 5 and place >= free:
                    if uses[number] < 0:
                        found[row, n - 1] += ends[place + n] - ends[place]
                        free = place + n
                    uses[number] = -used
                places[left], hashes[left] = place, hashes[k]
                left += 1
            if n <= 4:
                found[row, n - 1] = most * (ends[best + n] - ends[best] + n - 1)
    return found
