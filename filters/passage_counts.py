"""The lines or paragraphs that stand in more than one document of the pool, and in how many."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import Made, Weights, model
from filters._passages import UNITS, Counted
from filters._recurring import Tally, recurring, tally


@model(version=1, reads=["text"], over="pool")
def passage_counts(rows: Iterable[pl.DataFrame], *, unit: str = "line") -> Made:
    r"""Count the pool's documents with each line (parted by `\n`), or each paragraph (parted by lines without a word).

    Two are the same if their words are, whatever their case, punctuation and white space (as in CCNet, Wenzek et al., arXiv 1911.00359;
    digits count here): 64-bit hashes, of which n different ones meet by chance in about n^2 / 2^65 of cases. Each belongs to one of its
    documents, that of the smallest hash, whatever the order of rows and shards; rows of the same words are one document there, but
    count each for itself. Memory: some 400 MB and 20 bytes for each passage in two documents or more, the model's size; on disk, while
    it is made, 20 bytes for each distinct one. Raises RecipeError for another `unit`.
    """
    if unit not in UNITS:
        raise RecipeError(f"there is no unit {unit!r} of text", where="passage_counts", fix=f"one of: {', '.join(UNITS)}")
    seen = {"documents": 0, "passages": 0}
    found, distinct = recurring(_tallies(rows, unit, seen))
    weights: Weights = {"hashes": found.hashes, "counts": found.counts, "owners": found.owners}
    told = {**seen, "distinct": distinct, "recurring": found.hashes.size}
    return Made(weights, {"architecture": {"unit": unit}, **told, "licence": "that of the pool; hashes only"})


@passage_counts.loader
def load(weights: Weights, card: dict[str, Any]) -> Counted:
    """The counts, for `repeated_text`."""
    return Counted(card["architecture"]["unit"], Tally(weights["hashes"], weights["counts"], weights["owners"]))


def _tallies(rows: Iterable[pl.DataFrame], unit: str, seen: dict[str, int]) -> Iterator[Tally]:
    from filters._runs import passages  # loads a compiler, which no plan needs

    for frame in rows:
        texts = frame["text"].drop_nulls()
        found = passages(texts, unit == "paragraph")
        row = np.repeat(np.arange(len(texts)), np.diff(found.firsts))
        seen["documents"] += len(texts)
        seen["passages"] += found.hashes.size
        yield tally(found.hashes, found.texts[row], row)
