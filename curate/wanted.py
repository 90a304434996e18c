"""What is asked of a shard, and where it lies."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.boxes import BOXES_KIND
from curate.layouts import dtype_of

NO_COLUMN, MISSING_MEMBER = "no_column", "missing_member"
IMAGE_KIND = "Image"
"""The kind asked for where the bytes of an image are wanted, however they are stored."""
ROLE_KINDS = {"image": IMAGE_KIND, "face_boxes": BOXES_KIND}
"""What these roles are read as; all others as text."""

Indices = npt.NDArray[np.int64]


class Wanted(NamedTuple):
    """A column of the result: its name, the column it is read from (None: the pool has none) and the kind it is read as."""

    name: str
    column: str | None
    kind: str

    @property
    def dtype(self) -> pl.DataType:
        """The dtype of the result."""
        if self.kind in (IMAGE_KIND, BOXES_KIND):
            return pl.Binary() if self.kind == IMAGE_KIND else pl.String()
        return dtype_of(self.kind) or pl.Null()


class Place(NamedTuple):
    """Where a shard lies."""

    root: Path
    path: str
    ending: str
    groups: tuple[int, ...]
