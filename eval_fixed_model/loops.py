"""The instrument's two loops: one module a modality, each with the same parts, so that everything above them reads one way."""

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import UInt64s
from eval_fixed_model.scale import Scale

Split = Literal["validation", "test"]
Reads = Iterable[tuple[UInt64s, pl.DataFrame]]
"""Batches of rows as a pool gives them: uids (n, 2), and a frame whose columns are the loop's roles."""

MODULES = {"image-text": "eval_fixed_model.image_text", "text": "eval_fixed_model.text"}


class Rows(Protocol):
    """Rows as a trainer reads them, made once for a scale. `rejected` lists those that no arm can train on (uid as hex, code)."""

    @property
    def scale_digest(self) -> str:
        """Of the scale they were made for."""

    @property
    def uids(self) -> UInt64s:
        """(n, 2) words."""

    @property
    def rejected(self) -> pl.DataFrame:
        """They leave every arm alike."""

    def indices(self, uids: UInt64s) -> npt.NDArray[np.int64]:
        """Positions of these uids, in the order given, copies included; those that are not here are left out."""


class Loop(Protocol):
    """What a modality's module holds."""

    ROLES: tuple[str, ...]

    def libraries(self, scale: Any) -> tuple[str, ...]:
        """Those whose versions are conditions."""

    def materialise(self, reads: Reads, scale: Any, folder: Path) -> Rows:
        """Make the rows in `folder`."""

    def open_rows(self, folder: Path) -> Rows:
        """Those that `materialise` has finished."""

    def build(self, scale: Any, seed: int) -> Any:
        """The network with this seed's initial weights."""

    def train(self, scale: Any, rows: Any, members: npt.NDArray[np.int64], seed: int, **how: Any) -> Any:
        """(network in evaluation mode, record of the training); `how` as `steps.fit` says."""

    def ask(self, network: Any, scale: Any, split: Split) -> pl.DataFrame:
        """`tasks.answers.ANSWERS` to every item of a split."""

    def items_digest(self, scale: Any) -> str:
        """Hex SHA-256 of what is asked."""

    def leaked_pairs(self, rows: Any, scale: Any, split: Split = "test") -> pl.DataFrame:
        """`item`, `row` (position) and `distance` of every evaluation item that occurs in the rows."""

    def weights_digest(self, network: Any) -> str:
        """Equal for bit-identical networks."""


def loop_of(scale: Scale) -> Loop:
    """The modality's loop; imports torch. By name, so that one modality's code is no condition of the other's scores."""
    module: Any = importlib.import_module(MODULES[scale.modality])
    return module  # type: ignore[no-any-return]
