"""A pool as the engine walks it: every row's uid, read once, and pieces of shards as the unit of work."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from curate.digest import UInt64s, canonical_json
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


def index_pool(pool: Pool, store: Store, progress: Callable[[str, int, int], None]) -> bool:
    """Give every row its uid, once per pool; True if it had to be done. PoolError on null or repeated uids of a uid column."""
    key = pool_key(pool)
    remember_place(pool, store)
    if store.json(f"{key}/indexed.json"):
        return False
    words, originals = [], []
    for number, shard in enumerate(pool.shards):
        found, original = pool.uids(shard)
        words.append(found)
        originals.append(original)
        progress("uids", number + 1, len(pool.shards))
    if "uid" in pool.roles:
        refuse_duplicates(pool, words)
    else:
        words = number_duplicates(words)
    for number, (found, original) in enumerate(zip(words, originals, strict=True)):
        frame = pl.DataFrame({"high": found[:, 0], "low": found[:, 1]})
        if original is not None:
            frame = frame.with_columns(original=original)
        store.put_json(f"{key}/uids/{number:06d}.json", asdict(store.put_frame(key, f"uids-{number:06d}", frame)))
    total = [int(np.add.reduce([w[:, i].sum(dtype=np.uint64) for w in words], dtype=np.uint64)) for i in (0, 1)] if words else [0, 0]
    store.put_json(f"{key}/indexed.json", {"rows": pool.rows, "sums": total})
    return True


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
