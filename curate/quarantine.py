"""Quarantine: what could not be read or measured, and why. Nothing leaves silently."""

import polars as pl

from curate.digest import hex_of
from curate.plan import POOL
from curate.record import Run

SCHEMA = {
    "file": pl.String(),
    "row": pl.UInt64(),
    "uid": pl.String(),
    "stage": pl.String(),
    "evidence": pl.String(),
    "code": pl.String(),
    "detail": pl.String(),
}


def quarantined(run: Run) -> pl.DataFrame:
    """A line for each file that cannot be read (no row, stage or evidence) and, for each row, each stage that quarantined it itself, and
    each piece of evidence that failed there: a signal, or `pool` for the pool's own columns. Columns: `SCHEMA`."""
    frames = [pl.DataFrame(schema=SCHEMA)]
    for one in run.pool.unreadable:
        line = {"file": one.path, "code": one.code, "detail": f"{one.detail}; {one.fix}"}
        frames.append(
            pl.DataFrame([line]).select(pl.lit(None, dtype).alias(name) if name not in line else name for name, dtype in SCHEMA.items())
        )
    places = _places(run)
    for stage in run.facts["nodes"]:
        rows = [] if stage == POOL else _own(run, stage)
        if len(rows):
            frames.append(_lines(run, stage, places.join(pl.DataFrame({"number": rows}), on="number")))
    return pl.concat(frames)


def _own(run: Run, stage: str) -> "pl.Series | list[int]":
    reasons = run.decided(stage).reasons
    own = [code for code, reason in enumerate(reasons) if reason.stage == stage and reason.kind == "quarantined"]
    return pl.Series(run.codes(stage)).is_in(own).arg_true().cast(pl.UInt64) if own else []


def _places(run: Run) -> pl.DataFrame:
    frames = [
        pl.DataFrame(
            {
                "file": pl.repeat(shard.path, shard.rows, eager=True, dtype=pl.String),
                "row": pl.int_range(shard.rows, eager=True, dtype=pl.UInt64),
            }
        )
        for shard in run.pool.shards
    ]
    return (
        pl.concat(frames)
        .with_columns(uid=pl.Series(hex_of(run.uids())))
        .with_row_index("number")
        .with_columns(pl.col("number").cast(pl.UInt64))
    )


def _lines(run: Run, stage: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The errors of the evidence that the stage's rule asks for, of these rows."""
    node = run.facts["nodes"][stage]
    names = [column.rsplit(".", 1)[0] for column in node["columns"] if not column.startswith(f"{POOL}.")]
    names += [f"{node['grouping']}.sketch"] if node["grouping"] else []
    found = [_pool_faults(run, [column for column in node["columns"] if column.startswith(f"{POOL}.")], rows)]
    for name in dict.fromkeys(names):
        errors = run.evidence(name).select(pl.col("row").alias("number"), code="error").filter(pl.col("code").is_not_null())
        found.append(rows.join(errors, on="number").with_columns(evidence=pl.lit(name)).select(found[0].columns))
    return pl.concat(found).with_columns(stage=pl.lit(stage), detail=pl.lit(None, pl.String)).select(*SCHEMA)


def _pool_faults(run: Run, columns: list[str], rows: pl.DataFrame) -> pl.DataFrame:
    """What is wrong with these rows' own columns."""
    found = [rows.clear().with_columns(code=pl.lit(""), evidence=pl.lit(""))]
    for shard in run.pool.shards if columns else ():
        here = rows.filter(pl.col("file") == shard.path)
        read = run.pool.read(shard, columns=[column.split(".", 1)[1] for column in columns], rows=here["row"].to_list())
        found += [here.with_columns(code=codes, evidence=pl.lit(name)).drop_nulls("code") for name, codes in read.faults.items()]
    return pl.concat(found)
