"""Many phrases sought in many texts at once, between spaces: hashed, met through a table, then compared byte by byte.

An automaton over half a million phrases lies in 100 MB and misses the cache at every byte of a text. A phrase that is bounded by spaces can
only begin and end at them, so that a text has few places for one: the hash of each is a difference of two sums, and one bit says of most
that no phrase has it. What is found is exactly what a search for every phrase finds.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters._buffers import Bytes, Offsets, flat
from filters._compiled import kernel

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]

_BASE, _MIX, _LENGTH = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0xD6E8FEB86659FD93)  # odd
_SPACE = 32
_COPY, _BLANK, _WRAP = 0, 1, 2
_BEGIN, _END = 1, 2


class Phrases(NamedTuple):
    """n phrases with their bounds. `data`: their bytes, in the order of their hashes; `slots` (n + 1, 3): hash, where its bytes begin, and
    its number; `buckets`: where the slots of each begin, which are those of equal first bits; `leads`: bits by the last bits of the hashes
    of all that phrases begin with, up to a bound; `longest`: in bytes; `ranges` (m, 2): code points that bound a phrase as a space does.
    """

    data: Bytes
    slots: Hashes
    buckets: npt.NDArray[np.uint32]
    leads: Bytes
    longest: int
    ranges: Counts


def phrases(bounded: pl.Series, ranges: Mapping[int, int] | None = None) -> Phrases:
    """An index of n phrases, each with the bounds that it must have in a text; equal ones are all found.

    Phrases begin and end with a space, or with a character of one of `ranges` of code points, {first: last}.
    """
    data, offsets = flat(bounded)
    edges = np.array(sorted((ranges or {}).items()), np.int64).reshape(-1, 2)
    hashes, leads = _hashes(data, offsets, _edges(data.copy(), edges))  # a copy can be written to, as texts can: one set of types
    order = np.argsort(hashes, kind="stable")
    sorted_data, offsets = flat(bounded.gather(order))
    slots = np.zeros((hashes.size + 1, 3), np.uint64)
    slots[:-1, 0], slots[:, 1], slots[:-1, 2] = hashes[order], offsets, order
    bits = max(8, hashes.size.bit_length())
    firsts = np.searchsorted(hashes[order], np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits))
    buckets = np.append(firsts, hashes.size).astype(np.uint32)
    longest = int(np.diff(offsets).max(initial=0))
    return Phrases(sorted_data, slots, buckets, _sieve(leads), longest, edges)


def _sieve(hashes: Hashes) -> Bytes:
    """A bit for each, of sixteen or more, so that it lets pass one in sixteen of others."""
    room = 1 << max(16, (16 * hashes.size - 1).bit_length())
    held = np.zeros(room, np.bool_)
    held[(hashes & np.uint64(room - 1)).astype(np.int64)] = True
    return np.packbits(held, bitorder="little")


def table(blank: bytes = b"", wrapped: bytes = b"") -> Bytes:
    """What becomes of every byte of a text: a space, a space on both sides, or itself."""
    made = np.full(256, _COPY, np.uint8)
    made[list(blank)], made[list(wrapped)] = _BLANK, _WRAP
    return made


def spaced(texts: pl.Series, how: Bytes) -> tuple[Bytes, Offsets]:
    """Texts with a space before and behind, and their bytes as `table` says; null texts are two spaces."""
    return _spaced(*flat(texts), how)


def found(data: Bytes, offsets: Offsets, known: Phrases) -> tuple[Offsets, npt.NDArray[np.uint32]]:
    """Every phrase that is in each of n spaced texts: `firsts` (n + 1,), and the phrases' numbers, each once, ascending within a text."""
    return _found(data, offsets, _edges(data, known.ranges), *known[:-1], True)


def places(data: Bytes, offsets: Offsets, known: Phrases) -> tuple[Offsets, npt.NDArray[np.uint32]]:
    """The places where a phrase is, from left to right, the longest of a place, none inside another: as `found` gives them."""
    return _found(data, offsets, _edges(data, known.ranges), *known[:-1], False)


@kernel
def _mixed(h: np.uint64, size: int) -> np.uint64:
    h = (h ^ (np.uint64(size) * _LENGTH)) * _MIX
    h = (h ^ (h >> np.uint64(32))) * _BASE
    return h ^ (h >> np.uint64(29))


@kernel
def _hashes(data: Bytes, offsets: Offsets, edges: Bytes) -> tuple[Hashes, Hashes]:
    """Of every phrase, and of all that phrases begin with up to an edge."""
    made, leads, total = np.empty(offsets.size - 1, np.uint64), np.empty(data.size, np.uint64), 0
    for i in range(made.size):
        h = np.uint64(0)
        for k in range(offsets[i], offsets[i + 1]):
            h = h * _BASE + np.uint64(data[k])
            if edges[k] & _END and (k > offsets[i] or data[k] != _SPACE):
                leads[total] = _mixed(h, k + 1 - offsets[i])
                total += 1
        made[i] = _mixed(h, offsets[i + 1] - offsets[i])
    return made, leads[:total]


@kernel
def _spaced(data: Bytes, offsets: Offsets, how: Bytes) -> tuple[Bytes, Offsets]:
    rows = offsets.size - 1
    size = 2 * rows
    for k in range(offsets[0], offsets[rows]):
        size += 1 + how[data[k]]  # one more than it needs where a byte becomes a space
    made, begins, at = np.empty(size, np.uint8), np.zeros(rows + 1, np.int64), 0
    for row in range(rows):
        made[at] = _SPACE
        at += 1
        for k in range(offsets[row], offsets[row + 1]):
            byte = data[k]
            if how[byte] == _WRAP:
                made[at], made[at + 1], made[at + 2] = _SPACE, byte, _SPACE
                at += 3
            else:
                made[at] = _SPACE if how[byte] == _BLANK else byte
                at += 1
        made[at] = _SPACE
        at += 1
        begins[row + 1] = at
    return made[:at], begins


@kernel
def _edges(data: Bytes, ranges: Counts) -> Bytes:
    """Of every byte: whether a phrase may begin with it, and whether it may end with it."""
    edges = np.zeros(data.size, np.uint8)
    if not ranges.shape[0]:
        for i in range(data.size):
            edges[i] = (_BEGIN | _END) * (data[i] == _SPACE)
        return edges
    i = 0
    while i < data.size:
        lead = data[i]
        size = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        point = np.int64(lead) if size == 1 else np.int64(lead) & (0x7F >> size)
        for k in range(i + 1, i + size):
            point = point << 6 | np.int64(data[k] & 0x3F)
        edge = point == _SPACE
        for k in range(ranges.shape[0]):
            edge |= ranges[k, 0] <= point <= ranges[k, 1]
        if edge:
            edges[i] |= _BEGIN
            edges[i + size - 1] |= _END
        i += size
    return edges


@kernel
def _holds(sieve: Bytes, h: np.uint64) -> bool:
    bit = h & np.uint64(8 * sieve.size - 1)
    return bool(sieve[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7)) & 1)


@kernel
def _grown(made: npt.NDArray[np.uint32], total: int) -> npt.NDArray[np.uint32]:
    """With room for one more."""
    if total < made.size:
        return made
    wider = np.empty(2 * total, np.uint32)
    wider[:total] = made
    return wider


@kernel
def _found(
    data: Bytes,
    offsets: Offsets,
    edges: Bytes,
    phrases: Bytes,
    slots: Hashes,
    buckets: npt.NDArray[np.uint32],
    leads: Bytes,
    longest: int,
    once: bool,
) -> tuple[Offsets, npt.NDArray[np.uint32]]:
    rows, most = offsets.size - 1, np.int64(0)
    for row in range(rows):
        most = max(most, offsets[row + 1] - offsets[row])
    sums, ends = np.empty(most + 1, np.uint64), np.empty(most + 1, np.int64)
    powers = np.ones(longest + 1, np.uint64)
    for k in range(longest):
        powers[k + 1] = powers[k] * _BASE
    shift, bits = np.uint64(64), 1
    while bits < buckets.size - 1:
        shift, bits = shift - np.uint64(1), bits * 2
    made, firsts, total = np.empty(1024, np.uint32), np.zeros(rows + 1, np.int64), 0
    for row in range(rows):
        begin, size, count = offsets[row], offsets[row + 1] - offsets[row], 0
        sums[0] = 0
        for k in range(size):
            sums[k + 1] = sums[k] * _BASE + np.uint64(data[begin + k])
            if edges[begin + k] & _END:
                ends[count] = k + 1
                count += 1
        first, free, opened = 0, 0, total
        for start in range(size):
            if not edges[begin + start] & _BEGIN or start < free:
                continue
            while first < count and ends[first] <= start:
                first += 1
            longest_here, number_here = 0, np.uint32(0)
            for end in ends[first:count]:
                length = end - start
                if length > longest:
                    break
                if length == 1 and data[begin + start] == _SPACE:
                    continue
                h = _mixed(sums[end] - sums[start] * powers[length], length)
                if not _holds(leads, h):
                    break
                bucket = np.int64(h >> shift)
                for place in range(buckets[bucket], buckets[bucket + 1]):
                    other = np.int64(slots[place, 1])
                    if slots[place, 0] != h or np.int64(slots[place + 1, 1]) - other != length:
                        continue
                    number = np.uint32(slots[place, 2])
                    same = True
                    for k in range(length):
                        if data[begin + start + k] != phrases[other + k]:
                            same = False
                            break
                    if not same:
                        continue
                    if once:
                        made = _grown(made, total)
                        made[total] = number
                        total += 1
                    elif length > longest_here:
                        longest_here, number_here = length, number
            if longest_here:
                made = _grown(made, total)
                made[total] = number_here
                total += 1
                free = start + longest_here - 1  # the space behind it may be the one before the next
        if once and total - opened > 1:
            made[opened:total] = np.sort(made[opened:total])
            kept = opened + 1
            for k in range(opened + 1, total):
                if made[k] != made[kept - 1]:
                    made[kept] = made[k]
                    kept += 1
            total = kept
        firsts[row + 1] = total
    return firsts, made[:total]
