"""The rows that a request takes down, as they lie in the pools of a store, and where the store holds something of them."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate import frames
from curate.decisions import folder as decisions_folder
from curate.digest import UInt64s, words_of_hex
from curate.errors import StoreError
from curate.pieces import open_pool
from curate.pool import Pool
from curate.store import Part, Store
from curate.takedown.named_rows import NO_ROWS, uids_of

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Gone:
    """`rows`: by shard digest, row numbers (ascending) and the request of each; `pools`: by pools/ID, the shards that hold them."""

    store: Store
    rows: Mapping[str, tuple[Indices, Indices]]

    @cached_property
    def pools(self) -> dict[str, dict[int, Indices]]:
        """Of every pool that holds such rows: row numbers by shard number."""
        found = {}
        for key in pools_of(self.store):
            held = {n: self.rows[shard.digest][0] for n, shard in enumerate(open_pool(self.store, key).shards) if shard.digest in self.rows}
            if held:
                found[key] = held
        return found

    def pool(self, key: str) -> Pool:
        """A pool, where it was last seen."""
        return open_pool(self.store, key)

    @cached_property
    def uids(self) -> dict[str, UInt64s]:
        """By pool, the uids of its rows, in pool order."""
        return {
            key: np.concatenate([NO_ROWS, *[uids_of(self.store, self.pool(key), n)[rows] for n, rows in held.items()]])
            for key, held in self.pools.items()
        }

    @cached_property
    def every(self) -> UInt64s:
        """All their uids, each once, sorted."""
        return np.unique(np.concatenate([NO_ROWS, *self.uids.values()]), axis=0)

    def numbers(self, key: str) -> Indices:
        """The pool-wide numbers of a pool's rows, ascending."""
        edges = np.cumsum([0, *(shard.rows for shard in self.pool(key).shards)])
        return np.concatenate([np.empty(0, np.int64), *[rows + edges[n] for n, rows in self.pools.get(key, {}).items()]])

    def among(self, words: UInt64s) -> Mask:
        """Which of these uids, (n, 2) words, are theirs."""
        wanted, asked = (np.ascontiguousarray(each.astype(">u8")).view("S16").ravel() for each in (self.every, words))
        found: Mask = np.isin(asked, wanted)
        return found


def pools_of(store: Store) -> list[str]:
    """pools/ID of every pool that the store knows."""
    return sorted({"/".join(key.split("/")[:2]) for key in store.storage.list("pools/") if "/pool-" in key})


def folders_of(store: Store, kind: str) -> list[str]:
    """KIND/NAME of every folder of a kind."""
    return sorted({"/".join(key.split("/")[:2]) for key in store.storage.list(f"{kind}/")})


def evidence_parts(gone: Gone) -> Iterator[tuple[str, Part, Mask]]:
    """Stored evidence that speaks of the rows: folder, part, and which of the part's lines do."""
    for folder in folders_of(gone.store, "signals"):
        parts = gone.store.parts(folder)
        for digest, (rows, _) in gone.rows.items():
            for part in parts.get(digest, []):
                if np.searchsorted(rows, part.start) < np.searchsorted(rows, part.stop):
                    mask = np.isin(gone.store.frame(part, columns=["row"])["row"].to_numpy().astype(np.int64), rows)
                    if mask.any():
                        yield folder, part, mask


def runs_of(store: Store) -> dict[str, dict[str, Any]]:
    """run.json of every run by its folder."""
    found = {folder: store.json(f"{folder}/run.json") for folder in folders_of(store, "runs")}
    return {folder: facts for folder, facts in found.items() if facts is not None}


def decided_in(runs: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """The pool that the decisions in each folder decisions/ID are of, as far as runs say."""
    return {decisions_folder(node["id"]): facts["pool"] for facts in runs.values() for node in facts["nodes"].values()}


def subset_files(gone: Gone) -> Iterator[tuple[str, str, Mask]]:
    """Stored subsets that hold the rows: digest, key, and which of their lines."""
    for key in gone.store.storage.list("subsets/"):
        frame = frames.from_bytes(gone.store.storage.get(key), where=f"{gone.store.address}/{key}", columns=["high", "low"])
        mask = gone.among(frame.to_numpy().astype(np.uint64))
        if mask.any():
            yield key.removeprefix("subsets/").removesuffix(".parquet"), key, mask


def training_lists(gone: Gone) -> Iterator[tuple[str, Part, Mask]]:
    """Models whose lists of training rows hold the rows, by uid: folder, the list, and which of its lines."""
    for folder in folders_of(gone.store, "models"):
        value = gone.store.json(f"{folder}/rows.json")
        if value is not None:
            part = Part(**{**value, "replaces": tuple(value["replaces"])})
            mask = gone.among(gone.store.frame(part, columns=["high", "low"]).to_numpy().astype(np.uint64))
            if mask.any():
                yield folder, part, mask


def models_of_pools(gone: Gone, runs: Mapping[str, dict[str, Any]]) -> set[str]:
    """Models that were made over a whole pool which holds the rows, or from a pool that does, as runs say."""
    found = set()
    for facts in runs.values():
        for model in facts["models"].values():
            over = model.get("over", not model["rows"]) and facts["pool"] in gone.pools
            if over or any(key in gone.pools for key in model["rows"]):
                found.add(model["folder"])
    return found


def trained_arms(gone: Gone) -> tuple[set[str], set[str]]:
    """Digests of the arms that trained on the rows, and folders rows/NAME that hold them as a trainer reads them, or are not finished."""
    arms, held = set[str](), set[str]()
    finished = {folder for folder in folders_of(gone.store, "rows") if gone.store.json(f"{folder}/rows.json") is not None}
    for key in gone.store.storage.list("rows/"):
        folder = "/".join(key.split("/")[:2])
        if gone.among(listed_in(gone.store, key, folder in finished)).any():
            held.add(folder)
            if "/members/" in key:
                arms.add(key.rpartition("/")[2].removesuffix(".npy"))
    return arms, held | (set(folders_of(gone.store, "rows")) - finished)


def listed_in(store: Store, key: str, finished: bool) -> UInt64s:
    """The uids that one file of rows/ lists; of an unfinished folder, which leaves anyway, none where the file is torn."""
    name = key.rpartition("/")[2]
    try:
        if name == "uids.npy" or ("/members/" in key and name.endswith(".npy")):
            found: UInt64s = np.load(io.BytesIO(store.storage.get(key)), allow_pickle=False).astype(np.uint64).reshape(-1, 2)
            return found
        if name == "rejected.parquet":
            return words_of_hex(pl.read_parquet(io.BytesIO(store.storage.get(key)))["uid"].to_list())
    except (ValueError, EOFError, pl.exceptions.PolarsError) as error:
        if finished:
            what, fix = (
                f"a list of rows to train on is damaged: {error}",
                f"delete {'/'.join(key.split('/')[:2])}; an evaluation makes it again",
            )
            raise StoreError(what, where=f"{store.address}/{key}", fix=fix) from error
    return NO_ROWS


def names_of(digest: str, runs: Mapping[str, dict[str, Any]]) -> list[list[str]]:
    """[run, name] of every subset with this digest (its first 16 hex digits are enough)."""
    return [[run, name] for run, facts in runs.items() for name, found in facts["subsets"].items() if found[:16] == digest[:16]]
