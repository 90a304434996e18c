"""How much a text is like the trusted ones, by a trained classifier."""

import polars as pl

from curate.model import loaded
from curate.signal import ModelRef, signal


@signal(version=1, reads=["text"], writes={"score": pl.Float32}, uses=["numba"])
def quality_score(batch: pl.DataFrame, *, model: ModelRef) -> pl.DataFrame:
    """`score`: logarithm of the odds that the text is a trusted one, by a `quality_classifier` of the recipe.

    Both kinds were learned equally often, so 0 is as like the ones as the others; only the order means something in a pool of another mix,
    so select by `top`. It is a mean over words and pairs of words, in whole numbers: the same on every machine. A text without a word, and
    null, have no score.
    """
    return pl.DataFrame({"score": loaded(model)(batch["text"]).cast(pl.Float32)})
