"""Take-down: which rows a request names in every pool of a store, what the store holds of them, and taking them out of it for good.

`look` reads, `take_down` writes, and `settle` does the same for a pool that the store sees for the first time, before it is measured.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from curate.changes import Changes
from curate.digest import UInt64s, row_hash, sha256, words_of
from curate.errors import PoolError, StoreError
from curate.journal import commit, finish
from curate.ledger import Ledger
from curate.pieces import open_pool, pool_key, remember_place
from curate.pool import Pool
from curate.seal import sealed
from curate.store import Store
from curate.takedown.gone import Gone, Indices, pools_of
from curate.takedown.named_rows import Plain, by_request, by_tombstones, content_role, refuse_changed, unmet
from curate.takedown.purge import purge
from curate.takedown.purge_runs import blank
from curate.takedown.revoked import REQUESTS, revoked
from curate.takedown.tombstones import SCHEMA, content_hash, key_of, keyed, keyed_uids, read_tombstones, requests
from curate.takedown.touched import Needles, exports_of, touched

COPY_CHARS = 100
"""A text is known by itself from this length on: shorter ones are said by many, and are known by uid and address alone."""
Rows = dict[str, Indices]
"""By shard digest, row numbers, ascending."""


@dataclass(frozen=True)
class Found:
    """The rows that a request takes down: `rows` that the store does not refuse yet, how many `already` are refused, how many pool rows
    each kind of name met, of them how many only as `copies` of others; `unread`: pools that cannot be looked through,
    and why; `looked`: all others; `unmet`: names that met no row, as `kind:value`."""

    store: Store
    plain: Plain
    rows: Rows
    already: int
    kinds: dict[str, int]
    contents: dict[str, frozenset[bytes]]
    unread: dict[str, str] = field(default_factory=dict)
    looked: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Rows of shards; one that lies in several pools counts once."""
        return sum(rows.size for rows in self.rows.values())

    @cached_property
    def gone(self) -> Gone:
        """They, in the pools of the store, as the next request's."""
        number = max(requests(self.store), default=0) + 1
        return Gone(self.store, {digest: (rows, np.full(rows.size, number)) for digest, rows in self.rows.items()})

    @cached_property
    def needles(self) -> Needles:
        """What no other file may say."""
        return Needles.of(self.gone)

    def touched(self) -> dict[str, Any]:
        """All that the store, its exports and its models hold of the rows, and which shards of the pools' own still do."""
        return touched(self.gone, self.needles)


def look(store: Store, plain: Plain, copies: bool = True, more: Callable[[Gone], Rows] | None = None) -> Found:
    """Find the rows that a request names in every pool of a store. Reads only.

    With `copies` also rows with the same image, or the same text of `COPY_CHARS` at least, and always rows with the same uid in another
    pool. `more` may add rows to those named, such as near copies of images.
    """
    pools, unread, readable = {key: open_pool(store, key) for key in pools_of(store)}, dict[str, str](), dict[str, Pool]()
    for key, pool in pools.items():
        try:
            refuse_changed(pool, store)
            readable[key] = pool
        except (StoreError, PoolError) as error:
            unread[key] = str(error)
    kinds, met = dict[str, int](), dict[str, set[int]]()
    for key, pool in pools.items():
        _meet(met, kinds, pool, by_request(store, pool, plain if key in readable else Plain(plain.uids, plain.originals)))
    missed = tuple(unmet(store, pools, readable, met, plain))
    if more is not None:
        for digest, near in more(_gone(store, met)).items():
            kinds["near"] = kinds.get("near", 0) + len(set(near.tolist()) - met.get(digest, set()))
            met.setdefault(digest, set()).update(near.tolist())
    contents = {"text": frozenset[bytes](), "image": frozenset[bytes](), "url": frozenset[bytes]()}
    named = sum(len(rows) for rows in met.values())
    if copies:
        contents, same = _contents(readable.values(), met)
        for pool in readable.values():
            _meet(met, {}, pool, by_request(store, pool, same))  # as tombstones will name them, in whatever role
    again = _gone(store, met)
    for pool in pools.values() if len(again.every) else ():
        _meet(met, {}, pool, by_request(store, pool, Plain(again.every)))
    if extra := sum(len(rows) for rows in met.values()) - named:
        kinds["copies"] = extra
    known, rows, already = revoked(store), dict[str, Indices](), 0
    for digest, numbers in met.items():
        here = np.array(sorted(numbers), np.int64)
        fresh = np.setdiff1d(here, known.rows(digest))
        already += here.size - fresh.size
        if fresh.size:
            rows[digest] = fresh
    return Found(store, plain, rows, already, kinds, contents, unread, tuple(readable), missed)


def _meet(met: dict[str, set[int]], kinds: dict[str, int], pool: Pool, found: Mapping[int, Mapping[str, Indices]]) -> None:
    for number, by_kind in found.items():
        for kind, rows in by_kind.items():
            kinds[kind] = kinds.get(kind, 0) + rows.size
            met.setdefault(pool.shards[number].digest, set()).update(rows.tolist())


def _gone(store: Store, met: Mapping[str, set[int]]) -> Gone:
    return Gone(store, {digest: (np.array(sorted(rows), np.int64), np.zeros(len(rows), np.int64)) for digest, rows in met.items()})


def _contents(pools: Iterable[Pool], met: Mapping[str, set[int]]) -> tuple[dict[str, frozenset[bytes]], Plain]:
    """The contents of rows by kind, as tombstones know them; and plainly."""
    found: dict[str, set[bytes]] = {"text": set(), "image": set(), "url": set()}
    words, urls = set[str](), set[str]()
    for pool in pools:
        role = content_role(pool)
        for shard in pool.shards if role else ():
            rows = np.array(sorted(met.get(shard.digest, ())), np.int64)
            for value in pool.read(shard, roles=[str(role)], rows=rows).frame.to_series().drop_nulls().to_list() if rows.size else ():
                if role == "text" and len(value) < COPY_CHARS:
                    continue
                found[str(role)].add(value.encode() if role == "url" else content_hash(value))
                if isinstance(value, str):
                    (words if role == "text" else urls).add(value)
    return {kind: frozenset(values) for kind, values in found.items()}, Plain(
        images=frozenset(found["image"]), words=frozenset(words), urls=frozenset(urls)
    )


def take_down(found: Found, *, who: str, reason: str, time: str) -> dict[str, Any]:
    """Take the rows out of the store and refuse them, and whatever else the request names, from now on. Returns what the ledger was told:
    number, rows, subsets before and after, what must be made again. All of it counts or nothing."""
    store = found.store
    with store.writer() as epoch:
        finish(store)
        if strange := set(pools_of(store)) - {*found.looked, *found.unread}:
            what = f"another command brought {', '.join(sorted(strange))} into the store since the rows were looked for"
            raise StoreError(what, where=store.address, fix="run the command again; nothing was changed")
        _sweep(store)
        number = max(requests(store), default=0) + 1
        found = replace(found)  # what is known of the store is read again under the lock
        stones = _stones(found, key_of(store))
        about = {"time": time, "who": who, "reason": reason, "rows": found.count, "asked": _asked(found.plain)}
        looked = [key for key in sorted(found.looked) if _settled(store, key) == number - 1]  # others were not held against all before
        return _take_down(found.gone, number, stones, about, looked, epoch, found.needles)


def _sweep(store: Store) -> None:
    """Delete parts that no record of their folder names, and all of tmp/, as ended attempts leave them: of no count, but there."""
    store.sweep(())
    keys = store.storage.list("")
    for folder in sorted({key.partition("/parts/")[0] for key in keys if "/parts/" in key and not key.startswith("rows/")}):
        named = b"".join(store.storage.get(key) for key in keys if key.startswith(f"{folder}/") and key.endswith(".json"))
        for key in keys:
            if key.startswith(f"{folder}/parts/") and key.encode() not in named:
                store.storage.delete(key)


def _asked(plain: Plain) -> dict[str, int]:
    asked = {"uid": len(plain.uids), "url": len(plain.urls), "domain": len(plain.domains)}
    return {**asked, "text": len(plain.texts), "image": len(plain.images)}


def _stones(found: Found, key: bytes) -> pl.DataFrame:
    plain, gone = found.plain, found.gone
    texts = {"url": {url.encode() for url in plain.urls} | found.contents["url"], "domain": {name.encode() for name in plain.domains}}
    values = {**texts, "text": plain.texts | found.contents["text"], "image": plain.images | found.contents["image"]}
    uids = np.concatenate([gone.every, plain.uids, words_of(row_hash([b"uid", one.encode()]) for one in sorted(plain.originals))])
    hashes: dict[str, UInt64s] = {"uid": keyed_uids(key, uids), **{kind: keyed(key, kind, sorted(some)) for kind, some in values.items()}}
    frames = [
        pl.DataFrame({"kind": [kind] * len(words), "high": words[:, 0], "low": words[:, 1]}, schema=SCHEMA)
        for kind, words in hashes.items()
    ]
    return pl.concat(frames).unique().sort("kind", "high", "low")


def _take_down(
    gone: Gone, number: int, stones: pl.DataFrame | None, about: dict[str, Any], settled: list[str], epoch: int, needles: Needles
) -> dict[str, Any]:
    store, changes, folder = gone.store, Changes(gone.store), f"{REQUESTS}/{number:06d}"
    before = touched(gone, needles)
    told = purge(gone, changes)
    for key in needles.files(store):
        changes.drop(key)
    again = sorted([*before["models"], *before["scores"]])
    ledger = Ledger()
    if stones is not None:
        part = store.put_frame(REQUESTS, "hashes", stones)
        previous = store.storage.get(f"{REQUESTS}/{number - 1:06d}/tombstone.json") if number > 1 else b""
        tombstone = {"number": number, **about, "hashes": asdict(part), "key": sha256(key_of(store)), "previous": sha256(previous)}
        changes.record(f"{folder}/tombstone.json", tombstone)
        ledger.record("revocation", number=number, tombstone=sha256(sealed(tombstone)), **about)
    else:
        ledger.record("refused", number=number, **about)
    known = store.json(f"{folder}/retrain.json") or {}
    changes.record(f"{folder}/retrain.json", {**known, **dict.fromkeys(again, number)})
    for key in settled:
        changes.record(f"{key}/settled.json", {"requests": max(number, max(requests(store), default=0)), "pool": key})
    for where, parts in changes.publish.items():
        number_of = len(store.storage.list(f"{where}/manifests/")) + 1
        changes.record(f"{where}/manifests/{number_of:08d}.json", {"epoch": epoch, "parts": [asdict(part) for part in parts]})
    for digest, one in told["subsets"].items():
        ledger.record("subset revised", before=digest, **one)
    for run, one in told["runs"].items():
        ledger.record("run revised", run=run, **one)
    for fact in (*changes.facts, *changes.file_facts()):
        ledger.record(**fact)
    for address in again:
        ledger.record("to be made again", address=address)
    ledger.close()
    key = f"{folder}/ledger{_next(store, folder)}.jsonl"
    text = ledger.text()
    changes.texts[key] = text
    change = {
        "records": changes.records,
        "texts": changes.texts,
        "delete": sorted(set(changes.delete) - set(changes.records)),
        "head": [key, sha256(text.encode())],
    }
    commit(store, change)
    before["exports"] = exports_of(gone, before["subsets"], needles)  # those of meanwhile, too; later ones see that this counts
    return {"number": number, **told, "count": about["rows"], "again": again, "touched": before}


def _next(store: Store, folder: str) -> str:
    there = len(store.storage.list(f"{folder}/ledger"))
    return f"-{there + 1}" if there else ""


def _settled(store: Store, key: str) -> int:
    """Up to which request a pool was looked through."""
    return int((store.json(f"{key}/settled.json") or {"requests": 0})["requests"])


def settle(pools: Iterable[Pool], store: Store, epoch: int) -> bool:
    """Hold pools against the requests that they were not held against before; rows that those name leave the store as any others, and are
    refused. True if any was. Only the lock's owner calls this."""
    finish(store)
    newest, changed = max(requests(store), default=0), False
    for pool in {pool.id: pool for pool in pools if newest}.values():
        remember_place(pool, store)
        key, known, rows = pool_key(pool), revoked(store), dict[str, tuple[Indices, Indices]]()
        done = _settled(store, key)
        named = by_tombstones(store, pool, read_tombstones(store, done)) if done < newest else {}
        for number, shard in enumerate(pool.shards):
            fresh, by = named.get(number, (np.empty(0, np.int64), np.empty(0, np.int64)))
            new = ~np.isin(fresh, known.rows(shard))
            if new.any() or not blank(store, key, number, known.rows(shard)):
                rows[shard.digest] = known.joined(shard.digest, fresh[new], by[new])
                changed = True
        if rows:
            about = {"pool": key, "rows": sum(each.size for each, _ in rows.values())}
            gone = Gone(store, rows)
            _take_down(gone, newest, None, about, [key], epoch, Needles.of(gone))
        elif done < newest:
            store.storage.delete(f"{key}/settled.json")
            store.put_json(f"{key}/settled.json", {"requests": newest, "pool": key})
    return changed
