"""Parquet files of a pool, and what lies beside them: which columns there are, and what is wrong with the file."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import PoolError
from curate.footer import null_counts
from curate.layouts import IMAGE, kind_of, vector_kind
from curate.probes import Found, Unreadable
from curate.tar_reader import probe_pair
from curate.values import scalars
from curate.vectors import BROKEN, arrays_of, float_lists, listed_kinds


def probe_parquet(file: Path, path: str) -> Found | Unreadable:
    """Look into a Parquet file and what lies beside it. PoolError where two columns have one name."""
    with file.open("rb") as stream:
        head = stream.read(64)
        stream.seek(max(0, file.stat().st_size - 4))
        tail = stream.read(4)
    if head[:4] != b"PAR1":
        return _foreign(path, head)
    if tail != b"PAR1":
        return Unreadable(path, "truncated", "it starts as Parquet but its footer is missing", "make or download it again")
    try:
        with pq.ParquetFile(file) as parquet:
            metadata, schema = parquet.metadata, parquet.schema_arrow
            _refuse_twins(file, schema.names)
            groups = tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
            lists = listed_kinds(parquet, float_lists(parquet))
        columns = {name: lists.get(name, kind_of(type_)) for name, type_ in zip(schema.names, schema.types, strict=True)}
        image_paths = _may_hold_paths(file, columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        return Unreadable(path, "bad_footer", str(error), "make or download it again")
    if sum(groups) != metadata.num_rows or min(groups, default=0) < 0:
        detail = f"row groups hold {sum(groups)} rows, the footer says {metadata.num_rows}"
        return Unreadable(path, "bad_footer", detail, "make or download it again")
    arrays, broken = _arrays(file, path, sum(groups), columns)
    images, lost = _images(file, path, columns)
    return Found(groups, {**columns, **arrays, **images}, image_paths, (*broken, *lost))


def _refuse_twins(file: Path, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            what = f"{names.count(name)} columns are called {name!r}"
            raise PoolError(what, where=str(file), fix="rename one and write the file again")


def siblings(parquet: Path) -> list[Path]:
    """The files beside a Parquet shard that hold more of its rows: STEM.npz, vectors by row number; STEM.tar, images by key."""
    return [beside for ending in (".npz", ".tar") if (beside := parquet.with_suffix(ending)).is_file()]


def _arrays(file: Path, path: str, rows: int, columns: Mapping[str, str]) -> tuple[dict[str, str], tuple[Unreadable, ...]]:
    """The kinds of the vectors in the `.npz` beside a shard, and what is wrong with it."""
    beside = file.with_suffix(".npz")
    if beside not in siblings(file):
        return {}, ()
    name = str(PurePosixPath(path).with_suffix(".npz"))
    try:
        arrays = arrays_of(beside)
    except BROKEN as error:
        return {}, (Unreadable(name, "bad_npz", f"{type(error).__name__}: {error}", "make or download it again, or remove it"),)
    wrong = [each for each in arrays if each.rows != rows]
    if wrong:
        detail = f"{wrong[0].name} has {wrong[0].rows} rows, {PurePosixPath(path).name} has {rows}"
        return {}, (Unreadable(name, "other_rows", detail, "make or download both again, or remove it"),)
    for each in arrays:
        if each.name in columns:
            what = f"both it and {PurePosixPath(path).name} have a column {each.name!r}"
            raise PoolError(what, where=str(beside), fix="rename one of them, or move the file away")
    return {each.name: vector_kind(each.length) for each in arrays}, ()


def _images(file: Path, path: str, columns: Mapping[str, str]) -> tuple[dict[str, str], tuple[Unreadable, ...]]:
    """The images in the tar beside a table, and what is wrong with it. PoolError where nothing says which row has which."""
    beside = file.with_suffix(".tar")
    if beside not in siblings(file):
        return {}, ()
    if columns.get("key") != "String":
        what = "a tar lies beside it, and it has no column `key` that says which row has which member"
        raise PoolError(what, where=str(file), fix="move one of them away, or name the layout: `--layout webdataset` reads the tars alone")
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            keys = scalars(parquet.read(columns=["key"], use_threads=False).column("key"), "String")[0].to_list()
    except (pa.ArrowException, OSError, ValueError):
        keys = []  # its rows will say so
    return probe_pair(beside, str(PurePosixPath(path).with_suffix(".tar")), columns, keys)


def _may_hold_paths(file: Path, columns: dict[str, str]) -> tuple[str, ...]:
    """String columns, and image structs some of whose bytes may be null."""
    images = [name for name, kind in columns.items() if kind == IMAGE]
    nulls = null_counts(file) if images else []
    whole = {name for name in images if all(group.get(f"{name}.bytes") == 0 for group in nulls)}
    return tuple(name for name, kind in columns.items() if kind == "String" or (kind == IMAGE and name not in whole))


def _foreign(path: str, head: bytes) -> Unreadable:
    if head.startswith(b"version https://git-lfs"):
        return Unreadable(path, "not_parquet", "it is a Git LFS pointer, not the file", "fetch it with `git lfs pull`")
    if head.startswith(b"PARE"):
        return Unreadable(path, "not_parquet", "it is encrypted Parquet", "decrypt it first")
    kind = "an HTML page" if head.lstrip().startswith(b"<") else "no Parquet file"
    return Unreadable(path, "not_parquet", f"it is {kind}: it starts with {head[:24]!r}", "make or download it again, or remove it")
