"""Rows of a pool that show a given picture: the same bytes, the same pixels, or nearly the same perceptual hash (PDQ)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import CeterisError
from curate.executor import Crashed, Executor
from curate.index.search import Indices, place_of, search
from curate.pieces import open_pool, pieces_of
from curate.record import Run
from curate.store import Store

BYTES, PIXELS, NEAR = "equal bytes", "equal pixels", "near"
DISTANCE, QUALITY = 31, 50
"""Meta's own: bits of 256 that may differ, and the quality below which a hash says little (filters/perceptual_duplicate)."""
FEW = 20_000
"""Images that are hashed without being asked to."""
_KIND = "signals/perceptual_duplicate.sketch-"
_ROWS = 512
"""Of a task."""

Hashes = npt.NDArray[np.uint64]


class Shown(NamedTuple):
    """Rows that show the picture: pool-wide `numbers`, `how` (equal bytes, equal pixels, near) and the `distance` of their hashes in bits;
    `notes` on what was looked at, and how."""

    numbers: list[int]
    how: list[str]
    distance: list[int]
    notes: list[str]


@dataclass(frozen=True)
class HashTask:
    """Hash the images of some rows of a shard."""

    store: str
    pool_key: str
    shard: int
    rows: tuple[int, ...]


def showing(store: Store, runs: Sequence[Run], data: bytes, barred: Indices, executor: Executor, every: bool = False) -> Shown:
    """The rows of one pool that show the picture in `data`, an encoded image, nearest first; `runs` are all on that pool. Rows in `barred`
    (pool-wide, ascending) are looked for by their bytes only: nothing else of them is told.

    Hashes are read from the evidence of runs that used `perceptual_duplicate`. What none has hashed is hashed now where that is few, or
    with `every`; nothing of it is stored. CeterisError where `data` is no image that can be decoded, or the pool has no images.
    """
    from filters._image import ImageError
    from filters._pdq import told

    key = runs[0].facts["pool"]
    exact = search(store, key, "image", data, executor)
    notes = [f"equal bytes: {'by the index' if exact.indexed else 'every image was read; `curate index` makes that fast'}"]
    try:
        own = told(data)
    except ImageError as error:
        raise CeterisError(f"the picture cannot be decoded: {error.code}", fix="give a JPEG, PNG, WebP or GIF file") from error
    known, hashes = _stored(runs)
    left = np.setdiff1d(np.setdiff1d(np.arange(runs[0].pool.rows), known), barred)
    if left.size and (every or left.size <= FEW):
        fresh, made = _hashed_now(store, key, left, executor)
        notes.append(f"near: {known.size:,} hashes from the store, {left.size:,} images hashed for this question")
        known, hashes = np.concatenate([known, fresh]), np.concatenate([hashes, made])
    elif left.size:
        notes.append(
            f"near: {known.size:,} hashes from the store; {left.size:,} images that no run hashed were left out: --scan hashes them"
        )
    else:
        notes.append(f"near: {known.size:,} hashes from the store")
    apart = np.bitwise_count(hashes ^ np.frombuffer(own.hash, "<u8")).sum(axis=1).astype(np.int64)
    close = (apart <= (DISTANCE if own.quality >= QUALITY else 0)) & ~np.isin(known, barred)
    found = {number: (BYTES, 0) for number in exact.numbers.tolist()}
    for number, distance in zip(known[close].tolist(), apart[close].tolist(), strict=True):
        if number in found:
            continue
        same = distance == 0 and _pixels(runs[0], number) == own.pixels
        if same or own.quality >= QUALITY:
            found[number] = (PIXELS, 0) if same else (NEAR, distance)
    order = sorted(found, key=lambda number: (found[number][1], [BYTES, PIXELS, NEAR].index(found[number][0]), number))
    return Shown(order, [found[number][0] for number in order], [found[number][1] for number in order], notes)


def _stored(runs: Sequence[Run]) -> tuple[Indices, Hashes]:
    """Row numbers and hashes that the first of these runs with any has in the store."""
    for run in runs:
        for name, measure in run.facts["measures"].items():
            if measure["folder"].startswith(_KIND):
                parts, offset = run.parts(name), 0
                numbers, hashes = [np.empty(0, np.int64)], [np.empty((0, 4), np.uint64)]
                for shard in run.pool.shards:
                    for part in parts.get(shard.digest, []):
                        frame = run.store.frame(part, columns=["row", "hash", "quality"]).drop_nulls("hash")
                        numbers.append(frame["row"].to_numpy().astype(np.int64) + offset)
                        hashes.append(np.frombuffer(b"".join(frame["hash"].cast(pl.Binary).to_list()), "<u8").reshape(-1, 4))
                    offset += shard.rows
                every, first = np.unique(np.concatenate(numbers), return_index=True)
                return every, np.concatenate(hashes)[first]
    return np.empty(0, np.int64), np.empty((0, 4), np.uint64)


def _hashed_now(store: Store, key: str, rows: Indices, executor: Executor) -> tuple[Indices, Hashes]:
    pool, tasks = open_pool(store, key), []
    for piece in pieces_of(pool):
        inside = rows[(rows >= piece.offset + piece.start) & (rows < piece.offset + piece.stop)] - piece.offset
        tasks += [HashTask(store.address, key, piece.shard, tuple(inside[at : at + _ROWS].tolist())) for at in range(0, inside.size, _ROWS)]
    numbers, hashes = [np.empty(0, np.int64)], [np.empty((0, 4), np.uint64)]
    offsets = np.cumsum([0, *(shard.rows for shard in pool.shards)])
    for index, result in executor.map(hash_images, tasks):
        if isinstance(result, Crashed):
            where = str(pool.root / pool.shards[tasks[index].shard].path)
            raise CeterisError(f"an image there killed the worker {result.attempts} times", where=where, fix="move it away")
        there, made = result
        numbers.append(there + offsets[tasks[index].shard])
        hashes.append(made)
    return np.concatenate(numbers), np.concatenate(hashes)


def hash_images(task: HashTask) -> tuple[Indices, Hashes]:
    """Runs in a worker: rows of the shard whose images can be decoded, and their hashes as four words."""
    from filters._image import ImageError
    from filters._pdq import told

    pool = open_pool(Store.open(task.store), task.pool_key)
    images = pool.read(pool.shards[task.shard], roles=["image"], rows=list(task.rows)).frame["image"].to_list()
    rows, hashes = [], []
    for row, data in zip(task.rows, images, strict=True):
        if data is None:
            continue
        try:
            made = told(data)
        except ImageError:
            continue
        rows.append(row)
        hashes.append(made.hash)
    return np.array(rows, np.int64), np.frombuffer(b"".join(hashes), "<u8").reshape(-1, 4)


def _pixels(run: Run, number: int) -> bytes | None:
    """The digest of a row's pixels; None where its image cannot be decoded now."""
    from filters._image import ImageError
    from filters._pdq import told

    place = place_of(run.pool, number)
    data = run.unchanged.read(run.pool.shards[place.shard], roles=["image"], rows=[place.row]).frame["image"].item()
    try:
        return told(data).pixels if data is not None else None
    except ImageError:
        return None
