"""A subset: sorted uids with multiplicity, apart from the data it selects. Equal answers are one file."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from curate import frames
from curate.digest import UInt64s, hex_of, order_of
from curate.errors import StoreError
from curate.failpoint import reach
from curate.journal import taken_away
from curate.storage import ExistsError
from curate.store import Store

DIGESTED = 1 << 14
"""Rows at a time, so that their bytes stay near."""


@dataclass(frozen=True)
class Subset:
    """`uids`, (n, 2) words ascending; `copies`, how often each is used; `digest` of both."""

    uids: UInt64s
    copies: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, uids: UInt64s, copies: npt.NDArray[np.uint32] | None = None) -> "Subset":
        """A subset of uids in any order."""
        order = order_of(uids)
        return cls(np.take(uids, order, axis=0), np.ones(len(uids), np.uint32) if copies is None else copies[order])

    @property
    def digest(self) -> str:
        """SHA-256 of the uids and copies as big-endian bytes."""
        digest = hashlib.sha256()
        for values, dtype in ((self.uids, ">u8"), (self.copies, ">u4")):
            for start in range(0, len(values), DIGESTED):
                digest.update(values[start : start + DIGESTED].astype(dtype, order="C").data)
        return digest.hexdigest()

    @property
    def hex(self) -> list[str]:
        """The uids as 32 hex digits."""
        return hex_of(self.uids)

    def __len__(self) -> int:
        """Distinct rows."""
        return len(self.uids)


def save(store: Store, subset: Subset) -> str:
    """Store a subset once under its digest; returns the digest."""
    digest = subset.digest
    frame = pl.DataFrame({"high": subset.uids[:, 0], "low": subset.uids[:, 1], "copies": subset.copies})
    reach("run.before_subset")
    try:
        store.storage.put(f"subsets/{digest[:16]}.parquet", frames.to_bytes(frame))
    except ExistsError:
        load(store, digest)
    return digest


def load(store: Store, digest: str) -> Subset:
    """The stored subset with this digest, checked against it."""
    key = f"subsets/{digest[:16]}.parquet"
    try:
        data = store.storage.get(key)
    except KeyError as error:
        raise taken_away(store, key) or StoreError(
            "the subset is gone", where=f"{store.address}/{key}", fix="run the recipe again"
        ) from error
    frame = frames.from_bytes(data, where=f"{store.address}/{key}")
    found = Subset(frame.select("high", "low").to_numpy().astype(np.uint64), frame["copies"].to_numpy())
    if found.digest != digest:
        raise StoreError("a stored subset is not what its digest says", where=f"{store.address}/{key}", fix="delete the file and run again")
    return found
