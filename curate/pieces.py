"""A pool as the engine walks it: every row's uid, read once, and pieces of shards as the unit of work."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from curate.digest import UInt64s, canonical_json
from curate.errors import PoolError
from curate.executor import Crashed, Executor
from curate.pool import Pool, number_duplicates, refuse_duplicates
from curate.store import Part, Store
from curate.uids import distinct

PIECE_ROWS = 16_384
HELD_BYTES = 64 << 20
"""Of uids that stay in memory."""


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
    _forget_attempts(store, key)
    pieces, parts, rows = pieces_of(pool), dict[int, Part](), 0
    for index, part in executor.map(write_uids, [UidTask(store.address, key, piece) for piece in pieces]):
        if isinstance(part, Crashed):
            where = str(pool.root / pool.shards[pieces[index].shard].path)
            raise PoolError(f"reading its rows killed the worker {part.attempts} times: {part.detail}", where=where, fix="move it away")
        parts[index], rows = part, rows + pieces[index].rows
        progress("uids", rows, pool.rows)
    by_shard: list[list[Part]] = [[] for _ in pool.shards]
    for piece in pieces:
        by_shard[piece.shard].append(parts[piece.number])
    whole, sums = _listed(pool, store, key, by_shard) if "uid" in pool.roles else _numbered(store, key, by_shard)
    for number, part in enumerate(whole):
        store.put_json(f"{key}/uids/{number:06d}.json", asdict(part))
    store.put_json(f"{key}/indexed.json", {"rows": pool.rows, "sums": sums})
    return True


def _listed(pool: Pool, store: Store, key: str, by_shard: list[list[Part]]) -> tuple[list[Part], list[int]]:
    """A part of uids for each shard of a pool that has a column of them, and their sums. Of all uids only the high words are held."""
    highs, sums, whole, start = np.empty(pool.rows, np.uint64), np.zeros(2, np.uint64), list[Part](), 0
    for number, some in enumerate(by_shard):
        if len(some) != 1 or not some[0].key.startswith(key):
            some = [store.put_frame(key, f"uids-{number:06d}", _joined(store, some))]
        whole += some
        place = (store.address, key, number)
        if _origin.get(place) != some[0].key or place not in _uids:  # else this process has just written them
            _hold(place, _words_in(store, some[0]))
        words = _uids[place]
        highs[start : start + len(words)] = words[:, 0]
        sums += words.sum(axis=0, dtype=np.uint64)
        start += len(words)
    if not distinct(highs):
        refuse_duplicates(pool, [_words_in(store, part) for part in whole])
    return whole, [int(word) for word in sums]


def _numbered(store: Store, key: str, by_shard: list[list[Part]]) -> tuple[list[Part], list[int]]:
    """As `_listed`, of a pool without uids: identical rows are told apart by their number."""
    words, sums, whole = number_duplicates([_words_of(_joined(store, some)) for some in by_shard]), np.zeros(2, np.uint64), list[Part]()
    for number, some in enumerate(by_shard):
        frame = _joined(store, some).with_columns(high=words[number][:, 0], low=words[number][:, 1])
        whole.append(store.put_frame(key, f"uids-{number:06d}", frame))
        sums += words[number].sum(axis=0, dtype=np.uint64)
    return whole, [int(word) for word in sums]


def _joined(store: Store, parts: list[Part]) -> pl.DataFrame:
    empty = pl.DataFrame(schema={"high": pl.UInt64, "low": pl.UInt64})
    return pl.concat([empty, *[store.frame(part) for part in parts]], how="diagonal")


def _forget_attempts(store: Store, key: str) -> None:
    """Delete uids that a driver which died has left unlisted."""
    listed = {store.json(name)["key"] for name in store.storage.list(f"{key}/uids/")}
    for name in store.storage.list(f"{key}/parts/"):
        if name not in listed:
            store.storage.delete(name)


def write_uids(task: UidTask) -> Part:
    """Runs in a worker: uids as words, and as they were written where that is something else. Uids that a pool brings, of a piece that is
    its whole shard, are written where they stay."""
    store, piece = Store.open(task.store), task.piece
    pool = open_pool(store, task.pool_key)
    words, original = pool.uids(pool.shards[piece.shard], piece.start, piece.stop)
    frame = pl.DataFrame({"high": words[:, 0], "low": words[:, 1]})
    stays = "uid" in pool.roles and piece.rows == pool.shards[piece.shard].rows
    place = (task.pool_key, f"uids-{piece.shard:06d}") if stays else ("tmp/uids", f"{piece.number:06d}")
    part = store.put_frame(*place, frame if original is None else frame.with_columns(original=original))
    if stays:
        held = (store.address, task.pool_key, piece.shard)
        _hold(held, words)
        _origin[held] = part.key
    return part


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


def groups_of(pool: Pool, piece: Piece) -> Iterator[tuple[int, int]]:
    """The readable groups of a piece, as rows of its shard: what is read at a time where rows are large."""
    start = 0
    for rows in pool.shards[piece.shard].groups:
        if piece.start <= start < piece.stop:
            yield start, start + rows
        start += rows


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
_origin: dict[tuple[str, str, int], str] = {}
"""The file of the uids that this process holds."""


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
    place, part = (store.address, key, shard), Part(**store.json(f"{key}/uids/{shard:06d}.json"))
    if place not in _uids or _origin.get(place) != part.key:  # uids of rows taken down were written anew
        _hold(place, _words_in(store, part))
        _origin[place] = part.key
    return _uids[place]


def _hold(place: tuple[str, str, int], words: UInt64s) -> None:
    while _uids and sum(held.nbytes for held in _uids.values()) + words.nbytes > HELD_BYTES:
        _origin.pop(last := next(iter(_uids)), None)
        _uids.pop(last)
    _uids[place] = words


def _words_in(store: Store, part: Part) -> UInt64s:
    return _words_of(store.frame(part, columns=["high", "low"]))


def _words_of(frame: pl.DataFrame) -> UInt64s:
    words = np.empty((frame.height, 2), np.uint64)
    words[:, 0], words[:, 1] = frame["high"].to_numpy(), frame["low"].to_numpy()
    return words
