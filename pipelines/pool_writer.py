"""Writing a pool: rows as they come, into Parquet shards of several row groups, in a folder that appears whole or not at all."""

import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import CeterisError

GROUP = 4096
GROUPS_PER_SHARD = 8


def write_pool(folder: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> int:
    """Write rows in their order to FOLDER/part-NNNNN.parquet (zstd, page checksums) and say how many; holds one row group in memory.

    CeterisError if the folder holds something, or there is no row.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CeterisError("the place to write a pool to is not empty", where=str(folder), fix="name a new folder")
    attempt = folder.absolute().parent / f".{folder.name}.{uuid.uuid4().hex}"
    try:
        attempt.mkdir(parents=True)
    except OSError as error:
        raise CeterisError(f"cannot write there: {error.strerror}", where=str(folder), fix="name a folder that can be made") from error
    try:
        written = sum(_shard(attempt / f"part-{number:05d}.parquet", groups, schema) for number, groups in enumerate(_shards(iter(rows))))
        if not written:
            raise CeterisError("there is nothing to write a pool of", where=str(folder))
        attempt.replace(folder)
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
    return written


_Rows = list[Mapping[str, Any]]


def _shards(rows: Iterator[Mapping[str, Any]]) -> Iterator[Iterator[_Rows]]:
    """Row groups, shard by shard; each shard must be consumed before the next."""
    while first := list(islice(rows, GROUP)):
        yield _groups(first, rows)


def _groups(first: _Rows, rows: Iterator[Mapping[str, Any]]) -> Iterator[_Rows]:
    yield first
    for _ in range(GROUPS_PER_SHARD - 1):
        if more := list(islice(rows, GROUP)):
            yield more


def _shard(path: Path, groups: Iterator[_Rows], schema: pa.Schema) -> int:
    written = 0
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for group in groups:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            written += len(group)
    return written
