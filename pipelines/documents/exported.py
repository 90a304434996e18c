"""The files that an export wrote, as a document describes them: size, digest, and the columns of the rows in them."""

import json
import tarfile
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
_NOT_DATA = (ABOUT,)


@dataclass(frozen=True)
class ExportedFile:
    """A file's name in its folder, its size in bytes, and the hex SHA-256 of its content."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Exported:
    """An export of a subset: `about` is what it says of itself, `columns` the kind of each column (`curate/layouts.py`; of webdataset the
    endings of its members)."""

    folder: Path
    layout: str
    about: dict[str, Any]
    files: tuple[ExportedFile, ...]
    columns: dict[str, str]


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
    for one in files:
        if about.get("sha256", {}).get(one.name, one.sha256) != one.sha256:
            raise CeterisError("the file is not the one that was exported", where=str(folder / one.name), fix="export again")
    return Exported(folder, about["layout"], about, files, _columns(folder, about))


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


def _columns(folder: Path, about: dict[str, Any]) -> dict[str, str]:
    names: list[str] = about["files"]
    if about["layout"] == "parquet" and names:
        schemas = [pq.read_schema(folder / name) for name in names]
        return {field.name: BYTES if pa.types.is_large_binary(field.type) else kind_of(field.type) for one in schemas for field in one}
    if about["layout"] == "jsonl.zst" and names:
        with pa.CompressedInputStream(pa.OSFile(str(folder / names[0])), "zstd") as stream:
            frame = pl.read_ndjson(stream.read(), infer_schema_length=None)
        return {name: str(dtype) if not dtype.is_nested() else f"nested {dtype}" for name, dtype in frame.schema.items()}
    if about["layout"] == "webdataset":
        endings = dict[str, str]()
        for name in names:
            with tarfile.open(folder / name) as archive:
                endings |= {member.name.partition(".")[2]: "member" for member in archive}
        return dict(sorted(endings.items()))
    return {"uid": "String"} if about["layout"] == "uids" else {}
