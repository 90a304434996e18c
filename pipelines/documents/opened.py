"""A package as another machine finds it: opened with care, and held against itself before anything in it is believed."""

import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, cast

import numpy as np
import pyarrow as pa
import safetensors.numpy

from curate import ledger
from curate.digest import digest_of, sha256_file
from curate.errors import CeterisError
from curate.model import digest_of_model
from curate.recipe import Recipe
from curate.subset import Subset
from pipelines.documents.package import ARCHIVE, FORMAT, LEDGER, MANIFEST, POOLS, RECIPE, SIGNALS, SUBSET

FILES_AT_MOST = 10_000
UNPACKED_AT_MOST, TIMES_AT_MOST = 64 << 20, 50
"""Bytes of a file's content: so many, and so many times the file's own; digests and weights hardly shrink."""
_SAYS = {
    **dict.fromkeys(("subset", "digest", "recipe", "pool", "identity", "head"), str),
    **dict.fromkeys(("signals", "models", "files"), dict),
    **dict.fromkeys(("rows", "samples", "without"), int),
}
"""What a manifest must say."""
_ROW = 20


@dataclass(frozen=True)
class Finding:
    """Something that is not as the package says: `kind`: it breaks the package, explains other rows, or only should be known."""

    kind: Literal["broken", "differs", "missing", "note"]
    part: str
    what: str


@dataclass(frozen=True)
class Package:
    """An opened package; `manifest` as it stands."""

    folder: Path
    manifest: dict[str, Any]

    def json(self, name: str) -> Any:
        """One of its JSON files."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    @property
    def subset(self) -> Subset:
        """Its rows."""
        data, rows = (self.folder / SUBSET).read_bytes(), int(self.manifest["rows"])
        uids = np.frombuffer(data, ">u8", 2 * rows).astype(np.uint64).reshape(-1, 2)
        return Subset(uids, np.frombuffer(data, ">u4", offset=16 * rows).astype(np.uint32))

    @property
    def recipe(self) -> Recipe:
        """Its recipe; paths in it are from the folder in which the command runs."""
        text = (self.folder / RECIPE).read_text(encoding="utf-8")
        return Recipe.parse(text, where=f"{self.json(SIGNALS)['name']}.yaml", base=Path())


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
            _unpack(path, Path(folder))
        except (tarfile.TarError, OSError, EOFError) as error:
            raise CeterisError(
                f"this is no package: {error}", where=str(path), fix=f"name a folder or a {ARCHIVE} of `curate package`"
            ) from error
        yield _package(Path(folder))


class _Bounded:
    """A stream of at most so many bytes."""

    def __init__(self, stream: Any, most: int) -> None:
        self.stream, self.left = stream, most

    def read(self, size: int) -> bytes:
        data: bytes = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise tarfile.TarError("it unpacks to far more than its own size")
        return data


def _unpack(path: Path, folder: Path) -> None:
    most = UNPACKED_AT_MOST + TIMES_AT_MOST * path.stat().st_size
    with (
        pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream,
        tarfile.open(fileobj=cast("IO[bytes]", _Bounded(stream, most)), mode="r|") as tar,
    ):
        for number, member in enumerate(tar):
            place = PurePosixPath(member.name)
            plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse() and "\0" not in member.name
            if not plain or place.is_absolute() or ".." in place.parts or number >= FILES_AT_MOST:
                raise tarfile.TarError(f"a member that no package has: {member.name[:100]!r}")
            source = tar.extractfile(member)
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            if source is not None:
                with target.open("xb") as file:
                    shutil.copyfileobj(source, file)


def _package(folder: Path) -> Package:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CeterisError("there is no manifest that can be read", where=str(folder), fix="name a package of `curate package`") from error
    known = manifest.get("format") if isinstance(manifest, dict) else None
    if known != FORMAT:
        raise CeterisError(f"this package has the format {known!r}; this Ceteris reads {FORMAT!r}", where=str(folder), fix="pack it again")
    for name, kind in _SAYS.items():
        if not isinstance(manifest.get(name), kind):
            raise CeterisError(f"its manifest does not say {name}", where=str(folder / MANIFEST), fix="pack it again")
    return Package(folder, manifest)


def examine(package: Package) -> list[Finding]:
    """Everything in a package that is not what the rest of it says."""
    return list(_broken_files(package)) or list(_contradictions(package))


def _broken_files(package: Package) -> Iterator[Finding]:
    listed: dict[str, str] = package.manifest["files"]
    there = {one.relative_to(package.folder).as_posix() for one in package.folder.rglob("*") if one.is_file()} - {MANIFEST}
    for name in sorted({*listed, SUBSET, RECIPE, LEDGER, POOLS, SIGNALS}):
        if name not in there or name not in listed:
            yield Finding("broken", name, "is not there" if name not in there else "is not in the manifest")
        elif sha256_file(package.folder / name) != listed[name]:
            yield Finding("broken", name, "is not what the manifest says")
    for name in sorted(there - set(listed)):
        yield Finding("broken", name, "is not in the manifest")


def _contradictions(package: Package) -> Iterator[Finding]:
    told, pools, signals = package.manifest, package.json(POOLS), package.json(SIGNALS)
    without = ("format", "identity", "run", "head", "files")
    if digest_of({key: value for key, value in told.items() if key not in without}) != told["identity"]:
        yield Finding("broken", MANIFEST, "its identity is not the digest of what it says")
    if told["files"][SUBSET] != told["digest"] or (package.folder / SUBSET).stat().st_size != _ROW * told["rows"]:
        yield Finding("broken", SUBSET, "is not the subset that the manifest names")
    if package.recipe.digest != told["recipe"]:
        yield Finding("broken", RECIPE, "is not the recipe that the manifest names")
    if pools["pool"]["id"] != told["pool"] or _pool_id(pools["pool"]) != told["pool"]:
        yield Finding("broken", POOLS, "does not describe the pool that the manifest names")
    if {name: one["fingerprint"] for name, one in signals["signals"].items()} != told["signals"]:
        yield Finding("broken", SIGNALS, "names other fingerprints than the manifest")
    yield from _ledger(package)
    for name, one in signals["models"].items():
        if one["weights"] != told["models"].get(name):
            yield Finding("broken", SIGNALS, f"names other weights of the model {name} than the manifest")
        place = package.folder / "models" / name / "weights.safetensors"
        if place.is_file() and digest_of_model(safetensors.numpy.load_file(place), one["card"]) != one["weights"]:
            yield Finding("broken", f"models/{name}", "its weights are not those that the manifest names")


def _ledger(package: Package) -> Iterator[Finding]:
    told, text = package.manifest, (package.folder / LEDGER).read_text(encoding="utf-8")
    if ledger.check(text, where=LEDGER) != told["head"]:
        yield Finding("broken", LEDGER, "does not end in the head that the manifest names")
    facts = [json.loads(line) for line in text.split("\n") if line]
    wanted = {("subset", told["subset"]): told["digest"], ("recipe", ""): told["recipe"], ("pool", ""): told["pool"]}
    for (what, stage), digest in wanted.items():
        said = [one.get("digest", one.get("id")) for one in facts if one["what"] == what and (not stage or one["stage"] == stage)]
        if said != [digest]:
            yield Finding("broken", LEDGER, f"names another {what} than the manifest")


def _pool_id(told: dict[str, Any]) -> str:
    return digest_of([told["layout"], told["roles"], [one["digest"] for one in told["shards"]]])
