"""Making the index of a pool: sorted runs written side by side, then cut at keys into parts that are merged side by side."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import sha256
from curate.errors import PoolError
from curate.executor import Crashed, Executor
from curate.index.lookup import (
    BLOCK,
    COLUMNS,
    FENCES,
    RECORD,
    VERSION,
    Words,
    fences_of,
    fetched,
    folder_of,
    image_key,
    key_of,
    secret_key_of,
    uid_keys,
)
from curate.layouts import layout_named
from curate.pieces import Piece, groups_of, open_pool, pieces_of, read_originals, read_uids
from curate.pool import Pool
from curate.store import Part, Store
from curate.takedown.revoked import revoked
from curate.takedown.tombstones import hosts
from curate.takedown.tombstones import key_of as secret_of

RUN_ROWS, PART_ROWS = 1 << 18, 1 << 22
"""Rows of a sorted run, and records of a part: what a worker holds, at 16 bytes a record and column, a few times over."""


class Pair(NamedTuple):
    """A record: parts are cut between pairs, so that no host is too frequent to be cut."""

    key: int
    row: int


LEAST, BEYOND = Pair(0, 0), Pair((1 << 64) - 1, (1 << 64) - 1)


@dataclass(frozen=True)
class RunTask:
    """Write the sorted runs of some pieces that follow each other."""

    store: str
    pool_key: str
    pieces: tuple[Piece, ...]
    columns: tuple[str, ...]


class SortedRun(NamedTuple):
    """A receipt: where `rows` sorted records lie, and every 4,096th of them as raw bytes."""

    key: str
    rows: int
    samples: bytes


@dataclass(frozen=True)
class MergeTask:
    """Merge the records from `low` on and below `high` of each run's stretch [start, stop)."""

    store: str
    folder: str
    column: str
    runs: tuple[tuple[str, int, int], ...]
    low: Pair
    high: Pair
    last: bool


def can_index(pool: Pool) -> tuple[str, ...]:
    """The columns that an index of this pool has."""
    layout = layout_named(pool.layout)
    within = layout.uid_within is not None and pool.roles.get("uid") == layout.roles.get("uid")
    there = {"uid": True, "original": within, "url": "url" in pool.roles, "host": "url" in pool.roles, "image": "image" in pool.roles}
    return tuple(column for column in COLUMNS if there[column])


def build(
    store: Store, pool_key: str, columns: Sequence[str], executor: Executor, epoch: int, progress: Callable[[str, int, int], None]
) -> list[str]:
    """Make the columns that the pool's index lacks, and publish them together; returns their names. Called by the store's one writer.

    PoolError where the pool's files are not those that were indexed, or where reading rows kills workers.
    """
    pool, folder = open_pool(store, pool_key), folder_of(store, pool_key)
    pool.refuse_changes(store.pool_files)
    there = store.parts(folder)
    missing = tuple(column for column in columns if column in can_index(pool) and column + FENCES not in there)
    if not missing:
        return []
    store.sweep([folder])
    tasks = [RunTask(store.address, pool_key, pieces, missing) for pieces in _stretches(pieces_of(pool))]
    runs: dict[str, dict[int, SortedRun]] = {column: {} for column in missing}
    done = 0
    for index, made in _answers(executor, write_runs, tasks, pool):
        for column, run in made.items():
            runs[column][index] = run
        done += sum(piece.rows for piece in tasks[index].pieces)
        progress("rows to index", done, pool.rows)
    merges = [task for column in missing for task in _cuts(store, folder, column, [runs[column][index] for index in sorted(runs[column])])]
    merged: dict[int, tuple[Part, bytes]] = {}
    for index, result in _answers(executor, merge, merges, pool):
        merged[index] = result
        progress("parts of the index", len(merged), len(merges))
    parts = [merged[index][0] for index in sorted(merged)]
    for column in missing:
        fences = b"".join(merged[index][1] for index in sorted(merged) if merges[index].column == column)
        parts.append(_put(store, folder, column + FENCES, fences, 0, 0, len(fences) // RECORD))
    store.put_json(f"{folder}/about.json", {"version": VERSION, "pool": pool.id, "rows": pool.rows})
    store.publish(folder, parts, epoch)
    store.sweep(())
    return list(missing)


def _answers(executor: Executor, function: Callable[[Any], Any], tasks: Sequence[Any], pool: Pool) -> Iterator[tuple[int, Any]]:
    for index, result in executor.map(function, tasks):
        if isinstance(result, Crashed):
            what = f"indexing it killed the worker {result.attempts} times: {result.detail}"
            raise PoolError(what, where=str(pool.root), fix="use fewer --workers: each needs about 300 MB, and one group of images")
        yield index, result


def _stretches(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, ...]]:
    held: list[Piece] = []
    for piece in pieces:
        if held and sum(one.rows for one in held) + piece.rows > RUN_ROWS:
            yield tuple(held)
            held = []
        held.append(piece)
    if held:
        yield tuple(held)


def write_runs(task: RunTask) -> dict[str, SortedRun]:
    """Runs in a worker: every column's records of the pieces, sorted, in files that are swept after the commit."""
    store, found = Store.open(task.store), {column: list[Words]() for column in task.columns}
    for piece in task.pieces:
        for column, keys in keys_of(store, task.pool_key, piece, task.columns).items():
            known = keys.is_not_null().to_numpy()
            records = np.empty((int(known.sum()), 2), "<u8")
            records[:, 0] = keys.drop_nulls().to_numpy()
            records[:, 1] = piece.offset + piece.start + np.flatnonzero(known)
            found[column].append(records)
    made = {}
    for column, several in found.items():
        records = np.concatenate(several)
        records = records[np.argsort(records[:, 0], kind="stable")]  # rows ascend already
        key = f"tmp/index/{uuid.uuid4().hex}"
        store.storage.put(key, records.tobytes())
        made[column] = SortedRun(key, len(records), records[::BLOCK].tobytes())
    return made


def keys_of(store: Store, pool_key: str, piece: Piece, columns: Sequence[str]) -> dict[str, pl.Series]:
    """The key of every row of a piece, for each column; null where the row has no such value. A row that was taken down is found as before,
    by keys that the store's own key hides."""
    pool, found = open_pool(store, pool_key), dict[str, pl.Series]()
    shard = pool.shards[piece.shard]
    gone = revoked(store).mask(shard, piece.start, piece.stop)
    secret = secret_of(store) if gone.any() else b""
    if "uid" in columns:
        found["uid"] = pl.Series(uid_keys(read_uids(store, pool_key, piece.shard)[piece.start : piece.stop]))
    if "original" in columns:
        originals = read_originals(store, pool_key, piece.shard)
        found["original"] = _hashed(
            pl.Series([None] * piece.rows) if originals is None else originals[piece.start : piece.stop], key_of
        ).set(pl.Series(gone), None)
    if "url" in columns or "host" in columns:
        urls = pool.read(shard, roles=["url"], start=piece.start, stop=piece.stop).frame["url"]
        found |= {name: _keys(values, gone, name, secret) for name, values in (("url", urls), ("host", hosts(urls))) if name in columns}
    if "image" in columns:
        made = []
        for start, stop in groups_of(pool, piece):
            images = pool.read(shard, roles=["image"], start=start, stop=stop).frame["image"]
            made.append(_keys(images, gone[start - piece.start : stop - piece.start], "image", secret))
        found["image"] = pl.concat(made)
    return found


def _keys(values: pl.Series, gone: npt.NDArray[np.bool_], column: str, secret: bytes) -> pl.Series:
    """Keys of a column's values, other ones where rows are `gone`."""
    keys = _hashed(values, image_key if column == "image" else key_of)
    if not gone.any():
        return keys
    return keys.zip_with(pl.Series(~gone), _hashed(values, partial(secret_key_of, secret, column)))


def _hashed(values: pl.Series, key: Callable[[bytes], int]) -> pl.Series:
    return pl.Series([None if value is None else key(value) for value in values.cast(pl.Binary).to_list()], dtype=pl.UInt64)


def _cuts(store: Store, folder: str, column: str, runs: Sequence[SortedRun]) -> list[MergeTask]:
    """Parts of about PART_ROWS records, none twice as large, by what the samples of all runs say."""
    samples = [np.frombuffer(run.samples, "<u8").reshape(-1, 2) for run in runs]
    every = np.concatenate(samples)
    every = every[np.lexsort((every[:, 1], every[:, 0]))]
    edges = [LEAST, *(Pair(*pair) for pair in every[PART_ROWS // BLOCK :: PART_ROWS // BLOCK].tolist()), BEYOND]
    tasks = []
    for low, high in pairwise(edges):
        stretches = []
        for run, sampled in zip(runs, samples, strict=True):
            start, stop = max(_place(sampled, low) - 1, 0) * BLOCK, min(_place(sampled, high) * BLOCK, run.rows)
            stretches.append((run.key, start, stop))
        chosen = tuple(one for one in stretches if one[1] < one[2])
        tasks.append(MergeTask(store.address, folder, column, chosen, low, high, high == BEYOND))
    return tasks


def _place(records: Words, pair: Pair) -> int:
    """How many of the sorted records lie below the pair."""
    first, last = (int(np.searchsorted(records[:, 0], np.uint64(pair.key), side)) for side in ("left", "right"))
    return first + int(np.searchsorted(records[first:last, 1], np.uint64(pair.row), "left"))


def merge(task: MergeTask) -> tuple[Part, bytes]:
    """Runs in a worker: a part of a column, and the fences of its blocks."""
    store, began, found = Store.open(task.store), time.perf_counter(), [np.empty((0, 2), "<u8")]
    for key, start, stop in task.runs:
        records = np.frombuffer(fetched(store, key, start * RECORD, (stop - start) * RECORD), "<u8").reshape(-1, 2)
        found.append(records[_place(records, task.low) : None if task.last else _place(records, task.high)])
    records = np.concatenate(found)
    records = np.ascontiguousarray(records[np.lexsort((records[:, 1], records[:, 0]))])
    ends = (int(records[0, 0]), int(records[-1, 0])) if len(records) else (task.low.key, task.low.key)
    part = _put(store, task.folder, task.column, records.tobytes(), *ends, len(records), time.perf_counter() - began)
    return part, fences_of(records).tobytes()


def _put(store: Store, folder: str, column: str, data: bytes, start: int, stop: int, rows: int, seconds: float = 0.0) -> Part:
    """The receipt of a file; of records `start` and `stop` are the first key and the last."""
    key = f"{folder}/parts/{column}-{uuid.uuid4().hex}.bin"
    store.storage.put(key, data)
    return Part(key, sha256(data), column, start, stop, rows, seconds=seconds)


def describe(store: Store, pool_key: str) -> Mapping[str, int]:
    """Records by column of the index that a pool has; nothing where it has none."""
    parts = store.parts(folder_of(store, pool_key))
    return {column: sum(part.rows for part in parts.get(column, [])) for column in COLUMNS if column + FENCES in parts}
