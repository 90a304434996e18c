"""Why a row is used as often as it is: its copies, and the draws of its entries."""

from typing import Any

import polars as pl

from curate.decisions import Decided
from curate.digest import UInt64s
from curate.entries import draws, entries_of
from curate.plan import POOL, parted
from curate.record import Run


def entry_draws(run: Run, decided: Decided, shard: int, row: int, uid: UInt64s) -> list[dict[str, Any]]:
    """Of every entry of a row that `balance` judged: the entry, the number of rows that have it, p = min(1, t / count), and whether it drew
    the row. `uid` is (1, 2) words."""
    node, cut = run.facts["nodes"][decided.node], decided.cut
    assert cut is not None
    assert cut.counts is not None
    (column,) = node["columns"]
    value = _value(run, column, shard, row)
    if value is None:
        return []
    entries, places = entries_of(value)
    drew, chances, counts = draws(node["seed"], cut.at_most or 1, run.store.frame(cut.counts), entries, uid[places])
    found = zip(entries.to_list(), counts.tolist(), chances.tolist(), drew.tolist(), strict=True)
    return [{"entry": entry, "count": int(count), "p": round(p, 6), "drew": drew} for entry, count, p, drew in found]


def _value(run: Run, column: str, shard: int, row: int) -> pl.Series | None:
    """A row's stored value, as a column of one; None where there is none."""
    name, inner = parted(column)
    if name == POOL:
        return run.unchanged.read(run.pool.shards[shard], columns=[inner], rows=[row]).frame[column].drop_nulls()
    for part in run.parts(name).get(run.pool.shards[shard].digest, []):
        if part.start <= row < part.stop:
            found = run.store.frame(part, columns=["row", inner]).filter(pl.col("row") == row)[inner].drop_nulls()
            if len(found):
                return found
    return None
