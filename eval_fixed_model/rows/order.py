"""The order in which rows are shown: a hash of (seed, epoch, uid, copy), so that no sharding, position or arm changes it."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curate.digest import UInt64s, h, order_of
from curate.errors import CeterisError

Indices = npt.NDArray[np.int64]


class Order(NamedTuple):
    """`rows`, shape (steps, batch): positions in the uids given. `draws`, same shape: 64 uniform bits for each showing (augmentation)."""

    rows: Indices
    draws: UInt64s


def batches(uids: UInt64s, multiplicity: npt.NDArray[np.integer], seed: int, samples_seen: int, batch: int) -> Order:
    """The batches of one training.

    Epoch e holds every copy of every row once, sorted by h("order", seed, uid, e, copy); epochs follow each other and are cut at
    `samples_seen`; a batch may span an edge. So each copy is shown floor or ceil(samples_seen / copies) times.
    """
    if len(uids) == 0 or int(multiplicity.sum()) == 0:
        raise CeterisError("an arm without rows cannot be trained", fix="loosen the last rule, or leave the subset out of `subsets:`")
    copies = [(copy, np.flatnonzero(multiplicity > copy)) for copy in range(int(multiplicity.max()))]
    positions = np.concatenate([listed for _, listed in copies])
    epochs = -(-samples_seen // len(positions))
    rows = np.empty(epochs * len(positions), np.int64)
    draws = np.empty(epochs * len(positions), np.uint64)
    for epoch in range(epochs):
        keys = np.concatenate([h("order", seed, uids[listed], epoch, copy) for copy, listed in copies])
        sorting = order_of(keys)
        span = slice(epoch * len(positions), (epoch + 1) * len(positions))
        rows[span], draws[span] = positions[sorting], keys[sorting, 1]
    shape = (samples_seen // batch, batch)
    return Order(rows[:samples_seen].reshape(shape), draws[:samples_seen].reshape(shape))


def repeats(order: Order, count: int) -> dict[int, int]:
    """How often rows were shown: times -> number of rows, over `count` rows."""
    times, rows = np.unique(np.bincount(order.rows.ravel(), minlength=count), return_counts=True)
    return dict(zip(times.tolist(), rows.tolist(), strict=True))
