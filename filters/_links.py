"""Candidate pairs by equal band values, and the frame of verified links."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.grouping import LINK_SCHEMA

Indices = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Similarities = npt.NDArray[np.float32]

_PAIRS_AT_ONCE = 1 << 20


def together(known: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, Indices]:
    """Distinct non-null keys of both frames, the known ones first, and the indices of those that are only in `new`."""
    rows = pl.concat([known, new]).filter(pl.col("key").is_not_null()).unique("key", keep="first", maintain_order=True)
    count = known["key"].drop_nulls().n_unique()
    return rows, np.arange(count, rows.height, dtype=np.int64)


def equal_pairs(left: Words, right: Words) -> Iterator[tuple[Indices, Indices]]:
    """Every (i, j) with left[i] == right[j], about a million at a time, so that one huge bucket never fills memory."""
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    start = np.searchsorted(ordered, left, "left").astype(np.int64)
    count = np.searchsorted(ordered, left, "right") - start
    ends = np.cumsum(count)
    total = int(ends[-1]) if ends.size else 0
    for first in range(0, total, _PAIRS_AT_ONCE):
        at = np.arange(first, min(first + _PAIRS_AT_ONCE, total), dtype=np.int64)
        i = np.searchsorted(ends, at, "right").astype(np.int64)
        j = order[start[i] + at - (ends[i] - count[i])]
        yield i, j


def distinct_pairs(parts: list[tuple[Indices, Indices]], count: int) -> tuple[Indices, Indices]:
    """The unordered pairs (i < j) among `count` rows that occur in any part, once each, without pairs of a row with itself."""
    codes = [np.unique(np.minimum(i, j) * count + np.maximum(i, j)) for i, j in parts]
    every = np.unique(np.concatenate(codes)) if codes else np.empty(0, np.int64)
    first, second = np.divmod(every, max(count, 1))
    apart = first != second
    return first[apart], second[apart]


def verified(
    rows: pl.DataFrame, pairs: tuple[Indices, Indices], similar: Callable[[Indices, Indices], Similarities], floor: float, at_once: int
) -> pl.DataFrame:
    """Links (a < b, similarity) of the pairs whose similarity, measured `at_once` pairs at a time, is at least `floor`."""
    i, j = pairs
    found = [similar(i[at : at + at_once], j[at : at + at_once]) for at in range(0, i.size, at_once)]
    similarity = np.concatenate(found) if found else np.empty(0, np.float32)
    strong = similarity >= np.float32(floor)
    return linked(rows, i[strong], j[strong], similarity[strong])


def linked(rows: pl.DataFrame, i: Indices, j: Indices, similarity: Similarities) -> pl.DataFrame:
    """The links (a < b, similarity) between the rows numbered i and j, sorted."""
    links = pl.DataFrame({"one": rows["key"].gather(i), "other": rows["key"].gather(j), "similarity": similarity})
    swapped = pl.col("one") > pl.col("other")
    return (
        links.select(
            a=pl.when(swapped).then("other").otherwise("one"),
            b=pl.when(swapped).then("one").otherwise("other"),
            similarity="similarity",
        )
        .cast(pl.Schema(LINK_SCHEMA))
        .sort("a", "b")
    )
