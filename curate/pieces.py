"""A pool as the engine walks it: every row's uid, read once, and pieces of shards as the unit of work."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from curate.digest import UInt64s, canonical_json
from curate.errors import PoolError
from curate.executor import Crashed, Executor
from curate.pool import Pool, number_duplicates, refuse_duplicates
from curate.store import Part, Store

PIECE_ROWS = 16_384


@dataclass(frozen=True)
class Piece:
    """Rows start to stop of a shard; `offset` is the pool-wide number of the shard's first row."""

    number: int
    shard: int
    start: int
    stop: int
    offset: int

    @property
    def rows(self) -> int:
        """How many."""
        return self.stop - self.start


def pool_key(pool: Pool) -> str:
    """pools/ID."""
    return f"pools/{pool.id[:16]}"


@dataclass(frozen=True)
class UidTask:
    """Read the uids of one piece."""

    store: str
    pool_key: str
    piece: Piece


def index_pool(pool: Pool, store: Store, executor: Executor, progress: Callable[[str, int, int], None]) -> bool:
    """Give every row its uid, once per pool; True if it had to be done. PoolError on null or repeated uids of a uid column."""
    key = pool_key(pool)
    remember_place(pool, store)
    if store.json(f"{key}/indexed.json"):
        return False
    pieces, parts, rows = pieces_of(pool), dict[int, Part](), 0
    for index, part in executor.map(write_uids, [UidTask(store.address, key, piece) for piece in pieces]):
        if isinstance(part, Crashed):
            where = str(pool.root / pool.shards[pieces[index].shard].path)
            raise PoolError(f"reading its rows killed the worker {part.attempts} times: {part.detail}", where=where, fix="move it away")
        parts[index], rows = part, rows + pieces[index].rows
        progress("uids", rows, pool.rows)
    mine = [[parts[piece.number] for piece in pieces if piece.shard == shard] for shard in range(len(pool.shards))]
    empty = pl.DataFrame(schema={"high": pl.UInt64, "low": pl.UInt64})
    words = [pl.concat([empty, *[store.frame(part, columns=["high", "low"]) for part in some]]).to_numpy() for some in mine]
    if "uid" in pool.roles:
        refuse_duplicates(pool, words)
    else:
        words = number_duplicates(words)
    for number, some in enumerate(mine):
        frame = pl.concat([empty, *[store.frame(part) for part in some]], how="diagonal")
        frame = frame.with_columns(high=words[number][:, 0], low=words[number][:, 1])
        store.put_json(f"{key}/uids/{number:06d}.json", asdict(store.put_frame(key, f"uids-{number:06d}", frame)))
    total = [int(np.add.reduce([w[:, i].sum(dtype=np.uint64) for w in words], dtype=np.uint64)) for i in (0, 1)] if words else [0, 0]
    store.put_json(f"{key}/indexed.json", {"rows": pool.rows, "sums": total})
    return True


def write_uids(task: UidTask) -> Part:
    """Runs in a worker: uids as words, and as they were written where that is something else."""
    store = Store.open(task.store)
    pool = open_pool(store, task.pool_key)
    words, original = pool.uids(pool.shards[task.piece.shard], task.piece.start, task.piece.stop)
    frame = pl.DataFrame({"high": words[:, 0], "low": words[:, 1]})
    return store.put_frame("tmp/uids", f"{task.piece.number:06d}", frame if original is None else frame.with_columns(original=original))


def pieces_of(pool: Pool) -> list[Piece]:
    """Shards cut at their readable groups into pieces of about PIECE_ROWS rows: the unit of work."""
    pieces: list[Piece] = []
    offset = 0
    for number, shard in enumerate(pool.shards):
        start = stop = 0
        for rows in shard.groups:
            if stop > start and stop + rows - start > PIECE_ROWS:
                pieces.append(Piece(len(pieces), number, start, stop, offset))
                start = stop
            stop += rows
        if stop > start:
            pieces.append(Piece(len(pieces), number, start, stop, offset))
        offset += shard.rows
    return pieces


def remember_place(pool: Pool, store: Store) -> None:
    """Write down where the pool's files lie now: moved or renamed, it is the same pool."""
    key = pool_key(pool)
    places = store.storage.list(f"{key}/pool-")
    here = pool.to_json()
    if not places or _lies(store.json(places[-1])) != _lies(here):
        store.put_json(f"{key}/pool-{len(places) + 1:04d}.json", here)


def _lies(place: dict[str, Any]) -> str:
    return canonical_json({**place, "digest_level": ""})


_pools: dict[tuple[str, str], Pool] = {}
_uids: dict[tuple[str, str, int], UInt64s] = {}


def open_pool(store: Store, key: str) -> Pool:
    """The pool that a store knows under pools/ID, where it was last seen."""
    place = store.storage.list(f"{key}/pool-")[-1]
    if (store.address, place) not in _pools:
        _pools[store.address, place] = Pool.from_json(store.json(place))
    return _pools[store.address, place]


def read_originals(store: Store, key: str, shard: int) -> pl.Series | None:
    """A shard's uids as the pool wrote them (null where they are 32 hex digits); None where all are, or it has none."""
    frame = store.frame(Part(**store.json(f"{key}/uids/{shard:06d}.json")))
    return frame["original"] if "original" in frame.columns else None


def read_uids(store: Store, key: str, shard: int) -> UInt64s:
    """A shard's uids, (rows, 2), as numbered when the pool was first used; the last few shards' stay in memory."""
    place = (store.address, key, shard)
    if place not in _uids:
        while len(_uids) >= 4:
            _uids.pop(next(iter(_uids)))
        part = Part(**store.json(f"{key}/uids/{shard:06d}.json"))
        _uids[place] = store.frame(part, columns=["high", "low"]).to_numpy().astype(np.uint64)
    return _uids[place]
