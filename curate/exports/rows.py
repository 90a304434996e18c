"""The rows of a subset as every export walks them: in the pool's order, a readable group at a time."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import UInt64s
from curate.layouts import GENERIC
from curate.pieces import read_uids
from curate.plan import POOL
from curate.pool import Read, Shard
from curate.record import Run, Selected

Copies = npt.NDArray[np.uint32]


class Part(NamedTuple):
    """The chosen rows of one group of a shard: `rows` are numbers in the shard, `inside` in the group; `number` is the shard's."""

    number: int
    shard: Shard
    group: int
    rows: npt.NDArray[np.int64]
    inside: npt.NDArray[np.int64]
    uids: UInt64s
    copies: Copies


def parts_of(run: Run, chosen: Selected) -> Iterator[Part]:
    """Every group that holds rows of the subset."""
    node = run.node_of(chosen.name)
    decided = None if node == POOL else run.decided(node)
    for piece in run.pieces:
        mask = np.ones(piece.rows, bool) if decided is None else decided.codes(run.store, piece.number) == 0
        if not mask.any():
            continue
        shard = run.unchanged.shards[piece.shard]
        uids = read_uids(run.store, run.facts["pool"], piece.shard)
        start = 0
        for group, height in enumerate(shard.groups):
            first, start = start, start + height
            if first < piece.start or first >= piece.stop:
                continue
            inside = np.flatnonzero(mask[first - piece.start : first - piece.start + height])
            if inside.size:
                here = uids[first + inside]
                yield Part(piece.shard, shard, group, first + inside, inside, here, _copies(chosen, here))


def _copies(chosen: Selected, uids: UInt64s) -> Copies:
    """How often each of these rows is in the subset."""
    if not (chosen.copies > 1).any():
        return np.ones(len(uids), np.uint32)
    found: Copies = chosen.copies[np.searchsorted(_sortable(chosen.uids), _sortable(uids))]
    return found


def _sortable(uids: UInt64s) -> npt.NDArray[np.bytes_]:
    """The uids as 16-byte strings, which sort as the words do (NumPy drops zeros at their ends, from all alike)."""
    return np.ascontiguousarray(uids.astype(">u8")).view("S16").ravel()


def column_names(run: Run) -> dict[str, str]:
    """What the column of each role is called outside: as in the pool, but a tar's captions `text`."""
    names = dict(run.pool.roles)
    if run.pool.layout == "webdataset" and names["text"] == "txt":
        names["text"] = "text"
    return names


def other_columns(run: Run, redacted: bool) -> dict[str, str]:
    """The pool's scalar columns that are no role, and what each is called outside.

    One that could be taken for a role which another column has (a `caption` of the json beside the captions themselves) leaves as
    `original_NAME`, so that what leaves opens again with the same roles. Where texts are redacted, such a further text does not leave.
    """
    names = column_names(run)
    found = {name: name for name in run.pool.columns if name not in run.pool.roles.values() and name not in run.pool.vectors}
    for role, said in names.items():
        if said.lower() not in GENERIC.get(role, ()) or role == "uid":
            continue
        for name in [name for name in found if name.lower() in GENERIC[role]]:
            if redacted and role == "text":
                del found[name]
                continue
            free = name
            while free in names.values() or free in found or free in found.values():
                free = f"original_{free}"
            found[name] = free
    return found


def unread_boxes(read: Read) -> pl.Series:
    """The boxes' JSON; in place of those that could not be read their code, which is no JSON: further on they are unreadable still."""
    boxes, codes = read.frame["face_boxes"], read.faults.get("face_boxes")
    return boxes if codes is None else boxes.fill_null(codes)
