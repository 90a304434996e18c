"""Packing: documents one after the other in hash order, cut into sequences; any of them can be read at any time, without those before."""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.digest import h, order_of
from curate.errors import CeterisError
from eval_fixed_model.rows.arrays import Indices
from eval_fixed_model.rows.documents import Documents


class Packed:
    """The tokens that one training sees: epoch e holds every copy of every member once, each followed by a separator, sorted by
    h("order", seed, uid, e, copy); epochs follow each other without end. A sequence may span documents and epochs.

    Memory: 32 bytes for each copy of a document, whatever their lengths.
    """

    def __init__(self, documents: Documents, members: Indices, seed: int, separator: int) -> None:
        """`members`: positions in `documents`, one listed k times is k copies. CeterisError where there is none."""
        if not len(members):
            raise CeterisError("an arm without rows cannot be trained", fix="loosen the last rule, or leave the subset out of `subsets:`")
        self.documents, self.seed, self.separator = documents, seed, separator
        self.distinct, self.multiplicity = np.unique(members, return_counts=True)
        self._copies = [(copy, self.distinct[self.multiplicity > copy]) for copy in range(int(self.multiplicity.max()))]
        self._begins = documents.offsets[self.distinct]
        self.lengths: Indices = documents.offsets[self.distinct + 1] - self._begins
        self.epoch = int(((self.lengths + 1) * self.multiplicity).sum())
        """Tokens of one epoch, separators included."""
        self._epoch = functools.lru_cache(maxsize=1)(self._ordered)

    def sequences(self, first: int, count: int, context: int) -> npt.NDArray[np.int64]:
        """(count, context + 1) tokens: sequence i is those from i * context on, and the one after it, which is the last one's target."""
        flat = self.span(first * context, (first + count) * context + 1)
        return np.lib.stride_tricks.sliding_window_view(flat, context + 1)[::context].copy()

    def span(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """The tokens of these places."""
        parts = []
        while start < stop:
            number, within = divmod(start, self.epoch)
            until = min(stop - number * self.epoch, self.epoch)
            parts.append(self._within(number, within, until))
            start = number * self.epoch + until
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _within(self, epoch: int, start: int, stop: int) -> npt.NDArray[np.int64]:
        order, ends = self._epoch(epoch)
        first, last = np.searchsorted(ends, start, "right"), np.searchsorted(ends, stop, "left") + 1
        documents, ends = order[first:last], ends[first:last]
        sizes = self.lengths[documents] + 1
        places = np.arange(start, stop)
        owner = np.repeat(np.arange(len(documents)), np.minimum(ends, stop) - np.maximum(ends - sizes, start))
        inside = places - (ends - sizes)[owner]
        ended = inside == (sizes - 1)[owner]
        inside[ended] = 0
        tokens = self.documents.tokens[self._begins[documents][owner] + inside].astype(np.int64)
        tokens[ended] = self.separator
        return tokens

    def _ordered(self, epoch: int) -> tuple[Indices, Indices]:
        """The epoch's documents as numbers of `distinct`, and the place after each one's separator."""
        keys = np.concatenate([h("order", self.seed, self.documents.uids[listed], epoch, copy) for copy, listed in self._copies])
        order = np.searchsorted(self.distinct, np.concatenate([listed for _, listed in self._copies]))[order_of(keys)]
        return order, np.cumsum(self.lengths[order] + 1)

    def shown(self, tokens: int) -> "Shown":
        """What the first so many places hold."""
        epochs, rest = divmod(tokens, self.epoch)
        order, ends = self._epoch(epochs)
        starts = ends - self.lengths[order] - 1
        begun = epochs * self.multiplicity + np.bincount(order[starts < rest], minlength=len(self.distinct))
        reached = self.lengths.copy() if epochs else np.zeros_like(self.lengths)
        np.maximum.at(reached, order, np.clip(rest - starts, 0, self.lengths[order]))
        times, documents = np.unique(begun, return_counts=True)
        return Shown(dict(zip(times.tolist(), documents.tolist(), strict=True)), int(reached.sum()))


@dataclass(frozen=True)
class Shown:
    """`repeats`: times a document was begun -> number of documents. `distinct`: tokens of different places in different documents."""

    repeats: dict[int, int]
    distinct: int
