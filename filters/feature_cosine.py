"""How well a text describes its image, by stored features: a score without decoding anything again."""

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.signal import Evidence, signal
from filters._vectors import unit, vectors


@signal(version=1, reads=[], writes={"score": pl.Float32}, uses=["numpy"])
def feature_cosine(batch: pl.DataFrame, *, image: Evidence, text: Evidence) -> pl.DataFrame:
    """Cosine, in [-1, 1], of two vectors of a row: of `clip_embedding`'s image and text within .001 of its model's `clip_score`, since
    vectors are stored in float16; or of those that a pool brings.

    A row without one of them has no score, nor one with a vector of zeros. Sums run in one order, whatever the batch. Raises RecipeError
    if the two are of different widths.
    """
    (a, known), (b, said) = vectors(batch[image], "feature_cosine"), vectors(batch[text], "feature_cosine")
    there = known & said
    if not there.any():
        return pl.DataFrame({"score": pl.Series([None] * batch.height, dtype=pl.Float32)})
    if a.shape[1] != b.shape[1]:
        what = f"image has vectors of {a.shape[1]} numbers, text of {b.shape[1]}"
        raise RecipeError(what, where="feature_cosine", fix="give it two features of one model")
    a, b = unit(a), unit(b)
    there &= a.any(axis=1) & b.any(axis=1)
    scores = (a * b).sum(axis=1).clip(-1.0, 1.0).astype(np.float32)
    return pl.DataFrame({"score": scores, "there": there}).select(score=pl.when("there").then("score"))
