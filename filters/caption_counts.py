"""In how many captions of the pool each word stands, and how often each caption recurs."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl

from curate.model import Made, Weights, model
from filters._captions import WHOLE, CaptionCounts, hashed
from filters._recurring import Tally, recurring, tally


@model(version=1, reads=["text"], over="pool")
def caption_counts(rows: Iterable[pl.DataFrame]) -> Made:
    """Count the pool's captions with each word, and those with the same words in the same order, whatever their case, punctuation and white
    space: 63-bit hashes, of which n different ones meet by chance in about n^2 / 2^64 of cases. Captions without a word do not count.

    Memory: some 400 MB and 12 bytes for each word or caption that stands twice or more, the model's size; on disk, while it is
    made, 20 bytes for each distinct one.
    """
    seen = {"captions": 0}
    found, distinct = recurring(_tallies(rows, seen))
    words = found.counts[found.hashes & WHOLE == 0]
    told = {**seen, "distinct": distinct, "recurring": found.hashes.size, "licence": "that of the pool; hashes only"}
    return Made({"hashes": found.hashes, "counts": found.counts}, {"architecture": {"commonest": int(words.max(initial=1))}, **told})


@caption_counts.loader
def load(weights: Weights, card: dict[str, Any]) -> CaptionCounts:
    """The counts, for `caption_frequency`."""
    commonest = max(card["architecture"]["commonest"], 2)
    return CaptionCounts(weights["hashes"], weights["counts"], 1 - np.log(weights["counts"]) / np.log(commonest))


def _tallies(rows: Iterable[pl.DataFrame], seen: dict[str, int]) -> Iterator[Tally]:
    for frame in rows:
        words, of_words, wholes, of_wholes = hashed(frame["text"])
        seen["captions"] += wholes.size
        both = np.concatenate([words, wholes])
        yield tally(both, np.zeros(both.size, np.uint64), np.concatenate([of_words, of_wholes]))
