"""Distinct sketches by number: what a grouping's links are sought among, read in batches so that memory does not grow with the pool."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Indices = npt.NDArray[np.int64]
Read = Callable[[Sequence[str]], pl.DataFrame]


@dataclass(frozen=True)
class Batch:
    """The sketches numbered start to stop, read when asked for."""

    start: int
    stop: int
    read: Read


@dataclass(frozen=True)
class Sketches:
    """Sketches numbered from 0 without gaps, in `batches`; those from `fresh` on were never linked before.

    `share` (k, n): the k-th of n searches that together find every pair, so that they may run side by side.
    """

    batches: tuple[Batch, ...]
    fresh: int
    share: tuple[int, int] = (0, 1)

    @classmethod
    def of(cls, *frames: pl.DataFrame) -> "Sketches":
        """Sketches in memory; those of the last frame are new."""
        batches, start = [], 0
        for frame in frames:
            batches.append(Batch(start, start + frame.height, frame.select))
            start += frame.height
        return cls(tuple(batches), batches[-1].start if batches else 0)

    @property
    def count(self) -> int:
        """How many, known and new."""
        return self.batches[-1].stop if self.batches else 0

    def read(self, columns: Sequence[str]) -> Iterator[tuple[int, pl.DataFrame]]:
        """(the first one's number, the batch), in order."""
        for batch in self.batches:
            yield batch.start, batch.read(columns)

    def take(self, numbers: Indices, columns: Sequence[str]) -> pl.DataFrame:
        """The sketches of these numbers, ascending; batches that hold none of them are not read."""
        found = []
        for batch in self.batches:
            first, last = np.searchsorted(numbers, (batch.start, batch.stop))
            if first < last:
                some = batch.read(columns)[numbers[first:last] - batch.start]
                found.append(some.to_arrow(compat_level=pl.CompatLevel.oldest()))  # a copy: views would keep the whole batch in memory
        return pl.DataFrame(pl.from_arrow(pa.concat_tables(found))) if found else pl.DataFrame()
