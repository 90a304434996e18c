"""Subsets leave: as Parquet rows with their uid, as a list of uids, or as DataComp's `.npy` of u64 pairs."""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.digest import hex_of
from curate.errors import CeterisError
from curate.pieces import Piece, read_originals, read_uids
from curate.plan import POOL
from curate.record import Run
from curate.subset import Subset

LAYOUTS = ("parquet", "uids", "npy")
ROWS_PER_FILE = 65_536


@dataclass
class Redaction:
    """What is taken out of the text role on its way out: `apply` gives the changed texts and how many of what it took out of them."""

    name: str
    apply: Callable[[pl.Series], tuple[pl.Series, dict[str, int]]]
    taken: dict[str, int] = field(default_factory=dict)
    rows: int = 0

    def column(self, values: pa.ChunkedArray) -> pa.ChunkedArray:
        """The column with its texts changed, of the same type; counts what was taken out."""
        texts = pl.Series(values=values.cast(pa.large_string()), dtype=pl.String)
        changed, taken = self.apply(texts)
        self.rows += int(changed.ne_missing(texts).sum())
        self.taken = {name: self.taken.get(name, 0) + count for name, count in taken.items()}
        return pa.chunked_array([changed.to_arrow().cast(values.type)])


def export(run: Run, subset: str, out: Path, layout: str, redaction: Redaction | None = None) -> dict[str, Any]:
    """Write a subset into the new folder `out`; returns what it is: subset, digest, rows, run, recipe, pool, layout, files.

    `parquet` copies the rows in the pool's order, every column as it was (of JSON lines those that rules can use), and `uid`, 32 hex
    digits; a column of that name that holds anything else is kept as `original_uid`. What it is stands in the files' metadata under
    `ceteris`. (Images that a pool names by path stay where they are.) `uids` writes uids.txt, one per line, sorted; `npy` writes
    subset.npy, a sorted array of dtype u8,u8 (DataComp's file of sample ids); both beside export.json. The folder appears whole or not at
    all. CeterisError if `out` already holds something.

    With a `redaction`, of the `parquet` layout only, texts leave changed and all else as it is; what was taken out of how many rows stands
    in export.json beside the rows. The pool is never changed.
    """
    if layout not in LAYOUTS:
        raise CeterisError(f"there is no export layout {layout}", fix=f"one of {', '.join(LAYOUTS)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CeterisError("the place to export to is not empty", where=str(out), fix="name a new folder")
    if redaction and (layout != "parquet" or "text" not in run.pool.roles):
        what = f"the layout {layout} holds no text" if layout != "parquet" else "this pool has no text"
        raise CeterisError(f"nothing can be redacted: {what}", where=str(out), fix="export parquet, of a pool with the role text")
    chosen = run.subset(subset)
    about: dict[str, Any] = {"subset": subset, "digest": chosen.digest, "rows": len(chosen), "run": run.folder.removeprefix("runs/")}
    about |= {"recipe": run.facts["recipe"], "pool": run.pool.id, "layout": layout}
    attempt = out.absolute().parent / f".{out.name}.{uuid.uuid4().hex}"
    try:
        attempt.mkdir(parents=True)
    except OSError as error:
        raise CeterisError(f"cannot write there: {error.strerror}", where=str(out), fix="name a folder that can be made") from error
    try:
        if redaction:
            about["redaction"] = redaction.name
        files = _parquet(run, subset, attempt, about, redaction) if layout == "parquet" else _list(chosen, attempt, about)
        if redaction:
            about |= {"redacted": redaction.taken, "redacted_rows": redaction.rows}
            _describe(attempt, about, files)
        attempt.replace(out)
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
    return {**about, "files": files}


def _list(chosen: Subset, out: Path, about: dict[str, Any]) -> list[str]:
    if about["layout"] == "uids":
        name = "uids.txt"
        (out / name).write_text("".join(f"{uid}\n" for uid in chosen.hex), encoding="ascii")
    else:
        name = "subset.npy"
        pairs = np.empty(len(chosen), dtype="u8,u8")
        pairs["f0"], pairs["f1"] = chosen.uids[:, 0], chosen.uids[:, 1]
        np.save(out / name, pairs, allow_pickle=False)
    _describe(out, about, [name])
    return [name]


def _describe(out: Path, about: dict[str, Any], files: list[str]) -> None:
    (out / "export.json").write_text(json.dumps({**about, "files": files}, indent=2) + "\n", encoding="utf-8")


def _parquet(run: Run, subset: str, out: Path, about: dict[str, Any], redaction: Redaction | None) -> list[str]:
    """A file is closed when it holds ROWS_PER_FILE rows, or when the next shard's columns are others."""
    node = run.node_of(subset)
    decided = None if node == POOL else run.decided(node)
    files: list[str] = []
    writer, columns, rows = None, pa.schema([]), 0
    ours = _has_our_uids(run)
    for piece in run.pieces:
        mask = np.ones(piece.rows, bool) if decided is None else decided.codes(run.store, piece.number) == 0
        for table in _tables(run, piece, mask, ours, redaction):
            if writer is None or rows >= ROWS_PER_FILE or not table.schema.equals(columns):
                if writer is not None:
                    writer.close()
                files.append(f"{subset}-{len(files):05d}.parquet")
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


def _tables(run: Run, piece: Piece, mask: npt.NDArray[np.bool_], ours: bool, redaction: Redaction | None) -> Iterator[pa.Table]:
    shard = run.pool.shards[piece.shard]
    uids = read_uids(run.store, run.facts["pool"], piece.shard)
    start = 0
    for group, height in enumerate(shard.groups):
        first, start = start, start + height
        if first < piece.start or first >= piece.stop:
            continue
        inside = np.flatnonzero(mask[first - piece.start : first - piece.start + height])
        if not inside.size:
            continue
        table = _group(run, piece, group, first + inside, inside)
        if redaction:
            text = table.schema.get_field_index(column_names(run)["text"])
            table = table.set_column(text, table.schema.field(text), redaction.column(table.column(text)))
        named = pa.array(hex_of(uids[first + inside]))
        position = table.schema.get_field_index("uid")
        if ours and position >= 0:
            yield table.set_column(position, "uid", named)
        else:
            yield table.rename_columns([_kept_as(name, table.column_names) for name in table.column_names]).append_column("uid", named)


def _kept_as(name: str, taken: list[str]) -> str:
    """`uid` under a name that is free; any other name as it is."""
    kept = name
    while kept == "uid" or (name == "uid" and kept in taken):
        kept = f"original_{kept}"
    return kept


def _group(run: Run, piece: Piece, group: int, rows: npt.NDArray[np.int64], inside: npt.NDArray[np.int64]) -> pa.Table:
    shard = run.unchanged.shards[piece.shard]
    path = run.pool.root / shard.path if shard.path else run.pool.root
    if path.suffix == ".parquet":
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                table = file.read_row_group(group).take(pa.array(inside))
        except (pa.ArrowInvalid, OSError) as error:
            what = f"row group {group} cannot be copied: {error}"
            raise CeterisError(what, where=str(path), fix="restore the file, or export uids") from error
        if run.pool.roles.get("image", table.column_names[0]) in table.column_names:
            return table
        images = run.pool.read(shard, roles=["image"], rows=rows).frame["image"]  # of the tar beside it
        return table.append_column(run.pool.roles["image"], images.to_arrow().cast(pa.large_binary()))
    roles, names = run.pool.roles, column_names(run)
    others = [name for name in run.pool.columns if name not in (*roles.values(), *run.pool.vectors)]
    read = run.pool.read(shard, roles=list(roles), columns=others, rows=rows)
    return read.frame.rename({name: names.get(name, name.removeprefix("pool.")) for name in read.frame.columns}).to_arrow()


def column_names(run: Run) -> dict[str, str]:
    """What the column of each role is called outside: as in the pool, but a tar's captions `text`, where no other column is."""
    names = dict(run.pool.roles)
    if run.pool.layout == "webdataset" and names["text"] == "txt" and "text" not in run.pool.columns:
        names["text"] = "text"
    return names
