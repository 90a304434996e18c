"""Images that show the same picture, though not in the same bytes: re-encoded, resized, slightly noised or shifted."""

import functools
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
_AT_ONCE = 1 << 16  # candidates whose thumbnails, 768 bytes each, are in memory
_COMPARED = 2048

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
    100 bytes an image and the thumbnails of some candidates, however many there are.
    """
    from filters._shifted import near  # loads a compiler, which no plan needs

    packed = [data for _, frame in sketches.read(["hashes"]) for data in frame["hashes"].to_list()]
    hashes = np.frombuffer(b"".join(packed), "<u8").reshape(-1, len(_SHIFTS))
    for pairs in near(hashes, sketches.fresh, bits, sketches.share):
        pairs.sort()
        for first in range(0, pairs.size, _AT_ONCE):
            yield _verified(sketches, pairs[first : first + _AT_ONCE], floor)


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


def _verified(sketches: Sketches, pairs: Words, floor: float) -> pl.DataFrame:
    """Those of the pairs i << 32 | j whose thumbnails are alike."""
    i, j = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
    numbers, place = np.unique(np.concatenate([i, j]), return_inverse=True)
    pixels = b"".join(sketches.take(numbers, ["thumbnail"])["thumbnail"].to_list())
    thumbnails = np.frombuffer(pixels, np.uint8).reshape(-1, _THUMBNAIL, _THUMBNAIL, 3)
    alike = np.empty(i.size, np.float32)
    for start in range(0, i.size, _COMPARED):
        some = slice(start, start + _COMPARED)
        alike[some] = likeness(thumbnails[place[: i.size][some]], thumbnails[place[i.size :][some]])
    strong = alike >= np.float32(floor)
    return pl.DataFrame({"i": i[strong], "j": j[strong], "similarity": alike[strong]}, schema=LINK_SCHEMA)


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
