"""What a look at one file of a pool gives: what it holds, or why nothing of it can be read."""

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Unreadable:
    """A file of which nothing can be read: why (`code`, `detail`) and what to do (`fix`)."""

    path: str
    code: str
    detail: str
    fix: str


@dataclass(frozen=True)
class Probe:
    """What one readable file, or one folder of text files, holds. `stat` is (size, mtime_ns, ctime_ns, inode) when it was read, and the
    same of files beside it that are read with it; `image_paths` names columns that hold, or may hold, paths of images; `beside` are files
    that should be read with it and cannot be; `reused` says that a cache knew it and it was not read again."""

    path: str
    digest: str
    groups: tuple[int, ...]
    columns: dict[str, str]
    stat: tuple[int, ...]
    image_paths: tuple[str, ...] = ()
    beside: tuple[Unreadable, ...] = ()
    reused: bool = field(default=False, compare=False)

    @property
    def size(self) -> int:
        """Bytes, with those of the files beside it."""
        return sum(self.stat[::4])


class Found(NamedTuple):
    """Rows of each group that can be read by itself, kinds of columns, columns that may hold paths of images, and files beside it that
    cannot be read."""

    groups: tuple[int, ...]
    columns: dict[str, str]
    image_paths: tuple[str, ...]
    beside: tuple[Unreadable, ...] = ()
