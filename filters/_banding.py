"""Pairs of signatures that agree in a band, verified as they are found; compiled."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from filters._buffers import flat
from filters._compiled import kernel

Halves = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]
Similarities = npt.NDArray[np.float32]
_Array = TypeVar("_Array", Indices, Similarities)

_ODD = np.uint64(0xD6E8FEB86659FD93)


@kernel
def _doubled(values: _Array) -> _Array:
    longer = np.empty(2 * values.size, values.dtype)
    longer[: values.size] = values
    return longer


@kernel
def _jaccard(flat: Halves, i: int, i_stop: int, j: int, j_stop: int) -> np.float32:
    total, shared = i_stop - i + j_stop - j, 0
    while i < i_stop and j < j_stop:
        one, other = flat[i], flat[j]
        shared += one == other
        i += one <= other
        j += other <= one
    return np.float32(shared / (total - shared))


@kernel
def _share(one: Halves, other: Halves) -> np.float32:
    equal = 0
    for k in range(one.size):
        equal += one[k] == other[k]
    return np.float32(equal / one.size)


@kernel
def linked(
    signatures: Halves, first: int, bands: int, rows: int, floor: np.float32, flat: Halves, stops: Indices
) -> tuple[Indices, Indices, Similarities]:
    """Pairs (i, j), j >= first, j > i, that agree in a band and are at least `floor` alike, once each, and how alike they are.

    Likeness: the Jaccard similarity of flat[stops[i] : stops[i + 1]] and that of j; of equal places in their signatures if `stops` is
    empty. A pair is judged at the first band in which it agrees, so that memory holds the pairs found and one band's table.
    """
    count = signatures.shape[0]
    slots = 16
    while slots < 2 * count:
        slots *= 2
    heads, codes, following = np.empty(slots, np.int64), np.empty(slots, np.uint64), np.empty(count, np.int64)
    one, other, alike = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024, np.float32)
    found = 0
    for band in range(bands):
        heads[:] = -1
        begin = band * rows
        for j in range(count):
            code = np.uint64(0)
            for k in range(begin, begin + rows):
                code = (code ^ np.uint64(signatures[j, k])) * _ODD
                code ^= code >> np.uint64(29)
            slot = np.int64(code >> np.uint64(20) & np.uint64(slots - 1))
            while heads[slot] >= 0 and codes[slot] != code:
                slot = (slot + 1) & (slots - 1)
            i = heads[slot] if j >= first else -1
            while i >= 0:
                if _agree_first_in(signatures[i], signatures[j], band, rows):
                    if stops.size:
                        likeness = _jaccard(flat, stops[i], stops[i + 1], stops[j], stops[j + 1])
                    else:
                        likeness = _share(signatures[i], signatures[j])
                    if likeness >= floor:
                        if found == one.size:
                            one, other, alike = _doubled(one), _doubled(other), _doubled(alike)
                        one[found], other[found], alike[found] = i, j, likeness
                        found += 1
                i = following[i]
            following[j], heads[slot], codes[slot] = heads[slot], j, code
    return one[:found], other[:found], alike[:found]


@kernel
def _agree_first_in(one: Halves, other: Halves, band: int, rows: int) -> bool:
    for earlier in range(band + 1):
        agree = True
        for k in range(earlier * rows, earlier * rows + rows):
            if one[k] != other[k]:
                agree = False
                break
        if agree:
            return bool(earlier == band)
    return False


def pairs(texts: pl.DataFrame, fresh: Indices, width: int, banding: tuple[int, int], floor: float) -> tuple[Indices, Indices, Similarities]:
    """The verified pairs among sketches of `width` values, each with one of `fresh` (the last rows) at least."""
    data, offsets = flat(texts["signature"])
    signatures = data[offsets[0] : offsets[-1]].view("<u4").reshape(-1, width)
    shingles, stops = np.empty(0, np.uint32), np.empty(0, np.int64)
    if texts.height and texts["shingles"].null_count() == 0:
        packed, stops = flat(texts["shingles"])
        shingles, stops = packed[stops[0] : stops[-1]].view("<u4"), (stops - stops[0]) // 4
    return linked(signatures, texts.height - fresh.size, *banding, np.float32(floor), shingles, stops)
