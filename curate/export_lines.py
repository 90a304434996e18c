"""A subset as JSON lines, compressed: uid, roles but images, and the columns that rules can use."""

import io
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from curate.digest import hex_of
from curate.export_rows import Part, column_names, parts_of
from curate.record import Run, Selected
from curate.redaction import Redaction

ROWS_PER_FILE = 65_536


def write_lines(run: Run, chosen: Selected, out: Path, redaction: Redaction | None) -> list[str]:
    """NAME-NNNNN.jsonl.zst, in the pool's order; a file is closed when it holds ROWS_PER_FILE rows."""
    files: list[str] = []
    sink: Any = None
    rows = ROWS_PER_FILE
    for part in parts_of(run, chosen):
        if rows >= ROWS_PER_FILE:
            if sink is not None:
                sink.close()
            files.append(f"{chosen.name}-{len(files):05d}.jsonl.zst")
            sink, rows = pa.CompressedOutputStream(str(out / files[-1]), "zstd"), 0
        held = io.BytesIO()
        _rows(run, part, redaction, bool((chosen.copies > 1).any())).write_ndjson(held)
        sink.write(held.getvalue())
        rows += part.rows.size
    if sink is not None:
        sink.close()
    return files


def _rows(run: Run, part: Part, redaction: Redaction | None, repeated: bool) -> pl.DataFrame:
    roles = {role: name for role, name in column_names(run).items() if role not in ("image", "uid")}
    others = [name for name in run.pool.columns if name not in (*run.pool.roles.values(), *run.pool.vectors, "uid", "copies")]
    read = run.pool.read(part.shard, roles=list(roles), columns=others, rows=part.rows)
    frame = read.frame
    if redaction:
        frame = frame.with_columns(redaction.texts(frame["text"]).alias("text"))
    frame = frame.rename({name: roles.get(name, name.removeprefix("pool.")) for name in frame.columns})
    ours = [pl.Series("uid", hex_of(part.uids)), *([pl.Series("copies", part.copies)] if repeated else [])]
    return pl.DataFrame([*ours, *frame.get_columns()])
