"""A linear model over hashed words and pairs of words, compiled: trained by stochastic gradients, scored in whole numbers."""

import numpy as np
import numpy.typing as npt

from filters._buffers import Bytes, Offsets
from filters._characters import ALONE, LIMIT, WORD
from filters._compiled import Number, kernel

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Folded = npt.NDArray[np.uint32]
Gains = npt.NDArray[np.int16]

_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a, 64 bits, a character at a time
_PAIR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
_SCRAMBLE = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3's finaliser


@kernel
def summed(data: Bytes, offsets: Offsets, folded: Folded, kinds: Bytes, gains: Gains, bits: int) -> tuple[Integers, Integers]:
    """For each text the sum of its words' and pairs' gains, of 2^bits, and how many of these it has. Sums of whole numbers are exact."""
    texts = offsets.size - 1
    sums, counts = np.zeros(texts, np.int64), np.zeros(texts, np.int64)
    places = np.empty(2, np.int64)
    for text in range(texts):
        at, before = offsets[text], np.uint64(0)
        while at < offsets[text + 1]:
            at, word = _word(data, at, offsets[text + 1], folded, kinds)
            if word:
                found = _places(word, before, bits, places)
                for i in range(found):
                    sums[text] += gains[places[i]]
                counts[text] += found
                before = word
    return sums, counts


@kernel
def trained(
    data: Bytes, offsets: Offsets, folded: Folded, kinds: Bytes, bits: int, labels: Floats, order: Integers, rate: float
) -> tuple[Floats, float, float]:
    """Weights (2^bits), bias and mean loss of the last quarter, after logistic regression on texts in `order` by AdaGrad.

    `labels`: 1 or 0; a text's features are the means over its words and pairs. Everything runs in one order.
    """
    weights, squares = np.zeros(1 << bits), np.zeros(1 << bits)
    bias, bias_square, loss = 0.0, 0.0, 0.0
    found, places = np.empty(1024, np.int64), np.empty(2, np.int64)
    for step in range(order.size):
        text = order[step]
        at, before, count, total = offsets[text], np.uint64(0), 0, 0.0
        while at < offsets[text + 1]:
            at, word = _word(data, at, offsets[text + 1], folded, kinds)
            if word:
                if count + 2 > found.size:
                    grown = np.empty(2 * found.size, np.int64)
                    grown[:count] = found[:count]
                    found = grown
                for i in range(_places(word, before, bits, places)):
                    found[count] = places[i]
                    total += weights[places[i]]
                    count += 1
                before = word
        if not count:
            continue
        odds = bias + total / count
        wrong = 1.0 / (1.0 + np.exp(-odds)) - labels[text]
        if step >= 3 * order.size // 4:
            loss += np.log1p(np.exp(-abs(odds))) + max(odds, 0.0) - odds * labels[text]
        slope = wrong / count
        for i in range(count):
            place = found[i]
            squares[place] += slope * slope
            weights[place] -= rate * slope / np.sqrt(squares[place])
        if wrong:
            bias_square += wrong * wrong
            bias -= rate * wrong / np.sqrt(bias_square)
    return weights, bias, loss / max(order.size - 3 * order.size // 4, 1)


@kernel
def _word(data: Bytes, at: Number, end: Number, folded: Folded, kinds: Bytes) -> tuple[Number, np.uint64]:
    """The hash of the word that begins here, or 0, and where to go on: after it, or after a character of none."""
    word, length = _BASIS, 0
    while at < end:
        point, size = np.int64(data[at]), 1
        if point >= 0xF0:
            point, size = (point & 0x07) << 18 | (np.int64(data[at + 1]) & 0x3F) << 12, 4
            point |= (np.int64(data[at + 2]) & 0x3F) << 6 | (np.int64(data[at + 3]) & 0x3F)
        elif point >= 0xE0:
            point, size = (point & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F), 3
        elif point >= 0x80:
            point, size = (point & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), 2
        kind = kinds[point] if point < LIMIT else np.uint8(WORD | ALONE)
        if not kind & WORD:
            return (at, word) if length else (at + size, np.uint64(0))
        if kind & ALONE and length:
            return at, word
        letter = np.uint64(folded[point]) if point < LIMIT else np.uint64(point)
        word, length, at = (word ^ letter) * _PRIME, length + 1, at + size
        if kind & ALONE:
            return at, word
    return at, word if length else np.uint64(0)


@kernel
def _places(word: np.uint64, before: np.uint64, bits: int, places: Integers) -> int:
    """Where the word stands among 2^bits, and its pair with the word before if there is one (not 0); how many these are."""
    shift = np.uint64(64 - bits)
    places[0] = np.int64((word ^ (word >> np.uint64(33))) * _SCRAMBLE >> shift)
    if not before:
        return 1
    pair = before * _PAIR + word
    places[1] = np.int64((pair ^ (pair >> np.uint64(33))) * _SCRAMBLE >> shift)
    return 2
