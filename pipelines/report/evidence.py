"""Stored evidence as columns aligned to the pool's rows, and which rows each stage saw and kept."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import PoolError
from curate.plan import POOL, parted
from curate.record import Run

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]

SHOWN_SUBSETS = 6
"""Distributions are drawn of so many subsets at most, the recipe's last ones."""


@dataclass
class Held:
    """A run whose decisions and columns are read once, however many parts of the page ask for them."""

    run: Run

    def __post_init__(self) -> None:
        """Read nothing yet."""
        self._codes: dict[str, Codes] = {}
        self._columns: dict[str, pl.Series] = {}
        self._gone: str | None = None

    @property
    def gone(self) -> str:
        """Why rows of the pool cannot be read; empty where they can."""
        if self._gone is None:
            self._gone = ""
            try:
                _ = self.run.unchanged
            except PoolError as error:
                self._gone = f"{error.what} ({error.where})"
        return self._gone

    def codes(self, node: str) -> Codes:
        """Every row's code at a node, (rows,)."""
        if node not in self._codes:
            self._codes[node] = np.zeros(self.run.pool.rows, np.uint16) if node == POOL else self.run.codes(node)
        return self._codes[node]

    def kept(self, node: str) -> Mask:
        """Which rows a node keeps, (rows,)."""
        mask: Mask = self.codes(node) == 0
        return mask

    def of_subset(self, name: str) -> Mask:
        """Which rows a subset holds, (rows,)."""
        return self.kept(self.run.node_of(name))

    def entering(self, node: str) -> Mask:
        """Which rows a stage's own rule judged: those it kept, and those that left for a reason of its own, (rows,)."""
        reasons = self.run.decided(node).reasons
        own = [code for code, reason in enumerate(reasons) if code == 0 or reason.stage == node]
        return np.isin(self.codes(node), own)

    def column(self, name: str) -> pl.Series:
        """A column of evidence, one value per row of the pool; null where there is none. PoolError where the pool's own is asked and it is
        gone."""
        if name not in self._columns:
            self._columns[name] = self._read(name)
        return self._columns[name]

    def numbers(self, name: str) -> Floats:
        """A numeric column, NaN where there is no value, (rows,)."""
        found: Floats = self.column(name).cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return found

    def numeric(self) -> list[str]:
        """Numeric columns that rules ask for, and the sizes of images and texts where they were measured; in the order of the stages."""
        facts = self.run.facts
        asked = [column for node in facts["nodes"].values() for column in node["columns"]]
        sizes = ("image_shape.width", "image_shape.height", "text_length.chars", "text_length.words")
        asked += [column for column in sizes if parted(column)[0] in facts["measures"]]
        return [column for column in dict.fromkeys(asked) if self._is_number(column)]

    def subsets(self) -> list[str]:
        """The named subsets but the pool, in the recipe's order."""
        return [name for name in self.run.facts["subsets"] if name != POOL]

    def _is_number(self, column: str) -> bool:
        name, field = parted(column)
        if name == POOL:
            kind = self.run.pool.columns.get(field)
            return kind is not None and kind.is_numeric() and not self.gone
        kinds = self.run.facts["measures"].get(name, {}).get("columns", {})
        return str(kinds.get(field, "")).startswith(("Float", "UInt", "Int"))

    def _read(self, column: str) -> pl.Series:
        name, field = parted(column)
        if name == POOL:
            return pl.concat([self.run.unchanged.read(shard, columns=[field]).frame.to_series() for shard in self.run.pool.shards])
        parts, offset, frames = self.run.parts(name), 0, list[pl.DataFrame]()
        for shard in self.run.pool.shards:
            for part in parts.get(shard.digest, []):
                frame = self.run.store.frame(part, columns=["row", field])
                frames.append(frame.select(pl.col("row").cast(pl.UInt64) + offset, pl.col(field)))
            offset += shard.rows
        every = pl.DataFrame({"row": np.arange(self.run.pool.rows, dtype=np.uint64)})
        if not frames:
            return every.select(pl.lit(None, pl.Float64)).to_series()
        return every.join(pl.concat(frames).unique("row"), on="row", how="left", maintain_order="left")[field]
