"""What a head says of an embedding: how aesthetic, how unsafe, how watermarked, by stored vectors alone."""

import polars as pl

from curate.errors import RecipeError
from curate.model import loaded
from curate.signal import Evidence, ModelRef, signal
from filters._head import Head
from filters._vectors import vectors


@signal(version=1, reads=[], writes={"score": pl.Float32}, uses=["numba", "numpy"])
def head_score(batch: pl.DataFrame, *, features: Evidence, model: ModelRef) -> pl.DataFrame:
    """The output of the recipe's `head` for `features`, vectors such as `clip_embedding`'s image or those that a pool brings.

    A head belongs to one embedding model (LAION's to OpenAI's ViT-L/14, 768 numbers). float32, sums in one order: the same in any batch; on
    another kind of processor the last bits may differ. Without a vector there is no score.
    Raises RecipeError if the model is no head, or its vectors are of another width.
    """
    known = loaded(model)
    if not isinstance(known, Head):
        raise RecipeError("this model is no head", where="head_score", fix="give it a model `head`")
    embeddings, there = vectors(batch[features], "head_score")
    if not there.any():
        return pl.DataFrame({"score": pl.Series([None] * batch.height, dtype=pl.Float32)})
    if embeddings.shape[1] != known.width:
        what = f"{known.name} takes vectors of {known.width} numbers; these have {embeddings.shape[1]}"
        raise RecipeError(what, where="head_score", fix="give it the features of the model that it was trained on")
    return pl.DataFrame({"score": known(embeddings), "there": there}).select(score=pl.when("there").then("score"))
