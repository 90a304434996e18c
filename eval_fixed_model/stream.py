"""Rows that are read while they are shown (`order: blocked`): from a pool of Parquet or tars, never more of it than some blocks."""

import itertools
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from curate.digest import UInt64s, digest_of, h, hex_of, order_of
from curate.errors import CeterisError, PoolError
from curate.pool import Pool, Shard
from curate.threads import share as threads
from eval_fixed_model.augmentation import augmented
from eval_fixed_model.gradients import Batch
from eval_fixed_model.rows import pixels, tokenise
from eval_fixed_model.scale import ImageTextScale

WINDOW = 8
"""Blocks whose rows are shown mixed: of exports about 8,000 rows of tars, 130,000 of Parquet."""
AHEAD = 3
"""Batches that are decoded before they are asked for."""


@dataclass(frozen=True)
class Block:
    """Rows `start` to `stop` of a shard: a row group, or so many samples of a tar. Blocks of one `family` are visited together."""

    shard: Shard
    start: int
    stop: int
    family: int


class _Shown(NamedTuple):
    """One row on its way to a batch: its uid, what it holds, and its draw."""

    uid: UInt64s
    image: bytes | None
    text: str | None
    draw: np.uint64


class Stream:
    """The rows of a pool, except those of `without` (uids that do not decode, say), as a training's feed.

    An epoch visits blocks by h("order", seed, block, epoch); the rows of `WINDOW` blocks at a time are shown by h("order", seed, uid,
    epoch); epochs follow each other and are cut at samples seen. So the batches are the same for any number of readers and of processes
    that share them, and from any step on. What lies near in the pool is shown near: webdataset exports lie in the order of a hash
    already; of these all blocks of a tar are visited one after the other, so that its members are listed once. `executor` decodes
    (threads of this process when None); `most_alive` is the most blocks that were held at once: those of two windows.
    """

    def __init__(
        self, scale: ImageTextScale, pool: Pool, seed: int, without: UInt64s | None = None, executor: Executor | None = None
    ) -> None:
        """Reads the uids of the pool once, 16 bytes a row of one block at a time."""
        self._scale, self._pool, self._seed, self._executor = scale, pool, seed, executor
        self._without = frozenset(() if without is None else hex_of(without))
        self._blocks = [*_blocks(pool)]
        self._counts, self.alive, self.most_alive = np.zeros(len(self._blocks), np.int64), 0, 0
        total = np.zeros(2, np.uint64)
        for number, block in enumerate(self._blocks):
            uids = self._uids(block)[0]
            self._counts[number] = len(uids)
            total += h("member", 0, uids).sum(0, dtype=np.uint64)
        self.rows = int(self._counts.sum())
        if not self.rows:
            raise CeterisError(
                "a pool without rows cannot be trained on", where=str(pool.root), fix="loosen the last rule, and export again"
            )
        self.digest = digest_of([self.rows, hex_of(total[None]), [[block.start, block.stop, block.family] for block in self._blocks]])

    def shown(self) -> dict[str, Any]:
        """For the record, as of exact orders: distinct rows, copies, and how often rows are shown."""
        times, rest = divmod(self._scale.samples_seen, self.rows)
        repeats = {str(times): self.rows - rest, str(times + 1): rest}
        return {"rows": self.rows, "copies": self.rows, "repeats": {times: rows for times, rows in repeats.items() if rows}}

    def batches(self, first: int, share: slice) -> Iterator[Batch]:
        """Images (n, 3, r, r) uint8 and tokens (n, context) of these rows of each batch, read and decoded ahead."""
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(threads()) as here:
            decoder = self._executor or here
            coming: deque[Future[tuple[Any, Any]]] = deque()
            rows = self._rows(first, share, reader)
            try:
                for _ in range(first, self._scale.steps):
                    while len(coming) < AHEAD and (batch := [*itertools.islice(rows, share.stop - share.start)]):
                        coming.append(decoder.submit(decoded, batch, self._scale))
                    images, tokens = coming.popleft().result()
                    yield torch.from_numpy(images), torch.from_numpy(tokens)
            finally:
                rows.close()
                reader.shutdown(cancel_futures=True)

    def _rows(self, first: int, share: slice, reader: Executor) -> Generator[_Shown, None, None]:
        """Of every batch from `first` on the rows `share`. The next window is read while this one is shown."""
        begin, end, batch = first * self._scale.batch, self._scale.samples_seen, self._scale.batch
        following: tuple[int, Future[Any]] | None = None
        try:
            for place, numbers, epoch in self._windows(begin, end):
                coming = (len(numbers), reader.submit(self._read, place, numbers, epoch, (begin, end, batch), share))
                self.alive += len(numbers)
                self.most_alive = max(self.most_alive, self.alive)
                if following is not None:
                    yield from following[1].result()
                    self.alive -= following[0]
                following = coming
            if following is not None:
                yield from following[1].result()
        finally:
            self.alive = 0

    def _windows(self, begin: int, end: int) -> Iterator[tuple[int, npt.NDArray[np.int64], int]]:
        """(place of its first row in the whole training, blocks, epoch) of each window that is shown between two places."""
        for epoch in range(begin // self.rows, -(-end // self.rows)):
            visits, place = self._visits(epoch), epoch * self.rows
            for start in range(0, len(visits), WINDOW):
                numbers = visits[start : start + WINDOW]
                after = place + int(self._counts[numbers].sum())
                if place < end and after > begin:
                    yield place, numbers, epoch
                place = after

    def _visits(self, epoch: int) -> npt.NDArray[np.int64]:
        families = np.array([block.family for block in self._blocks], np.uint64)
        numbers = np.arange(len(self._blocks), dtype=np.uint64)
        zeros = np.zeros_like(numbers)
        by_family = h("order", self._seed, np.stack([zeros, families], 1), epoch)
        by_block = h("order", self._seed, np.stack([zeros + np.uint64(1), numbers], 1), epoch)
        return np.lexsort((by_block[:, 1], by_block[:, 0], by_family[:, 1], by_family[:, 0]))

    def _read(self, place: int, numbers: npt.NDArray[np.int64], epoch: int, within: tuple[int, int, int], share: slice) -> list[_Shown]:
        """The rows of a window that this process shows, in order; no others are read of tars, or kept of Parquet."""
        begin, end, batch = within
        blocks = [self._blocks[number] for number in numbers.tolist()]
        found = [self._uids(block) for block in blocks]
        uids = np.concatenate([uids for uids, _ in found])
        keys = h("order", self._seed, uids, epoch)
        sorting = order_of(keys)
        places = place + np.arange(len(sorting))
        mine = sorting[(places >= begin) & (places < end) & (places % batch >= share.start) & (places % batch < share.stop)]
        wanted = np.zeros(len(uids), bool)
        wanted[mine] = True
        images, texts = np.empty(len(uids), object), np.empty(len(uids), object)
        start = 0
        for block, (own, rows) in zip(blocks, found, strict=True):
            asked = wanted[start : start + len(own)]
            frame = self._pool.read(block.shard, roles=["image", "text"], rows=rows[asked]).frame
            at = start + np.flatnonzero(asked)
            images[at], texts[at] = _objects(frame["image"]), _objects(frame["text"])
            start += len(own)
        return [_Shown(uids[row], images[row], texts[row], keys[row, 1]) for row in mine.tolist()]

    def _uids(self, block: Block) -> tuple[UInt64s, npt.NDArray[np.int64]]:
        """Of the rows of a block that are not left out: uids, and numbers in the shard."""
        uids, rows = self._pool.uids(block.shard, block.start, block.stop)[0], np.arange(block.start, block.stop)
        if self._without:
            kept = np.array([uid not in self._without for uid in hex_of(uids)], bool)
            return uids[kept], rows[kept]
        return uids, rows


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
    return PoolError(f"a row cannot be trained on: {why}", where=f"row {uid}", fix="leave it out of every arm: give its uid in `without`")


def _objects(values: pl.Series) -> npt.NDArray[np.object_]:
    found = np.empty(len(values), object)
    found[:] = values.to_list()
    return found


def _blocks(pool: Pool) -> Iterator[Block]:
    family = itertools.count()
    for shard in pool.shards:
        number = next(family)
        start = 0
        for height in shard.groups:
            yield Block(shard, start, start + height, number)
            start += height
            number = number if pool.layout == "webdataset" else next(family)
