"""A subset as JSON lines, compressed: uid, roles but images, and the columns that rules can use."""

import io
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from curate.digest import hex_of
from curate.exports.evidence import Evidence
from curate.exports.rows import Part, column_names, other_columns, parts_of, unread_boxes
from curate.record import Run, Selected
from curate.redaction import Redaction

ROWS_PER_FILE = 65_536


def write_lines(run: Run, chosen: Selected, out: Path, redaction: Redaction | None, evidence: Evidence | None) -> list[str]:
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
        _rows(run, part, redaction, evidence, bool((chosen.copies > 1).any())).write_ndjson(held)
        sink.write(held.getvalue())
        rows += part.rows.size
    if sink is not None:
        sink.close()
    return files


def _rows(run: Run, part: Part, redaction: Redaction | None, evidence: Evidence | None, repeated: bool) -> pl.DataFrame:
    roles = {role: name for role, name in column_names(run).items() if role not in ("image", "uid")}
    others = {name: said for name, said in other_columns(run, redaction is not None).items() if name not in ("uid", "copies")}
    read = run.pool.read(part.shard, roles=list(roles), columns=list(others), rows=part.rows)
    frame = read.frame
    if "face_boxes" in roles:
        frame = frame.with_columns(unread_boxes(read).alias("face_boxes"))
    if redaction:
        frame = frame.with_columns(redaction.texts(frame["text"]).alias("text"))
    frame = frame.rename({**roles, **{f"pool.{name}": said for name, said in others.items()}})
    ours = [pl.Series("uid", hex_of(part.uids)), *([pl.Series("copies", part.copies)] if repeated else [])]
    known = [*ours, *frame.get_columns()]
    return pl.DataFrame([*known, *(evidence.plain([each.name for each in known], part) if evidence else [])])
