"""What a verdict says, as plain records that are JSON and back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from curate.errors import CeterisError

Answer = Literal["better", "worse", "equivalent", "cannot tell"]
Draw = Literal["fixed", "random"]
Better = Literal["higher", "lower"]
Analysis = Literal["unpaired", "paired"]
Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
POWER = 0.8
LEAST_DF = 4.0
LEAST_ALIKE = 0.1


@dataclass(frozen=True)
class ArmRuns:
    """An arm's runs: whether its rows are fixed or redrawn per seed, its seeds (of a verdict over pools: its pools), mean and s.d.
    (n - 1; None of one run), in the headline's unit."""

    kind: Draw
    seeds: tuple[int, ...]
    mean: float
    sd: float | None


@dataclass(frozen=True)
class BankUse:
    """A bank of runs elsewhere (`Bank`) that was at hand, p of own runs being noisier than it says (None where they cannot say), and
    whether the verdict rests on it."""

    sd: float
    df: float
    runs: int
    pools: int
    p: float | None
    used: bool


@dataclass(frozen=True)
class Spread:
    """The residual s.d. of a kind's runs, its degrees of freedom, the p of equal variances (Brown-Forsythe; None where fewer than two arms
    have three runs) and whether that s.d. was used for every contrast (`pooled`; unpaired always, each arm's own weighed in where the
    verdict says `alike`) or each contrast's own (paired).

    Paired, it is of what is left of a fixed arm without arm and seed, and of a random arm's distance to the fixed arms' mean at its seed.
    With `bank.used`, sd and df are those of own runs and bank together.
    """

    sd: float
    df: float
    p: float | None
    pooled: bool
    bank: BankUse | None = None


@dataclass(frozen=True)
class Pairing:
    """How alike fixed arms are at equal seeds: the intraclass correlation of residuals with its 95% interval, and what pairing would gain:
    the variance of a difference unpaired over that paired, 1 / (1 - correlation); above 1 it pays. Of `arms` arms over `seeds` seeds."""

    correlation: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    arms: int
    seeds: int


@dataclass(frozen=True)
class LookTaken:
    """Which look of a schedule (seeds per arm) this is, from 1; what part of the 5% the looks so far have spent; the critical values of all
    looks, under the variances as they stand. Intervals hold for all contrasts at all looks, so also at the one where it stopped."""

    schedule: tuple[int, ...]
    number: int
    spent: float
    critical: tuple[float, ...]


@dataclass(frozen=True)
class Levels:
    """Where the noise of a verdict over pools comes from, of fixed arms: s.d. of runs within a pool (`within`), s.d. of an arm's effect
    from pool to pool beyond that (`between`, 0 where none shows), p of there being none (F test; None where seeds are single), the mean
    number of seeds per arm and pool, and the pools that all arms share."""

    within: float | None
    between: float | None
    p: float | None
    seeds: float
    pools: int


@dataclass(frozen=True)
class Contrast:
    """Candidate minus control, in the headline's unit. `low` and `high` hold at once for the whole family; `detectable` is the smallest
    size of a true difference, either way, that this budget finds with 80% power; `seeds_needed` of each arm would settle a true difference
    of this size with that power (None: more than 1,000, not within the looks planned, or unknown). `df` are Satterthwaite's. Where the
    noise that it needs was measured with fewer than 4 residual degrees of freedom the answer is "cannot tell"; with none there is no
    interval."""

    candidate: str
    control: str
    answer: Answer
    difference: float
    low: float | None
    high: float | None
    df: float
    detectable: float | None
    seeds_needed: int | None


@dataclass(frozen=True)
class Verdict:
    """The answers to one family of contrasts. `pairing` (None where unknown) says what pairing would give; the scale alone decides.
    `alike`: how far arms' variances resemble each other (`noise`), None where they were taken for equal, or the analysis is paired."""

    delta: float
    confidence: float
    critical: float | None
    arms: dict[str, ArmRuns]
    spreads: dict[str, Spread]
    contrasts: tuple[Contrast, ...]
    better: Better = "higher"
    analysis: Analysis = "unpaired"
    pairing: Pairing | None = None
    look: LookTaken | None = None
    levels: Levels | None = None
    alike: float | None = None

    @property
    def seed_correlation(self) -> float | None:
        """Of fixed arms at equal seeds; None where unknown."""
        return self.pairing.correlation if self.pairing else None

    @property
    def rests_on_bank(self) -> bool:
        """Whether any variance is that of runs elsewhere: own runs were too few."""
        return any(spread.bank is not None and spread.bank.used for spread in self.spreads.values())

    def of(self, candidate: str, control: str) -> Contrast:
        """The contrast of these two. Raises CeterisError where the family does not hold it."""
        for contrast in self.contrasts:
            if (contrast.candidate, contrast.control) == (candidate, control):
                return contrast
        raise CeterisError(
            f"this verdict does not compare {candidate} with {control}", fix="compare again: a larger family is a new verdict"
        )

    def to_json(self) -> dict[str, Any]:
        """As verdict.json holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Verdict":
        """The verdict that `to_json` wrote down, also one written before there were pairing, banks, looks and levels."""
        arms = {name: ArmRuns(**{**runs, "seeds": tuple(runs["seeds"])}) for name, runs in held["arms"].items()}
        spreads = {
            kind: Spread(**{**spread, "bank": BankUse(**spread["bank"]) if spread.get("bank") else None})
            for kind, spread in held["spreads"].items()
        }
        look = held.get("look")
        return cls(
            held["delta"],
            held["confidence"],
            held["critical"],
            arms,
            spreads,
            tuple(Contrast(**contrast) for contrast in held["contrasts"]),
            held.get("better", "higher"),
            held.get("analysis", "unpaired"),
            Pairing(**held["pairing"]) if held.get("pairing") else None,
            LookTaken(**{**look, "schedule": tuple(look["schedule"]), "critical": tuple(look["critical"])}) if look else None,
            Levels(**held["levels"]) if held.get("levels") else None,
            held.get("alike"),
        )
