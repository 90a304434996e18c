"""Evidence of one piece: rows measured, and stored parts laid over the rows they speak of."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import NondeterminismError, SignalBugError
from curate.pieces import Piece
from curate.plan import Measure
from curate.pool import Pool, Read, Shard
from curate.signal import ROWS_PER_CALL

HELD_BYTES = 64 << 20
JOINED_BYTES = 64 << 20


class Contents:
    """What rows of one piece hold in the roles asked. Texts are kept while they are few, since signals of later clauses ask them again."""

    def __init__(self, pool: Pool, shard: Shard) -> None:
        """Read nothing yet."""
        self.pool, self.shard = pool, shard
        self._held: dict[tuple[str, int], tuple[npt.NDArray[np.int64], pl.Series, pl.Series | None]] = {}
        self._bytes = 0

    def read(self, roles: Sequence[str], rows: npt.NDArray[np.int64], group: int) -> Read:
        """The roles of `rows`, ascending, all of which lie in one readable group: that starting at row `group`."""
        held = {role: found for role in roles if (found := self._found(role, rows, group)) is not None}
        missing = [role for role in roles if role not in held]
        if missing:
            read = self.pool.read(self.shard, roles=missing, rows=rows)
            for role in missing:
                held[role] = read.frame[role], read.faults.get(role)
                self._hold(role, group, rows, *held[role])
        faults = {role: fault for role, (_, fault) in held.items() if fault is not None}
        return Read(pl.DataFrame([held[role][0] for role in roles]), faults)

    def _found(self, role: str, rows: npt.NDArray[np.int64], group: int) -> tuple[pl.Series, pl.Series | None] | None:
        there, values, faults = self._held.get((role, group), (np.empty(0, np.int64), pl.Series(), None))
        place = np.searchsorted(there, rows)
        if not there.size or not (np.take(there, place, mode="clip") == rows).all():
            return None
        if place.size == there.size:
            return values, faults
        return values.gather(place), None if faults is None else faults.gather(place)

    def _hold(self, role: str, group: int, rows: npt.NDArray[np.int64], values: pl.Series, faults: pl.Series | None) -> None:
        size = int(values.estimated_size())
        if (role, group) not in self._held and values.dtype == pl.String and self._bytes + size <= HELD_BYTES:
            self._held[role, group] = (rows, values, faults)
            self._bytes += size


class Given(NamedTuple):
    """The evidence that a signal's parameters name, a column each, aligned to the rows asked; `fault`: why a row has none (null: fine)."""

    columns: list[pl.Series]
    fault: pl.Series


def given(values: Mapping[str, tuple[pl.Series, pl.Series | None]], rows: int) -> Given:
    """From values and error codes by parameter."""
    fault = pl.Series("fault", [None], dtype=pl.String).new_from_index(0, rows)
    for name, (_, codes) in values.items():
        if codes is not None and codes.null_count() < rows:
            fault = pl.select(pl.coalesce(fault, pl.format(name + ":{}", codes))).to_series()
    return Given([column.alias(name) for name, (column, _) in values.items()], fault)


def measure_rows(contents: Contents, measure: Measure, rows: npt.NDArray[np.int64], inputs: Given | None = None) -> pl.DataFrame:
    """Read the roles of a shard's `rows`, one readable group at a time, and measure them; unreadable roles become errors.

    Small groups are measured together, so that the fixed batches of a model are full.
    """
    made, waiting, size, there = [], list[_Group](), 0, inputs or given({}, rows.size)
    starts = np.cumsum([0, *contents.shard.groups])
    for start, (low, high) in zip(starts.tolist(), pairwise(np.searchsorted(rows, starts).tolist()), strict=False):
        if low < high:
            inside = Given([column[low:high] for column in there.columns], there.fault[low:high])
            waiting.append(_read_group(contents, measure, rows[low:high], start, inside))
            size += int(waiting[-1].frame.estimated_size())
        if size >= JOINED_BYTES or sum(group.rows.size for group in waiting) >= ROWS_PER_CALL:
            made.append(_measured(contents, measure, waiting))
            waiting, size = [], 0
    return pl.concat([*made, _measured(contents, measure, waiting)] if waiting else made)


class _Group(NamedTuple):
    """Rows of a readable group, what the signal sees of them, and why it cannot see some (null: it can)."""

    rows: npt.NDArray[np.int64]
    frame: pl.DataFrame
    fault: pl.Series


def _read_group(contents: Contents, measure: Measure, rows: npt.NDArray[np.int64], group: int, inputs: Given) -> _Group:
    read, fault = contents.read(measure.signal.roles, rows, group), inputs.fault
    for role, codes in read.faults.items():
        fault = pl.select(pl.coalesce(fault, pl.format(role + ":{}", codes))).to_series()
    return _Group(rows, pl.DataFrame([*(read.frame.get_columns() if measure.signal.roles else []), *inputs.columns]), fault)


def _measured(contents: Contents, measure: Measure, groups: list[_Group]) -> pl.DataFrame:
    rows, broken = np.concatenate([group.rows for group in groups]), pl.concat([group.fault.alias("fault") for group in groups])
    good, whole = broken.is_null(), pl.concat([group.frame for group in groups])
    try:
        found = measure.signal.measure(whole.filter(good) if broken.null_count() < rows.size else whole, measure.parameters)
    except SignalBugError as error:
        for group in groups if len(groups) > 1 else ():
            _measured(contents, measure, [group])  # the one with the bug names its rows
        where = f"{contents.shard.path}, rows {int(rows[0])} to {int(rows[-1])}"
        raise SignalBugError(error.what, where=where, fix=error.fix or f"this is a bug in {measure.signal.module}") from error
    if found.height == rows.size:
        return pl.DataFrame([pl.Series("row", rows.astype(np.uint64)), *found.get_columns()])
    found = found.with_columns(row=pl.Series(rows[good.to_numpy()]))
    laid = pl.DataFrame({"row": rows, "fault": broken}).join(found, on="row", how="left", maintain_order="left")
    return laid.select(pl.col("row").cast(pl.UInt64), *measure.signal.writes, pl.coalesce("error", "fault").alias("error"))


def aligned(
    parts: list[pl.DataFrame], measure: Measure, piece: Piece, known: pl.DataFrame | None, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Evidence parts laid over the piece, a line a row; `measured` is false where no part covers it. NondeterminismError: two disagree.

    `columns` are those of the signal's schema that the parts have been read with; all unless given.
    """
    schema = {name: dtype for name, dtype in measure.signal.schema.items() if columns is None or name in columns}
    frames = [part.select(pl.col("row").cast(pl.UInt64), *[pl.col(name).cast(dtype) for name, dtype in schema.items()]) for part in parts]
    if known is not None and known["measured"].any():
        rows = pl.DataFrame({"row": np.arange(piece.start, piece.stop, dtype=np.uint64)})
        frames.append(known.with_columns(rows["row"]).filter("measured").select("row", *schema))
    if len(frames) == 1 and np.array_equal(frames[0]["row"].to_numpy(), np.arange(piece.start, piece.stop, dtype=np.uint64)):
        return frames[0].drop("row").with_columns(measured=True)
    if not frames:
        return _unmeasured(schema, piece)
    empty = pl.DataFrame(schema={"row": pl.UInt64, **schema})
    found = pl.concat([empty, *frames]).filter(pl.col("row").is_between(piece.start, piece.stop - 1))
    if found["row"].n_unique() < found.height:
        found = found.unique()
        twice = found.filter(pl.col("row").is_duplicated())
        if twice.height:
            raise NondeterminismError(
                f"signal {measure.signal.name} gave row {twice['row'][0]} two different answers",
                where=measure.folder,
                fix=f"make it deterministic, raise its version, and delete {measure.folder}",
            )
    place = np.full(piece.rows, -1, np.int64)
    place[found["row"].to_numpy().astype(np.int64) - piece.start] = np.arange(found.height)
    measured = place >= 0
    if measured.all() and (place == np.arange(piece.rows)).all():
        return found.drop("row").with_columns(measured=True)
    index = pl.select(pl.when(pl.Series(measured)).then(pl.Series(place))).to_series()
    return found.drop("row").select(pl.all().gather(index)).with_columns(measured=measured) if found.height else _unmeasured(schema, piece)


def _unmeasured(schema: Mapping[str, pl.DataType], piece: Piece) -> pl.DataFrame:
    columns = [pl.Series(name, [None], dtype=dtype).new_from_index(0, piece.rows) for name, dtype in schema.items()]
    return pl.DataFrame([*columns, pl.Series("measured", np.zeros(piece.rows, bool))])
