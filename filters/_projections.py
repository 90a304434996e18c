"""Pairs of vectors that lie on the same sides of random planes, and their cosines. Memory: see `CODES` and `PAIRS`."""

import functools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import RecipeError
from curate.grouping import LINK_SCHEMA
from curate.sketches import Sketches
from filters._banding import candidates, unequal
from filters._compiled import kernel, ones

CODES = 1 << 25
"""Codes of bands held at a time, 4 bytes each: with more vectors, fewer bands at a time and more readings of the vectors."""
PAIRS = 1 << 20
"""Candidates held at a time, 8 bytes each."""
SIGNS = 512
"""Planes of which every vector's side is held, 64 bytes: what lies on too many different sides is no candidate."""
SURE = 6.0
"""Standard deviations beyond the expected number of different sides that a pair may have."""
_AT_ONCE, _TILE = 2048, 13
_SCALE = np.float32(2.0**15)

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


def linked(sketches: Sketches, bands: int, rows: int, seed: int, floor: float) -> Iterator[pl.DataFrame]:
    """Links of at least `floor` that agree in one of the bands of this share of the search; see `near_duplicate_embedding.links`."""
    share, shares = sketches.share
    mine = np.arange(share, bands, shares)
    at_once = max(1, CODES // max(sketches.count, 1))
    signs, allowed = np.zeros((sketches.count, SIGNS // 64), np.uint64), different(floor)
    for first in range(0, mine.size, at_once):
        some = mine[first : first + at_once]
        codes = np.zeros((some.size, sketches.count), np.uint32)
        for start, vectors in _read(sketches):
            every = planes(vectors.shape[1], SIGNS + bands * rows, seed)
            own = every[:, SIGNS:].reshape(-1, bands, rows)[:, some].reshape(-1, some.size * rows)
            for low in range(0, len(vectors), _AT_ONCE):
                part = np.rint(vectors[low : low + _AT_ONCE] * _SCALE)
                place = slice(start + low, start + low + len(part))
                sides(part @ own, rows, codes[:, place])
                if first == 0:
                    packed(part @ every[:, :SIGNS], signs[place])
        held = [np.empty(0, np.uint64)]
        for band in range(some.size):
            for found in candidates(codes[band], sketches.fresh):
                near = found[close(signs, found, allowed)]
                held.append(near[unequal(codes[:band], near)])
                if sum(part.size for part in held) > PAIRS:
                    yield from _verified(sketches, np.concatenate(held), floor)
                    held = held[:1]
        yield from _verified(sketches, np.concatenate(held), floor)


@functools.lru_cache(maxsize=2)
def planes(width: int, count: int, seed: int) -> Floats:
    """Normals of `count` random planes, (width, count): whole numbers of mean 0 and variance 16, the bits set among 64, less 32.

    A vector in units of 2^-15, its length 1, has whole products with them below 2^24 up to a width of 8,192: exact in float32, in
    whatever order they are added up.
    """
    raw = np.random.PCG64(seed).random_raw((count, width))
    return np.ascontiguousarray((np.bitwise_count(raw).astype(np.float32) - 32).T)


def different(floor: float) -> int:
    """On how many of SIGNS sides two vectors of this cosine may differ."""
    share = math.acos(min(max(floor, -1.0), 1.0)) / math.pi
    return math.floor(SIGNS * share + SURE * math.sqrt(SIGNS * share * (1 - share)))


def _read(sketches: Sketches) -> Iterator[tuple[int, Floats]]:
    """(the first one's number, vectors)."""
    width = 0
    for start, frame in sketches.read(["vector"]):
        if not frame.height:
            continue
        vectors = _vectors(frame)
        if width and vectors.shape[1] != width:
            what = f"vectors of {width} and of {vectors.shape[1]} numbers cannot be compared"
            raise RecipeError(what, where="near_duplicate_embedding", fix="give it the features of one model")
        width = vectors.shape[1]
        yield start, vectors


def _vectors(frame: pl.DataFrame) -> Floats:
    data = b"".join(frame["vector"].to_list())
    return np.frombuffer(data, "<f2").reshape(frame.height, -1).astype(np.float32)


def _verified(sketches: Sketches, pairs: Words, floor: float) -> Iterator[pl.DataFrame]:
    """The links among the pairs, tile by tile, so that at most 2^14 vectors are in memory."""
    pairs = np.sort(pairs)
    i, j = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
    tiles = i >> _TILE << 32 | j >> _TILE
    order = np.argsort(tiles, kind="stable")
    edges = np.flatnonzero(np.diff(tiles[order], prepend=-1, append=-1))
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        one, other = i[order[first:last]], j[order[first:last]]
        numbers, place = np.unique(np.concatenate([one, other]), return_inverse=True)
        vectors = _vectors(sketches.take(numbers, ["vector"]))
        alike = cosines(vectors, place[: one.size], place[one.size :])
        strong = alike >= np.float32(floor)
        yield pl.DataFrame({"i": one[strong], "j": other[strong], "similarity": alike[strong]}, schema=LINK_SCHEMA)


@kernel
def sides(products: Floats, rows: int, codes: Halves) -> None:
    """Write the sides of every `rows` planes into codes[band, vector], a bit each."""
    for vector in range(products.shape[0]):
        for band in range(codes.shape[0]):
            code = np.uint32(0)
            for k in range(band * rows, band * rows + rows):
                code = np.uint32(code << np.uint32(1)) | np.uint32(products[vector, k] >= np.float32(0))
            codes[band, vector] = code


@kernel
def packed(products: Floats, signs: Words) -> None:
    """Write the sides of all planes, 64 to a word."""
    for vector in range(products.shape[0]):
        for k in range(products.shape[1]):
            signs[vector, k >> 6] |= np.uint64(products[vector, k] >= np.float32(0)) << np.uint64(k & 63)


@kernel
def close(signs: Words, pairs: Words, allowed: int) -> npt.NDArray[np.bool_]:
    """Whether the two of each pair differ in at most so many signs."""
    found = np.empty(pairs.size, np.bool_)
    for pair in range(pairs.size):
        i, j, apart = pairs[pair] >> np.uint64(32), pairs[pair] & np.uint64(0xFFFFFFFF), np.int64(0)
        for word in range(signs.shape[1]):
            apart += ones(signs[i, word] ^ signs[j, word])
        found[pair] = apart <= allowed
    return found


@kernel
def cosines(vectors: Floats, i: Indices, j: Indices) -> Floats:
    """The cosine of vectors i and j. Of unit vectors of float16 all sums of 64 bits are exact, in any order."""
    lengths = np.empty(vectors.shape[0], np.float64)
    for vector in range(lengths.size):
        total = 0.0
        for k in range(vectors.shape[1]):
            total += np.float64(vectors[vector, k]) * np.float64(vectors[vector, k])
        lengths[vector] = np.sqrt(total)
    found = np.empty(i.size, np.float32)
    for pair in range(i.size):
        one, other = vectors[i[pair]], vectors[j[pair]]
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for k in range(0, one.size - 3, 4):
            a += np.float64(one[k]) * np.float64(other[k])
            b += np.float64(one[k + 1]) * np.float64(other[k + 1])
            c += np.float64(one[k + 2]) * np.float64(other[k + 2])
            d += np.float64(one[k + 3]) * np.float64(other[k + 3])
        for k in range(one.size & ~3, one.size):
            a += np.float64(one[k]) * np.float64(other[k])
        found[pair] = np.float32(min((a + b + c + d) / (lengths[i[pair]] * lengths[j[pair]]), 1.0))
    return found
