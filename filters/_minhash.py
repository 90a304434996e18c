"""MinHash sketches of texts, compiled: integers only, so that every machine computes the same."""

import numpy as np
import numpy.typing as npt
import polars as pl
from datasketch import MinHash

from filters._buffers import binary, flat
from filters._characters import ALONE, LENGTH, LIMIT, UNSTABLE, WORD, Characters
from filters._compiled import Number, kernel, load64, store64, zeros

Bytes = npt.NDArray[np.uint8]
Halves = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

CHANGES, TOO_SHORT = -1, 0

_SEED, _ROUND, _PLACE = np.uint64(0x51ED270B9F3C42A7), np.uint64(0xD6E8FEB86659FD93), np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)  # MurmurHash3's 64-bit finaliser (Appleby)
_HIGH, _LOW, _ONES = np.uint64(0x8080808080808080), np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x0101010101010101)
# Added to a byte below 128, these set its high bit if it is at least this character.
_FROM_A, _PAST_Z, _FROM_LOWER_A, _PAST_LOWER_Z, _FROM_0, _PAST_9, _FROM_MARK = (
    np.uint64(128 - code) * _ONES for code in (0x41, 0x5B, 0x61, 0x7B, 0x30, 0x3A, 0x21)
)
_GATHER = np.uint64(0x0102040810204080)  # times eight bytes of 0 or 1: their bits in the highest byte
_UNDERSCORES = np.uint64(0x5F) * _ONES
_BLOCK = 4096  # shingles whose hashes stay in the first cache while every permutation passes over them
_LANES = 32


@kernel
def _fmix64(x: np.uint64) -> np.uint64:
    x = (x ^ (x >> np.uint64(33))) * _MIX_1
    x = (x ^ (x >> np.uint64(33))) * _MIX_2
    return x ^ (x >> np.uint64(33))


@kernel
def _round(h: np.uint64, chunk: np.uint64) -> np.uint64:
    h = (h ^ chunk) * _ROUND
    return h ^ (h >> np.uint64(29))


@kernel
def _ascii(x: np.uint64, case: bool, punctuation: bool) -> np.uint64:
    """Eight ASCII characters as they count: those of words folded, the others zero."""
    if not case:
        x |= ((x + _FROM_A) & ~(x + _PAST_Z) & _HIGH) >> np.uint64(2)
    if punctuation:
        word = x + _FROM_MARK
    else:
        letter = (x + _FROM_LOWER_A) & ~(x + _PAST_LOWER_Z)
        if case:
            letter |= (x + _FROM_A) & ~(x + _PAST_Z)
        word = letter | (x + _FROM_0) & ~(x + _PAST_9) | (_HIGH - (x ^ _UNDERSCORES))
    word &= _HIGH
    return x & ((word << np.uint64(1)) - (word >> np.uint64(7)))


@kernel
def _character(data: Bytes, i: Number) -> tuple[Number, int]:
    """The code point of the character at `i`, and its number of bytes, in valid UTF-8."""
    first = np.int64(data[i])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | np.int64(data[i + 1]) & 0x3F, 2
    if first < 0xF0:
        return (first & 0x0F) << 12 | (np.int64(data[i + 1]) & 0x3F) << 6 | np.int64(data[i + 2]) & 0x3F, 3
    high = (first & 0x07) << 18 | (np.int64(data[i + 1]) & 0x3F) << 12
    return high | (np.int64(data[i + 2]) & 0x3F) << 6 | np.int64(data[i + 3]) & 0x3F, 4


@kernel
def _counts_as(code: Number, folded: Halves, kinds: Bytes) -> tuple[np.uint64, Number]:
    """The bytes and kind of a character. Above LIMIT: planes 2 and 3 are ideographs, the rest is as the last noncharacter below."""
    if code < LIMIT:
        return np.uint64(folded[code]), np.int64(kinds[code])
    raw = 0xF0 | code >> 18 | (0x80 | code >> 12 & 0x3F) << 8 | (0x80 | code >> 6 & 0x3F) << 16 | (0x80 | code & 0x3F) << 24
    kind: Number = np.int64(kinds[LIMIT - 1])
    if code < 0x40000:
        kind = 4 | WORD | ALONE
        if 0x2F800 <= code < 0x2FA20:  # compatibility ideographs: the only characters up there that change
            kind |= UNSTABLE
    return np.uint64(raw), kind


@kernel
def _folded(
    data: Bytes, start: int, stop: int, folded: Halves, kinds: Bytes, rules: tuple[bool, bool, bool], out: Bytes
) -> tuple[Number, int]:
    """Write the words of data[start:stop] as they count, with zeros between; the bytes written, and how many words are single characters
    of unspaced scripts.

    `rules`: (case, punctuation, any form will do). (CHANGES, 0) where a character may change under the normal form and none will do.
    """
    case, punctuation, any_form = rules
    singles, i, at = 0, np.int64(start), np.int64(0)
    while i < stop:
        if i + 8 <= data.size:
            x = load64(data, i)
            store64(out, at, _ascii(x & _LOW, case, punctuation))
            high = x & _HIGH
            if not high and i + 8 <= stop:
                i += 8
                at += 8
                continue
            plain: Number = np.int64(zeros(high) >> np.uint64(3))
            if not high or plain > stop - i:
                plain = stop - i
            i += plain
            at += plain
        while i < stop and (data[i] >= 128 or i + 8 > data.size):
            code, width = _character(data, i)
            value, kind = _counts_as(code, folded, kinds)
            if kind & UNSTABLE and not any_form:
                return CHANGES, 0
            i += width
            if not kind & WORD:
                out[at] = 0
                at += 1
            elif kind & ALONE:
                store64(out, at, value << np.uint64(8))
                at += (kind & LENGTH) + 2
                out[at - 1] = 0
                singles += 1
            else:
                store64(out, at, value)
                at += kind & LENGTH
    return at, singles


@kernel
def _hashed(text: Bytes, length: Number, edges: Halves, hashes: Words) -> int:
    """Write the hash of every run of bytes other than zero of text[:length], and return how many there are.

    A hash covers eight bytes at a time; the first chunk is filled up with zeros, the last one (0 to 7 bytes) has its length on top.
    """
    for place in range(length, length + 72, 8):
        store64(text, place, np.uint64(0))
    found, before = 0, np.uint64(0)
    for begin in range(0, length + 1, 64):  # one bit for each byte, so that few jumps are mispredicted
        used = np.uint64(0)
        for part in range(8):
            x = load64(text, begin + 8 * part)
            flags = ((((x & _LOW) + _LOW) | x) & _HIGH) >> np.uint64(7)
            used |= (flags * _GATHER) >> np.uint64(56) << np.uint64(8 * part)
        changes = used ^ (used << np.uint64(1) | before)
        before = used >> np.uint64(63)
        while changes:
            edges[found] = np.uint32(begin) + np.uint32(zeros(changes))
            changes &= changes - np.uint64(1)
            found += 1
    for word in range(found // 2):
        i, end = np.int64(edges[2 * word]), np.int64(edges[2 * word + 1])
        unused = np.uint64(8 * (i + 8 - end)) if end < i + 8 else np.uint64(0)
        h = _round(_SEED, load64(text, i) << unused >> unused)
        i += 8
        while end - i >= 8:
            h = _round(h, load64(text, i))
            i += 8
        rest = np.uint64(end - i) if end > i else np.uint64(0)
        hashes[word] = _round(h, load64(text, i) & ((np.uint64(1) << (np.uint64(8) * rest)) - np.uint64(1)) ^ (rest << np.uint64(56)))
    return found // 2


@kernel
def _key(hashes: Words, count: int, key: Words) -> None:
    """128 bits of a sequence of words."""
    one, two = _MIX_1, _MIX_2
    for j in range(count):
        one = (one ^ hashes[j]) * _PLACE
        one ^= one >> np.uint64(32)
        two = (two + hashes[j]) * _ROUND
        two ^= two >> np.uint64(29)
    key[0], key[1] = _fmix64(one), _fmix64(two ^ np.uint64(count))


@kernel
def _shingled(hashes: Words, n: int, sums: Words, shingles: Halves) -> None:
    """The upper 32 bits of the mixed sum of P^(n-1-i) w_i over every n words w_0 .. w_(n-1) in a row."""
    for j in range(shingles.size):
        sums[j] = hashes[j]
    for i in range(1, n):
        for j in range(shingles.size):
            sums[j] = sums[j] * _PLACE + hashes[i + j]
    for j in range(shingles.size):
        shingles[j] = np.uint32(_fmix64(sums[j]) >> np.uint64(32))


@kernel
def _minima(shingles: Halves, a: Halves, b: Halves, mixed: Halves, signature: Halves) -> None:
    """The least a h + b mod 2^32 for every (a, b), over hashes mixed by MurmurHash3's 32-bit finaliser: datasketch's "affine32"."""
    signature[:] = np.uint32(0xFFFFFFFF)
    for first in range(0, shingles.size, _BLOCK):
        count = min(_BLOCK, shingles.size - first)
        for j in range(count):
            x = shingles[first + j]
            x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
            x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
            mixed[j] = x ^ (x >> np.uint32(16))
        while count % _LANES:  # repeated hashes change no minimum, and whole vectors have no rest
            mixed[count] = mixed[0]
            count += 1
        for k in range(a.size):
            factor, shift, least = a[k], b[k], signature[k]
            for j in range(count):
                least = min(least, np.uint32(factor * mixed[j] + shift))
            signature[k] = least


@kernel
def sketches(
    data: Bytes,
    offsets: Indices,
    tables: tuple[Halves, Bytes],
    rules: tuple[bool, bool, bool],
    lengths: tuple[int, int],
    permutations: tuple[Halves, Halves],
) -> tuple[Indices, Words, Halves]:
    """Of n texts: `sizes` (n,), how many shingles, repetitions included; `keys` (n, 2); `signatures` (n, permutations).

    `lengths`: words to a shingle, and characters where most words are single characters of unspaced scripts. A text with a size of
    TOO_SHORT or CHANGES has no sketch.
    """
    folded, kinds = tables
    a, b = permutations
    count = offsets.size - 1
    longest = 0
    for d in range(count):
        longest = max(longest, offsets[d + 1] - offsets[d])
    text, edges = np.empty(2 * longest + 144, np.uint8), np.empty(longest + 4, np.uint32)
    room = longest // 2 + 2  # words are one byte and a separator at least; those that need no separator are three bytes
    hashes, sums, shingles = np.empty(room, np.uint64), np.empty(room, np.uint64), np.empty(room, np.uint32)
    mixed = np.empty(_BLOCK + _LANES, np.uint32)
    sizes, keys = np.zeros(count, np.int64), np.zeros((count, 2), np.uint64)
    signatures = np.empty((count, a.size), np.uint32)
    for d in range(count):
        length, singles = _folded(data, offsets[d], offsets[d + 1], folded, kinds, rules, text)
        if length < 0:
            sizes[d] = CHANGES
            continue
        words = _hashed(text, length, edges, hashes)
        n = lengths[1] if 2 * singles > words else lengths[0]
        if words < n:
            sizes[d] = TOO_SHORT
            continue
        sizes[d] = words - n + 1
        _shingled(hashes, n, sums, shingles[: sizes[d]])
        _key(hashes, words, keys[d])
        _minima(shingles[: sizes[d]], a, b, mixed, signatures[d])
    return sizes, keys, signatures


@kernel
def shingle_sets(
    data: Bytes, offsets: Indices, tables: tuple[Halves, Bytes], rules: tuple[bool, bool, bool], lengths: tuple[int, int], sizes: Indices
) -> Halves:
    """The distinct shingles of every text that has a sketch, ascending, end to end; `sizes`, as of `sketches`, becomes their numbers."""
    folded, kinds = tables
    longest = 0
    for d in range(sizes.size):
        longest = max(longest, offsets[d + 1] - offsets[d])
    text, edges = np.empty(2 * longest + 144, np.uint8), np.empty(longest + 4, np.uint32)
    room = longest // 2 + 2
    hashes, sums = np.empty(room, np.uint64), np.empty(room, np.uint64)
    kept, total = np.empty(np.sum(np.maximum(sizes, 0)), np.uint32), 0
    for d in range(sizes.size):
        if sizes[d] <= 0:
            continue
        length, singles = _folded(data, offsets[d], offsets[d + 1], folded, kinds, rules, text)
        words = _hashed(text, length, edges, hashes)
        own = np.empty(sizes[d], np.uint32)
        _shingled(hashes, lengths[1] if 2 * singles > words else lengths[0], sums, own)
        own.sort()
        begin = total
        for j in range(own.size):
            if j == 0 or own[j] != own[j - 1]:
                kept[total] = own[j]
                total += 1
        sizes[d] = total - begin
    return kept[:total]


@kernel
def changing(data: Bytes, offsets: Indices, kinds: Bytes) -> npt.NDArray[np.bool_]:
    """Which of n texts may not be in the normal form that the `kinds` are of."""
    found = np.zeros(offsets.size - 1, np.bool_)
    for text in range(offsets.size - 1):
        i, stop = offsets[text], offsets[text + 1]
        while i < stop and not found[text]:
            if i + 8 <= stop and not load64(data, i) & _HIGH:
                i += 8
                continue
            code, width = _character(data, i)
            found[text] = kinds[code] & UNSTABLE if code < LIMIT else 0x2F800 <= code < 0x2FA20
            i += width
    return found


@kernel
def word_hashes(
    data: Bytes, starts: Indices, stops: Indices, tables: tuple[Halves, Bytes], rules: tuple[bool, bool, bool]
) -> tuple[Words, Indices]:
    """The hashes of the words of n parts of the data, end to end, and where those of each part begin (n + 1,)."""
    folded, kinds = tables
    longest, room = 0, 0
    for part in range(starts.size):
        longest = max(longest, stops[part] - starts[part])
        room += (stops[part] - starts[part]) // 2 + 2
    text, edges = np.empty(2 * longest + 144, np.uint8), np.empty(longest + 4, np.uint32)
    found, firsts = np.empty(room, np.uint64), np.zeros(starts.size + 1, np.int64)
    for part in range(starts.size):
        length, _ = _folded(data, starts[part], stops[part], folded, kinds, rules, text)
        firsts[part + 1] = firsts[part] + _hashed(text, length, edges, found[firsts[part] :])
    return found[: firsts[starts.size]], firsts


def permutations(count: int) -> tuple[Halves, Halves]:
    """Factors (odd) and shifts, as datasketch 2 draws them for its scheme "affine32" at its seed 1."""
    factors, shifts = MinHash(num_perm=count, seed=1, scheme="affine32").permutations
    return factors.astype(np.uint32), shifts.astype(np.uint32)


def sketched(
    texts: pl.Series,
    characters: Characters,
    counts: tuple[bool, bool],
    lengths: tuple[int, int],
    factors: tuple[Halves, Halves],
    exact: bool,
    any_form: bool,
) -> tuple[pl.DataFrame, Indices]:
    """`key`, `signature` and `shingles` of every text, and the numbers of those that may not be in normal form, left null."""
    data, offsets = flat(texts)
    tables, rules = (characters.folded, characters.kinds), (*counts, any_form)
    sizes, keys, signatures = sketches(data, offsets, tables, rules, lengths, factors)
    changing, valid = np.flatnonzero(sizes == CHANGES), sizes > 0
    rows = np.concatenate([[0], np.cumsum(valid)])
    kept = pl.Series([None], dtype=pl.Binary).new_from_index(0, len(texts))
    if exact:
        shingles = shingle_sets(data, offsets, tables, rules, lengths, sizes)
        kept = binary(shingles, np.concatenate([[0], np.cumsum(np.maximum(sizes, 0))]), valid)
    found = pl.DataFrame(
        {
            "key": binary(keys[valid], 2 * rows, valid),
            "signature": binary(signatures[valid], signatures.shape[1] * rows, valid),
            "shingles": kept,
        }
    )
    return found, changing
