"""Which entries of a list of concepts stand in a caption: MetaCLIP's substring matching."""

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import loaded
from curate.signal import ModelRef, signal
from filters._buffers import binary
from filters._concepts import Concepts


@signal(version=1, reads=["text"], writes={"count": pl.UInt32, "entries": pl.Binary}, uses=["numba"])
def concepts(batch: pl.DataFrame, *, model: ModelRef) -> pl.DataFrame:
    r"""Match texts against the entries of `model`, a `concept_list` (Xu et al., MetaCLIP, arXiv 2309.16671, section 3.2).

    A text gets a space before and behind, and round each of , . ; : ? ! and `, and a tab, newline or carriage return becomes one; an entry
    matches where it stands in that between two spaces. So it is one with Python's `f" {entry} " in text` for every entry.

    `count`: how many entries match; `entries`: their numbers in the list, ascending, each once, as little-endian uint32: no bytes
    where none matches. Both are null where there is no text. `keep: "concepts.count > 0"` is MetaCLIP's first step, the rule `balance` over
    `concepts.entries` its second. Raises RecipeError if the model is another.
    """
    known = loaded(model)
    if not isinstance(known, Concepts):
        raise RecipeError("this model is no list of concepts", where="concepts", fix="give it a concept_list")
    firsts, numbers = known.found(batch["text"])
    there = batch["text"].is_not_null()
    count = pl.when(there).then(pl.Series(np.diff(firsts)).cast(pl.UInt32))
    return pl.DataFrame({"entries": binary(numbers, firsts, there.to_numpy())}).select(count.alias("count"), "entries")
