"""Quarantine: what could not be read or measured, and why. Nothing leaves silently."""

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import hex_of
from curate.errors import PoolError
from curate.faults import spots
from curate.pieces import read_uids
from curate.plan import LAWFUL, POOL, RESTRICTED, parted
from curate.pool import Shard
from curate.record import Run
from curate.store import Part

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
    each piece of evidence that failed there: a signal, or `pool` for the pool's own columns. `detail` says of a row where it stands in its
    file (`curate.faults.spots`). Columns: `SCHEMA`."""
    frames = [pl.DataFrame(schema=SCHEMA)]
    for one in run.pool.unreadable:
        line = {"file": one.path, "code": one.code, "detail": f"{one.detail}; {one.fix}"}
        frames.append(
            pl.DataFrame([line]).select(pl.lit(None, dtype).alias(name) if name not in line else name for name, dtype in SCHEMA.items())
        )
    for stage in run.facts["nodes"]:
        numbers = np.zeros(0, np.int64) if stage == POOL else _own(run, stage)
        if numbers.size:
            frames.append(_lines(run, stage, numbers))
    return pl.concat(frames)


def restricted(run: Run) -> pl.DataFrame:
    """The addresses of restricted rows, and the evidence that bars them: `file`, `row`, `uid`, then signal.column. Nothing of their content
    is read. Without rows where the recipe restricts nothing."""
    place = {name: SCHEMA[name] for name in ("file", "row", "uid")}
    if LAWFUL not in run.facts["nodes"]:
        return pl.DataFrame(schema=place)
    reasons = run.decided(LAWFUL).reasons
    numbers = np.flatnonzero(np.isin(run.codes(LAWFUL), [code for code, reason in enumerate(reasons) if reason.kind == RESTRICTED]))
    starts = np.cumsum([0, *(shard.rows for shard in run.pool.shards)])
    shards = np.searchsorted(starts, numbers, side="right") - 1
    found = pl.DataFrame(
        {
            "number": numbers.astype(np.uint64),
            "file": [run.pool.shards[shard].path for shard in shards.tolist()],
            "row": (numbers - starts[shards]).astype(np.uint64),
            "uid": hex_of(run.uids()[numbers]),
        },
        schema={"number": pl.UInt64(), **place},
    )
    for name in dict.fromkeys(parted(column)[0] for column in run.facts["nodes"][LAWFUL]["columns"]):
        if name != POOL:
            evidence = run.evidence(name).drop("error")
            named = {column: f"{name}.{column}" for column in evidence.columns if column != "row"}
            found = found.join(evidence.rename({"row": "number", **named}), on="number", how="left", maintain_order="left")
    return found.drop("number")


def _own(run: Run, stage: str) -> npt.NDArray[np.int64]:
    """The pool-wide numbers of the rows that this stage itself put there."""
    reasons = run.decided(stage).reasons
    own = [code for code, reason in enumerate(reasons) if reason.stage == stage and reason.kind == "quarantined"]
    return np.flatnonzero(np.isin(run.codes(stage), own)) if own else np.zeros(0, np.int64)


def _lines(run: Run, stage: str, numbers: npt.NDArray[np.int64]) -> pl.DataFrame:
    """The errors of the evidence that the stage's rule asks for, of these rows; shard by shard, so that only they are in memory."""
    node = run.facts["nodes"][stage]
    own = [column.split(".", 1)[1] for column in node["columns"] if column.startswith(f"{POOL}.")]
    signals = [column.rsplit(".", 1)[0] for column in node["columns"] if not column.startswith(f"{POOL}.")]
    signals += [f"{node['grouping']}.sketch"] if node["grouping"] else []
    parts = {name: run.parts(name) for name in dict.fromkeys(signals)}
    found, known = [pl.DataFrame(schema=SCHEMA)], _unchanged(run)
    start = 0
    for number, shard in enumerate(run.pool.shards):
        rows = numbers[(numbers >= start) & (numbers < start + shard.rows)] - start
        start += shard.rows
        if not rows.size:
            continue
        uids = hex_of(read_uids(run.store, run.facts["pool"], number)[rows])
        here = pl.DataFrame({"row": rows.astype(np.uint64), "uid": uids})
        codes = {name: pl.DataFrame({"row": here["row"], "code": series}) for name, series in _pool_faults(run, shard, own, rows).items()}
        codes |= {name: _errors(run, by_shard.get(shard.digest, [])) for name, by_shard in parts.items()}
        for name, faults in codes.items():
            lines = here.join(faults.drop_nulls("code"), on="row").sort("row")
            about = {"file": shard.path, "stage": stage, "evidence": name}
            stands = spots(run.pool, shard, lines["row"].to_list()) if known else [""] * lines.height
            where = pl.Series("detail", stands, dtype=pl.String).replace("", None)
            found.append(lines.with_columns(where, *[pl.lit(value, pl.String).alias(key) for key, value in about.items()]).select(*SCHEMA))
    return pl.concat(found)


def _unchanged(run: Run) -> bool:
    """Whether the pool's files are those that the run saw, so that lines may be told."""
    try:
        return bool(run.unchanged.shards)
    except PoolError:
        return False


def _pool_faults(run: Run, shard: Shard, columns: list[str], rows: npt.NDArray[np.int64]) -> dict[str, pl.Series]:
    """What is wrong with these rows' own columns."""
    return run.unchanged.read(shard, columns=columns, rows=rows).faults if columns else {}


def _errors(run: Run, parts: list[Part]) -> pl.DataFrame:
    """A shard's rows that a signal could not measure, and why."""
    frames = [run.store.frame(part, columns=["row", "error"]) for part in parts]
    schema = pl.Schema({"row": pl.UInt64, "code": pl.String})
    return pl.concat([pl.DataFrame(schema=schema), *[frame.rename({"error": "code"}).cast(schema) for frame in frames]]).unique("row")
