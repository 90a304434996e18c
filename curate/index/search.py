"""Where a pool's rows lie: by uid, url, host or image from its index, where it has one; else, and by text always, by looking at all."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import UInt64s, row_hash, words_of, words_of_hex
from curate.errors import CeterisError
from curate.executor import Crashed, Executor, InProcess
from curate.index.lookup import Index, image_key, key_of, open_index, secret_key_of, uid_keys
from curate.pieces import Piece, groups_of, open_pool, pieces_of, read_originals, read_uids
from curate.pool import Pool
from curate.store import Store
from curate.takedown.named_rows import uids_of
from curate.takedown.revoked import revoked
from curate.takedown.tombstones import hosts, keyed_uids, plain_host, requests
from curate.takedown.tombstones import key_of as secret_of

_ROLES = {"url": "url", "host": "url", "source": "source", "text": "text", "image": "image"}
"""What rows can be searched by besides their uid: a whole url, a host, a source, a piece of a text as it is written, an image's bytes."""
_PIECES = 32
"""In one task."""

Indices = npt.NDArray[np.int64]


class Place(NamedTuple):
    """A row: its shard's number in the pool, its number in the shard, and its pool-wide number."""

    shard: int
    row: int
    number: int


class Searched(NamedTuple):
    """Pool-wide numbers of the rows found, ascending; and whether the index said so, or every row was looked at."""

    numbers: Indices
    indexed: bool


@dataclass(frozen=True)
class SearchTask:
    """Look at every row of some pieces."""

    store: str
    pool_key: str
    pieces: tuple[Piece, ...]
    by: str
    value: str | bytes


def place_of(pool: Pool, number: int) -> Place:
    """Where a pool-wide row number is. CeterisError beyond the pool."""
    row = number
    for shard, one in enumerate(pool.shards):
        if row < one.rows:
            return Place(shard, row, number)
        row -= one.rows
    raise CeterisError(f"the pool has no row number {number}", where=str(pool.root))


def uids_at(store: Store, pool_key: str, numbers: Indices) -> UInt64s:
    """The uids, (n, 2) words, of rows by their pool-wide numbers, in their order; one shard's uids are read at a time."""
    pool, words = open_pool(store, pool_key), np.empty((numbers.size, 2), np.uint64)
    edges = np.cumsum([0, *(shard.rows for shard in pool.shards)])
    shards = np.searchsorted(edges, numbers, "right") - 1
    for shard in np.unique(shards).tolist():
        inside = shards == shard
        words[inside] = uids_of(store, pool, shard)[numbers[inside] - edges[shard]]
    return words


def locate(store: Store, pool_key: str, uid: str) -> Place | None:
    """The row with a uid, 32 hex digits or as the pool writes it (inside a source, SOURCE/ID), also one that was taken down; None where the
    pool has no such row."""
    pool, index = open_pool(store, pool_key), open_index(store, pool_key)
    words = words_of_hex([uid.lower()]) if re.fullmatch(r"[0-9a-fA-F]{32}", uid) else words_of([row_hash([b"uid", uid.encode()])])
    if requests(store):  # the hash that stands where the uid stood
        words = np.concatenate([words, keyed_uids(secret_of(store), words)])
    if index is not None and "uid" in index.columns:
        for one, key in zip(words, uid_keys(words).tolist(), strict=True):
            ((_, numbers),) = index.find("uid", [key])
            for place in (place_of(pool, number) for number in numbers.tolist()):
                if (read_uids(store, pool_key, place.shard)[place.row] == one).all():
                    return place
        written = index.find("original", [key_of(uid)]) if "original" in index.columns else ()
        for place in (place_of(pool, number) for _, found in written for number in found.tolist()):
            originals = read_originals(store, pool_key, place.shard)
            if originals is not None and originals[place.row] == uid:
                return place
        return None
    return _looked_for(pool, lambda shard: _hashed(store, pool_key, shard, words)) or _looked_for(
        pool, lambda shard: _written(store, pool_key, shard, uid)
    )


def _looked_for(pool: Pool, within: Callable[[int], int | None]) -> Place | None:
    offset = 0
    for number, shard in enumerate(pool.shards):
        if (row := within(number)) is not None:
            return Place(number, row, offset + row)
        offset += shard.rows
    return None


def _hashed(store: Store, pool_key: str, shard: int, words: UInt64s) -> int | None:
    uids = read_uids(store, pool_key, shard)
    for high, low in words:
        found = np.flatnonzero((uids[:, 0] == high) & (uids[:, 1] == low))
        if found.size:
            return int(found[0])
    return None


def _written(store: Store, pool_key: str, shard: int, uid: str) -> int | None:
    originals = read_originals(store, pool_key, shard)
    return None if originals is None else originals.index_of(uid)


def search(store: Store, pool_key: str, by: str, value: str | bytes, executor: Executor | None = None) -> Searched:
    """The rows of a pool with this url, of this host or source, with this in their text, or with an image of these bytes.

    Rows that the index names are read again to be sure, but for those of a host. Those that were taken down are found as others are.
    CeterisError where the pool has no such role, PoolError where its files have changed.
    """
    pool = open_pool(store, pool_key)
    if _ROLES[by] not in pool.roles:
        raise CeterisError(f"this pool has no role {_ROLES[by]}", where=str(pool.root), fix=f"there are: {', '.join(pool.roles)}")
    pool.refuse_changes(store.pool_files)
    index, value = open_index(store, pool_key), plain_host(value) if by == "host" and isinstance(value, str) else value
    if index is not None and by in index.columns:
        return Searched(_indexed(pool, index, by, value), True)
    pieces = pieces_of(pool)
    tasks = [SearchTask(store.address, pool_key, tuple(pieces[at : at + _PIECES]), by, value) for at in range(0, len(pieces), _PIECES)]
    found = [np.empty(0, np.int64)]
    for index_of_task, result in (executor or InProcess()).map(look, tasks):
        if isinstance(result, Crashed):
            where = str(pool.root / pool.shards[tasks[index_of_task].pieces[0].shard].path)
            raise CeterisError(f"reading rows killed the worker {result.attempts} times: {result.detail}", where=where, fix="move it away")
        found.append(result)
    return Searched(np.sort(np.concatenate(found)), False)


def _indexed(pool: Pool, index: Index, by: str, value: str | bytes) -> Indices:
    keys = [image_key(value) if by == "image" and isinstance(value, bytes) else key_of(value)]
    if revoked(index.store):  # rows that were taken down have keys of their own
        keys.append(secret_key_of(secret_of(index.store), by, value))
    found = np.sort(np.concatenate([numbers for _, numbers in index.find(by, keys)])).astype(np.int64)
    if by == "host":
        return found
    return np.array([number for number in found.tolist() if _is(pool, place_of(pool, number), by, value)], np.int64)


def _is(pool: Pool, place: Place, by: str, value: str | bytes) -> bool:
    return bool(pool.read(pool.shards[place.shard], roles=[_ROLES[by]], rows=[place.row]).frame.item() == value)


def look(task: SearchTask) -> Indices:
    """Runs in a worker: the pool-wide numbers of the rows that are so, one readable group in memory at a time."""
    store = Store.open(task.store)
    pool, found = open_pool(store, task.pool_key), [np.empty(0, np.int64)]
    for piece in task.pieces:
        for start, stop in groups_of(pool, piece):
            values = pool.read(pool.shards[piece.shard], roles=[_ROLES[task.by]], start=start, stop=stop).frame.to_series()
            found.append(piece.offset + start + np.flatnonzero(_matches(values, task.by, task.value)))
    return np.concatenate(found)


def _matches(values: pl.Series, by: str, value: str | bytes) -> npt.NDArray[np.bool_]:
    held = hosts(values) if by == "host" else values
    column = pl.col(held.name)
    same = column.str.contains(str(value), literal=True) if by == "text" else column == pl.lit(value)
    return held.to_frame().select(same.fill_null(False)).to_series().to_numpy()
