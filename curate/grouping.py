"""A grouping: the only thing that sees many rows. Row-local sketches, links between them, and groups on the alive rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.signal import Signal, by_path, parameters_of

LINK_SCHEMA = {"a": pl.Binary(), "b": pl.Binary(), "similarity": pl.Float32()}
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grouping:
    """Duplicates by sketch.

    `sketch` is a signal that writes a `key` (Binary: equal keys are the same content, similarity 1; null stands alone) and what `links`
    needs. `links(known, new, **parameters)` yields every pair (a < b, similarity) of keys with at least one side in `new` whose verified
    similarity reaches the parameter `floor`; None where only equal keys are duplicates. `threshold` is applied to stored links.
    """

    name: str
    module: str
    version: int
    sketch: Signal
    links: Callable[..., pl.DataFrame] | None
    threshold: float
    defaults: dict[str, Any]

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        """Travel by module path."""
        return by_path(self.module, self.name)

    @property
    def uses(self) -> tuple[str, ...]:
        """Packages whose release may change its answers."""
        return self.sketch.uses


def grouping(
    name: str, *, version: int, sketch: Signal, links: Callable[..., pl.DataFrame] | None = None, threshold: float = 1.0
) -> Grouping:
    """Declare a grouping. Its recipe parameters are the sketch's, those of `links` (keyword-only, `floor` among them) and `threshold`."""
    if "key" not in sketch.writes:
        raise TypeError(f"{name}: the sketch must write a Binary column `key`")
    defaults = parameters_of(links, positional=2)[0] if links else {}
    if links and "floor" not in defaults:
        raise TypeError(f"{name}: links needs a keyword-only parameter `floor`")
    return Grouping(name, sketch.module, version, sketch, links, threshold, defaults)


def keep_one(
    classes: Indices, links: tuple[Indices, Indices, npt.NDArray[np.float32]], threshold: float, keeper: str = "direct"
) -> tuple[Indices, npt.NDArray[np.float32]]:
    """Choose survivors among n rows given best first; returns each row's survivor (itself if kept) and its similarity to it.

    `classes`, shape (n,), numbers equal keys alike (0 .. c-1); `links` are (class, class, similarity). With keeper "direct" a row is
    dropped only if its own verified similarity to a kept, better row reaches the threshold; its survivor is the best such row. With
    "components" it is dropped for the best row of its connected component (similarity: 1 if their keys are equal, else the best link of
    its key, not necessarily to the survivor's).
    """
    count = int(classes.max()) + 1 if classes.size else 0
    first = np.full(count, classes.size, np.int64)
    np.minimum.at(first, classes, np.arange(classes.size))
    strong = links[2] >= np.float32(threshold)
    a, b, similarity = links[0][strong], links[1][strong], links[2][strong]
    leader, likeness = np.arange(count), np.ones(count, np.float32)
    if keeper == "components":
        leader, likeness = _components(count, a, b, similarity, first)
    else:
        _direct(leader, likeness, a, b, similarity, first)
    survivor = first[leader[classes]]
    alike = likeness[classes]
    own = survivor == np.arange(classes.size)
    return survivor, np.where(own, np.float32(1.0), alike)


def _direct(
    leader: Indices, likeness: npt.NDArray[np.float32], a: Indices, b: Indices, similarity: npt.NDArray[np.float32], first: Indices
) -> None:
    swap = first[a] > first[b]
    better, worse = np.where(swap, b, a), np.where(swap, a, b)
    order = np.lexsort((first[better], first[worse]))
    for one, other, alike in zip(worse[order].tolist(), better[order].tolist(), similarity[order].tolist(), strict=True):
        if leader[one] == one and leader[other] == other:
            leader[one], likeness[one] = other, alike


def _components(
    count: int, a: Indices, b: Indices, similarity: npt.NDArray[np.float32], first: Indices
) -> tuple[Indices, npt.NDArray[np.float32]]:
    """Label propagation of the best row's rank along links until nothing changes."""
    rank = first.copy()
    while True:
        before = rank.copy()
        np.minimum.at(rank, a, before[b])
        np.minimum.at(rank, b, before[a])
        if np.array_equal(before, rank):
            break
    by_rank = np.full(int(first.max()) + 1 if count else 0, -1, np.int64)
    by_rank[first] = np.arange(count)
    leader, likeness = by_rank[rank], np.zeros(count, np.float32)
    np.maximum.at(likeness, a, similarity)
    np.maximum.at(likeness, b, similarity)
    return leader, np.where(leader == np.arange(count), np.float32(1.0), likeness)
