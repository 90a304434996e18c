"""The verdict: better, worse, equivalent or cannot tell, read off simultaneous intervals of differences of per-seed headline means.

Arms are independent samples of runs. Their variance is pooled over fixed arms, and apart over random ones, whose redrawn rows add to the
seed's noise; where Brown and Forsythe (1974) reject equal variances, each arm of that kind keeps its own. A contrast's degrees of freedom
are Satterthwaite's (1946). One critical value serves all contrasts: the quantile of the greatest |t| among them, simulated with their
correlation (max-t, Hothorn, Bretz and Westfall 2008), so that all intervals hold at once.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from curate.errors import CeterisError

Answer = Literal["better", "worse", "equivalent", "cannot tell"]
Draw = Literal["fixed", "random"]
Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
POWER = 0.8
UNEQUAL_BELOW = 0.01
LEAST_DF = 4.0
DRAWS = 100_000
DRAWS_AT_ONCE = 10_000
MOST_SEEDS = 1_000


@dataclass(frozen=True)
class ArmRuns:
    """An arm's runs: whether its rows are fixed or redrawn per seed, its seeds, mean and s.d. (n - 1; None of one run), in points."""

    kind: Draw
    seeds: tuple[int, ...]
    mean: float
    sd: float | None


@dataclass(frozen=True)
class Spread:
    """The runs' residual s.d. over all arms of a kind, its degrees of freedom, the p of equal variances (Brown-Forsythe; None where fewer
    than two arms have three runs) and whether that s.d. was used for every arm (`pooled`) or each arm's own."""

    sd: float
    df: int
    p: float | None
    pooled: bool


@dataclass(frozen=True)
class Contrast:
    """Candidate minus control, in points. `low` and `high` hold at once for the whole family; `detectable` is the smallest true difference
    that this budget finds with 80% power; `seeds_needed` of each arm would settle a true difference of this size with that power (None:
    more than 1,000, or unknown). With fewer than 4 degrees of freedom the answer is "cannot tell"; with none there is no interval."""

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
    """The answers to one family of contrasts. `seed_correlation` of fixed arms (intraclass, None where unknown) says what pairing would
    give; the analysis stays unpaired."""

    delta: float
    confidence: float
    critical: float | None
    seed_correlation: float | None
    arms: dict[str, ArmRuns]
    spreads: dict[str, Spread]
    contrasts: tuple[Contrast, ...]

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
        """The verdict that `to_json` wrote down."""
        arms = {name: ArmRuns(**{**runs, "seeds": tuple(runs["seeds"])}) for name, runs in held["arms"].items()}
        spreads = {kind: Spread(**spread) for kind, spread in held["spreads"].items()}
        contrasts = tuple(Contrast(**contrast) for contrast in held["contrasts"])
        return cls(held["delta"], held["confidence"], held["critical"], held["seed_correlation"], arms, spreads, contrasts)


def verdict(
    scores: Mapping[str, Mapping[int, float]], kinds: Mapping[str, Draw], contrasts: Sequence[tuple[str, str]], delta: float
) -> Verdict:
    """Judge every contrast (candidate, control) of arms with scores per seed, in points. All arms given lend their variance.

    A contrast of an arm with itself (two names of one training) is equivalent by construction. Raises CeterisError for a contrast of an
    unknown arm, an arm without runs and a score that is not finite.
    """
    _refuse_unsound(scores, kinds, contrasts)
    names = sorted(scores)
    runs = [np.array([scores[name][seed] for seed in sorted(scores[name])]) for name in names]
    of_kind = {kind: [r for name, r in zip(names, runs, strict=True) if kinds[name] == kind] for kind in sorted(set(kinds.values()))}
    spreads: dict[str, Spread] = {kind: _spread(arms) for kind, arms in of_kind.items() if arms}
    noise = _Noise.of(names, runs, kinds, spreads)
    pairs = list(dict.fromkeys(contrasts))
    family = np.array([[float(name == a) - float(name == b) for name in names] for a, b in pairs]).reshape(-1, len(names))
    judge = _Judge(noise, family, delta)
    judged = tuple(judge.contrast(row, a, b, [float(r.mean()) for r in runs]) for row, (a, b) in enumerate(pairs))
    arms = {
        name: ArmRuns(kinds[name], tuple(sorted(scores[name])), float(r.mean()), float(r.std(ddof=1)) if len(r) > 1 else None)
        for name, r in zip(names, runs, strict=True)
    }
    fixed = [scores[name] for name in names if kinds[name] == "fixed"]
    return Verdict(delta, CONFIDENCE, judge.critical, seed_correlation(fixed), arms, spreads, judged)


def seed_correlation(arms: Sequence[Mapping[int, float]]) -> float | None:
    """How alike arms are at equal seeds: the intraclass correlation of residuals (two-way analysis of variance) over the seeds all share.

    None with fewer than two arms or two shared seeds, or without any residual.
    """
    shared = sorted(set.intersection(*[set(arm) for arm in arms])) if arms else []
    if len(arms) < 2 or len(shared) < 2:
        return None
    table = np.array([[arm[seed] for seed in shared] for arm in arms])
    residuals = table - table.mean(1, keepdims=True)
    of_seeds = residuals.mean(0)
    between = len(arms) * float((of_seeds**2).sum()) / (len(shared) - 1)
    within = float(((residuals - of_seeds) ** 2).sum()) / ((len(arms) - 1) * (len(shared) - 1))
    total = between + (len(arms) - 1) * within
    return (between - within) / total if total > 0 else None


@dataclass(frozen=True)
class _Noise:
    """Variance components: `member` (components, arms) is 1 where the component is the arm's; `variance` and how many runs each arm has."""

    member: Floats
    variance: Floats
    runs: Floats

    @staticmethod
    def of(names: Sequence[str], runs: Sequence[Floats], kinds: Mapping[str, Draw], spreads: Mapping[str, Spread]) -> "_Noise":
        member, variance = [], []
        for kind, spread in spreads.items():
            arms = [i for i, name in enumerate(names) if kinds[name] == kind]
            for group in [arms] if spread.pooled else [[i] for i in arms]:
                member.append([float(i in group) for i in range(len(names))])
                variance.append(_pooled_variance([runs[i] for i in group])[0])
        return _Noise(np.array(member), np.array(variance), np.array([float(len(r)) for r in runs]))

    def with_runs(self, count: int) -> "_Noise":
        """The same noise, were every arm run `count` times."""
        return _Noise(self.member, self.variance, np.full(len(self.runs), float(count)))

    @property
    def df(self) -> Floats:
        return self.member @ (self.runs - 1)

    @property
    def _ratios(self) -> Floats:
        """The variances up to a factor and never 0: degrees of freedom and t know no other scale."""
        greatest = float(self.variance.max())
        return np.maximum(self.variance / greatest, 1e-12) if greatest > 0 else np.ones_like(self.variance)

    def parts(self, family: Floats) -> Floats:
        """(contrasts, components): what each component's variance is multiplied with in a contrast's."""
        return family**2 / self.runs @ self.member.T

    def errors(self, family: Floats) -> tuple[Floats, Floats]:
        """Each contrast's standard error and Satterthwaite's degrees of freedom, 0 where a component it needs has none."""
        parts = self.parts(family)
        shares = parts * self._ratios
        lacking = ((parts > 0) & (self.df == 0)).any(1)
        below = (shares**2 / np.maximum(self.df, 1)).sum(1)
        df = np.where(lacking | (below == 0), 0.0, shares.sum(1) ** 2 / np.where(below == 0, 1.0, below))
        return np.sqrt(parts @ self.variance), df

    def critical(self, family: Floats, draws: int) -> float | None:
        """The quantile of the greatest |t| over the contrasts that have degrees of freedom, were all true differences 0; seeded."""
        family = family[self.errors(family)[1] > 0]
        if not len(family):
            return None
        random, true, df = np.random.default_rng(0), self._ratios, np.maximum(self.df, 1)
        deviation, parts = np.sqrt(true @ self.member / self.runs), self.parts(family)
        greatest = []
        for start in range(0, draws, DRAWS_AT_ONCE):
            count = min(DRAWS_AT_ONCE, draws - start)
            means = random.standard_normal((count, len(self.runs))) * deviation @ family.T
            squared = random.chisquare(df, (count, len(df))) / df * true @ parts.T
            greatest.append((np.abs(means) / np.sqrt(squared)).max(1))
        return float(np.quantile(np.concatenate(greatest), CONFIDENCE))


class _Judge:
    """One family under one noise."""

    def __init__(self, noise: _Noise, family: Floats, delta: float) -> None:
        self.noise, self.family, self.delta = noise, family, delta
        self.critical = noise.critical(family, DRAWS)
        self.errors, self.df = noise.errors(family)
        # Planned budgets need the critical value to a percent only, and many of them.
        self._planned: Callable[[int], tuple[float | None, Floats, Floats]] = lru_cache(None)(self._plan)

    def contrast(self, row: int, candidate: str, control: str, means: Sequence[float]) -> Contrast:
        difference, df = float(self.family[row] @ np.array(means)), float(self.df[row])
        if candidate == control:
            return Contrast(candidate, control, "equivalent", 0.0, 0.0, 0.0, df, 0.0, 0)
        if self.critical is None or df == 0:
            return Contrast(candidate, control, "cannot tell", difference, None, None, df, None, None)
        half = self.critical * float(self.errors[row])
        low, high = difference - half, difference + half
        detectable = float(self.errors[row]) * _reach(self.critical, df) if df >= LEAST_DF else None
        answer = _answer(low, high, df, self.delta)
        have = int(min(self.noise.runs[self.family[row] != 0]))
        return Contrast(candidate, control, answer, difference, low, high, df, detectable, self._needed(row, difference, answer, have))

    def _needed(self, row: int, difference: float, answer: Answer, have: int) -> int | None:
        """Runs of each arm, the least that settle; those at hand where it is settled."""
        if answer != "cannot tell":
            return have
        gap = max(abs(difference), self.delta - abs(difference))
        low, high = have, max(4, 2 * have)
        while not self._settles(row, gap, high):
            low, high = high, 2 * high
            if low >= MOST_SEEDS:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._settles(row, gap, middle) else (middle, high)
        return high if high <= MOST_SEEDS else None

    def _settles(self, row: int, gap: float, count: int) -> bool:
        critical, errors, df = self._planned(count)
        return critical is not None and bool(df[row] >= LEAST_DF) and float(errors[row]) * _reach(critical, float(df[row])) <= gap

    def _plan(self, count: int) -> tuple[float | None, Floats, Floats]:
        noise = self.noise.with_runs(count)
        return noise.critical(self.family, DRAWS // 10), *noise.errors(self.family)


def _answer(low: float, high: float, df: float, delta: float) -> Answer:
    if df < LEAST_DF:
        return "cannot tell"
    if -delta < low and high < delta:
        return "equivalent"
    return "better" if low > 0 else "worse" if high < 0 else "cannot tell"


def _reach(critical: float, df: float) -> float:
    """The true difference, in standard errors, whose t exceeds the critical value with probability `POWER`.

    By the normal approximation to the noncentral t (Johnson and Welch 1940), at most 1% too great at 4 degrees of freedom and more.
    """
    return critical * (1 - 1 / (4 * df)) + float(stats.norm.ppf(POWER)) * math.sqrt(1 + critical**2 / (2 * df))


def _spread(runs: Sequence[Floats]) -> Spread:
    variance, df = _pooled_variance(runs)
    # Two runs lie equally far from their median, so the test needs three.
    tested = [r for r in runs if len(r) > 2]
    p = None
    if len(tested) > 1 and any(np.ptp(r) > 0 for r in tested):
        p = float(stats.levene(*tested, center="median").pvalue)
    return Spread(float(np.sqrt(variance)), df, p, p is None or p >= UNEQUAL_BELOW)


def _pooled_variance(runs: Sequence[Floats]) -> tuple[float, int]:
    df = sum(len(r) - 1 for r in runs)
    return (sum(float(((r - r.mean()) ** 2).sum()) for r in runs) / df if df else 0.0), df


def _refuse_unsound(scores: Mapping[str, Mapping[int, float]], kinds: Mapping[str, Draw], contrasts: Sequence[tuple[str, str]]) -> None:
    for name, of_seeds in scores.items():
        if name not in kinds:
            raise CeterisError(f"arm {name} is neither fixed nor random", fix="say whether its rows are redrawn for every seed")
        if not of_seeds:
            raise CeterisError(f"arm {name} has no runs", fix="evaluate it first")
        if not np.isfinite(list(of_seeds.values())).all():
            raise CeterisError(f"arm {name} has a score that is not finite", fix="evaluate it again")
    for name in (name for pair in contrasts for name in pair):
        if name not in scores:
            raise CeterisError(f"no arm is called {name}", fix=f"the arms are: {', '.join(sorted(scores))}")
