"""The files that an export wrote, as a document describes them: size, digest, and the columns of the rows in them."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.digest import sha256_file
from curate.errors import CeterisError
from curate.layouts import BYTES, kind_of
from pipelines.documents.facts import Facts

ABOUT = "export.json"


@dataclass(frozen=True)
class ExportedFile:
    """A file's name in its folder, its size in bytes, and the hex SHA-256 of its content."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Table:
    """Files whose rows have the same columns, and the kind of each (`curate/layouts.py`)."""

    files: tuple[str, ...]
    columns: dict[str, str]


@dataclass(frozen=True)
class Exported:
    """An export of a subset: `about` is what it says of itself; `tables` its rows, where shards' columns differ several; `endings` those of
    the members of tars."""

    folder: Path
    layout: str
    about: dict[str, Any]
    files: tuple[ExportedFile, ...]
    tables: tuple[Table, ...]
    endings: tuple[str, ...]


def read_export(folder: Path, facts: Facts) -> Exported | None:
    """What an export left in a folder; None where there is none. CeterisError where it is of other rows, or a file is gone or changed."""
    about = _about(folder)
    if about is None:
        return None
    if about["digest"] != facts.digest:
        what = f"the export there is of {about['subset']} of {about['run']}, digest {about['digest'][:16]}"
        fix = f"name another folder, or export {facts.name} again"
        raise CeterisError(f"{what}; {facts.name} is {facts.digest[:16]}", where=str(folder), fix=fix)
    missing = [name for name in about["files"] if not (folder / name).is_file()]
    if missing:
        raise CeterisError(f"{len(missing)} files of the export are gone: {missing[0]}", where=str(folder), fix="export again")
    files = tuple(ExportedFile(name, (folder / name).stat().st_size, sha256_file(folder / name)) for name in about["files"])
    recorded = [facts.run.store.json(key) for key in facts.run.store.storage.list("exports/")]
    here = {name: digest for one in recorded if one["folder"] == str(folder.absolute()) for name, digest in one["files"].items()}
    for one in files:
        if {**here, **about.get("sha256", {})}.get(one.name, one.sha256) != one.sha256:
            raise CeterisError("the file is not the one that was exported", where=str(folder / one.name), fix="export again")
    return Exported(folder, about["layout"], about, files, tuple(_tables(folder, about)), _endings(folder, about))


def _about(folder: Path) -> dict[str, Any] | None:
    if (folder / ABOUT).is_file():
        told: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return told
    files = sorted(path.name for path in folder.glob("*.parquet"))
    for name in files:
        metadata = pq.read_schema(folder / name).metadata or {}
        if b"ceteris" in metadata:
            return {**json.loads(metadata[b"ceteris"]), "files": files}
    return None


def _tables(folder: Path, about: dict[str, Any]) -> Iterator[Table]:
    names: list[str] = about["files"]
    if about["layout"] == "parquet":
        found: dict[str, list[str]] = {}
        schemas = {name: pq.read_schema(folder / name).remove_metadata() for name in names}
        for name, schema in schemas.items():
            found.setdefault(str(schema), []).append(name)
        for same in found.values():
            kinds = {one.name: BYTES if pa.types.is_large_binary(one.type) else kind_of(one.type) for one in schemas[same[0]]}
            yield Table(tuple(same), kinds)
    elif about["layout"] == "jsonl.zst" and names:
        with pa.CompressedInputStream(pa.OSFile(str(folder / names[0])), "zstd") as stream:
            frame = pl.read_ndjson(stream.read(), infer_schema_length=None)
        kinds = {name: f"nested {dtype}" if dtype.is_nested() else str(dtype) for name, dtype in frame.schema.items()}
        yield Table(tuple(names), kinds)
    elif about["layout"] == "uids":
        yield Table(tuple(names), {"uid": "String"})


def _endings(folder: Path, about: dict[str, Any]) -> tuple[str, ...]:
    found = set[str]()
    for name in about["files"] if about["layout"] == "webdataset" else ():
        with tarfile.open(folder / name) as archive:
            found |= {member.name.partition(".")[2] for member in archive}
    return tuple(sorted(found))
