"""Rows that are read while they are shown (`order: blocked`): from pools of Parquet or tars, never more of them than some blocks."""

import itertools
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from curate.digest import UInt64s, digest_of, h, hex_of, order_of
from curate.errors import CeterisError, PoolError
from curate.threads import share as threads
from eval_fixed_model.rows.arrays import Indices
from eval_fixed_model.rows.augmentation import augmented
from eval_fixed_model.rows.images import pixels, tokenise
from eval_fixed_model.rows.survey import Survey
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.training.gradients import Batch

WINDOW, LEAST = 8, 8192
"""Visits and rows at least that are shown mixed: of whole exports about 8,000 rows of tars, 130,000 of Parquet. An arm that holds few rows
of each block has more blocks in a window, so that its rows are mixed as well as another's."""
AHEAD = 3
"""Batches that are decoded before they are asked for."""


class _Shown(NamedTuple):
    """One row on its way to a batch: its uid, what it holds, and its draw."""

    uid: UInt64s
    image: bytes | None
    text: str | None
    draw: np.uint64


class Stream:
    """The rows of an arm, where they lie, as a training's feed.

    An epoch visits every block once for each copy that some row of it has, so that copies lie apart; visits are ordered by h("order", seed,
    block, epoch); the rows of a window of visits are shown by h("order", seed, uid, epoch, copy); epochs follow each other and are cut at
    samples seen. So the batches are the same for any number of readers and of processes that share them, and from any step on. What lies
    near in the pool is shown near: webdataset exports lie in the order of a hash already; of these all blocks of a tar are visited one
    after the other, so that its members are listed once. `executor` decodes (threads of this process when None); `most_alive` is the most
    visits whose rows were held at once: those of two windows.
    """

    def __init__(self, scale: ImageTextScale, rows: Survey, members: Indices, seed: int, executor: Executor | None = None) -> None:
        """`members`: positions in `rows`; one listed k times is k copies. 24 bytes a row of the arm are held."""
        if rows.scale_digest != scale.digest:
            raise CeterisError(f"the rows were looked through for another scale than {scale.name}", fix="look through them for this scale")
        if not len(members):
            raise CeterisError("an arm without rows cannot be trained", fix="loosen the last rule, or leave the subset out of `subsets:`")
        self._scale, self._rows, self._seed, self._executor = scale, rows, seed, executor
        self._distinct, self._copies = np.unique(members, return_counts=True)
        self._inside = np.searchsorted(self._distinct, rows.starts)
        block = np.repeat(np.arange(len(rows.blocks)), np.diff(self._inside))
        total, left = np.zeros(2, np.uint64), np.arange(len(self._distinct))
        visits: list[Indices] = []
        for copy in range(int(self._copies.max())):
            left = left[self._copies[left] > copy]
            blocks, counts = np.unique(block[left], return_counts=True)
            visits.append(np.stack([blocks, np.full(len(blocks), copy), counts], 1))
            total += h("member", copy, rows.uids[self._distinct[left]]).sum(0, dtype=np.uint64)
        self._visits = np.concatenate(visits)
        self.epoch, self.alive, self.most_alive = len(members), 0, 0
        self.digest = digest_of([self.epoch, hex_of(total[None]), [pool.id for pool in rows.pools]])

    def shown(self) -> dict[str, Any]:
        """For the record, as of exact orders: distinct rows, copies, and how often rows are shown."""
        epochs, end = self._scale.samples_seen // self.epoch, self._scale.samples_seen
        shown = epochs * self._copies
        for place, visits, epoch in self._windows(epochs * self.epoch, end):
            rows, keys = self._within(visits, epoch)
            np.add.at(shown, rows[order_of(keys)[: end - place]], 1)
        repeats = {
            str(times): count for times, count in zip(*(part.tolist() for part in np.unique(shown, return_counts=True)), strict=True)
        }
        return {"rows": len(self._distinct), "copies": self.epoch, "repeats": repeats}

    def batches(self, first: int, share: slice) -> Iterator[Batch]:
        """Images (n, 3, r, r) uint8 and tokens (n, context) of these rows of each batch, read and decoded ahead."""
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(threads()) as here:
            decoder = self._executor or here
            coming: deque[Future[tuple[Any, Any]]] = deque()
            rows = self._in_order(first, share, reader)
            try:
                for _ in range(first, self._scale.steps):
                    while len(coming) < AHEAD and (batch := [*itertools.islice(rows, share.stop - share.start)]):
                        coming.append(decoder.submit(decoded, batch, self._scale))
                    images, tokens = coming.popleft().result()
                    yield torch.from_numpy(images), torch.from_numpy(tokens)
            finally:
                rows.close()
                reader.shutdown(cancel_futures=True)

    def _in_order(self, first: int, share: slice, reader: Executor) -> Generator[_Shown, None, None]:
        """Of every batch from `first` on the rows `share`. The next window is read while this one is shown."""
        begin, end, batch = first * self._scale.batch, self._scale.samples_seen, self._scale.batch
        following: tuple[int, Future[Any]] | None = None
        try:
            for place, visits, epoch in self._windows(begin, end):
                coming = (len(visits), reader.submit(self._read, place, visits, epoch, (begin, end, batch), share))
                self.alive += len(visits)
                self.most_alive = max(self.most_alive, self.alive)
                if following is not None:
                    yield from following[1].result()
                    self.alive -= following[0]
                following = coming
            if following is not None:
                yield from following[1].result()
        finally:
            self.alive = 0

    def _windows(self, begin: int, end: int) -> Iterator[tuple[int, Indices, int]]:
        """(place of its first row in the whole training, visits, epoch) of each window that is shown between two places."""
        for epoch in range(begin // self.epoch, -(-end // self.epoch)):
            order, first, place = self._ordered(epoch), 0, epoch * self.epoch
            after = place + np.cumsum(self._visits[order, 2])
            while first < len(order):
                last = max(first + WINDOW, int(np.searchsorted(after, place + LEAST)) + 1)
                window, stop = order[first:last], int(after[min(last, len(order)) - 1])
                if place < end and stop > begin:
                    yield place, window, epoch
                first, place = last, stop

    def _ordered(self, epoch: int) -> Indices:
        """All visits."""
        families = np.array([self._rows.blocks[number].family for number in self._visits[:, 0].tolist()])
        keys = []
        for part, of in enumerate((self._visits[:, 0], families)):
            words = np.stack([2 * self._visits[:, 1] + part, of], 1).astype(np.uint64)
            hashed = h("order", self._seed, words, epoch)
            keys += [hashed[:, 1], hashed[:, 0]]
        return np.lexsort(keys)

    def _within(self, visits: Indices, epoch: int) -> tuple[Indices, UInt64s]:
        """Which of the arm's rows visits show, in the order in which they lie, and the keys they are shown by."""
        rows, keys = [], []
        for block, copy, _ in self._visits[visits].tolist():
            inside = np.arange(self._inside[block], self._inside[block + 1])
            rows.append(inside[self._copies[inside] > copy])
            keys.append(h("order", self._seed, self._rows.uids[self._distinct[rows[-1]]], epoch, copy))
        return np.concatenate(rows), np.concatenate(keys)

    def _read(self, place: int, visits: Indices, epoch: int, within: tuple[int, int, int], share: slice) -> list[_Shown]:
        """The rows of a window that this process shows, in order; no others are read of tars, or kept of Parquet."""
        begin, end, batch = within
        rows, keys = self._within(visits, epoch)
        sorting = order_of(keys)
        places = place + np.arange(len(sorting))
        mine = sorting[(places >= begin) & (places < end) & (places % batch >= share.start) & (places % batch < share.stop)]
        wanted = np.zeros(len(rows), bool)
        wanted[mine] = True
        images, texts = np.empty(len(rows), object), np.empty(len(rows), object)
        start = 0
        for number, _, count in self._visits[visits].tolist():
            at = start + np.flatnonzero(wanted[start : start + count])
            start += count
            if len(at):
                block = self._rows.blocks[number]
                pool, numbers = self._rows.pools[block.pool], self._rows.numbers[self._distinct[rows[at]]]
                frame = pool.read(pool.shards[block.shard], roles=["image", "text"], rows=numbers.astype(np.int64)).frame
                images[at], texts[at] = _objects(frame["image"]), _objects(frame["text"])
        uids = self._rows.uids[self._distinct[rows]]
        return [_Shown(uids[row], images[row], texts[row], keys[row, 1]) for row in mine.tolist()]


def decoded(rows: Sequence[_Shown], scale: ImageTextScale) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images (n, 3, r, r), augmented, and tokens (n, context). Raises PoolError for a row that has no image or text, or does not decode."""
    images = []
    for row in rows:
        if row.image is None or row.text is None:
            raise _missing(row, "it has no image or no text")
        try:
            images.append(pixels(row.image, scale.image.resolution, scale.image.resize))
        except ValueError as error:
            raise _missing(row, str(error)) from error
    draws = np.array([row.draw for row in rows], np.uint64)
    tokens = tokenise([row.text or "" for row in rows], scale.tokens).astype(np.int64)
    return augmented(np.stack(images), draws, scale.augmentation), tokens


def _missing(row: _Shown, why: str) -> PoolError:
    (uid,) = hex_of(row.uid[None])
    return PoolError(
        f"a row cannot be trained on: {why}",
        where=f"row {uid}",
        fix="it was fine when the pool was looked through: restore the pool, or run the recipe again",
    )


def _objects(values: pl.Series) -> npt.NDArray[np.object_]:
    found = np.empty(len(values), object)
    found[:] = values.to_list()
    return found
