"""THE gate of taken-down rows: which rows of a store must never again be measured, exported, sampled or shown, and by which request.

A row is (shard digest, row number), so every pool that has the shard refuses it, whatever its uids are. The list lies under `revoked/`, in
parts by shard digest; it names no uid, address or content. A pool that the store sees for the first time is held against the requests'
tombstones (`curate/takedown/tombstones.py`) before anything of it is measured, and what they name joins the list.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import digest_of
from curate.pool import Pool, Shard
from curate.store import Store

FOLDER = "revoked"
REQUESTS = "revocations"
SCHEMA = {"row": pl.UInt64(), "request": pl.UInt32()}
ERROR = "revoked"
"""The error code that stands in evidence where a row's values were."""

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Revoked:
    """The rows that a store refuses: of each shard digest the row numbers, ascending, and the number of the request that took each down.
    The empty default refuses nothing."""

    by_shard: Mapping[str, tuple[Indices, Indices]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether any row is refused."""
        return bool(self.by_shard)

    def rows(self, shard: Shard | str) -> Indices:
        """Row numbers refused in a shard (or the shard of this digest), ascending."""
        return self.by_shard.get(shard if isinstance(shard, str) else shard.digest, (_NONE, _NONE))[0]

    def mask(self, shard: Shard, start: int = 0, stop: int | None = None) -> Mask:
        """Which of the rows start to stop of a shard are refused, as (rows,) booleans."""
        refused, rows = np.zeros((shard.rows if stop is None else stop) - start, bool), self.rows(shard)
        inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + refused.size)]
        refused[inside - start] = True
        return refused

    def request(self, shard: Shard | str, row: int) -> int | None:
        """The number of the request that took a row down; None for a row that may be used."""
        rows, requests = self.by_shard.get(shard if isinstance(shard, str) else shard.digest, (_NONE, _NONE))
        place = int(np.searchsorted(rows, row))
        return int(requests[place]) if place < rows.size and rows[place] == row else None

    def of_pool(self, pool: Pool) -> Indices:
        """The pool-wide numbers of all refused rows of a pool, ascending."""
        found, offset = [_NONE], 0
        for shard in pool.shards:
            found.append(self.rows(shard) + offset)
            offset += shard.rows
        return np.concatenate(found)

    def joined(self, digest: str, rows: Indices, requests: Indices) -> tuple[Indices, Indices]:
        """The rows refused in a shard and others, with their requests, ascending."""
        before = self.by_shard.get(digest, (_NONE, _NONE))
        every, numbers = np.concatenate([before[0], rows]), np.concatenate([before[1], requests])
        order = np.argsort(every, kind="stable")
        return every[order], numbers[order]

    def identity(self, pool: Pool) -> str | None:
        """A digest of which rows of this pool are refused: None where it holds none, so that what others took down changes nothing here."""
        touched = [[shard.digest, self.rows(shard).tolist()] for shard in pool.shards if self.rows(shard).size]
        return digest_of(touched) if touched else None


NOTHING = Revoked()
_read: dict[tuple[str, str], Revoked] = {}


def revoked(store: Store) -> Revoked:
    """What the store refuses now; read once for each state of the list."""
    manifests = store.storage.list(f"{FOLDER}/manifests/")
    if not manifests:
        return NOTHING
    state = (store.address, f"{manifests[-1]} {digest_of(store.json(manifests[-1]))}")
    if state not in _read:
        while len(_read) >= 4:
            _read.pop(next(iter(_read)))
        _read[state] = _listed(store)
    return _read[state]


def _listed(store: Store) -> Revoked:
    found = {}
    for digest, parts in store.parts(FOLDER).items():
        frame = pl.concat([store.frame(part).cast(pl.Schema(SCHEMA)) for part in parts])
        frame = frame.sort("row", "request").unique("row", keep="first", maintain_order=True)
        found[digest] = frame["row"].to_numpy().astype(np.int64), frame["request"].to_numpy().astype(np.int64)
    return Revoked(found)


def told(store: Store, request: int) -> dict[str, Any]:
    """What may be told of a request: its number, time, who asked, why, and counts; no content."""
    facts: dict[str, Any] = store.json(f"{REQUESTS}/{request:06d}/tombstone.json") or {}
    return {"request": request, **{key: facts[key] for key in ("time", "who", "reason", "rows") if key in facts}}


def answer(store: Store, shard: Shard | str, row: int) -> dict[str, Any] | None:
    """What every verb says of a taken-down row: `revoked` and when, by which request; None for a row that may be used."""
    number = revoked(store).request(shard, row)
    return None if number is None else {"kind": ERROR, **told(store, number)}


def must_be_made_again(store: Store) -> dict[str, int]:
    """Models and scores that rest on taken-down rows, by their address (`models/ID`, `scores/CONDITIONS/SUBSET`), and the request."""
    found: dict[str, int] = {}
    for key in store.storage.list(f"{REQUESTS}/"):
        if key.endswith("/retrain.json"):
            number = int(key.split("/")[1])
            found |= {address: number for address in store.json(key) if address not in found}
    return found
