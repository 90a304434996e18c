"""The store: what was measured and decided, under names that say how, published by one driver only."""

import fcntl
import os
import re
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from curate import frames
from curate.digest import sha256
from curate.errors import StoreError
from curate.failpoint import reach
from curate.journal import finish, pending, taken_away
from curate.seal import sealed, unsealed
from curate.storage import ExistsError, LocalStorage, MemoryStorage, Storage, open_storage

FORMAT = "ceteris-store 2"
LOOKS, A_MOMENT = 5, 0.02
"""How often, and how many seconds apart, a lock is asked for that somebody may only have looked at."""


@dataclass(frozen=True)
class Part:
    """A receipt for one attempt-unique file: it counts only once a manifest lists it."""

    key: str
    sha256: str
    scope: str
    start: int
    stop: int
    rows: int
    replaces: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Store:
    """A folder (or memory) of evidence, decisions, subsets, models, scores and ledgers."""

    storage: Storage

    @classmethod
    def open(cls, address: str | Path) -> "Store":
        """Open a store, or make an empty one; an interrupted take-down is done to its end first. StoreError if what is there is something
        else, or a take-down is under way."""
        store = cls(open_storage(str(address)))
        found = store._format()
        if found != FORMAT:
            raise StoreError(
                f"this store has format {found!r}; this Ceteris reads {FORMAT!r}",
                where=store.address,
                fix="name another --store; runs of this one have to be made again",
            )
        if pending(store):  # a change that counts and is not done
            with store.writer():
                finish(store)
        return store

    def _format(self) -> str:
        """What FORMAT says; read first, so that opening a store writes nothing to it."""
        try:
            return self.storage.get("FORMAT").decode(errors="replace")
        except KeyError:
            with suppress(ExistsError):
                self.storage.put("FORMAT", FORMAT.encode())
            return self.storage.get("FORMAT").decode(errors="replace")

    @property
    def address(self) -> str:
        """Where it is; reopens it in another process."""
        return self.storage.address

    def path(self, key: str) -> Path:
        """The local file under a key, for tools that need one."""
        if isinstance(self.storage, LocalStorage):
            return self.storage.root / key
        raise StoreError("this needs a store on a local disk", where=self.address, fix="name a folder with --store")

    @property
    def pool_files(self) -> Path | None:
        """Where it is remembered what files of pools hold, for `Pool.open`; None of a store in memory, which reads them again."""
        return self.path("pools/files.json") if isinstance(self.storage, LocalStorage) else None

    def json(self, key: str) -> Any:
        """A stored JSON value, or None. StoreError where it is damaged."""
        try:
            return unsealed(self.storage.get(key), where=f"{self.address}/{key}")
        except KeyError:
            return None

    def put_json(self, key: str, value: Any) -> bool:
        """Store a JSON value once, a record with its seal; False if the key was taken."""
        try:
            self.storage.put(key, sealed(value))
        except ExistsError:
            return False
        return True

    def put_frame(
        self,
        folder: str,
        stem: str,
        frame: pl.DataFrame,
        *,
        scope: str = "",
        start: int = 0,
        stop: int = 0,
        replaces: Sequence[str] = (),
        seconds: float = 0.0,
    ) -> Part:
        """Write a frame under an attempt-unique name and return its receipt."""
        key = f"{folder}/parts/{stem}-{uuid.uuid4().hex}.parquet"
        data = frames.to_bytes(frame)
        self.storage.put(key, data)
        return Part(key, sha256(data), scope, start, stop, frame.height, tuple(replaces), seconds)

    def frame(self, part: Part, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """A listed file's frame, its digest checked."""
        where = f"{self.address}/{part.key}"
        try:
            data = self.storage.get(part.key)
        except KeyError as error:
            fix = f"delete {part.key.split('/parts/')[0]}; the next run measures it again"
            raise taken_away(self, part.key) or StoreError("a listed file is gone", where=where, fix=fix) from error
        if sha256(data) != part.sha256:
            raise StoreError(
                "a stored file is not what its manifest says",
                where=where,
                fix=f"delete {part.key.split('/parts/')[0]}; the next run measures it again",
            )
        return frames.from_bytes(data, where=where, columns=columns)

    def publish(self, folder: str, parts: Iterable[Part], epoch: int) -> None:
        """List parts in the folder's next manifest: the moment they begin to count. Only the lock's owner calls this."""
        listed = [asdict(part) for part in parts]
        if not listed:
            return
        reach("run.before_publish")
        number = len(self.storage.list(f"{folder}/manifests/")) + 1
        if not self.put_json(f"{folder}/manifests/{number:08d}.json", {"epoch": epoch, "parts": listed}):
            raise StoreError(
                "another process publishes to this store", where=f"{self.address}/{folder}", fix="run one command at a time on a store"
            )
        reach("run.after_publish")

    def parts(self, folder: str) -> dict[str, list[Part]]:
        """The parts that count, by scope (a shard's digest), in the order they were published."""
        found: dict[str, Part] = {}
        for key in self.storage.list(f"{folder}/manifests/"):
            for entry in self.json(key)["parts"]:
                part = Part(**{**entry, "replaces": tuple(entry["replaces"])})
                for replaced in part.replaces:
                    found.pop(replaced, None)
                found[part.key] = part
        by_scope: dict[str, list[Part]] = {}
        for part in found.values():
            by_scope.setdefault(part.scope, []).append(part)
        return by_scope

    def sweep(self, folders: Iterable[str]) -> int:
        """Delete attempts that no manifest lists, left by a driver that died; returns how many. Never called while tasks run."""
        swept = 0
        for folder in folders:
            listed = {part.key for parts in self.parts(folder).values() for part in parts}
            for key in self.storage.list(f"{folder}/parts/"):
                if key not in listed:
                    self.storage.delete(key)
                    swept += 1
        for key in self.storage.list("tmp/"):
            self.storage.delete(key)
        return swept

    @contextmanager
    def writer(self) -> Iterator[int]:
        """Be the one writer of this store; yields the fencing epoch. StoreError names the owner when there is one."""
        if isinstance(self.storage, MemoryStorage):
            yield 0
            return
        path = self.path("lock")
        with path.open("a+", encoding="utf-8", errors="replace") as file:
            try:
                _lock(file.fileno())
            except BlockingIOError as error:
                owner = path.read_text(encoding="utf-8", errors="replace").strip() or "another process"
                raise StoreError(
                    f"this store is being written by {owner}", where=self.address, fix="wait for it, or name another --store"
                ) from error
            file.seek(0)
            before = file.read()  # empty or torn after a crash
            epoch = 1 + int(found[1] if (found := re.search(r", epoch (\d+)$", before)) else 0)
            file.seek(0)
            file.truncate()
            file.write(f"pid {os.getpid()} on {socket.gethostname()}, epoch {epoch}")
            file.flush()
            yield epoch


def _lock(handle: int) -> None:
    """Take the lock, also where somebody has just looked whether it is held. BlockingIOError where it is."""
    for _ in range(LOOKS):
        with suppress(BlockingIOError):
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(A_MOMENT)
    return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def named(name: str, fingerprint: str) -> str:
    """NAME-ID, as folders are called."""
    return f"{name}-{fingerprint[:16]}"
