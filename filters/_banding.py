"""Pairs of MinHash signatures that agree in a band, and how alike they are. Memory: see `CODES` and `PAIRS`."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import RecipeError
from curate.grouping import LINK_SCHEMA
from curate.sketches import Sketches
from filters._buffers import flat
from filters._compiled import kernel

Halves = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
Similarities = npt.NDArray[np.float32]

CODES = 1 << 23
"""Codes of bands held at a time, 4 bytes each: with more sketches, fewer bands at a time and more readings of the signatures."""
PAIRS = 1 << 19
"""Candidates held at a time, 8 bytes each."""
TAKEN = 1 << 14
"""Candidates verified at a time: at most twice as many sketches are in memory."""

_ODD = np.uint64(0x9E3779B97F4A7C15)


def linked(sketches: Sketches, bands: int, rows: int, floor: float) -> Iterator[pl.DataFrame]:
    """Links of at least `floor` that agree in one of the bands of this share of the search; see `near_duplicate_text.links`."""
    share, shares = sketches.share
    mine = np.arange(share, bands, shares)
    at_once = max(1, CODES // max(sketches.count, 1))
    held, settled = [np.empty(0, np.uint64)], 0  # pairs that agree in a band before this one were verified, here or in another share
    for first in range(0, mine.size, at_once):
        some = mine[first : first + at_once]
        codes = np.empty((some.size, sketches.count), np.uint32)
        for start, frame in sketches.read(["signature"]):
            band_codes(_signatures(frame, bands, rows), some, rows, codes[:, start : start + frame.height])
        for band in range(some.size):
            for found in candidates(codes[band], sketches.fresh):
                held.append(found[unequal(codes[:band], found)])
                if sum(part.size for part in held) > PAIRS:
                    yield from _verified(sketches, np.unique(np.concatenate(held)), floor, settled, rows)
                    held, settled = held[:1], int(some[band])
    yield from _verified(sketches, np.unique(np.concatenate(held)), floor, settled, rows)


def candidates(codes: Halves, fresh: int) -> Iterator[Words]:
    """Pairs i < j with equal codes and j >= fresh, as i << 32 | j, about PAIRS at a time."""
    packed = codes.astype(np.uint64) << np.uint64(32) | np.arange(codes.size, dtype=np.uint64)
    packed.sort()
    state, out = np.zeros(2, np.int64), np.empty(PAIRS, np.uint64)
    while state[0] < packed.size:
        count = next_pairs(packed, np.uint64(fresh), state, out)
        yield out[:count].copy()


def _verified(sketches: Sketches, pairs: Words, floor: float, settled: int, rows: int) -> Iterator[pl.DataFrame]:
    """The links among the pairs, but for those that agree in one of the first `settled` bands."""
    for first in range(0, pairs.size, TAKEN):
        some = pairs[first : first + TAKEN]
        i, j = (some >> np.uint64(32)).astype(np.int64), (some & np.uint64(0xFFFFFFFF)).astype(np.int64)
        numbers, place = np.unique(np.concatenate([i, j]), return_inverse=True)
        texts = sketches.take(numbers, ["signature", "shingles"])
        signatures = _signatures(texts, settled, rows)
        unsettled = apart(signatures, place[: i.size], place[i.size :], settled, rows)
        i, j, one, other = i[unsettled], j[unsettled], place[: i.size][unsettled], place[i.size :][unsettled]
        if texts["shingles"].null_count():
            alike = shares_of(signatures, one, other)
        else:
            packed, stops = flat(texts["shingles"])
            alike = jaccards_of(packed[stops[0] : stops[-1]].view("<u4"), (stops - stops[0]) // 4, one, other)
        strong = alike >= np.float32(floor)
        yield pl.DataFrame({"i": i[strong], "j": j[strong], "similarity": alike[strong]}, schema=LINK_SCHEMA)


def _signatures(texts: pl.DataFrame, bands: int, rows: int) -> Halves:
    data, offsets = flat(texts["signature"])
    made = data[offsets[0] : offsets[-1]].view("<u4").reshape(texts.height, -1) if texts.height else np.empty((0, bands * rows), np.uint32)
    if made.shape[1] < bands * rows:
        raise RecipeError(
            f"{bands} bands of {rows} rows need {bands * rows} permutations; the signatures have {made.shape[1]}",
            where="near_duplicate_text",
            fix=f"set `permutations: {bands * rows}`, or fewer bands or rows",
        )
    return made


@kernel
def band_codes(signatures: Halves, bands: Indices, rows: int, codes: Halves) -> None:
    """Write a 32-bit hash of every band of every signature into codes[band, text]."""
    for text in range(signatures.shape[0]):
        for band in range(bands.size):
            code = np.uint64(bands[band])
            for k in range(bands[band] * rows, bands[band] * rows + rows):
                code = (code ^ np.uint64(signatures[text, k])) * _ODD
                code ^= code >> np.uint64(29)
            codes[band, text] = np.uint32(code >> np.uint64(32))


@kernel
def next_pairs(packed: Words, fresh: np.uint64, state: Indices, out: Words) -> int:
    """Fill `out` with pairs of `packed` (code << 32 | number, sorted) from state (one, other) on, and say how many; `state` moves on."""
    low, count, size = np.uint64(0xFFFFFFFF), 0, packed.size
    one, other = state[0], state[1]
    while one < size:
        code = packed[one] >> np.uint64(32)
        other = max(other, one + 1)
        if other < size and packed[other] >> np.uint64(32) == code and packed[other] & low < fresh:
            other = np.searchsorted(packed, code << np.uint64(32) | fresh)
        while other < size and packed[other] >> np.uint64(32) == code:
            if count == out.size:
                state[0], state[1] = one, other
                return count
            out[count] = (packed[one] & low) << np.uint64(32) | (packed[other] & low)
            count += 1
            other += 1
        one += 1
        other = 0
    state[0], state[1] = one, other
    return count


@kernel
def unequal(codes: Halves, pairs: Words) -> npt.NDArray[np.bool_]:
    """Whether the two of each pair have no equal code in any of the bands of `codes`, which had them already."""
    found = np.ones(pairs.size, np.bool_)
    for pair in range(pairs.size):
        i, j = pairs[pair] >> np.uint64(32), pairs[pair] & np.uint64(0xFFFFFFFF)
        for band in range(codes.shape[0]):
            if codes[band, i] == codes[band, j]:
                found[pair] = False
                break
    return found


@kernel
def apart(signatures: Halves, i: Indices, j: Indices, bands: int, rows: int) -> npt.NDArray[np.bool_]:
    """Whether signatures i and j agree in none of the first bands."""
    found = np.ones(i.size, np.bool_)
    for pair in range(i.size):
        band = 0
        while found[pair] and band < bands:
            equal = 0
            while equal < rows and signatures[i[pair], band * rows + equal] == signatures[j[pair], band * rows + equal]:
                equal += 1
            found[pair] = equal < rows
            band += 1
    return found


@kernel
def shares_of(signatures: Halves, i: Indices, j: Indices) -> Similarities:
    """The share of equal values in signatures i and j."""
    found = np.empty(i.size, np.float32)
    for pair in range(i.size):
        equal = 0
        for k in range(signatures.shape[1]):
            equal += signatures[i[pair], k] == signatures[j[pair], k]
        found[pair] = np.float32(equal / signatures.shape[1])
    return found


@kernel
def jaccards_of(values: Halves, stops: Indices, i: Indices, j: Indices) -> Similarities:
    """The Jaccard similarity of the ascending sets values[stops[i] : stops[i + 1]] and that of j."""
    found = np.empty(i.size, np.float32)
    for pair in range(i.size):
        a, a_stop, b, b_stop = stops[i[pair]], stops[i[pair] + 1], stops[j[pair]], stops[j[pair] + 1]
        total, shared = (a_stop - a) + (b_stop - b), 0
        while a < a_stop and b < b_stop:
            one, other = values[a], values[b]
            shared += one == other
            a += one <= other
            b += other <= one
        found[pair] = np.float32(shared / (total - shared))
    return found
