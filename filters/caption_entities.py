"""Which words of a caption name an entity: DataComp's text-based filter."""

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import loaded
from curate.signal import ModelRef, signal
from filters._buffers import binary
from filters._entities import Entities


@signal(version=1, reads=["text"], writes={"count": pl.UInt32, "entries": pl.Binary}, uses=["numba"])
def caption_entities(batch: pl.DataFrame, *, model: ModelRef) -> pl.DataFrame:
    """Look every word of a text (as `str.split()` parts it, punctuation and all) up in `model`, an `entity_list`.

    `count`: how many words have a first synset in the list; `entries`: the numbers of those synsets in the list, ascending, each once, as
    little-endian uint32: no bytes where there is none. Null where there is no text. `keep: "caption_entities.count > 0"`, after English, is
    DataComp's text-based filter (arXiv 2304.14108). Raises RecipeError if the model is another.
    """
    known = loaded(model)
    if not isinstance(known, Entities):
        raise RecipeError("this model is no list of entities", where="caption_entities", fix="give it an entity_list")
    firsts, synsets = known.found(batch["text"])
    keys = np.unique(np.repeat(np.arange(batch.height), np.diff(firsts)) * len(known.ids) + synsets)
    ends = np.searchsorted(keys, np.arange(batch.height + 1) * len(known.ids))
    there = batch["text"].is_not_null()
    entries = binary((keys % len(known.ids)).astype(np.uint32), ends, there.to_numpy())
    count = pl.when(there).then(pl.Series(np.diff(firsts)).cast(pl.UInt32))
    return pl.DataFrame({"entries": entries}).select(count.alias("count"), "entries")
