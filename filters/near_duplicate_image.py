"""Images that show the same picture, though not in the same bytes: re-encoded, resized, slightly noised or shifted."""

import functools
import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
from PIL import Image

from curate.digest import row_hash
from curate.grouping import LINK_SCHEMA, grouping
from curate.signal import signal
from curate.sketches import Sketches
from filters._image import ImageError, decode

_GRID = 64
_INNER = _GRID - 2
_THUMBNAIL = 16
_SHIFTS = [(y, x) for y in (1, 0, 2) for x in (1, 0, 2)]  # the first is the unshifted window
_SCALE = 4096
_STABLE = (0.03 * 255) ** 2
_PAIRS_AT_ONCE = 1 << 20
_AT_ONCE = 1 << 16  # candidates whose thumbnails, 768 bytes each, are in memory
_COMPARED = 2048

Indices = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Similarities = npt.NDArray[np.float32]


@signal(version=1, reads=["image"], writes={"key": pl.Binary, "hashes": pl.Binary, "thumbnail": pl.Binary}, uses=["pillow"])
def sketch(batch: pl.DataFrame) -> pl.DataFrame:
    """A perceptual hash with its eight shifted versions, and a thumbnail.

    Luminance, reduced by area to 64 x 64, is seen through nine 62 x 62 windows, one for each shift of -1, 0, +1 cells; each window gives
    the 64-bit hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), ch. 3: the signs of its 8 x 8
    lowest frequencies of the discrete cosine transform against their median. `hashes`: nine little-endian uint64, the
    unshifted first. `thumbnail`: 16 x 16 RGB bytes, reduced by area. All arithmetic is exact, so a row never depends on its mates.
    Errors: those of decoding (not_an_image, too_large, truncated_image, broken_image).
    """
    made = [_reduced(data) for data in batch["image"]]
    grids = (
        np.stack([grid for grid, _, _ in made if grid is not None]) if any(m[0] is not None for m in made) else np.empty((0, _GRID, _GRID))
    )
    hashes = iter(_hashes(grids))
    rows = [_row(None if grid is None else next(hashes), thumbnail, error) for grid, thumbnail, error in made]
    return pl.DataFrame(rows, schema={"key": pl.Binary, "hashes": pl.Binary, "thumbnail": pl.Binary, "error": pl.String}, orient="row")


def links(sketches: Sketches, *, bits: int = 6, floor: float = 0.8) -> Iterator[pl.DataFrame]:
    """Pairs whose hashes, one of them shifted or not, differ in at most `bits` bits, with the similarity of their thumbnails.

    Candidates are found exactly: of bits + 1 bands of the 64, one must be equal. See `likeness` for the similarity, in [0, 1]. Memory holds
    72 bytes an image and the candidates; thumbnails stay where they are.
    """
    packed = [data for _, frame in sketches.read(["hashes"]) for data in frame["hashes"].to_list()]
    hashes = np.frombuffer(b"".join(packed), "<u8").reshape(-1, len(_SHIFTS))
    i, j = _candidates(hashes, sketches.fresh, bits, sketches.share)
    for first in range(0, i.size, _AT_ONCE):
        one, other = i[first : first + _AT_ONCE], j[first : first + _AT_ONCE]
        numbers, place = np.unique(np.concatenate([one, other]), return_inverse=True)
        pixels = b"".join(sketches.take(numbers, ["thumbnail"])["thumbnail"].to_list())
        thumbnails = np.frombuffer(pixels, np.uint8).reshape(-1, _THUMBNAIL, _THUMBNAIL, 3)
        alike = np.empty(one.size, np.float32)
        for start in range(0, one.size, _COMPARED):
            some = slice(start, start + _COMPARED)
            alike[some] = likeness(thumbnails[place[: one.size][some]], thumbnails[place[one.size :][some]])
        strong = alike >= np.float32(floor)
        yield pl.DataFrame({"i": one[strong], "j": other[strong], "similarity": alike[strong]}, schema=LINK_SCHEMA)


near_duplicate_image = grouping("near_duplicate_image", version=2, sketch=sketch, links=links, threshold=0.95)


def likeness(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> Similarities:
    """Similarity in [0, 1] of paired (n, 16, 16, 3) thumbnails: the best over shifts of -1, 0, +1 pixels of their common part's
    2 cov + c / (var + var' + (mean - mean')^2 + c) over all pixels and channels, floored at 0.

    This is Lin's concordance correlation (Biometrics 45, 1989), which unlike Pearson's falls when brightness or contrast differ, with
    the stabilising constant of SSIM (Wang et al. 2004), c = (0.03 * 255)^2, so that noise on a flat image is not read as structure.
    Sums are of integers, hence exact, and a pair's similarity never depends on which pairs are measured with it.
    """
    best = np.zeros(len(one), np.float64)
    for y in (-1, 0, 1):
        for x in (-1, 0, 1):
            np.maximum(best, _concordance(_part(one, y, x), _part(other, -y, -x)), out=best)
    return best.astype(np.float32)


def _part(images: npt.NDArray[np.uint8], y: int, x: int) -> npt.NDArray[np.int64]:
    rows, columns = slice(max(y, 0), _THUMBNAIL + min(y, 0)), slice(max(x, 0), _THUMBNAIL + min(x, 0))
    return images[:, rows, columns].reshape(len(images), -1).astype(np.int64)


def _concordance(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    n = a.shape[1]
    sum_a, sum_b = a.sum(1), b.sum(1)
    covariance = n * np.einsum("ij,ij->i", a, b) - sum_a * sum_b
    spread = n * (np.einsum("ij,ij->i", a, a) + np.einsum("ij,ij->i", b, b)) - sum_a**2 - sum_b**2 + (sum_a - sum_b) ** 2
    floor = _STABLE * n * n
    concordance: npt.NDArray[np.float64] = (2.0 * covariance + floor) / (spread + floor)
    return concordance


def _candidates(hashes: Words, fresh: int, bits: int, share: tuple[int, int]) -> tuple[Indices, Indices]:
    """Pairs i < j, j >= fresh, of which one's plain hash is within `bits` of some version of the other's, in this share of the bands."""
    plain, every = hashes[:, 0], np.arange(len(hashes), dtype=np.int64)
    known, new = every[:fresh], every[fresh:]
    parts = [
        *_within(_versions(hashes, new), (plain, every), bits, share),
        *_within(_versions(hashes, known), (plain[new], new), bits, share),
    ]
    return _distinct(parts, len(hashes))


def _distinct(parts: list[tuple[Indices, Indices]], count: int) -> tuple[Indices, Indices]:
    """The unordered pairs (i < j) among `count` rows that occur in any part, once each, without pairs of a row with itself."""
    codes = [np.unique(np.minimum(i, j) * count + np.maximum(i, j)) for i, j in parts]
    every = np.unique(np.concatenate(codes)) if codes else np.empty(0, np.int64)
    first, second = np.divmod(every, max(count, 1))
    apart = first != second
    return first[apart], second[apart]


def _versions(hashes: Words, rows: Indices) -> tuple[Words, Indices]:
    """The distinct hashes of each row, with the row they belong to."""
    ordered = np.sort(hashes[rows], axis=1)
    first = np.ones(ordered.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return ordered[first], np.repeat(rows, first.sum(1))


def _within(left: tuple[Words, Indices], right: tuple[Words, Indices], bits: int, share: tuple[int, int]) -> list[tuple[Indices, Indices]]:
    """Row pairs whose hashes differ in at most `bits` bits: by the pigeonhole principle one of bits + 1 bands is then equal."""
    edges = np.linspace(0, 64, bits + 2).astype(int)
    found = []
    for low, high in list(itertools.pairwise(edges.tolist()))[share[0] :: share[1]]:
        mask = np.uint64((1 << (high - low)) - 1)
        for i, j in _equal_pairs(left[0] >> np.uint64(low) & mask, right[0] >> np.uint64(low) & mask):
            near = np.bitwise_count(left[0][i] ^ right[0][j]) <= bits
            found.append((left[1][i[near]], right[1][j[near]]))
    return found


def _equal_pairs(left: Words, right: Words) -> Iterator[tuple[Indices, Indices]]:
    """Every (i, j) with left[i] == right[j], about a million at a time, so that one huge bucket never fills memory."""
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    start = np.searchsorted(ordered, left, "left").astype(np.int64)
    count = np.searchsorted(ordered, left, "right") - start
    ends = np.cumsum(count)
    total = int(ends[-1]) if ends.size else 0
    for first in range(0, total, _PAIRS_AT_ONCE):
        at = np.arange(first, min(first + _PAIRS_AT_ONCE, total), dtype=np.int64)
        i = np.searchsorted(ends, at, "right").astype(np.int64)
        j = order[start[i] + at - (ends[i] - count[i])]
        yield i, j


def _reduced(data: bytes | None) -> tuple[npt.NDArray[np.float64] | None, bytes | None, str | None]:
    """Luminance grid, thumbnail bytes, error code."""
    if data is None:
        return None, None, None
    try:
        image = decode(data)
    except ImageError as error:
        return None, None, error.code
    grid = np.asarray(image.convert("L").resize((_GRID, _GRID), Image.Resampling.BOX), np.float64)
    return grid, image.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX).tobytes(), None


def _row(hashes: Words | None, thumbnail: bytes | None, error: str | None) -> tuple[bytes | None, bytes | None, bytes | None, str | None]:
    if hashes is None or thumbnail is None:
        return None, None, None, error
    packed = hashes.astype("<u8").tobytes()
    return row_hash([packed, thumbnail]), packed, thumbnail, None


def _hashes(grids: npt.NDArray[np.float64]) -> Words:
    """(n, 64, 64) luminance to (n, 9) hashes. Integers below 2^53 throughout: float64 products and sums are exact in any order."""
    basis, versions = _cosines(), []
    for y, x in _SHIFTS:
        window = grids[:, y : y + _INNER, x : x + _INNER]
        low = (basis @ window @ basis.T).reshape(-1, 64)
        ordered = np.sort(low, axis=1)
        median_twice = ordered[:, 31:32] + ordered[:, 32:33]
        versions.append(np.packbits(2.0 * low > median_twice, axis=1).view(">u8")[:, 0])
    return np.stack(versions, axis=1).astype(np.uint64)


@functools.cache
def _cosines() -> npt.NDArray[np.float64]:
    """The 8 lowest rows of the discrete cosine transform (DCT-II), as integers."""
    frequency, place = np.arange(8)[:, None], np.arange(_INNER)[None]
    return np.asarray(np.rint(_SCALE * np.cos(np.pi * frequency * (2 * place + 1) / (2 * _INNER))), np.float64)
