"""An index of a pool: where the row with this uid, url, image or host lies, by sorted arrays that are read a block at a time.

A column of the index is a list of records (key, row), two little-endian 64-bit words, sorted; the key is 64 bits of a hash, the row is the
pool-wide number. It lies in files of whole blocks of 4,096 records; beside them stands one file of fences, each block's first key and the
xxh3_64 of its bytes. So a look-up reads the fences, and one block by the storage's range-get, and checks all it has read.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xxhash

from curate.digest import UInt64s, digest_of, row_hash, sha256, short
from curate.errors import StoreError
from curate.store import Part, Store
from curate.takedown.tombstones import keyed

VERSION = 4
BLOCK = 4096
RECORD = 16
"""Bytes of a record and of a fence."""
COLUMNS = ("uid", "original", "url", "host", "image")
"""`original`: uids as the pool writes them, where they are unique only inside their source. `image`: of an image's bytes as they lie.
Of rows that were taken down the keys are of hashes under the store's own key (`secret_key_of`), and there is no `original`."""
FENCES = ".fences"

Words = npt.NDArray[np.uint64]


def key_of(value: str | bytes) -> int:
    """The key of a url, a host or a uid as it is written."""
    return xxhash.xxh3_64_intdigest(value.encode() if isinstance(value, str) else value)


def secret_key_of(secret: bytes, column: str, value: str | bytes) -> int:
    """The key of a url, host or image of a row that was taken down: nobody can guess what it stands for without the store's `secret`."""
    return int(keyed(secret, f"index {column}", [value.encode() if isinstance(value, str) else value])[0, 0])


def uid_keys(words: UInt64s) -> Words:
    """The keys of uids, (n, 2) words: made of both, since pools that count their rows bring uids that share a word."""
    keys: Words = words[:, 0] + words[:, 1] * np.uint64(0x9E3779B97F4A7C15)
    return keys


def image_key(data: bytes) -> int:
    """The key of an image's bytes: the first word of the hash that the engine knows contents by."""
    return int.from_bytes(row_hash([b"image", data])[:8], "big")


def folder_of(store: Store, pool_key: str) -> str:
    """indexes/POOL-ID: of this form of index, over these uids; one that was made otherwise has another name and is never read."""
    indexed = store.json(f"{pool_key}/indexed.json")
    if indexed is None:
        raise StoreError("this pool was not used by a run yet", where=f"{store.address}/{pool_key}", fix="run a recipe on it first")
    made = digest_of([VERSION, pool_key, indexed["rows"], indexed["sums"]])
    return f"indexes/{pool_key.removeprefix('pools/')}-{short(made)}"


def open_index(store: Store, pool_key: str) -> "Index | None":
    """The index of a pool of the store; None where there is none that fits it."""
    if store.json(f"{pool_key}/indexed.json") is None:  # a pool that only taught a model
        return None
    folder = folder_of(store, pool_key)
    parts = store.parts(folder)
    return Index(store, folder, parts) if parts else None


def stale(store: Store, pool_key: str) -> list[str]:
    """Folders of indexes of the pool that were made of other uids, or in another form."""
    now, here = folder_of(store, pool_key), f"indexes/{pool_key.removeprefix('pools/')}-"
    return sorted({folder for key in store.storage.list(here) if (folder := "/".join(key.split("/")[:2])) != now})


@dataclass(frozen=True)
class Index:
    """A published index: `parts` by column, in the order of their keys, and the column's fences under `COLUMN.fences`."""

    store: Store
    folder: str
    parts: Mapping[str, list[Part]]

    @property
    def columns(self) -> tuple[str, ...]:
        """What can be looked up."""
        return tuple(column for column in COLUMNS if column + FENCES in self.parts)

    def find(self, column: str, keys: Iterable[int]) -> Iterator[tuple[int, UInt64s]]:
        """(key, ascending row numbers) for each of the keys, in their order as numbers; no rows where there are none. Rows of other values
        may be among them, with a chance of 2^-64 each: who needs to be sure compares. StoreError where what was read is damaged."""
        held = self._column(column)
        for key in sorted(set(keys)):
            yield key, held.rows(key)

    def _column(self, column: str) -> "_Column":
        if column not in self._columns:
            parts = sorted(self.parts.get(column, []), key=lambda part: (part.start, part.stop))
            self._columns[column] = _Column(self.store, parts, self._fences(column))
        return self._columns[column]

    @cached_property
    def _columns(self) -> dict[str, "_Column"]:
        return {}

    def _fences(self, column: str) -> Words:
        if column not in self.columns:
            raise StoreError(f"the index has no column {column}", where=self.folder, fix=f"there are: {', '.join(self.columns)}")
        (part,) = self.parts[column + FENCES]
        data = fetched(self.store, part.key)
        if sha256(data) != part.sha256:
            raise damaged(self.store, part.key)
        return np.frombuffer(data, "<u8").reshape(-1, 2)


class _Column:
    """One column's blocks, the last that was read kept."""

    def __init__(self, store: Store, parts: list[Part], fences: Words) -> None:
        """Where each file's first block is among all."""
        self.store, self.parts, self.fences = store, parts, fences
        self.firsts = np.cumsum([0, *(-(-part.rows // BLOCK) for part in parts)])
        self.held: tuple[int, Words] = (-1, np.empty((0, 2), np.uint64))

    def rows(self, key: int) -> UInt64s:
        """The numbers of the rows with this key."""
        wanted = np.uint64(key)
        first = max(int(np.searchsorted(self.fences[:, 0], wanted, "left")) - 1, 0)
        last = int(np.searchsorted(self.fences[:, 0], wanted, "right"))
        found = [np.empty(0, np.uint64)]
        for number in range(first, last):
            block = self._block(number)
            start, stop = np.searchsorted(block[:, 0], wanted, "left"), np.searchsorted(block[:, 0], wanted, "right")
            found.append(block[start:stop, 1])
        return np.concatenate(found).astype(np.uint64)

    def _block(self, number: int) -> Words:
        if self.held[0] != number:
            place = int(np.searchsorted(self.firsts, number, "right")) - 1
            part, within = self.parts[place], number - int(self.firsts[place])
            data = fetched(self.store, part.key, within * BLOCK * RECORD, min(BLOCK, part.rows - within * BLOCK) * RECORD)
            if xxhash.xxh3_64_intdigest(data) != int(self.fences[number, 1]):
                raise damaged(self.store, part.key)
            self.held = number, np.frombuffer(data, "<u8").reshape(-1, 2)
        return self.held[1]


def fetched(store: Store, key: str, start: int = 0, length: int | None = None) -> bytes:
    """Bytes of a listed file. StoreError where it is gone."""
    try:
        return store.storage.get(key, start, length)
    except KeyError as error:
        raise StoreError("a file of the index is gone", where=f"{store.address}/{key}", fix=_AGAIN) from error


def damaged(store: Store, key: str) -> StoreError:
    """What to raise of a file that is not what was published."""
    return StoreError("a file of the index is not what was published", where=f"{store.address}/{key}", fix=_AGAIN)


_AGAIN = "delete the folder indexes/ of the store and run `curate index` again; without an index, look-ups scan"


def fences_of(records: Words) -> Words:
    """{first key, xxh3_64} of each block of sorted records."""
    sums = [xxhash.xxh3_64_intdigest(records[start : start + BLOCK].tobytes()) for start in range(0, len(records), BLOCK)]
    return np.stack([records[::BLOCK, 0], np.array(sums, np.uint64)], axis=1).astype("<u8")
