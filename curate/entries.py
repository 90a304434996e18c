"""What `balance` counts and draws: the entries of each row, how many rows have each, and which of them draw their row."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.balance import Balance
from curate.digest import UInt64s, h_with
from curate.errors import RecipeError

MERGE_ROWS = 2_000_000
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def entries_of(column: pl.Series) -> tuple[pl.Series, npt.NDArray[np.int64]]:
    """Every row's entries, one row after the other, and the row of each: of numbers (Binary, little-endian uint32) or of one name a row.
    No row is null. RecipeError for bytes that are no such numbers."""
    if column.dtype != pl.Binary:
        return column.cast(pl.String), np.arange(len(column))
    sizes = column.bin.size().to_numpy().astype(np.int64)
    if (sizes % 4).any():
        raise RecipeError(f"{column.name} holds no numbers of 4 bytes", where=column.name, fix="balance a column of entries or of names")
    numbers = np.frombuffer(b"".join(column.to_list()), "<u4").astype(np.uint32)
    return pl.Series(numbers), np.repeat(np.arange(len(column)), sizes // 4)


def counted(column: pl.Series) -> pl.DataFrame:
    """{entry, count}: how many of these rows have each entry, after a line of no entry that counts the rows."""
    entries, _ = entries_of(column)
    rows = pl.DataFrame({"entry": pl.Series([None], dtype=entries.dtype), "count": [len(column)]})
    found = pl.DataFrame({"entry": entries}).group_by("entry").agg(count=pl.len().cast(pl.Int64)).sort("entry")
    return pl.concat([rows, found])


def summed(frames: Iterable[pl.DataFrame]) -> tuple[int, pl.DataFrame]:
    """The rows counted in all, and {entry, count} over all, by entry. Memory: a line an entry, and MERGE_ROWS lines."""
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        if sum(one.height for one in waiting) > MERGE_ROWS:
            waiting = [_merged(waiting)]
    if not waiting:
        return 0, pl.DataFrame(schema={"entry": pl.String, "count": pl.Int64})
    every = _merged(waiting)
    return int(every.filter(pl.col("entry").is_null())["count"].sum()), every.drop_nulls("entry").sort("entry")


def _merged(frames: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames).group_by("entry").agg(pl.col("count").sum())


def drawn(rule: Balance, at_most: int, heads: pl.DataFrame, column: pl.Series, uids: UInt64s) -> tuple[Mask, Mask]:
    """Which rows an entry of theirs draws, and which have no entry. `heads` are {entry, count} of the entries with a count above t."""
    entries, rows = entries_of(column)
    success, _, _ = draws(rule.seed, at_most, heads, entries, uids[rows])
    kept, matched = np.zeros(len(column), bool), np.zeros(len(column), bool)
    kept[rows[success]], matched[rows] = True, True
    return kept, ~matched


def draws(seed: int, at_most: int, counts: pl.DataFrame, entries: pl.Series, uids: UInt64s) -> tuple[Mask, Floats, Floats]:
    """Of entries, each with its row's uid: whether it draws the row, with what probability, and its count. Entries that `counts` lacks have
    a count of t at most."""
    known = counts.with_columns(pl.col("entry").cast(entries.dtype))
    found = pl.DataFrame({"entry": entries}).join(known, on="entry", how="left", maintain_order="left")["count"]
    count = found.fill_null(at_most).to_numpy().astype(np.float64)
    success = count <= at_most
    unsure = np.flatnonzero(~success)
    numbers = entries.gather(unsure).to_numpy() if entries.dtype == pl.UInt32 else np.zeros(unsure.size)  # a row has one name only
    bits = h_with("balance", seed, uids[unsure], numbers.astype(np.uint64))[:, 0]
    success[unsure] = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53 * count[unsure] < at_most
    return success, np.minimum(1.0, at_most / np.maximum(count, 1.0)), count
