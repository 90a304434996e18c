"""How specific a caption is among the pool's, and how often it recurs there."""

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import loaded
from curate.signal import ModelRef, signal
from filters._captions import CaptionCounts, hashed

_WRITES = {"captions": pl.UInt32, "specificity": pl.Float32, "unique_words": pl.UInt32}


@signal(version=1, reads=["text"], writes=_WRITES, uses=["numba"])
def caption_frequency(batch: pl.DataFrame, *, model: ModelRef) -> pl.DataFrame:
    """`model` is a `caption_counts` of the pool, which says what is the same caption.

    `captions`: how many of the pool's captions are the same, this one with them: 1 where no other is. `specificity`: the mean over its
    words of their normalised inverse caption frequency, 1 - log(captions with the word) / log(captions with the commonest word): 0 says the
    commonest word only, 1 words that no other caption has (NIDF of See et al., arXiv 1902.08654, section 4). High is specific, or noise
    (names of files are words of their own). `unique_words`: its words that stand in no other caption. All are of the pool as it lies,
    not of the rows alive; 0 where there is no word, null where there is no text. Raises RecipeError if the model is another.
    """
    known = loaded(model)
    if not isinstance(known, CaptionCounts):
        raise RecipeError("this model counts no captions", where="caption_frequency", fix="give it a caption_counts")
    words, rows, wholes, texts = hashed(batch["text"])
    place, often = known.places(words), known.places(wholes)
    met = place >= 0
    weight = np.ones(words.size)
    weight[met] = known.weights[place[met]]
    captions = np.zeros(batch.height, np.uint32)
    captions[texts] = 1
    captions[texts[often >= 0]] = known.counts[often[often >= 0]]
    sizes = np.bincount(rows, minlength=batch.height)
    columns = {
        "captions": captions,
        "specificity": np.bincount(rows, weight, batch.height) / np.maximum(sizes, 1),
        "unique_words": np.bincount(rows[~met], minlength=batch.height),
    }
    frame = pl.DataFrame(columns).with_columns(there=batch["text"].is_not_null())
    return frame.select(pl.when("there").then(pl.col(name)).cast(dtype).alias(name) for name, dtype in _WRITES.items())
