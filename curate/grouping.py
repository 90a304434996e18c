"""A grouping: the only thing that sees many rows. Row-local sketches, links between them, and groups on the alive rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.signal import Signal, by_path, parameters_of
from curate.sketches import Sketches

LINK_SCHEMA = {"i": pl.UInt32(), "j": pl.UInt32(), "similarity": pl.Float32()}
EDGES_AT_ONCE = 1 << 18
Indices = npt.NDArray[np.int64]
Links = Callable[..., Iterator[pl.DataFrame]]
Recall = Callable[..., list[float]]


@dataclass(frozen=True)
class Grouping:
    """Duplicates by sketch.

    `sketch` is a signal that writes a `key` (Binary: equal keys are the same content, similarity 1; null stands alone) and what `links`
    needs. `links(sketches, **parameters)` yields frames of LINK_SCHEMA: every pair of numbers i < j of `sketches` (curate.sketches) with
    j at least `sketches.fresh` whose verified similarity reaches the parameter `floor`, in any order, a pair perhaps more than once; the
    searches of all shares together find what one alone does. None where only equal keys are duplicates. `threshold` is applied to stored
    links. `recall(similarities, **parameters of links)` is the probability that a pair of each similarity is found, where that is known.
    """

    name: str
    module: str
    version: int
    sketch: Signal
    links: Links | None
    threshold: float
    defaults: dict[str, Any]
    recall: Recall | None = None

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        """Travel by module path."""
        return by_path(self.module, self.name)

    @property
    def uses(self) -> tuple[str, ...]:
        """Packages whose release may change its answers."""
        return self.sketch.uses

    def pairs(self, *sketches: pl.DataFrame, **parameters: Any) -> pl.DataFrame:
        """Links between frames of sketches, with one at least in the last frame, for use without an engine: keys a < b, similarity."""
        frames, seen = [], pl.DataFrame(schema={"key": pl.Binary})
        for frame in sketches:
            frames.append(frame.filter(pl.col("key").is_not_null()).unique("key", maintain_order=True).join(seen, on="key", how="anti"))
            seen = pl.concat([seen, frames[-1].select("key")])
        found = [] if self.links is None else list(self.links(Sketches.of(*frames), **parameters))
        pairs = pl.concat([pl.DataFrame(schema=LINK_SCHEMA), *found]).unique()
        ends = pairs.select(one=seen["key"].gather(pairs["i"]), other=seen["key"].gather(pairs["j"]), similarity="similarity")
        swapped = pl.col("one") > pl.col("other")
        a, b = pl.when(swapped).then("other").otherwise("one"), pl.when(swapped).then("one").otherwise("other")
        return ends.select(a=a, b=b, similarity="similarity").sort("a", "b")


def grouping(
    name: str, *, version: int, sketch: Signal, links: Links | None = None, threshold: float = 1.0, recall: Recall | None = None
) -> Grouping:
    """Declare a grouping. Its recipe parameters are the sketch's, those of `links` (keyword-only, `floor` among them) and `threshold`."""
    if "key" not in sketch.writes:
        raise TypeError(f"{name}: the sketch must write a Binary column `key`")
    defaults = parameters_of(links)[0] if links else {}
    if links and "floor" not in defaults:
        raise TypeError(f"{name}: links needs a keyword-only parameter `floor`")
    return Grouping(name, sketch.module, version, sketch, links, threshold, defaults, recall)


def keep_one(
    classes: Indices,
    links: tuple[Indices, Indices, npt.NDArray[np.float32]],
    threshold: float,
    keeper: str = "direct",
    reserved: int = 0,
) -> tuple[Indices, npt.NDArray[np.float32]]:
    """Choose survivors among n rows given best first; returns each row's survivor (itself if kept) and its similarity to it.

    `classes`, shape (n,), numbers equal keys alike (0 .. c-1); `links` are (class, class, similarity). With keeper "direct" a row is
    dropped only if its own verified similarity to a kept, better row reaches the threshold; its survivor is the best such row. With
    "components" it is dropped for the best row of its connected component (similarity: 1 if their keys are equal, else the best link of
    its key, not necessarily to the survivor's). The first `reserved` rows are no candidates: whatever they are like, they stay.
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
        _direct(leader, likeness, a, b, similarity, first, reserved)
    survivor = first[leader[classes]]
    alike = likeness[classes]
    survivor[:reserved] = np.arange(reserved)
    own = survivor == np.arange(classes.size)
    return survivor, np.where(own, np.float32(1.0), alike)


def _direct(
    leader: Indices,
    likeness: npt.NDArray[np.float32],
    a: Indices,
    b: Indices,
    similarity: npt.NDArray[np.float32],
    first: Indices,
    reserved: int,
) -> None:
    swap = first[a] > first[b]
    better, worse = np.where(swap, b, a), np.where(swap, a, b)
    order = np.lexsort((first[better], first[worse]))
    order = order[first[worse[order]] >= reserved]
    for start in range(0, order.size, EDGES_AT_ONCE):
        some = order[start : start + EDGES_AT_ONCE]
        for one, other, alike in zip(worse[some].tolist(), better[some].tolist(), similarity[some].tolist(), strict=True):
            if leader[one] == one and leader[other] == other:
                leader[one], likeness[one] = other, alike


def _components(
    count: int, a: Indices, b: Indices, similarity: npt.NDArray[np.float32], first: Indices
) -> tuple[Indices, npt.NDArray[np.float32]]:
    """Every class takes the best rank of its neighbours, hands it to the class whose rank it had, and takes what that one has by now, until
    nothing changes: a chain of any length takes few rounds (Zhang, Azad, Hu, "FastSV", 2020)."""
    owner = np.full(int(first.max()) + 1 if count else 0, -1, np.int64)
    owner[first] = np.arange(count)
    rank = first.copy()
    while True:
        before = rank.copy()
        for one, other in ((a, b), (b, a)):
            np.minimum.at(rank, one, before[other])
            np.minimum.at(rank, owner[before[one]], before[other])
        rank = rank[owner[rank]]
        if np.array_equal(before, rank):
            break
    leader, likeness = owner[rank], np.zeros(count, np.float32)
    np.maximum.at(likeness, a, similarity)
    np.maximum.at(likeness, b, similarity)
    return leader, np.where(leader == np.arange(count), np.float32(1.0), likeness)
