"""Where a store's bytes lie: list, range-get and put-if-absent, on local disk or in memory."""

import errno
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol

from curate.errors import StoreError
from curate.failpoint import reach


class ExistsError(Exception):
    """The key is taken; what lies there is untouched."""


class Storage(Protocol):
    """Immutable objects under slash-separated keys. `address` reopens the same storage in another process."""

    address: str

    def list(self, prefix: str) -> list[str]:
        """Keys that start with `prefix`, sorted."""

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes under `key`, or `length` of them from `start`; KeyError where there are none."""

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write all of `data` under a new key, durably, or raise ExistsError; never a part of it."""

    def replace(self, key: str, data: bytes | memoryview) -> None:
        """Write all of `data` under a key, durably; who reads meanwhile gets what lay there, or this."""

    def delete(self, key: str) -> None:
        """Forget a key that nothing lists any more."""


class LocalStorage:
    """A folder. An object appears by hard link from a synced temporary file, so it is never half there and never replaced."""

    def __init__(self, root: Path) -> None:
        """Open (and make) the folder."""
        self.root = root.resolve()
        self.address = str(self.root)
        try:
            (self.root / "tmp").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _explained(error, self.root, 0) from error

    def list(self, prefix: str) -> list[str]:
        """Keys that start with `prefix`, sorted."""
        base = self.root / prefix.rpartition("/")[0]
        names = (p.relative_to(self.root).as_posix() for p in base.rglob("*") if p.is_file()) if base.is_dir() else iter(())
        return sorted(name for name in names if name.startswith(prefix))

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes under `key`, or `length` of them from `start`; KeyError where there are none."""
        try:
            with (self.root / key).open("rb") as file:
                file.seek(start)
                return file.read(-1 if length is None else length)
        except FileNotFoundError as error:
            raise KeyError(key) from error

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write all of `data` under a new key, durably, or raise ExistsError; never a part of it. What lies under tmp/ is swept by the next
        writer, and need not outlive this machine."""
        self._write(key, data, os.link)

    def replace(self, key: str, data: bytes | memoryview) -> None:
        """Write all of `data` under a key, durably; who reads meanwhile gets what lay there, or this."""
        self._write(key, data, os.replace)

    def _write(self, key: str, data: bytes | memoryview, place: Callable[[Path, Path], None]) -> None:
        path, lasting = self.root / key, not key.startswith("tmp/")
        temporary = self.root / "tmp" / uuid.uuid4().hex
        reach("storage.before_write")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                if lasting:
                    os.fsync(file.fileno())
            reach("storage.before_link")
            place(temporary, path)
            if lasting:
                _sync(path.parent)
        except FileExistsError as error:
            raise ExistsError(key) from error
        except OSError as error:
            raise _explained(error, path, len(data)) from error
        finally:
            temporary.unlink(missing_ok=True)
        reach("storage.after_link")

    def delete(self, key: str) -> None:
        """Forget a key that nothing lists any more."""
        (self.root / key).unlink(missing_ok=True)


class MemoryStorage:
    """A dictionary, shared by every MemoryStorage of the same name in this process."""

    _all: ClassVar[dict[str, dict[str, memoryview]]] = {}

    def __init__(self, name: str) -> None:
        """Open (and make) the named dictionary."""
        self.address = f"memory:{name}"
        self._objects = self._all.setdefault(name, {})

    def list(self, prefix: str) -> list[str]:
        """Keys that start with `prefix`, sorted."""
        return sorted(key for key in self._objects if key.startswith(prefix))

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes under `key`, or `length` of them from `start`; KeyError where there are none."""
        return bytes(self._objects[key][start : None if length is None else start + length])

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write all of `data` under a new key, or raise ExistsError."""
        own = memoryview(data)  # an object of this call's own, so that equal data are not taken for ours
        if self._objects.setdefault(key, own) is not own:
            raise ExistsError(key)

    def replace(self, key: str, data: bytes | memoryview) -> None:
        """Write all of `data` under a key."""
        self._objects[key] = memoryview(data)

    def delete(self, key: str) -> None:
        """Forget a key that nothing lists any more."""
        self._objects.pop(key, None)


class ScratchStorage(LocalStorage):
    """A folder of its own over another storage, of which it only reads: what is put here hides what lies there, nothing there changes, and
    nothing need outlive this process."""

    def __init__(self, root: Path) -> None:
        """Open a folder that `over` has made."""
        super().__init__(root)
        self.address = f"{_SCRATCH}{self.root}"
        self.below = open_storage((self.root / _BELOW).read_text(encoding="utf-8"))

    @classmethod
    def over(cls, below: Storage, root: Path) -> "ScratchStorage":
        """A scratch folder over a storage."""
        (root / _BELOW).write_text(below.address, encoding="utf-8")
        return cls(root)

    def list(self, prefix: str) -> list[str]:
        """Keys that start with `prefix`, sorted."""
        return sorted({*super().list(prefix), *self.below.list(prefix)} - {_BELOW})

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes under `key`, or `length` of them from `start`; KeyError where there are none."""
        try:
            return super().get(key, start, length)
        except KeyError:
            return self.below.get(key, start, length)

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write under a new key."""
        path = self.root / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError as error:
            raise ExistsError(key) from error
        except OSError as error:
            raise _explained(error, path, len(data)) from error


_SCRATCH, _BELOW = "scratch:", "below"


def open_storage(address: str) -> Storage:
    """The storage at an address: `memory:NAME`, a folder, or a scratch folder over one of these."""
    if address.startswith(_SCRATCH):
        return ScratchStorage(Path(address.removeprefix(_SCRATCH)))
    return MemoryStorage(address.removeprefix("memory:")) if address.startswith("memory:") else LocalStorage(Path(address))


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explained(error: OSError, path: Path, size: int) -> StoreError:
    if error.errno == errno.ENOSPC:
        return StoreError(
            f"the disk is full; {size:,} bytes are needed here", where=str(path), fix="free space or name another --store, then run again"
        )
    if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP) and path.parent.is_dir() and os.access(path.parent, os.W_OK):
        return StoreError("this file system has no hard links, which the commit needs", where=str(path), fix="put --store on a local disk")
    return StoreError(f"cannot write: {error.strerror}", where=str(path), fix="make the folder writable or name another --store")
