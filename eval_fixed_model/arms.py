"""Arms: the subsets that are trained and compared, and the controls that a claim about one of them needs."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from curate.digest import UInt64s, h, order_of, sha256
from curate.errors import CeterisError

Kind = Literal["pool", "candidate", "random", "parent", "trusted"]
"""`parent` is a recipe without its last stage; `trusted` the labelled control trained on a filter network's own rows, never a candidate."""


@dataclass(frozen=True, eq=False)
class Arm:
    """A subset under comparison. `uids` are its rows, (n, 2) words, a row listed k times shown as k copies.

    A `random` arm is redrawn for every seed: its `uids` are those of the pool and `size` says how many are drawn.
    """

    name: str
    kind: Kind
    uids: UInt64s
    size: int | None = None

    def __post_init__(self) -> None:
        """Refuse a size where nothing is drawn, and a draw without one."""
        if (self.kind == "random") != (self.size is not None):
            raise CeterisError(
                f"arm {self.name!r}: a random arm has a size, and no other arm has", fix="give `size` with kind `random` alone"
            )

    @property
    def rows(self) -> int:
        """Different rows, whatever their copies."""
        return len(np.unique(self.uids, axis=0)) if self.size is None else self.size

    def members(self, seed: int) -> UInt64s:
        """The rows this arm trains on with this seed."""
        return self.uids if self.size is None else random_members(self.uids, self.size, seed)

    def digest(self, seed: int) -> str:
        """Hex SHA-256 of the members as a multiset: arms with equal digests are one training."""
        return members_digest(self.members(seed))


def random_members(pool: UInt64s, size: int, seed: int) -> UInt64s:
    """The `size` rows of smallest h("control", seed, uid): smaller draws lie inside larger ones, and equal sizes are the same draw.

    Raises CeterisError when the pool has fewer rows.
    """
    if size > len(pool):
        raise CeterisError(
            f"a random control of {size} rows was asked of a pool of {len(pool)}", fix="draw controls from the pool the subset came from"
        )
    return pool[order_of(h("control", seed, pool))[:size]]


def members_digest(uids: UInt64s) -> str:
    """Hex SHA-256 of the sorted uids, copies included."""
    return sha256(uids[order_of(uids)].astype(">u8").tobytes())
