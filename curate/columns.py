"""The pool's own columns of one piece, as rules ask for them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.pieces import Piece
from curate.pool import Pool, Read


class Columns:
    """Numbers are read once for the whole piece and kept, since clause after clause asks them; anything else for the rows asked alone."""

    def __init__(self, pool: Pool, piece: Piece) -> None:
        """Read nothing yet."""
        self.pool, self.piece = pool, piece
        self._held: dict[str, tuple[pl.Series, pl.Series | None]] = {}

    def read(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> Read:
        """Columns called pool.NAME at `rows`, ascending and counted from the piece's first, and the faults of those that have any."""
        shard = self.pool.shards[self.piece.shard]
        kept = [name for name in names if self.pool.columns.get(name, pl.Null()).is_numeric()]
        missing = [name for name in kept if name not in self._held]
        if missing:
            found = self.pool.read(shard, columns=missing, start=self.piece.start, stop=self.piece.stop)
            self._held |= {name: (found.frame[f"pool.{name}"], found.faults.get(f"pool.{name}")) for name in missing}
        others = [name for name in names if name not in kept]
        read = self.pool.read(shard, columns=others, rows=self.piece.start + rows) if others else Read(pl.DataFrame(), {})
        values, faults = {name: read.frame[f"pool.{name}"] for name in others}, dict(read.faults)
        whole = rows.size == self.piece.rows
        for name in kept:
            column, codes = self._held[name]
            if whole:
                values[name] = column
            else:
                values[name] = column.gather(rows) if column.null_count() else pl.Series(column.name, np.take(column.to_numpy(), rows))
            if codes is not None:
                faults[f"pool.{name}"] = codes if whole else codes.gather(rows)
        return Read(pl.DataFrame([values[name] for name in names]), faults)
