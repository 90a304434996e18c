"""A package as another machine finds it: opened with care, so that nothing in it is written outside a folder that is removed again."""

import hashlib
import io
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, cast

import pyarrow as pa

from curate.errors import CeterisError, RecipeError
from curate.recipe import Recipe
from curate.subset import Subset
from pipelines.documents.package import ARCHIVE, FORMAT, tar_of
from pipelines.documents.recipient import MANIFEST, RECIPE, Received
from pipelines.documents.shapes import ManifestShape, json_of, read_json, text_of

FILES_AT_MOST = 10_000
UNPACKED_AT_MOST, TIMES_AT_MOST = 64 << 20, 50
"""Bytes of a file's content: so many, and so many times the file's own; digests and weights hardly shrink."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/ -]*")


@dataclass(frozen=True)
class Finding:
    """Something that is not as the package says: `kind`: it breaks the package, explains other rows, or only should be known."""

    kind: Literal["broken", "differs", "missing", "note"]
    part: str
    what: str


@dataclass(frozen=True)
class Package:
    """An opened package; `manifest` as it stands; `stray`: whether its archive holds bytes that are of none of its files."""

    folder: Path
    manifest: dict[str, Any]
    stray: bool = False

    @cached_property
    def received(self) -> Received:
        """What it tells of its subset."""
        return Received(self.folder)

    @property
    def subset(self) -> Subset:
        """Its rows."""
        return self.received.subset

    @property
    def recipe(self) -> Recipe:
        """Its recipe; paths in it are from the folder in which the command runs. CeterisError where it is none."""
        where, name = str(self.folder / RECIPE), self.received.measured.name
        try:
            found = Recipe.parse(text_of(self.folder / RECIPE), where=f"{name}.yaml", base=Path())
            found.text.encode()
        except (RecipeError, RecursionError, UnicodeEncodeError) as error:
            what = (
                f"{error.what}, at {error.where}"
                if isinstance(error, RecipeError)
                else "it is nested too deeply, or has halves of characters"
            )
            raise CeterisError(f"this is no recipe: {what}", where=where, fix="ask whoever sent it for another copy") from error
        return found


@contextmanager
def opened(path: Path) -> Iterator[Package]:
    """The package in a folder, or in a file, which is unpacked beside the system's temporary files and removed again. CeterisError for what
    is no package; nothing in a file is written outside that folder."""
    if path.is_dir():
        yield _package(path)
        return
    if not path.is_file():
        raise CeterisError("there is no such file or folder", where=str(path), fix="check the path")
    with tempfile.TemporaryDirectory() as folder:
        try:
            digest = _unpack(path, Path(folder))
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:  # ValueError: Arrow's, and tarfile's of some headers
            what = "there is something of this name already in it" if isinstance(error, FileExistsError) else _named(error)
            raise CeterisError(
                f"this is no package: {what}", where=str(path), fix=f"name a folder or a {ARCHIVE} of `curate package`, copied whole"
            ) from error
        yield _package(Path(folder), digest)


def _named(error: Exception) -> str:
    """What went wrong, without the folder in which it was unpacked."""
    return str(error.strerror if isinstance(error, OSError) and error.strerror else error)


class _Bounded:
    """A stream of at most so many bytes, digested."""

    def __init__(self, stream: Any, most: int) -> None:
        self.stream, self.left, self.digest = stream, most, hashlib.sha256()

    def read(self, size: int) -> bytes:
        data: bytes = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise tarfile.TarError("it unpacks to far more than its own size")
        self.digest.update(data)
        return data


def _unpack(path: Path, folder: Path) -> str:
    """Write its files; returns the SHA-256 of the tar."""
    most = UNPACKED_AT_MOST + TIMES_AT_MOST * path.stat().st_size
    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
        source = _Bounded(stream, most)
        with tarfile.open(fileobj=cast("IO[bytes]", source), mode="r|", errors="strict") as tar:
            for number, member in enumerate(tar):
                place = PurePosixPath(member.name)
                plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse() and _NAME.fullmatch(member.name)
                if not plain or place.is_absolute() or ".." in place.parts or number >= FILES_AT_MOST:
                    raise tarfile.TarError(f"a member that no package has: {member.name[:100]!r}")
                content, target = tar.extractfile(member), folder / place
                target.parent.mkdir(parents=True, exist_ok=True)
                if content is not None:
                    with target.open("xb") as file:
                        shutil.copyfileobj(content, file)
        while source.read(1 << 20):
            pass
    return source.digest.hexdigest()


def _package(folder: Path, tar: str | None = None) -> Package:
    place = folder / MANIFEST
    if place.is_symlink() or not place.is_file():
        fix = "name a package of `curate package`, copied whole"
        raise CeterisError("there is no manifest that can be read", where=str(folder), fix=fix)
    manifest = json_of(text_of(place), str(place))
    known = manifest.get("format") if isinstance(manifest, dict) else None
    if known != FORMAT:
        raise CeterisError(f"this package has the format {known!r}; this Ceteris reads {FORMAT!r}", where=str(place), fix="pack it again")
    read_json(place, ManifestShape)
    return Package(folder, manifest, tar is not None and tar != _repacked(folder))


def _repacked(folder: Path) -> str:
    """The SHA-256 of the tar that packing this folder gives."""
    sink = _Digest()
    tar_of(folder, cast("IO[bytes]", sink))
    return sink.digest.hexdigest()


class _Digest(io.RawIOBase):
    """What is written here is digested, and nowhere kept."""

    def __init__(self) -> None:
        super().__init__()
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        """Take it in."""
        self.digest.update(data)
        return len(data)
