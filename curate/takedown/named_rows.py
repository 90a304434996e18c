"""Which rows of a pool are named by tombstones, or by what a request says in plain: uids, addresses, domains, hashes of contents."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import UInt64s, hex_of, row_hash, words_of
from curate.errors import PoolError, StoreError
from curate.pieces import pool_key, read_originals, read_uids
from curate.pool import Pool, Shard
from curate.store import Store
from curate.takedown.revoked import revoked
from curate.takedown.tombstones import Tombstones, content_hash, hosts, parents, read_tombstones

Indices = npt.NDArray[np.int64]
READ_ROWS = 1 << 17
NO_ROWS = np.zeros((0, 2), np.uint64)


@dataclass(frozen=True)
class Plain:
    """What a request says: uids as (n, 2) words and as pools write them, addresses, domains; of texts and images 32-byte SHA-256, and
    texts themselves where rows were found before."""

    uids: UInt64s = field(default_factory=lambda: NO_ROWS)
    originals: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    texts: frozenset[bytes] = frozenset()
    images: frozenset[bytes] = frozenset()
    words: frozenset[str] = frozenset()


def uids_of(store: Store, pool: Pool, shard: int) -> UInt64s:
    """A shard's uids, as the store numbered them, or of a pool that only trained a model as the pool says."""
    key = pool_key(pool)
    return read_uids(store, key, shard) if store.json(f"{key}/uids/{shard:06d}.json") else pool.uids(pool.shards[shard])[0]


def content_role(pool: Pool) -> str | None:
    """The role by which copies of a pool's rows are known: its images, else its texts; of captions without images the address."""
    if "image" in pool.roles:
        return "image"
    return next((role for role in (("text",) if pool.modality == "text" else ("url",)) if role in pool.roles), None)


def by_tombstones(store: Store, pool: Pool, stones: Tombstones, shards: Sequence[int] | None = None) -> dict[int, tuple[Indices, Indices]]:
    """By shard number, of all or of these `shards`: the rows that tombstones name, ascending, and the request of each."""
    found = {}
    for number in range(len(pool.shards)) if shards is None else shards:
        requests = stones.of_uids(uids_of(store, pool, number)) if "uid" in stones.hashes else np.zeros(pool.shards[number].rows, np.int64)
        roles = [role for role, kinds in _ASKED.items() if role in pool.roles and kinds & stones.hashes.keys()]
        for start, frame in _read(pool, number, roles):
            for role in roles:
                here = requests[start : start + frame.height]
                np.maximum(here, _stoned(stones, role, frame[role]), out=here)
        rows = np.flatnonzero(requests)
        if rows.size:
            found[number] = rows, requests[rows]
    return found


def never_shown(store: Store, pool: Pool) -> Callable[[Shard], Indices]:
    """Which rows of a shard nobody may see, also of a pool that was not held against the requests yet: those that the store refuses, and
    those that tombstones name; all of them where its uids cannot be told."""
    refused, stones = revoked(store), read_tombstones(store)

    def rows_of(shard: Shard) -> Indices:
        number = pool.shards.index(shard)
        try:
            named = by_tombstones(store, pool, stones, [number]) if stones else {}
        except PoolError:
            return np.arange(shard.rows)
        return np.union1d(refused.rows(shard), named[number][0] if number in named else np.empty(0, np.int64))

    return rows_of


_ASKED = {"url": {"url", "domain"}, "text": {"text"}, "image": {"image"}}


def _stoned(stones: Tombstones, role: str, values: pl.Series) -> Indices:
    distinct = values.unique(maintain_order=True)
    named = np.zeros(len(distinct), np.int64)
    there = np.flatnonzero(distinct.is_not_null().to_numpy())
    if role != "url":
        named[there] = stones.of_values(role, (content_hash(value) for value in distinct.drop_nulls()))
    else:
        named[there] = stones.of_values("url", (url.encode() for url in distinct.drop_nulls()))
        if "domain" in stones.hashes:
            of_rows = hosts(distinct)
            of_host = {host: _domain(stones, host) for host in of_rows.unique().drop_nulls()}
            named = np.maximum(named, [of_host.get(host, 0) for host in of_rows])
    if not named.any():
        return np.zeros(len(values), np.int64)
    by_value = pl.DataFrame({"value": distinct, "named": named})
    return (
        pl.DataFrame({"value": values}).join(by_value, on="value", how="left", maintain_order="left", nulls_equal=True)["named"].to_numpy()
    )


def _domain(stones: Tombstones, host: str) -> int:
    return int(stones.of_values("domain", (name.encode() for name in parents(host))).max(initial=0))


def by_request(store: Store, pool: Pool, plain: Plain) -> dict[int, Mapping[str, Indices]]:
    """By shard number and kind of what names them: the rows that a request names, ascending."""
    found: dict[int, Mapping[str, Indices]] = {}
    asked = {"url": plain.urls | plain.domains, "text": plain.texts | plain.words, "image": plain.images}
    roles = [role for role, values in asked.items() if values and role in pool.roles]
    for number in range(len(pool.shards)):
        masks = {kind: np.zeros(pool.shards[number].rows, bool) for kind in ("uid", "url", "domain", "text", "image")}
        if len(plain.uids):
            masks["uid"] |= _isin(uids_of(store, pool, number), plain.uids)
        if plain.originals and store.json(f"{pool_key(pool)}/uids/{number:06d}.json"):
            originals = read_originals(store, pool_key(pool), number)
            if originals is not None:
                masks["uid"] |= originals.is_in(sorted(plain.originals)).fill_null(False).to_numpy()
        for start, frame in _read(pool, number, roles):
            for role in roles:
                for kind, mask in _plainly(plain, role, frame[role]).items():
                    masks[kind][start : start + frame.height] |= mask
        if any(mask.any() for mask in masks.values()):
            found[number] = {kind: np.flatnonzero(mask) for kind, mask in masks.items() if mask.any()}
    return found


def unmet(store: Store, pools: Mapping[str, Pool], readable: Collection[str], met: Mapping[str, set[int]], plain: Plain) -> list[str]:
    """What a request says that named none of the rows `met` (row numbers by shard digest), as `kind:value`; uids that were taken down
    before are not among it, though no pool is known to hold them any more."""
    uids, values = [NO_ROWS], {role: set[Any]() for role in ("uid", "url", "text", "image")}
    hashed = {"text": plain.texts, "image": plain.images}
    asked = [role for role, names in {"url": plain.urls or plain.domains, **hashed}.items() if names]
    for key, pool in pools.items():
        roles = [role for role in asked if role in pool.roles] if key in readable else []
        for number, shard in enumerate(pool.shards):
            rows = np.array(sorted(met.get(shard.digest, ())), np.int64)
            if rows.size and len(plain.uids):
                uids.append(uids_of(store, pool, number)[rows])
            if rows.size and plain.originals and store.json(f"{pool_key(pool)}/uids/{number:06d}.json"):
                originals = read_originals(store, pool_key(pool), number)
                values["uid"] |= set(originals.gather(rows).to_list() if originals is not None else ())
            for column in pool.read(shard, roles=roles, rows=rows).frame.get_columns() if rows.size and roles else ():
                values[column.name] |= set(
                    column.drop_nulls().to_list() if column.name == "url" else map(content_hash, column.drop_nulls())
                )
    stones = read_tombstones(store)
    left, written = plain.uids[~_isin(plain.uids, np.concatenate(uids))], sorted(plain.originals - values["uid"])
    fresh = stones.of_uids(words_of(row_hash([b"uid", one.encode()]) for one in written)) == 0
    found = hosts(pl.Series(sorted(values["url"]), dtype=pl.String)).drop_nulls().unique()
    told = {
        "uid": [*hex_of(left[stones.of_uids(left) == 0]), *(one for one, new in zip(written, fresh, strict=True) if new)],
        "url": sorted(plain.urls - values["url"]),
        "domain": sorted(plain.domains.difference(*map(parents, found))),
    }
    told |= {role: sorted(one.hex() for one in names - values[role]) for role, names in hashed.items()}
    return [f"{kind}:{value}" for kind, names in told.items() for value in names]


def _plainly(plain: Plain, role: str, values: pl.Series) -> dict[str, npt.NDArray[np.bool_]]:
    masks = {}
    if role == "url":
        if plain.urls:
            masks["url"] = _among(values, plain.urls)
        if plain.domains:
            of_rows = hosts(values)
            named = [host for host in of_rows.unique().drop_nulls() if plain.domains & set(parents(host))]
            masks["domain"] = _among(of_rows, frozenset(named))
        return masks
    masks[role] = _among(values, plain.words) if role == "text" and plain.words else np.zeros(len(values), bool)
    wanted = plain.texts if role == "text" else plain.images
    if wanted:
        masks[role] |= np.array([value is not None and content_hash(value) in wanted for value in values.to_list()], bool)
    return masks


def _among(values: pl.Series, wanted: frozenset[str]) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = values.is_in(sorted(wanted)).fill_null(False).to_numpy()
    return mask


def _isin(words: UInt64s, wanted: UInt64s) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = np.isin(words[:, 0], wanted[:, 0])
    near = np.flatnonzero(mask)
    there = {(int(high), int(low)) for high, low in wanted}
    mask[near] = [(int(high), int(low)) in there for high, low in words[near]]
    return mask


def _read(pool: Pool, number: int, roles: Sequence[str]) -> Iterator[tuple[int, pl.DataFrame]]:
    """(first row, these roles) of a shard's readable groups, small ones together; images a group at a time."""
    if not roles:
        return
    shard, start, stop = pool.shards[number], 0, 0
    for rows in shard.groups:
        if stop > start and (stop + rows - start > READ_ROWS or "image" in roles):
            yield start, pool.read(shard, roles=roles, start=start, stop=stop).frame
            start = stop
        stop += rows
    if stop > start:
        yield start, pool.read(shard, roles=roles, start=start, stop=stop).frame


def refuse_changed(pool: Pool, store: Store) -> None:
    """StoreError where a pool's shards are not those that the store knows, so that its rows cannot be looked through."""
    if not pool.root.exists():
        raise StoreError("the pool's folder is gone", where=str(pool.root))
    pool.refuse_changes(store.pool_files)
