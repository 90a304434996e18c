"""The verdict held against the truth: families drawn from runs whose true differences are known, judged by the very same `verdict`.

Runs come from a bank (arms of one pool with many seeds, arms' means taken out) or from a distribution, which checks the method itself.
Every family is shaped like a real one: the whole pool, and for each candidate a random draw and the recipe without its last stage.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, get_args

import numpy as np

from curate.errors import CeterisError
from eval_fixed_model.statistics import Analysis, Better, Contrast, Draw, Verdict, detectable, verdict
from eval_fixed_model.statistics.records import Floats

Z = 1.959964
WIDE = 1.2
FAMILIES_PER_BANK = 100
Noise = dict[str, Floats]
Contrasts = list[tuple[str, str]]


@dataclass(frozen=True)
class Shape:
    """A family: `candidates`, each judged against the whole pool, a random draw and its parent, with `seeds` runs of every arm."""

    candidates: int
    seeds: int

    @property
    def kinds(self) -> dict[str, Draw]:
        """Every arm."""
        kinds: dict[str, Draw] = {"pool": "fixed"}
        for i in range(self.candidates):
            kinds |= {f"candidate {i}": "fixed", f"random {i}": "random", f"parent {i}": "fixed"}
        return kinds

    @property
    def contrasts(self) -> Contrasts:
        """Every candidate against its three controls."""
        return [(f"candidate {i}", control) for i in range(self.candidates) for control in ("pool", f"random {i}", f"parent {i}")]


class Source(Protocol):
    """Where the noise of runs comes from."""

    def sds(self, analysis: Analysis) -> dict[Draw, float]:
        """The true s.d. of each kind's runs; paired, without what all arms of a seed share."""

    def noise(self, shape: Shape, analysis: Analysis, random: np.random.Generator) -> Noise:
        """One family's noise per arm, (seeds,); true means are 0."""

    def resampled(self, random: np.random.Generator) -> "Source | None":
        """The bank as it might have come out, its runs drawn anew; None where it is no sample."""


@dataclass(frozen=True)
class Runs:
    """A bank: {arm: {seed: score}} of one pool under equal conditions, and which arms are redrawn for every seed."""

    scores: Mapping[str, Mapping[int, float]]
    kinds: Mapping[str, Draw]

    def sds(self, analysis: Analysis) -> dict[Draw, float]:
        """As a verdict over the whole bank finds them. Raises CeterisError where a kind has no repeated runs."""
        spreads = verdict(self.scores, self.kinds, [], 1.0, analysis=analysis, plan=False).spreads
        found: dict[Draw, float] = {kind: spreads[kind].sd for kind in get_args(Draw) if kind in spreads and spreads[kind].df}
        if len(found) < 2:
            raise CeterisError("the bank needs repeated runs of fixed arms and of random draws", fix="train more of what lacks")
        if analysis == "paired":
            # There a random arm's s.d. is that of its distance to the mean of the bank's fixed arms.
            lent = found["fixed"] ** 2 / list(self.kinds.values()).count("fixed")
            found["random"] = math.sqrt(max(found["random"] ** 2 - lent, 0.0))
        return found

    @cached_property
    def _left(self) -> dict[Draw, float]:
        return self.sds("paired")

    def noise(self, shape: Shape, analysis: Analysis, random: np.random.Generator) -> Noise:
        """Runs of the bank, none used twice in a family; paired, arms of the bank at the same seeds.

        Raises CeterisError where the bank is too small for the family.
        """
        shared = sorted(set.intersection(*[set(arm) for arm in self.scores.values()])) if analysis == "paired" else []
        seeds = random.permutation(shared)[: shape.seeds]
        found: Noise = {}
        for kind in get_args(Draw):
            wanted, samples = [name for name, of in shape.kinds.items() if of == kind], []
            for arm in (arm for name, arm in self.scores.items() if self.kinds[name] == kind):
                # The arm's own mean is taken out of all its samples alike; how far it may be off comes back as one draw.
                if analysis == "paired":
                    off = self._left[kind] / math.sqrt(len(shared)) * random.standard_normal() if shared else 0.0
                    samples.append(np.array([arm[seed] for seed in seeds]) - np.mean([arm[seed] for seed in shared]) + off)
                else:
                    runs = random.permutation(np.array(list(arm.values()), float))
                    full = len(runs) // shape.seeds
                    off = runs.std(ddof=1) / math.sqrt(len(runs)) * random.standard_normal()
                    samples += list((runs - runs.mean() + off)[: full * shape.seeds].reshape(full, shape.seeds))
            if len(samples) < len(wanted) or (analysis == "paired" and len(seeds) < shape.seeds):
                raise CeterisError(
                    f"the bank holds {len(samples)} {kind} arms of {shape.seeds} runs; {shape.candidates} candidates need {len(wanted)}",
                    fix="train more runs, or calibrate smaller families",
                )
            found |= {name: samples[i] for name, i in zip(wanted, random.permutation(len(samples)), strict=False)}
        return found

    def resampled(self, random: np.random.Generator) -> "Runs":
        """As many runs of every arm, drawn with replacement, alike for arms of the same seeds."""
        drawn: dict[tuple[int, ...], list[int]] = {}
        for arm in self.scores.values():
            seeds = tuple(sorted(arm))
            drawn.setdefault(seeds, [seeds[i] for i in random.integers(0, len(seeds), len(seeds))])
        again = {
            name: {seed: arm[other] for seed, other in zip(sorted(arm), drawn[tuple(sorted(arm))], strict=True)}
            for name, arm in self.scores.items()
        }
        return Runs(again, self.kinds)


@dataclass(frozen=True)
class Drawn:
    """Noise by a formula: s.d. of fixed and random arms and of what arms of one seed share; tails normal or Student's t with 4 degrees of
    freedom (heavy); `unequal` is the s.d. of the logarithm of arms' own s.d. (0: equal, as the verdict takes them without `alike`)."""

    fixed: float = 1.0
    random: float = 1.4
    seed: float = 0.0
    tails: Literal["normal", "heavy"] = "normal"
    unequal: float = 0.0

    def sds(self, analysis: Analysis) -> dict[Draw, float]:
        """As given; unpaired, with what seeds add."""
        shared = self.seed if analysis == "unpaired" else 0.0
        return {"fixed": math.hypot(self.fixed, shared), "random": math.hypot(self.random, shared)}

    def noise(self, shape: Shape, analysis: Analysis, random: np.random.Generator) -> Noise:  # noqa: ARG002
        """One family's."""
        shared = self.seed * random.standard_normal(shape.seeds)
        found = {}
        for name, kind in shape.kinds.items():
            heavy = self.tails == "heavy"
            values = random.standard_t(4, shape.seeds) / math.sqrt(2) if heavy else random.standard_normal(shape.seeds)
            own = (self.fixed if kind == "fixed" else self.random) * math.exp(self.unequal * random.standard_normal() - self.unequal**2)
            found[name] = own * values + shared
        return found

    def resampled(self, random: np.random.Generator) -> None:
        """It is no sample."""


@dataclass(frozen=True)
class Rate:
    """A share of families, or of their contrasts, with its 95% Monte-Carlo interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """What the verdict did where the truth is known.

    `false_verdicts`: families of equal arms with any better or worse (5% wanted); `coverage`: families all of whose intervals hold the
    truth (95%); `power`: differences of the stated detectable size found (80%), by control in `power_against`; `wrong_way`: those answered
    the other way round; `equivalent_at_delta`: differences of exactly `equivalence_delta` called equivalent (2.5% at most);
    `equivalent_at_zero`: no differences whose interval lies inside that delta. `run_sd` are the source's residual s.d., `planted` the
    differences, by control, in the unit of scores.
    """

    candidates: int
    seeds: int
    analysis: Analysis
    delta: float
    equivalence_delta: float
    families: int
    run_sd: dict[str, float]
    planted: dict[str, float]
    false_verdicts: Rate
    coverage: Rate
    power: Rate
    power_against: dict[str, Rate]
    wrong_way: Rate
    equivalent_at_delta: Rate
    equivalent_at_zero: Rate

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def calibrate(
    source: Source,
    shape: Shape,
    delta: float,
    *,
    better: Better = "higher",
    analysis: Analysis = "unpaired",
    alike: float | None = None,
    families: int = 1_000,
    banks: int = 50,
    seed: int = 0,
) -> Calibration:
    """Judge `families` of equal arms, as many with planted differences, and as many at the edge of equivalence. Seeded.

    Families drawn from one bank share its runs, so binomial intervals would be too narrow: `banks` times the bank's runs are drawn anew
    with replacement, 100 families judged of each, and how far their shares lie apart, beyond what 100 families scatter by themselves,
    is added to the binomial variance. Raises CeterisError where the bank is too small for the family, or the budget finds nothing.
    """
    trial = _trial(source, shape, delta, better, analysis, alike)
    outcomes = np.array(list(trial.outcomes(source, families, np.random.default_rng([seed, 0]))))
    apart = []
    for number in range(banks):
        random = np.random.default_rng([seed, 1, number])
        again = source.resampled(random)
        if again is not None:
            anew = _trial(again, shape, delta, better, analysis, alike)
            apart.append(np.array(list(anew.outcomes(again, FAMILIES_PER_BANK, random))))
    rates = [_rate(outcomes[:, i], [each[:, i] for each in apart]) for i in range(outcomes.shape[1])]
    false, coverage, power, pool, draw, parent, wrong, at_delta, at_zero = rates
    return Calibration(
        shape.candidates,
        shape.seeds,
        analysis,
        delta,
        trial.wide,
        families,
        {str(kind): sd for kind, sd in source.sds(analysis).items()},
        dict(zip(("pool", "random", "parent"), trial.planted.values(), strict=False)),
        false,
        coverage,
        power,
        {"pool": pool, "random": draw, "parent": parent},
        wrong,
        at_delta,
        at_zero,
    )


def _trial(source: Source, shape: Shape, delta: float, better: Better, analysis: Analysis, alike: float | None) -> "_Trial":
    """What is planted follows from the source's own noise, also of a bank drawn anew."""
    sizes = detectable(shape.kinds, shape.contrasts, shape.seeds, source.sds(analysis), analysis, alike)
    planted = {pair: size for pair, size in sizes.items() if size is not None}
    if len(planted) < len(sizes):
        raise CeterisError(f"{shape.seeds} seeds have too few degrees of freedom for a verdict", fix="calibrate larger budgets")
    return _Trial(shape, delta, max(delta, WIDE * max(planted.values())), planted, better, analysis, alike)


@dataclass(frozen=True)
class _Trial:
    shape: Shape
    delta: float
    wide: float
    planted: Mapping[tuple[str, str], float]
    better: Better
    analysis: Analysis
    alike: float | None

    def outcomes(self, source: Source, families: int, random: np.random.Generator) -> Iterator[list[float]]:
        """One family after the other: the shares that `calibrate` averages, in the order of `Calibration`."""
        mine = self.shape.contrasts[:3]
        for number in range(families):
            noise = source.noise(self.shape, self.analysis, random)
            up = 1.0 if number % 2 else -1.0
            equal = self._judged(noise, {}, self.delta)
            other = self._judged(
                source.noise(self.shape, self.analysis, random), {b: -up * self.planted[a, b] for a, b in mine}, self.delta
            )
            edge = self._judged(noise, {b: -up * self.wide for _, b in mine}, self.wide)
            right, not_right = ("better", "worse") if (up > 0) == (self.better == "higher") else ("worse", "better")
            found = [float(other.of(a, b).answer == right) for a, b in mine]
            yield [
                float(any(c.answer in ("better", "worse") for c in equal.contrasts)),
                float(all(c.low is not None and c.high is not None and c.low <= 0 <= c.high for c in equal.contrasts)),
                float(np.mean(found)),
                *found,
                float(np.mean([other.of(a, b).answer == not_right for a, b in mine])),
                float(np.mean([edge.of(a, b).answer == "equivalent" for a, b in mine])),
                float(np.mean([_inside(equal.of(a, b), self.wide) for a, b in mine])),
            ]

    def _judged(self, noise: Noise, shifts: Mapping[str, float], delta: float) -> Verdict:
        scores = {name: dict(enumerate((values + shifts.get(name, 0.0)).tolist())) for name, values in noise.items()}
        how: dict[str, Any] = {"better": self.better, "analysis": self.analysis, "alike": self.alike}
        return verdict(scores, self.shape.kinds, self.shape.contrasts, delta, **how, plan=False)


def _inside(contrast: Contrast, delta: float) -> bool:
    return contrast.low is not None and contrast.high is not None and -delta < contrast.low and contrast.high < delta


def _rate(outcomes: Floats, apart: list[Floats]) -> Rate:
    """Wilson's interval at the number of independent families that the variance is worth."""
    share, variance = float(outcomes.mean()), float(outcomes.var()) / len(outcomes)
    if len(apart) > 1:
        variance += max(
            0.0, float(np.var([each.mean() for each in apart], ddof=1)) - float(np.mean([each.var() / len(each) for each in apart]))
        )
    n = share * (1 - share) / variance if variance > 0 else float(len(outcomes))
    if n == 0:  # none of these, or all; of other banks some
        near = 0.5 / (len(outcomes) + 1)
        n = min(float(len(outcomes)), near * (1 - near) / variance)
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return Rate(share, max(0.0, middle - half), min(1.0, middle + half))
