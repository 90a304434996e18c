"""Evidence that leaves with the rows: columns of signals, under names that the user chooses."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import polars as pl
import pyarrow as pa

from curate.errors import CeterisError, nearest
from curate.exports.rows import Part
from curate.plan import parted
from curate.record import Run


class Evidence:
    """Columns of stored evidence by the name that each is to have, `{"score": "match.score"}`; null where a row was not measured.

    Vectors leave as lists of floats, classes as text. CeterisError for what the run has not measured.
    """

    def __init__(self, run: Run, wanted: Mapping[str, str]) -> None:
        """Check every name; read nothing yet."""
        self.run, self.wanted = run, {name: parted(reference) for name, reference in wanted.items()}
        self._held: dict[str, tuple[list[str], pl.DataFrame]] = {}
        known = {f"{name}.{column}" for name, one in run.facts["measures"].items() for column in one["columns"]}
        for reference in wanted.values():
            if reference not in known:
                what = f"this run has no evidence {reference}"
                raise CeterisError(
                    what, where=run.folder, fix=f"write --with signal.column or name=signal.column; {nearest(reference, known)}"
                )

    def added(self, table: pa.Table, part: Part) -> pa.Table:
        """The table with these columns of its rows. CeterisError where it has one of that name."""
        for name, values in self._columns(table.column_names, part):
            table = table.append_column(name, values)
        return table

    def plain(self, taken: Collection[str], part: Part) -> list[pl.Series]:
        """The columns as JSON can hold them: bytes as hex digits. CeterisError where one of these names is `taken`."""
        return [_plain(pl.Series(name, values)) for name, values in self._columns(taken, part)]

    def _columns(self, taken: Collection[str], part: Part) -> Iterator[tuple[str, pa.Array]]:
        for name, (signal, column) in self.wanted.items():
            if name in taken:
                raise CeterisError(f"the rows have a column {name} already", where="--with", fix=f"write NAME={signal}.{column}")
            yield name, self._values(signal, column, part)

    def _values(self, signal: str, column: str, part: Part) -> pa.Array:
        rows = pl.DataFrame({"row": part.rows.astype(np.uint64)})
        found = self._stored(signal, part).select(pl.col("row").cast(pl.UInt64), column)
        values = rows.join(found, on="row", how="left", maintain_order="left")[column]
        if column in self.run.facts["measures"][signal].get("vectors", ()):
            return _lists(values)
        return (values.cast(pl.String) if values.dtype in (pl.Enum, pl.Categorical) else values).to_arrow()

    def _stored(self, signal: str, part: Part) -> pl.DataFrame:
        """The signal's evidence round the part; the last that was read is kept, since groups follow each other."""
        first, last = int(part.rows[0]), int(part.rows[-1])
        near = [one for one in self.run.parts(signal).get(part.shard.digest, []) if one.start <= last and one.stop > first]
        columns = ["row", *dict.fromkeys(column for name, column in self.wanted.values() if name == signal)]
        keys = [one.key for one in near]
        if signal not in self._held or self._held[signal][0] != keys:
            frames = [self.run.store.frame(one, columns=columns) for one in near]
            whole = pl.concat(frames).unique("row") if frames else pl.DataFrame(schema=dict.fromkeys(columns, pl.Null))
            self._held[signal] = keys, whole
        return self._held[signal][1]


def _plain(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Binary:
        return values.bin.encode("hex")
    return values if values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.List) else values.cast(pl.String)


def _lists(values: pl.Series) -> pa.Array:
    """Little-endian float16 vectors as lists of float32."""
    held = [None if value is None else np.frombuffer(value, "<f2").astype(np.float32) for value in values.to_list()]
    return pa.array(held, pa.list_(pa.float32()))
