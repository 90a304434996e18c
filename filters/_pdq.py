"""PDQ: 256 bits of an image that re-encoding and resizing hardly change, and how much there is in it to go by."""

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from curate.digest import row_hash
from filters._compiled import kernel
from filters._image import decode

BITS = 256
BYTES = BITS // 8
COLOURS = 4 * 4 * 3
"""Bytes of an image's mean colours in 4 x 4 parts: too coarse to show anything."""
_SIDE, _LOW = 64, 16
_LEAST = 5
"""Images with a shorter side have no hash of any worth: the reference gives them none."""

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Told(NamedTuple):
    """What tells an image from others: a digest of its pixels, its PDQ hash and that one's quality, and its colours."""

    pixels: bytes
    hash: bytes
    quality: int
    colours: bytes


def told(data: bytes) -> Told:
    """Of an encoded image. Raises ImageError."""
    image = decode(data)
    pixels = np.asarray(image)
    digest = row_hash([b"pixels", str(pixels.shape).encode(), pixels.tobytes()])
    return Told(digest, *pdq(pixels), image.resize((4, 4), Image.Resampling.BOX).tobytes())


def apart(one: Bytes, other: Bytes) -> npt.NDArray[np.float32]:
    """How far apart the colours (n, 48) of two are: the root of the mean squared difference, 0 to 255."""
    difference = one.astype(np.int64) - other.astype(np.int64)
    return np.asarray(np.sqrt((difference * difference).sum(axis=-1) / COLOURS), np.float32)


def pdq(pixels: Bytes) -> tuple[bytes, int]:
    """The hash of (height, width, 3) RGB pixels, 32 bytes, and its quality, 0 to 100.

    Meta's PDQ ("The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019; ThreatExchange): luminance under a tent
    filter at 64 x 64 places, the signs of its 16 x 16 lowest frequencies but the constant ones against their lower median. The bytes in
    hex are the digest as it is usually written. The quality is the sum of its steps of 1/100 of the range at least between neighbours
    of the 64 x 64, over 90: below 50, Meta's own lists take no hash. A side below 5 px gives zeros and quality 0. The two filters and the
    choice of places are one linear map of rows and one of columns; sums are of 64 bits in a fixed order, where the reference's have 32.
    """
    height, width, _ = pixels.shape
    if min(height, width) < _LEAST:
        return bytes(BYTES), 0
    coarse = np.empty((_SIDE, _SIDE))
    if height == width == _SIDE:
        luminances(pixels, coarse)
    else:
        coarsened(pixels, *_tents(height), *_tents(width), coarse)
    low, quality = frequencies(coarse, _cosines())
    values = low.ravel()
    bits = values > np.partition(values, BITS // 2 - 1)[BITS // 2 - 1]
    return np.packbits(bits[::-1]).tobytes(), quality


@kernel
def luminances(pixels: Bytes, out: Floats) -> None:
    """The luminance of every pixel, 0 to 255."""
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            red, green, blue = np.float64(pixels[y, x, 0]), np.float64(pixels[y, x, 1]), np.float64(pixels[y, x, 2])
            out[y, x] = 0.299 * red + 0.587 * green + 0.114 * blue


@kernel
def coarsened(pixels: Bytes, rows: Indices, row_weights: Floats, columns: Indices, column_weights: Floats, out: Floats) -> None:
    """Write the (64, 64) weighted means: those of place i begin at line rows[i] and have the weights row_weights[i], and so for columns."""
    height, width, _ = pixels.shape
    luminance, line = np.empty((row_weights.shape[1], width)), np.empty(width)
    held = 0  # lines below this one have been taken; the ring holds as many as a place needs
    for i in range(rows.size):
        stop = min(rows[i] + row_weights.shape[1], height)
        held = max(held, rows[i])
        while held < stop:
            own = luminance[held % luminance.shape[0]]
            for x in range(width):
                red, green, blue = np.float64(pixels[held, x, 0]), np.float64(pixels[held, x, 1]), np.float64(pixels[held, x, 2])
                own[x] = 0.299 * red + 0.587 * green + 0.114 * blue
            held += 1
        line[:] = 0.0
        for y in range(rows[i], stop):
            weight, own = row_weights[i, y - rows[i]], luminance[y % luminance.shape[0]]
            for x in range(width):
                line[x] += weight * own[x]
        for j in range(columns.size):
            total = 0.0
            for x in range(columns[j], min(columns[j] + column_weights.shape[1], width)):
                total += column_weights[j, x - columns[j]] * line[x]
            out[i, j] = total


@kernel
def frequencies(coarse: Floats, cosines: Floats) -> tuple[Floats, int]:
    """The (16, 16) lowest frequencies of (64, 64) luminances, and the quality."""
    steps, side = 0, coarse.shape[0]
    for i in range(side):
        for j in range(side):
            if i + 1 < side:
                steps += abs(int((coarse[i, j] - coarse[i + 1, j]) * 100.0 / 255.0))
            if j + 1 < side:
                steps += abs(int((coarse[i, j] - coarse[i, j + 1]) * 100.0 / 255.0))
    lines, low = np.zeros((cosines.shape[0], side)), np.empty((cosines.shape[0], cosines.shape[0]))
    for i in range(cosines.shape[0]):
        for k in range(side):
            for j in range(side):
                lines[i, j] += cosines[i, k] * coarse[k, j]
    for i in range(cosines.shape[0]):
        for j in range(cosines.shape[0]):
            total = 0.0
            for k in range(side):
                total += lines[i, k] * cosines[j, k]
            low[i, j] = total
    return low, min(steps // 90, 100)


@functools.lru_cache(maxsize=512)
def _tents(length: int) -> tuple[Indices, Floats]:
    """Where each of 64 places begins in a line of `length` values, and their weights (64, most): two means over a window of
    (length + 127) // 128 values, cut off at the ends, one after the other."""
    window = (length + 2 * _SIDE - 1) // (2 * _SIDE)
    before, after = window - (window + 2) // 2, (window + 2) // 2  # the window of place x is x - before .. x + after - 1
    places = ((np.arange(_SIDE) + 0.5) * length / _SIDE).astype(np.int64)
    starts = np.maximum(places - 2 * before, 0)
    weights = np.zeros((_SIDE, 2 * window - 1))
    for i, place in enumerate(places.tolist()):
        outer = range(max(place - before, 0), min(place + after, length))
        for middle in outer:
            inner = slice(max(middle - before, 0) - starts[i], min(middle + after, length) - starts[i])
            weights[i, inner] += 1.0 / (len(outer) * (inner.stop - inner.start))
    return starts, weights


@functools.cache
def _cosines() -> Floats:
    """Rows 1 to 16 of the discrete cosine transform of 64 values (DCT-II), to 32 bits: machines' cosines differ in their last ones."""
    frequency, place = np.arange(1, _LOW + 1)[:, None], np.arange(_SIDE)[None]
    exact = np.sqrt(2.0 / _SIDE) * np.cos(np.pi / (2 * _SIDE) * frequency * (2 * place + 1))
    return np.asarray(np.rint(exact * 2.0**32) / 2.0**32, np.float64)
