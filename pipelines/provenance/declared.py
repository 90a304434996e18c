"""What the rows of a subset declare, as the filter `license` has measured it: a few thousand rows at a time, in the pool's order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import UInt64s, hex_of
from curate.errors import CeterisError, nearest
from curate.exports.rows import Part, parts_of
from curate.plan import parted
from curate.record import Run, Selected
from curate.store import Part as Stored

FILTER = "license"
BATCH = 1 << 17
"""Rows at a time."""


@dataclass(frozen=True)
class Batch:
    """Rows of one shard: `uids` (n, 2) words, `rows` their numbers in the shard, and `frame`, a line a row.

    The frame has `measured` (false: nobody ever asked; true with an `error`: nothing could be read), the columns of evidence that were
    asked for, by their own names, `role.NAME` and `pool.NAME`.
    """

    shard: str
    uids: UInt64s
    rows: npt.NDArray[np.int64]
    frame: pl.DataFrame

    def hex_of(self, where: npt.NDArray[np.int64]) -> list[str]:
        """The uids of some of the rows, as 32 hex digits."""
        return hex_of(self.uids[where])


def signal_of(run: Run, name: str | None = None) -> str | None:
    """What the run calls its evidence of licences; None where it has none. CeterisError where it has several, unless `name` is one."""
    found = [each for each, one in run.facts["measures"].items() if one["signal"] == FILTER and "expression" in one["columns"]]
    if name is not None and name not in found:
        raise CeterisError(f"{name} is no evidence of licences here", where=run.folder, fix=nearest(name, found))
    if name is None and len(found) > 1:
        raise CeterisError("the run has measured licences in several ways", where=run.folder, fix=f"say which: {', '.join(found)}")
    return name or (found[0] if found else None)


def gathering(subset: str, signal: str | None) -> str:
    """What to write into the recipe so that every row of a subset has evidence: a stage that asks for it and drops nothing."""
    after = "" if subset == "pool" else f"after: {subset}, "
    stage = f'`{subset}_asked: {{{after}keep: "{signal or FILTER}.class is not None"}}`'
    return f"add the stage {stage} to the recipe, list it under `subsets`, run it again"


def batches(
    run: Run, chosen: Selected, columns: Sequence[str], *, signal: str | None = None, roles: Sequence[str] = (), own: Sequence[str] = ()
) -> Iterator[Batch]:
    """Every row of the subset, once: `columns` of the licence evidence, `roles` and `own` columns of the pool."""
    name = signal_of(run, signal)
    asked = tuple(dict.fromkeys((*columns, "error")))
    evidence = Evidence(run, name, asked) if name else None
    held = [role for role in roles if role in run.pool.roles]
    for shard, parts in groupby(parts_of(run, chosen), lambda part: part.number):
        for some in _joined(parts):
            rows = np.concatenate([part.rows for part in some])
            frame = evidence.of(some[0].shard.digest, rows) if evidence else _none(asked, rows.size)
            if held or own:
                read = run.pool.read(run.pool.shards[shard], roles=held, columns=list(own), rows=rows).frame
                frame = frame.hstack(read.rename({role: f"role.{role}" for role in held}))
            yield Batch(some[0].shard.path, np.concatenate([part.uids for part in some]), rows, frame)


def _joined(parts: Iterator[Part]) -> Iterator[list[Part]]:
    waiting: list[Part] = []
    for part in parts:
        waiting.append(part)
        if sum(one.rows.size for one in waiting) >= BATCH:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


class Evidence:
    """Stored columns of one signal, laid over rows; the shard that was read last is kept."""

    def __init__(self, run: Run, name: str, columns: Sequence[str]) -> None:
        """Look up what is stored; read nothing yet."""
        self.run, self.columns = run, list(columns)
        self.parts: Mapping[str, list[Stored]] = run.parts(name)
        self._held: tuple[list[str], pl.DataFrame] = ([], pl.DataFrame())

    def of(self, shard: str, rows: npt.NDArray[np.int64]) -> pl.DataFrame:
        """A line a row, with `measured`; `rows` ascend."""
        first, last = int(rows[0]), int(rows[-1])
        near = [part for part in self.parts.get(shard, []) if part.start <= last and part.stop > first]
        if not near:
            return _none(self.columns, rows.size)
        found = self._read(near)
        place = np.full(last - first + 1, -1, np.int64)
        numbers = found["row"].to_numpy().astype(np.int64)
        inside = (numbers >= first) & (numbers <= last)
        place[numbers[inside] - first] = np.flatnonzero(inside)
        index = place[rows - first]
        measured = index >= 0
        if measured.all() and index.size == found.height and (index == np.arange(index.size)).all():
            return found.drop("row").with_columns(measured=True)
        where = pl.select(pl.when(pl.Series(measured)).then(pl.Series(index))).to_series()
        return found.drop("row").select(pl.all().gather(where)).with_columns(measured=pl.Series(measured))

    def _read(self, parts: list[Stored]) -> pl.DataFrame:
        keys = [part.key for part in parts]
        if self._held[0] != keys:
            self._held = keys, pl.concat([self.run.store.frame(part, columns=["row", *self.columns]) for part in parts])
        return self._held[1]


def _none(columns: Sequence[str], rows: int) -> pl.DataFrame:
    return pl.DataFrame([pl.Series(name, [None], dtype=pl.String).new_from_index(0, rows) for name in columns]).with_columns(measured=False)


def column_named(run: Run, name: str, signal: str | None) -> tuple[str, str]:
    """Where a column `license.noai` or `pool.robots` comes from: ("pool" or "evidence", its own name). CeterisError where there is none."""
    whose, column = parted(name) if "." in name else ("", name)
    if whose == "pool":
        if column not in run.pool.columns:
            raise CeterisError(f"the pool has no column {column}", where=str(run.pool.root), fix=nearest(column, run.pool.columns))
        return "pool", column
    measured = run.facts["measures"].get(signal or "", {}).get("columns", {})
    if whose in (FILTER, signal) and (column in measured or signal is None):
        return "evidence", column
    known = [*(f"{FILTER}.{one}" for one in measured), *(f"pool.{one}" for one in run.pool.columns)]
    raise CeterisError(f"there is no column {name}", where=run.folder, fix=nearest(name, known))
