"""Images with nearly the same perceptual hash: one picture re-encoded, resized, or changed in brightness, contrast or colour."""

from collections.abc import Iterator
from math import floor as whole

import numpy as np
import polars as pl

from curate.digest import row_hash
from curate.grouping import LINK_SCHEMA, grouping
from curate.signal import signal
from curate.sketches import Sketches
from filters._image import ImageError, decode

_TELLING = 50
"""Meta takes no hash of a lower quality into its lists: it says little of its image. Such images are equal only where their pixels are."""
_ALIKE = 1 - 31 / 256

_WRITES = {"key": pl.Binary, "hash": pl.Binary, "quality": pl.UInt8}


@signal(version=1, reads=["image"], writes=_WRITES, uses=["numba", "pillow"])
def sketch(batch: pl.DataFrame) -> pl.DataFrame:
    """An image's PDQ hash, 32 bytes (in hex, the digest that other tools and published lists of hashes have), and its `quality`, 0 to 100.

    Meta, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (2019). Images of more than 512 px are hashed as they
    are, not made smaller first. The key is the hash; below quality 50, as of blank pages, that of the pixels. Errors: those of decoding
    (not_an_image, too_large, truncated_image, broken_image).
    """
    return pl.DataFrame([_row(data) for data in batch["image"]], schema={**_WRITES, "error": pl.String}, orient="row")


def links(sketches: Sketches, *, quality: int = 50, floor: float = _ALIKE) -> Iterator[pl.DataFrame]:
    """Every pair whose hashes differ in at most 256 (1 - `floor`) of their 256 bits; the similarity is the share of equal bits.

    Meta's distance for a match is 31, similarity .8789, which is the default; unrelated images are 128 apart. Every such pair is found,
    see `filters/_hamming.py`; a floor of .816 (47 bits) takes 4 times as long, .753 (63) 20 times. Images of a lower `quality` are no
    candidates. Memory holds 110 bytes an image, however many pairs there are.
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
        i, j, alike = pairs >> np.uint64(32), pairs & np.uint64(0xFFFFFFFF), (256 - distances.astype(np.float32)) / np.float32(256)
        yield pl.DataFrame({"i": i.astype(np.uint32), "j": j.astype(np.uint32), "similarity": alike}, schema=LINK_SCHEMA)


perceptual_duplicate = grouping("perceptual_duplicate", version=1, sketch=sketch, links=links, threshold=_ALIKE)


def _row(data: bytes | None) -> tuple[bytes | None, bytes | None, int | None, str | None]:
    from filters._pdq import pdq  # loads a compiler, which no plan needs

    if data is None:
        return None, None, None, None
    try:
        pixels = np.asarray(decode(data))
    except ImageError as error:
        return None, None, None, error.code
    found, quality = pdq(pixels)
    parts = [b"pdq", found] if quality >= _TELLING else [b"pixels", str(pixels.shape).encode(), pixels.tobytes()]
    return row_hash(parts), found, quality, None
