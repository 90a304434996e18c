"""Counting what recurs over a pool in bounded memory: sorted runs on disk, merged a range of hashes at a time."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

AT_ONCE = 1 << 20
"""Distinct hashes of one run: 20 bytes each at rest, some 80 while they are merged."""


class Tally(NamedTuple):
    """Distinct `hashes` (n,), ascending; `counts` (n,), in how many documents each stood; `owners` (n,), the least of their hashes."""

    hashes: Hashes
    counts: npt.NDArray[np.uint32]
    owners: Hashes


_NOTHING = Tally(np.empty(0, np.uint64), np.empty(0, np.uint32), np.empty(0, np.uint64))


def tally(hashes: Hashes, documents: Hashes, rows: npt.NDArray[np.int64]) -> Tally:
    """Of things that stood in `rows` (ascending), each the row of a document: a thing counts once in each row."""
    order = np.argsort(hashes, kind="stable")
    again = (np.diff(hashes[order]) == 0) & (np.diff(rows[order]) == 0)
    order = order[np.concatenate([[True], ~again])] if order.size else order
    return _summed(hashes[order], np.ones(order.size, np.uint32), documents[order])


def recurring(tallies: Iterable[Tally], at_once: int = AT_ONCE) -> tuple[Tally, int]:
    """The things that stood in two documents or more, over all tallies in whatever order; and how many distinct things there were.

    Memory: about `at_once` distinct things and the recurring ones; disk: 20 bytes for each distinct thing of a run.
    """
    with tempfile.TemporaryDirectory(prefix="ceteris-") as folder:
        spilled, size = 0, 0
        held: list[Tally] = []
        for one in tallies:
            held.append(one)
            if sum(part.hashes.size for part in held) >= at_once:
                held = [_merged(held)]
                if held[0].hashes.size >= at_once // 2:
                    size += held[0].hashes.size
                    _spill(held.pop(), Path(folder), spilled)
                    spilled += 1
        rest = _merged(held)
        ranges = -(-(size + rest.hashes.size) // at_once) or 1
        found, distinct = [_NOTHING], 0
        for number in range(ranges):  # hashes lie evenly, so that each range holds about as many
            edges = (number << 64) // ranges, ((number + 1) << 64) // ranges
            whole = _merged([_between(run, *edges) for run in (rest, *(_opened(Path(folder), at) for at in range(spilled)))])
            distinct += whole.hashes.size
            found.append(_part(whole, whole.counts >= 2))
        return _joined(found), distinct


def _between(run: Tally, low: int, high: int) -> Tally:
    """Its hashes from `low` to below `high`."""
    first = int(np.searchsorted(run.hashes, np.uint64(low)))
    return _part(run, slice(first, None if high == 1 << 64 else int(np.searchsorted(run.hashes, np.uint64(high)))))


def _merged(parts: list[Tally]) -> Tally:
    whole = _joined([_NOTHING, *parts])
    order = np.argsort(whole.hashes, kind="stable")
    return _summed(whole.hashes[order], whole.counts[order], whole.owners[order])


def _joined(parts: list[Tally]) -> Tally:
    hashes, owners = np.concatenate([part.hashes for part in parts]), np.concatenate([part.owners for part in parts])
    return Tally(hashes, np.concatenate([part.counts for part in parts]), owners)


def _part(whole: Tally, where: slice | npt.NDArray[np.bool_]) -> Tally:
    return Tally(whole.hashes[where], whole.counts[where], whole.owners[where])


def _summed(hashes: Hashes, counts: npt.NDArray[np.uint32], owners: Hashes) -> Tally:
    """Equal neighbours made one."""
    if not hashes.size:
        return Tally(hashes, counts, owners)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(hashes) != 0]))
    return Tally(hashes[starts], np.add.reduceat(counts, starts, dtype=np.uint32), np.minimum.reduceat(owners, starts))


def _spill(run: Tally, folder: Path, number: int) -> None:
    for name, column in run._asdict().items():
        np.save(folder / f"{number}-{name}.npy", column)


def _opened(folder: Path, number: int) -> Tally:
    """A run on disk, read where it is asked for."""
    return Tally(*(np.load(folder / f"{number}-{name}.npy", mmap_mode="r") for name in Tally._fields))
