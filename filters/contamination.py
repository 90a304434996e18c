"""Which evaluation items a text holds n-grams of."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import loaded
from curate.signal import ModelRef, signal

if TYPE_CHECKING:
    from filters._evaluation import Evaluation

_WRITES = {
    "ngrams": pl.UInt32,
    "share": pl.Float32,
    "items": pl.UInt32,
    "task": pl.String,
    "item": pl.UInt32,
    "covered": pl.Float32,
    "hits": pl.Binary,
}


@signal(version=1, reads=["text"], writes=_WRITES, uses=["numba"])
def contamination(batch: pl.DataFrame, *, model: ModelRef) -> pl.DataFrame:
    """The n-grams that a text shares with evaluation sets; `model` is an `evaluation_ngrams`, which says what an n-gram is.

    `ngrams`: how many places of the text are one; `share`: of all its n-grams. `items`: how many items it shares any with. The strongest
    hit is the item of which it holds the largest share of distinct n-grams (`covered`, 1 for the whole item; of equal ones the first):
    its `task` and its number `item` in the task's file, null where there is no hit. `hits`: the numbers of all items hit, through all
    tasks in name order, ascending little-endian uint32. `keep: "contamination.ngrams == 0"` drops every text with a hit;
    `contamination.covered < 0.8` those that hold most of an item. Null text has none. Raises RecipeError if the model is another.
    """
    from filters._evaluation import Evaluation
    from filters._runs import found  # loads a compiler, which no plan needs

    known = loaded(model)
    if not isinstance(known, Evaluation):
        raise RecipeError("this model holds no evaluation sets", where="contamination", fix="give it an evaluation_ngrams")
    rows, places, words = found(batch["text"], known.known)
    possible = np.maximum(words - known.n + 1, 1)
    hits = pl.DataFrame({"row": rows, "gram": places})
    counts = hits.group_by("row").agg(ngrams=pl.len())
    held = _items(hits.unique(), known)
    best = held.sort("row", "covered", "item", descending=[False, True, False]).unique("row", keep="first", maintain_order=True)
    lists = held.group_by("row", maintain_order=True).agg(items=pl.len(), hits="item")
    task = np.searchsorted(known.begins, best["item"].to_numpy(), side="right") - 1
    named = best.with_columns(
        task=pl.Series(known.tasks, dtype=pl.String).gather(task), item=(best["item"].cast(pl.Int64) - known.begins[task]).cast(pl.UInt32)
    )
    packed = pl.Series("hits", [numbers.to_numpy().astype("<u4").tobytes() for numbers in lists["hits"]], dtype=pl.Binary)
    whole = pl.DataFrame({"row": np.arange(batch.height), "possible": possible, "there": batch["text"].is_not_null()})
    for part in (counts, lists.with_columns(packed), named.drop("held")):
        whole = whole.join(part, on="row", how="left", maintain_order="left")
    none = pl.col("ngrams").fill_null(0)
    columns = {"ngrams": none, "share": pl.min_horizontal(none / pl.col("possible"), 1.0), "items": pl.col("items").fill_null(0)}
    columns |= {"covered": pl.col("covered").fill_null(0.0)}
    return whole.select(pl.when("there").then(columns.get(name, pl.col(name))).cast(dtype).alias(name) for name, dtype in _WRITES.items())


def _items(hits: pl.DataFrame, evaluation: "Evaluation") -> pl.DataFrame:
    """{row, item, held, covered}: how many, and what share, of each item's n-grams a row holds, of distinct {row, gram}."""
    grams = hits["gram"].to_numpy()
    counts = evaluation.firsts[grams + 1] - evaluation.firsts[grams]
    before = np.cumsum(counts) - counts
    items = evaluation.items[np.arange(counts.sum()) + np.repeat(evaluation.firsts[grams] - before, counts)]
    held = pl.DataFrame({"row": np.repeat(hits["row"].to_numpy(), counts), "item": items}).group_by("row", "item").len("held")
    return held.with_columns(covered=pl.col("held") / pl.Series(evaluation.sizes).gather(held["item"])).sort("row", "item")
