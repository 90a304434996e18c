"""Every pair of images of which one's hash is near some shifted version of the other's, each once. Memory: see `near`."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from filters._compiled import kernel, ones

FOUND = 1 << 18
"""Pairs handed over at a time, 8 bytes each."""
_BUCKETS = 16

Words = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

_ODD = np.uint64(0x9E3779B97F4A7C15)


def near(hashes: Words, fresh: int, bits: int, share: tuple[int, int]) -> Iterator[Words]:
    """Pairs as i << 32 | j with i < j and j >= fresh, in this share of the search; no pair twice in any.

    `hashes` (n, versions): a pair is near where some version of one and the first of the other differ in at most `bits` bits. By the
    pigeonhole principle one of bits + 1 bands of the 64 is then equal, and a pair belongs to its first such band and version. Memory
    holds 24 bytes an image besides the hashes, whatever there is to find.
    """
    edges = np.linspace(0, 64, bits + 2).astype(np.int64)
    plain = np.ascontiguousarray(hashes[:, 0])
    for band in range(share[0], edges.size - 1, share[1]):
        low, high = np.uint64(edges[band]), np.uint64(edges[band + 1])
        codes = buckets(plain, low, high)
        order = np.argsort(codes, kind="stable")
        begins = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=1 << _BUCKETS))])
        news = begins[:-1] + np.bincount(codes[:fresh], minlength=1 << _BUCKETS)
        state, out = np.zeros(3, np.int64), np.empty(FOUND, np.uint64)
        while state[0] < len(hashes):
            count = next_near(hashes, plain[order], order, begins, news, edges, band, fresh, bits, state, out)
            if count:
                yield out[:count].copy()


@kernel
def part(word: np.uint64, low: np.uint64, high: np.uint64) -> np.uint64:
    """The bits low .. high - 1."""
    if low == high:  # more bands than bits
        return np.uint64(0)
    return word << (np.uint64(64) - high) >> (np.uint64(64) - high + low)


@kernel
def bucket(word: np.uint64, low: np.uint64, high: np.uint64) -> np.int64:
    """Where words with these bits low .. high - 1 lie."""
    code = part(word, low, high)
    if high - low > np.uint64(_BUCKETS):
        code = code * _ODD >> np.uint64(64 - _BUCKETS)
    return np.int64(code)


@kernel
def buckets(words: Words, low: np.uint64, high: np.uint64) -> Indices:
    """`bucket` of each."""
    found = np.empty(words.size, np.int64)
    for i in range(words.size):
        found[i] = bucket(words[i], low, high)
    return found


@kernel
def is_first(hashes: Words, i: int, version: int, j: int, band: int, edges: Indices, bits: int) -> bool:
    """Whether no earlier band, image or version finds the two: version of i and the first of j, which are near, in this band."""
    low, high = min(i, j), max(i, j)
    earliest, found_by, found_as = edges.size, i, version
    for side in range(2):
        one, other = (low, high) if side == 0 else (high, low)
        for at in range(hashes.shape[1]):
            differ = hashes[one, at] ^ hashes[other, 0]
            if ones(differ) > bits:
                continue
            for early in range(min(earliest, edges.size - 1)):
                if part(differ, np.uint64(edges[early]), np.uint64(edges[early + 1])) == np.uint64(0):
                    earliest, found_by, found_as = early, one, at
                    break
    return earliest == band and found_by == i and found_as == version


@kernel
def next_near(
    hashes: Words,
    plain: Words,
    order: Indices,
    begins: Indices,
    news: Indices,
    edges: Indices,
    band: int,
    fresh: int,
    bits: int,
    state: Indices,
    out: Words,
) -> int:
    """Fill `out` with the pairs of a band from `state` (image, version, place) on, and say how many; `state` moves on.

    `plain` are the first versions in the order of their buckets, which is `order`; those of bucket b begin at begins[b], the fresh ones
    at news[b].
    """
    low, high = np.uint64(edges[band]), np.uint64(edges[band + 1])
    count, i, version, place = 0, state[0], state[1], state[2]
    while i < hashes.shape[0]:
        while version < hashes.shape[1]:
            own = hashes[i, version]
            at = bucket(own, low, high)
            place = max(place, news[at] if i < fresh else begins[at])
            while place < begins[at + 1]:
                j = order[place]
                if j != i and ones(own ^ plain[place]) <= bits and is_first(hashes, i, version, j, band, edges, bits):
                    if count == out.size:
                        state[0], state[1], state[2] = i, version, place
                        return count
                    out[count] = np.uint64(min(i, j)) << np.uint64(32) | np.uint64(max(i, j))
                    count += 1
                place += 1
            version += 1
            place = 0
        i += 1
        version = 0
    state[0], state[1], state[2] = i, version, place
    return count
