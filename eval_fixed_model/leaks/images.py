"""Leaked items: evaluation pictures that a pool contains, so that scores can be given with and without them."""

import numpy as np
import numpy.typing as npt
import polars as pl

from eval_fixed_model.loops import Split
from eval_fixed_model.rows.images import Bytes, Rows
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.tasks.items import items_of

# Re-encoded copies of the shipped items lie below 2.2, the nearest other pictures of the demo's scenes above 4.8 (docs/log.md).
THRESHOLD = 3.5
SIDE = 8
CHUNK = 4096
PAIRS = {"item": pl.UInt32, "row": pl.Int64, "distance": pl.Float32}

Floats = npt.NDArray[np.float32]


def leaked_items(rows: Rows, scale: ImageTextScale, split: Split = "test") -> frozenset[int]:
    """Numbers of the split's items (rows of the evaluation Parquet) whose picture occurs in `rows`."""
    return frozenset(leaked_pairs(rows, scale, split)["item"].to_list())


def leaked_pairs(rows: Rows, scale: ImageTextScale, split: Split = "test") -> pl.DataFrame:
    """Every find: `item` (its row in the evaluation Parquet), `row` (position in `rows`), `distance`.

    The distance is the root of the mean squared difference of the pictures' means over 8 x 8 blocks, in grey levels (0-255): byte-equal
    files are 0, and another file format or quality of the same picture a few, since the noise of both averages out inside a block.
    Shifted or cropped copies are not found. Of sets in a folder, which have one split, other splits leak nothing.
    """
    found = [pl.DataFrame(schema=PAIRS)]
    if asked := coarse_items(scale, split):
        found += [near(rows.images[start : start + CHUNK], asked, start) for start in range(0, len(rows.images), CHUNK)]
    return pl.concat(found)


def coarse_items(scale: ImageTextScale, split: Split = "test") -> tuple[npt.NDArray[np.int64], Floats] | None:
    """Numbers and coarse pictures of a split's items; None where the split leaks nothing."""
    if scale.items.folder is not None and split != "test":
        return None
    every = items_of(scale, split)
    coarse = [_coarse(items.images[start : start + CHUNK]) for items in every for start in range(0, len(items.images), CHUNK)]
    return np.concatenate([items.numbers for items in every]), np.concatenate(coarse)


def near(images: Bytes, asked: tuple[npt.NDArray[np.int64], Floats], first: int = 0) -> pl.DataFrame:
    """The finds among these images, the first of which is row `first`."""
    (numbers, items), part = asked, _coarse(images)
    # The fast distance is rounded: what it lets through is measured again.
    row, item = np.nonzero(_squared(part, items) <= THRESHOLD**2 + 1)
    distance = np.sqrt(((part[row] - items[item]) ** 2).mean(1))
    close = distance <= THRESHOLD
    return pl.DataFrame({"item": numbers[item[close]], "row": row[close] + first, "distance": distance[close]}, schema=PAIRS)


def _coarse(images: Bytes) -> Floats:
    """(n, 3, r, r) as (n, 3 * blocks) means over square blocks, where the resolution is a multiple of `SIDE`; else as they are."""
    n, channels, side, _ = images.shape
    if side % SIDE:
        return images.reshape(n, -1).astype(np.float32)
    block = side // SIDE
    means: Floats = images.reshape(n, channels, SIDE, block, SIDE, block).mean((3, 5), dtype=np.float32)
    return means.reshape(n, -1)


def _squared(a: Floats, b: Floats) -> Floats:
    """Mean squared differences of all pairs, (len(a), len(b))."""
    squares = (a**2).mean(1)[:, None] + (b**2).mean(1)[None, :]
    distances: Floats = squares - 2 / a.shape[1] * (a @ b.T)
    return distances
