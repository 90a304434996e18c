"""Every pair of hashes of 256 bits within a distance, each once, found without looking at all pairs. Memory: see `near`."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from filters._compiled import kernel, ones

CHUNKS, WIDTH = 16, 16
_WORDS = CHUNKS * WIDTH // 64
FOUND = 1 << 18
"""Pairs handed over at a time, 9 bytes each."""

Words = npt.NDArray[np.uint64]
Halves = npt.NDArray[np.uint16]
Indices = npt.NDArray[np.int64]


class Hashes(NamedTuple):
    """n hashes: `words` (n, 4); `numbers` (n,), ascending, what they are called; `known`: so many come first that are paired with later
    ones only."""

    words: Words
    numbers: npt.NDArray[np.uint32]
    known: int


def near(hashes: Hashes, bits: int, share: tuple[int, int]) -> Iterator[tuple[Words, npt.NDArray[np.uint8]]]:
    """Pairs at most `bits` apart, as i << 32 | j with i < j, and their distances, in this share of the search; no pair twice in any.

    Multi-index hashing (Norouzi, Punjani, Fleet, arXiv 1307.2982): were each of the 16 chunks of 16 bits further apart than its radius,
    and the radii and 16 together more than `bits`, the whole would be too. So for every chunk those are compared that are within its
    radius there, and a pair belongs to its first such chunk. Of n random hashes that is a share of 1/240 of all pairs at 31 bits, 1/30 at
    47, 1/6 at 63. Memory holds 72 bytes a hash besides those given, whatever there is to find.
    """
    reach = radii(bits)
    for chunk in range(share[0], CHUNKS, share[1]):
        if reach[chunk] < 0:
            continue
        codes = hashes.words.view(np.uint16)[:, chunk]
        order = np.argsort(codes, kind="stable")
        begins = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=1 << WIDTH))])
        news = begins[:-1] + np.bincount(codes[: hashes.known], minlength=1 << WIDTH)
        given = (hashes.words[order], order, codes[order], begins, news)
        state, pairs, distances = np.zeros(3, np.int64), np.empty(FOUND, np.uint64), np.empty(FOUND, np.uint8)
        while state[0] < order.size:
            count = next_near(*given, masks(int(reach[chunk])), reach[:chunk], hashes.known, bits, state, pairs, distances)
            low, high = (pairs[:count] & np.uint64(0xFFFFFFFF)).astype(np.int64), (pairs[:count] >> np.uint64(32)).astype(np.int64)
            if count:
                yield hashes.numbers[high].astype(np.uint64) << np.uint64(32) | hashes.numbers[low], distances[:count].copy()


def radii(bits: int) -> Indices:
    """How far apart two hashes may be in each chunk to be compared: -1 where that chunk is not needed."""
    every, more = divmod(bits + 1, CHUNKS)
    return np.array([every - 1 + (chunk < more) for chunk in range(CHUNKS)], np.int64)


def masks(radius: int) -> Halves:
    """All codes of at most `radius` bits, fewest first."""
    found = [sum(1 << bit for bit in bits) for size in range(radius + 1) for bits in itertools.combinations(range(WIDTH), size)]
    return np.array(found, np.uint16)


@kernel
def next_near(
    words: Words,
    order: Indices,
    codes: Halves,
    begins: Indices,
    news: Indices,
    near_codes: Halves,
    before: Indices,
    known: int,
    bits: int,
    state: Indices,
    pairs: Words,
    distances: npt.NDArray[np.uint8],
) -> int:
    """Fill `pairs` and `distances` with those found from `state` (place, mask, other place) on, and say how many; `state` moves on.

    `words` and `codes` lie in the order of the codes, which is `order`; those of code c begin at begins[c], the new ones among them at
    news[c]. `before` are the radii of the chunks before this one.
    """
    count, place, mask, other = 0, state[0], state[1], state[2]
    while place < order.size:
        old = order[place] < known
        one, two, three, four = words[place, 0], words[place, 1], words[place, 2], words[place, 3]
        while mask < near_codes.size:
            code = codes[place] ^ near_codes[mask]
            if code >= codes[place]:
                first = news[code] if old else begins[code]
                other = max(other, first, place + 1) if code == codes[place] else max(other, first)
                while other < begins[code + 1]:
                    apart = ones(one ^ words[other, 0]) + ones(two ^ words[other, 1])
                    apart += ones(three ^ words[other, 2]) + ones(four ^ words[other, 3])
                    if apart <= bits:
                        earlier = False
                        for chunk in range(before.size):
                            differ = (words[place, chunk >> 2] ^ words[other, chunk >> 2]) >> np.uint64(16 * (chunk & 3)) & np.uint64(
                                0xFFFF
                            )
                            if ones(differ) <= before[chunk]:
                                earlier = True
                                break
                        if not earlier:
                            if count == pairs.size:
                                state[0], state[1], state[2] = place, mask, other
                                return count
                            low, high = min(order[place], order[other]), max(order[place], order[other])
                            pairs[count] = np.uint64(low) << np.uint64(32) | np.uint64(high)
                            distances[count] = np.uint8(apart)
                            count += 1
                    other += 1
            mask += 1
            other = 0
        place += 1
        mask = 0
    state[0], state[1], state[2] = place, mask, other
    return count


@kernel
def nearest(words: Words, own: Words, bits: int, found: Indices) -> tuple[int, int, int]:
    """Of n hashes (n, 4): which is nearest to `own`, of equal ones the first, its distance, and how many are within `bits`: these, in
    order, are written into `found` (n,). -1 and 256 where n is 0."""
    best, least, count = -1, 256, 0
    one, two, three, four = own[0], own[1], own[2], own[3]
    for i in range(words.shape[0]):
        apart = ones(one ^ words[i, 0]) + ones(two ^ words[i, 1]) + ones(three ^ words[i, 2]) + ones(four ^ words[i, 3])
        if apart <= bits:
            found[count] = i
            count += 1
        if apart < least or best < 0:
            best, least = i, apart
    return best, least, count
