"""How much of a text stands in other documents of the pool too, line by line or paragraph by paragraph."""

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import loaded
from curate.signal import ModelRef, signal
from filters._passages import Counted

_WRITES = {
    "units": pl.UInt32,
    "repeated": pl.Float32,
    "repeated_chars": pl.Float32,
    "later_chars": pl.Float32,
    "documents": pl.UInt32,
}


@signal(version=1, reads=["text"], writes=_WRITES, uses=["numba"])
def repeated_text(batch: pl.DataFrame, *, model: ModelRef) -> pl.DataFrame:
    """`model` is a `passage_counts` of the pool, which says what a unit is; units of text without a word do not count.

    `units`: how many; `repeated`: share of them that stand in another document; `repeated_chars`: share of their characters (spaces
    and punctuation inside included); `later_chars`: share of characters in units that belong to another document, so that of each passage
    only one document is not later: what C4 (three sentences), CCNet and Dolma (paragraphs) remove but for its first occurrence is counted,
    not removed. `documents`: in how many the most frequent unit stands. Copies of a whole document are alike here (none is later than the
    other): `exact_duplicate` keeps one. All are shares of the pool as it lies, not of the rows alive. 0 where there is no unit, null
    where there is no text. Raises RecipeError if the model is another.
    """
    from filters._runs import passages  # loads a compiler, which no plan needs

    counted = loaded(model)
    if not isinstance(counted, Counted):
        raise RecipeError("this model counts no passages", where="repeated_text", fix="give it a passage_counts")
    found = passages(batch["text"], counted.unit == "paragraph")
    known = counted.recurring
    row = np.repeat(np.arange(batch.height), np.diff(found.firsts))
    place = np.minimum(np.searchsorted(known.hashes, found.hashes), max(known.hashes.size - 1, 0))
    often = known.hashes[place] == found.hashes if known.hashes.size else np.zeros(found.hashes.size, np.bool_)
    later, documents = np.zeros(often.size, np.bool_), np.ones(often.size, np.uint32)
    later[often] = known.owners[place[often]] != found.texts[row[often]]
    documents[often] = known.counts[place[often]]
    units = pl.DataFrame({"row": row, "chars": found.chars, "often": often, "later": later, "documents": documents})
    sums = units.group_by("row").agg(
        units=pl.len(),
        repeated=pl.col("often").mean(),
        repeated_chars=pl.col("chars").filter("often").sum() / pl.col("chars").sum(),
        later_chars=pl.col("chars").filter("later").sum() / pl.col("chars").sum(),
        documents=pl.col("documents").max(),
    )
    whole = batch.select(there=pl.col("text").is_not_null()).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    joined = whole.join(sums, on="row", how="left", maintain_order="left")
    return joined.select(pl.when("there").then(pl.col(name).fill_null(0)).cast(dtype).alias(name) for name, dtype in _WRITES.items())
