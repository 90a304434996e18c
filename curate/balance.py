"""The rule that keeps frequent entries from crowding out rare ones."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from curate.amounts import Seed, Share, size
from curate.shape import Strict, Unfit
from curate.yaml_source import At


@dataclass(frozen=True)
class Balance:
    """Keeps a row if one of its entries draws it: each does by itself, with probability min(1, t / count).

    MetaCLIP's balancing (Xu et al., arXiv 2309.16671, algorithm 1). `column` holds a row's entries: numbers as little-endian uint32
    (Binary, each once), or one name (String, Enum). Count is the number of rows entering the stage that have the entry, copies not counted.
    A row without an entry is dropped. A draw depends on the seed, the row's uid and the entry alone.
    """

    column: str
    at_most: int | None
    tail: Fraction | None
    seed: int

    class Keys(Strict):
        """Keep rare entries' rows, and of frequent entries as many as t on average."""

        balance: str = Field(description="the column of a row's entries: concepts.entries, or one of names, such as pool.source")
        at_most: Annotated[int, Field(ge=1)] | None = Field(
            None, description="t: an entry of count c keeps each of its rows with probability min(1, t / c)"
        )
        tail: Share | None = Field(None, description="instead of t: the share of all matches that entries of a count below t hold at most")
        seed: Seed = Field(description="the draw; another seed is another draw")

        @model_validator(mode="after")
        def _one(self) -> "Balance.Keys":
            if (self.at_most is None) == (self.tail is None):
                raise Unfit("balance needs one of at_most and tail", "keep one of them, such as at_most: 20000")
            return self

    @classmethod
    def made(cls, keys: "Balance.Keys", at: At) -> "Balance":  # noqa: ARG003  every rule is made alike
        """From a recipe's keys."""
        return cls(keys.balance, keys.at_most, keys.tail, keys.seed)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of entries."""
        return (self.column,)

    @property
    def text(self) -> str:
        """One line for people."""
        limit = f"at most {self.at_most:,}" if self.tail is None else f"tail {size(self.tail, None)}"
        return f"balance {self.column}, {limit}, seed {self.seed}"

    @property
    def unmatched(self) -> str:
        """Why a row without entries is dropped."""
        return f"no entry in {self.column}"

    def canonical(self) -> dict[str, Any]:
        """JSON-able identity."""
        limit = {"at_most": self.at_most} if self.tail is None else {"tail": str(self.tail)}
        return {"balance": self.column, **limit, "seed": self.seed}

    def limit(self, counts: npt.NDArray[np.int64]) -> int:
        """t for the counts of all entries: as given, or the largest for which those below it hold the tail's share at most.

        MetaCLIP 2 (arXiv 2507.22062) takes as the tail of English the share of matches that entries of a count below t hold (`t_to_p` in
        metaclip/curation/curate.py), and as t of another language the count at which the cumulative share is nearest to it (`p_to_t`): the
        same count as here, or the one before.
        """
        if self.at_most is not None:
            return self.at_most
        assert self.tail is not None
        counts = np.sort(counts[counts > 0])
        if not counts.size:
            return 1
        budget = int(self.tail * int(counts.sum()))
        return int(counts[min(int(np.searchsorted(np.cumsum(counts), budget, side="right")), counts.size - 1)])
