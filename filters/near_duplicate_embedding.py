"""Images, or texts, that a model sees nearly alike: semantic duplicates (SemDeDup, Abbas et al., arXiv 2303.09540)."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from curate.digest import row_hash
from curate.errors import RecipeError
from curate.grouping import grouping
from curate.signal import Evidence, signal
from curate.sketches import Sketches
from filters._vectors import vectors

_NAME = "near_duplicate_embedding"
_WIDTH_AT_MOST = 8192


@signal(version=1, reads=[], writes={"key": pl.Binary, "vector": pl.Binary}, vectors=["vector"])
def sketch(batch: pl.DataFrame, *, features: Evidence) -> pl.DataFrame:
    """The `features` (such as clip_embedding's `image`) at unit length, as bytes of little-endian float16, and a hash of these as key.

    Error: not_a_direction where they are zero or not finite. Raises RecipeError if they are no vectors, of several widths, or wider than
    8,192.
    """
    values, there = vectors(batch[features], _NAME)
    if values.shape[1] > _WIDTH_AT_MOST:
        fix = "give it the features of an image-text model"
        raise RecipeError(f"features has vectors of {values.shape[1]} numbers; {_WIDTH_AT_MOST} can be", where=_NAME, fix=fix)
    exact = values.astype(np.float64)
    lengths = np.sqrt((exact * exact).sum(axis=1, keepdims=True))  # of float16, so no sum is rounded
    pointing = np.isfinite(lengths[:, 0]) & (lengths[:, 0] > 0)
    units = np.divide(exact, lengths, out=np.zeros_like(exact), where=pointing[:, None]).astype("<f2")
    made = [row.tobytes() if known else None for row, known in zip(units, pointing.tolist(), strict=True)]
    errors = ["not_a_direction" if wrong else None for wrong in (there & ~pointing).tolist()]
    keys = [None if vector is None else row_hash([b"vector", vector]) for vector in made]
    return pl.DataFrame({"key": keys, "vector": made, "error": errors}, schema={"key": pl.Binary, "vector": pl.Binary, "error": pl.String})


def links(sketches: Sketches, *, bands: int = 128, rows: int = 20, seed: int = 0, floor: float = 0.9) -> Iterator[pl.DataFrame]:
    """Pairs that lie on the same side of all `rows` random planes of one of `bands` bands, and their cosine.

    Charikar, "Similarity Estimation Techniques from Rounding Algorithms" (2002). See `recall` for how many are found; whether a pair is
    depends on the two alone, not on what else there is, as it would with SemDeDup's clusters. The cosine is exact, to float32. Of a
    million unrelated images as CLIP sees them (cosines of .5), a pair in 26 is looked at; `rows: 28, bands: 400` looks at one in 210 for
    four times as many products. Memory holds 64 bytes a vector, 4 more for some bands at a time, and the vectors of some candidates.
    Raises RecipeError for bands that cannot be, and for vectors of several widths.
    """
    from filters._projections import linked  # loads a compiler, which no plan needs

    if bands < 1 or not 1 <= rows <= 32:
        raise RecipeError(f"bands: {bands}, rows: {rows} cannot be", where=_NAME, fix="give at least one band, of 1 to 32 rows")
    yield from linked(sketches, bands, rows, seed, floor)


def recall(similarities: Sequence[float], *, bands: int = 128, rows: int = 20) -> list[float]:
    """The probability 1 - (1 - (1 - angle / 180)^rows)^bands that `links` finds a pair, for every cosine in [-1, 1].

    At 128 bands of 20: .73 at .8, .9973 at .9, 1 - 1e-7 at .95. Pairs are also left out whose sides of 512 further planes differ by
    more than the floor lets expect: fewer than one in 10^8.
    """
    agree = [1 - math.acos(min(max(similarity, -1.0), 1.0)) / math.pi for similarity in similarities]
    return [1 - (1 - share**rows) ** bands for share in agree]


near_duplicate_embedding = grouping(_NAME, version=1, sketch=sketch, links=links, threshold=0.95, recall=recall)
