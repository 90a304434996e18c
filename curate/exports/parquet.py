"""A subset as Parquet: the pool's own rows and columns, and the uid of each."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.digest import hex_of
from curate.errors import CeterisError
from curate.exports.evidence import Evidence
from curate.exports.rows import Part, column_names, other_columns, parts_of
from curate.layouts import IMAGE, kind_of
from curate.pieces import read_originals
from curate.record import Run, Selected
from curate.redaction import Blurring, Redaction

ROWS_PER_FILE = 65_536


def write_parquet(
    run: Run,
    chosen: Selected,
    out: Path,
    about: dict[str, Any],
    redaction: Redaction | None,
    blurring: Blurring | None,
    evidence: Evidence | None,
) -> list[str]:
    """A file is closed when it holds ROWS_PER_FILE rows, or when the next shard's columns are others."""
    files: list[str] = []
    writer, columns, rows = None, pa.schema([]), 0
    for table in _tables(run, chosen, redaction, blurring, evidence):
        if writer is None or rows >= ROWS_PER_FILE or not table.schema.equals(columns):
            if writer is not None:
                writer.close()
            files.append(f"{chosen.name}-{len(files):05d}.parquet")
            columns, rows = table.schema, 0
            named = columns.with_metadata({**(columns.metadata or {}), b"ceteris": json.dumps(about).encode()})
            writer = pq.ParquetWriter(out / files[-1], named, compression="zstd", write_page_checksum=True)
        writer.write_table(table.replace_schema_metadata(writer.schema.metadata))
        rows += table.num_rows
    if writer is not None:
        writer.close()
    return files


def _has_our_uids(run: Run) -> bool:
    """Whether a column called uid holds the uids as we write them, in every shard."""
    shards = range(len(run.pool.shards))
    return run.pool.roles.get("uid") == "uid" and all(read_originals(run.store, run.facts["pool"], n) is None for n in shards)


def _tables(
    run: Run, chosen: Selected, redaction: Redaction | None, blurring: Blurring | None, evidence: Evidence | None
) -> Iterator[pa.Table]:
    ours, repeated = _has_our_uids(run), bool((chosen.copies > 1).any())
    for part in parts_of(run, chosen):
        table = _group(run, part, redaction is not None)
        if blurring:
            table = _blurred(run, part, table, blurring)
        if redaction:
            text = table.schema.get_field_index(column_names(run)["text"])
            table = table.set_column(text, table.schema.field(text), redaction.column(table.column(text)))
        named = pa.array(hex_of(part.uids))
        position = table.schema.get_field_index("uid")
        if ours and position >= 0:
            table = table.set_column(position, "uid", named)
        else:
            kept = [_kept_as("uid", name, table.column_names) for name in table.column_names]
            table = table.rename_columns(kept).append_column("uid", named)
        if repeated:
            kept = [_kept_as("copies", name, table.column_names) for name in table.column_names]
            table = table.rename_columns(kept).append_column("copies", pa.array(part.copies))
        yield evidence.added(table, part) if evidence else table


def _kept_as(ours: str, name: str, taken: list[str]) -> str:
    """A column called as ours is, under a name that is free; any other name as it is."""
    kept = name
    while kept == ours or (name == ours and kept in taken):
        kept = f"original_{kept}"
    return kept


def _group(run: Run, part: Part, redacted: bool) -> pa.Table:
    path = run.pool.root / part.shard.path if part.shard.path else run.pool.root
    roles, names = run.pool.roles, column_names(run)
    if path.suffix == ".parquet":
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                table = file.read_row_group(part.group).take(pa.array(part.inside))
        except (pa.ArrowInvalid, OSError) as error:
            what = f"row group {part.group} cannot be copied: {error}"
            raise CeterisError(what, where=str(path), fix="restore the file, or export uids") from error
        if roles.get("image", table.column_names[0]) in table.column_names:
            return table
        images = run.pool.read(part.shard, roles=["image"], rows=part.rows).frame["image"]  # of the tar beside it
        return table.append_column(roles["image"], images.to_arrow().cast(pa.large_binary()))
    others = other_columns(run, redacted)
    read = run.pool.read(part.shard, roles=list(roles), columns=list(others), rows=part.rows)
    frame = read.frame
    if "face_boxes" in roles:
        frame = frame.with_columns(_boxes(frame["face_boxes"], read.faults.get("face_boxes")))
    return frame.rename({**names, **{f"pool.{name}": said for name, said in others.items()}}).to_arrow()


def _boxes(texts: pl.Series, codes: pl.Series | None) -> pl.Series:
    """Boxes as lists; those that could not be read as one box of NaN: null would say that nobody looked for faces."""
    found = texts.str.json_decode(pl.List(pl.List(pl.Float64)))
    if codes is None:
        return found
    unread = pl.Series([[[math.nan] * 4]], dtype=found.dtype).new_from_index(0, len(found))
    frame = pl.DataFrame([found.alias("found"), unread.alias("unread"), codes.alias("code")])
    return frame.select(pl.when(pl.col("code").is_null()).then("found").otherwise("unread").alias(texts.name)).to_series()


def _blurred(run: Run, part: Part, table: pa.Table, blurring: Blurring) -> pa.Table:
    """The table with changed images; those that do not leave are null, their path with them."""
    position = table.schema.get_field_index(column_names(run)["image"])
    type_ = table.schema.field(position).type
    whole = kind_of(type_) == IMAGE
    read = run.pool.read(part.shard, roles=["image", "face_boxes"], rows=part.rows)
    before = read.frame["image"].to_list()
    after = blurring.encoded(before, read.frame["face_boxes"], read.faults.get("face_boxes"))
    if not whole and not pa.types.is_large_binary(type_) and not pa.types.is_binary(type_):
        fix = "export webdataset, which takes images along"
        raise CeterisError("its images lie beside it and do not leave with it", where=part.shard.path, fix=fix)
    held = table.column(position).to_pylist() if whole else before
    changed = [now if not whole else _held(old, was, now) for old, was, now in zip(held, before, after, strict=True)]
    return table.set_column(position, table.schema.field(position), pa.chunked_array([pa.array(changed, type_)]))


def _held(old: dict[str, Any] | None, was: bytes | None, now: bytes | None) -> dict[str, Any] | None:
    if was is now:
        return old
    return None if now is None or old is None else {**old, "bytes": now}
