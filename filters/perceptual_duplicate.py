"""Images with nearly the same perceptual hash: one picture re-encoded, resized, or changed in brightness, contrast or colour."""

from collections.abc import Iterator
from math import floor as whole

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import row_hash
from curate.grouping import LINK_SCHEMA, grouping
from curate.signal import signal
from curate.sketches import Sketches
from filters._image import ImageError

_TELLING = 50
"""Meta takes no hash of a lower quality into its lists: it says little of its image. Such images are equal only where their pixels are."""
_ALIKE = 1 - 31 / 256

_AT_ONCE = 1 << 16  # candidates whose colours are in memory

_WRITES = {"key": pl.Binary, "hash": pl.Binary, "quality": pl.UInt8, "colours": pl.Binary}

Indices = npt.NDArray[np.int64]


@signal(version=1, reads=["image"], writes=_WRITES, uses=["numba", "pillow"])
def sketch(batch: pl.DataFrame) -> pl.DataFrame:
    """An image's PDQ hash, 32 bytes (in hex, the digest that other tools and published lists of hashes have), and its `quality`, 0 to 100.

    Meta, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (2019). Images of more than 512 px are hashed as they
    are, not made smaller first. `colours`: the mean ones of 4 x 4 parts, 48 bytes RGB. The key is made of hash and colours; below quality
    50, as of blank pages, of the pixels. Errors: those of decoding (not_an_image, too_large, truncated_image, broken_image).
    """
    return pl.DataFrame([_row(data) for data in batch["image"]], schema={**_WRITES, "error": pl.String}, orient="row")


def links(sketches: Sketches, *, quality: int = 50, colours: float = 255.0, floor: float = _ALIKE) -> Iterator[pl.DataFrame]:
    """Every pair whose hashes differ in at most 256 (1 - `floor`) of their 256 bits; the similarity is the share of equal bits.

    Meta's distance for a match is 31, similarity .8789, which is the default; unrelated images are 128 apart. Every such pair is found,
    see `filters/_hamming.py`; a floor of .816 (47 bits) takes up to 8 times as long, .753 (63) 40 times. Images of a lower `quality` are no
    candidates. Hashes see no colours: `colours` is how far apart the mean ones of 4 x 4 parts may be (root of the mean squared difference,
    of 255). Re-encoded copies lie below 4, darker and grey ones far above; with 8, pictures that differ in nothing else are two, and the
    hash may be loose and the quality low. Memory holds 110 bytes an image, however many pairs there are.
    """
    from filters._hamming import Hashes, near

    numbers, hashes = [np.empty(0, np.uint32)], [np.empty(0, np.uint8)]
    for start, frame in sketches.read(["hash", "quality"]):
        there = np.flatnonzero((frame["quality"] >= quality).fill_null(False).to_numpy())
        numbers.append((start + there).astype(np.uint32))
        hashes.append(np.frombuffer(b"".join(frame["hash"].gather(there).to_list()), np.uint8))
    every = np.concatenate(numbers)
    given = Hashes(np.concatenate(hashes).view("<u8").reshape(every.size, 4), every, int(np.searchsorted(every, sketches.fresh)))
    for pairs, distances in near(given, whole(256 * (1 - floor) + 1e-6), sketches.share):
        order = np.argsort(pairs)
        for first in range(0, order.size, _AT_ONCE):
            some = order[first : first + _AT_ONCE]
            i, j = pairs[some] >> np.uint64(32), pairs[some] & np.uint64(0xFFFFFFFF)
            alike = (256 - distances[some].astype(np.float32)) / np.float32(256)
            found = pl.DataFrame({"i": i.astype(np.uint32), "j": j.astype(np.uint32), "similarity": alike}, schema=LINK_SCHEMA)
            yield found if colours >= 255 else found.filter(_coloured(sketches, i.astype(np.int64), j.astype(np.int64), colours))


perceptual_duplicate = grouping("perceptual_duplicate", version=1, sketch=sketch, links=links, threshold=_ALIKE)


def _coloured(sketches: Sketches, i: Indices, j: Indices, colours: float) -> pl.Series:
    """Whether the two of each pair have like colours."""
    from filters._pdq import COLOURS, apart

    numbers, place = np.unique(np.concatenate([i, j]), return_inverse=True)
    data = b"".join(sketches.take(numbers, ["colours"])["colours"].to_list())
    held = np.frombuffer(data, np.uint8).reshape(-1, COLOURS)
    return pl.Series(apart(held[place[: i.size]], held[place[i.size :]]) <= colours)


def _row(data: bytes | None) -> tuple[bytes | None, bytes | None, int | None, bytes | None, str | None]:
    from filters._pdq import told  # loads a compiler, which no plan needs

    if data is None:
        return None, None, None, None, None
    try:
        own = told(data)
    except ImageError as error:
        return None, None, None, None, error.code
    parts = [b"pdq", own.hash, own.colours] if own.quality >= _TELLING else [b"pixels", own.pixels]
    return row_hash(parts), own.hash, own.quality, own.colours, None
