"""The rules that use a row more than once."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from curate.amounts import Count, Seed, Share, canonical_size, size
from curate.shape import Strict, Unfit
from curate.yaml_source import At

MOST_COPIES = 65_535
"""A row's copies are stored in 16 bits."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Repeat:
    """Keeps every row, n times as often as it enters."""

    times: int

    class Keys(Strict):
        """Use every row n times."""

        repeat: int = Field(ge=1, le=MOST_COPIES, description="how often each row is used, times its copies so far")

    @classmethod
    def made(cls, keys: "Repeat.Keys", at: At) -> "Repeat":  # noqa: ARG003  every rule is made alike
        """From a recipe's keys."""
        return cls(keys.repeat)

    columns: ClassVar[tuple[str, ...]] = ()

    @property
    def text(self) -> str:
        """One line for people."""
        return f"repeat {self.times} times"

    def canonical(self) -> dict[str, Any]:
        """JSON-able identity."""
        return {"repeat": self.times}


@dataclass(frozen=True)
class SoftCap:
    """Draws N samples, one after the other: a row with probability proportional to exp((score - penalty x its draws so far) / temperature).

    The soft-cap sampling of FLYT (Shechter and Carmon, arXiv 2503.08805, section 4). They draw batches of 100,000 without replacement, at
    temperature 1, and reduce scores after each; this is the same with batches of one. Larger batches can draw no row more often than there
    are batches, and change little else: docs/design.md has the comparison. N draws are samples; the copies with which rows enter are not
    counted, and the draws replace them. No row is drawn more than 65,535 times. How a draw depends on seed and uid: `curate.arrivals`.
    """

    column: str
    penalty: float
    temperature: float
    fraction: Fraction | None
    count: int | None
    seed: int

    class Keys(Strict):
        """Draw rows by their score, each less likely the more often it was drawn."""

        soft_cap: str = Field(description="the column of scores, logits of a softmax: signal.column")
        penalty: NotNegative = Field(description="what a row's score loses with each draw; 0 draws with replacement")
        fraction: Share | None = Field(None, description="draws as a share of the rows that enter with a score, rounded down")
        count: Count | None = Field(None, description="number of draws; more than rows enter, where they are to be repeated")
        temperature: Positive = Field(1.0, description="what scores and penalty are divided by")
        seed: Seed = Field(description="the draw; another seed is another draw")

        @model_validator(mode="after")
        def _onesize(self) -> "SoftCap.Keys":
            if (self.fraction is None) == (self.count is None):
                raise Unfit("soft_cap needs one of fraction and count", "keep one of them, such as fraction: 0.3")
            return self

    @classmethod
    def made(cls, keys: "SoftCap.Keys", at: At) -> "SoftCap":  # noqa: ARG003  every rule is made alike
        """From a recipe's keys."""
        return cls(keys.soft_cap, float(keys.penalty), float(keys.temperature), keys.fraction, keys.count, keys.seed)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of scores."""
        return (self.column,)

    @property
    def text(self) -> str:
        """One line for people."""
        drawn = f"{self.count:,} draws" if self.fraction is None else f"{size(self.fraction, None)} as many draws"
        warm = "" if self.temperature == 1 else f", temperature {self.temperature:g}"
        return f"soft cap, {drawn} by {self.column}, penalty {self.penalty:g}{warm}, seed {self.seed}"

    def canonical(self) -> dict[str, Any]:
        """JSON-able identity."""
        how = {"penalty": self.penalty, "temperature": self.temperature, "seed": self.seed}
        return {"soft_cap": self.column, **canonical_size(self.fraction, self.count), **how}

    def draws(self, entering: int) -> int:
        """How many samples are drawn of `entering` rows with a score."""
        if self.fraction is not None:
            return int(self.fraction * entering)
        return (self.count or 0) if entering else 0
