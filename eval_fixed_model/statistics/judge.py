"""The verdict: better, worse, equivalent or cannot tell, read off simultaneous intervals of differences of per-seed headline means."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from curate.errors import CeterisError
from eval_fixed_model.statistics import noise
from eval_fixed_model.statistics.bank import Bank
from eval_fixed_model.statistics.design import Design, paired, unpaired
from eval_fixed_model.statistics.looks import Look, taken
from eval_fixed_model.statistics.noise import Noise
from eval_fixed_model.statistics.records import (
    CONFIDENCE,
    LEAST_ALIKE,
    LEAST_DF,
    POWER,
    Analysis,
    Answer,
    ArmRuns,
    Better,
    Contrast,
    Draw,
    Floats,
    Verdict,
)
from eval_fixed_model.statistics.seeds import pairing

MOST_SEEDS = 1_000
POWER_NORMAL = float(stats.norm.ppf(POWER))


def verdict(
    scores: Mapping[str, Mapping[int, float]],
    kinds: Mapping[str, Draw],
    contrasts: Sequence[tuple[str, str]],
    delta: float,
    *,
    better: Better = "higher",
    analysis: Analysis = "unpaired",
    alike: float | None = None,
    banks: Mapping[Draw, Bank] | None = None,
    look: Look | None = None,
    plan: bool = True,
) -> Verdict:
    """Judge every contrast (candidate, control) of arms with scores per seed, in the headline's unit. All arms given lend their variance.

    `better`, `analysis`, `alike` and `delta` are the scale's: `alike` says how far arms of a kind are equally
    noisy (`noise`; None: wholly; unpaired only). `banks` lend their variance to kinds of arms whose own runs have fewer than 4 degrees
    of freedom. `look` says that this is one of several looks. Without `plan`, `seeds_needed` is left out, which takes most of the time. A
    contrast of an arm with itself (two names of one training) is equivalent by construction. Raises CeterisError for a contrast of an
    unknown arm, an arm without runs, a score that is not finite, an `alike` below 0.1 or infinite, and a bank or looks where they do not
    hold (`design`, `looks`).
    """
    _refuse_unsound(scores, kinds, contrasts)
    if alike is not None and not LEAST_ALIKE <= alike < math.inf:
        raise CeterisError(f"arms cannot be alike to {alike:g} degrees of freedom", fix=f"{LEAST_ALIKE} or more; None: they are equal")
    if banks and analysis == "paired":
        raise CeterisError("a bank holds the variance of unpaired runs, and this scale compares by seed", fix="run more seeds")
    pairs = list(dict.fromkeys(contrasts))
    design = paired(scores, kinds, pairs) if analysis == "paired" else unpaired(scores, kinds, pairs, banks or {}, alike)
    judge = _Judge(design, delta, better, look, plan)
    arms, spreads = {}, {str(kind): spread for kind, spread in design.spreads.items()}
    for name in sorted(scores):
        runs = np.array([scores[name][seed] for seed in sorted(scores[name])])
        sd = float(runs.std(ddof=1)) if len(runs) > 1 else None
        arms[name] = ArmRuns(kinds[name], tuple(sorted(scores[name])), float(runs.mean()), sd)
    judged = tuple(judge.contrast(row, a, b) for row, (a, b) in enumerate(pairs))
    paired_runs = pairing([scores[name] for name in arms if kinds[name] == "fixed"])
    held = None if analysis == "paired" else alike
    return Verdict(delta, CONFIDENCE, judge.critical, arms, spreads, judged, better, analysis, paired_runs, judge.look, alike=held)


def detectable(
    kinds: Mapping[str, Draw],
    contrasts: Sequence[tuple[str, str]],
    seeds: int,
    sds: Mapping[Draw, float],
    analysis: Analysis = "unpaired",
    alike: float | None = None,
) -> dict[tuple[str, str], float | None]:
    """What a budget of `seeds` (2 or more) per arm will find with 80% power, before any run of it: the size of the true difference per
    contrast, None with fewer than 4 residual degrees of freedom. `sds` are runs' s.d. by kind, from a bank or an earlier pool; paired, what
    is left of them without what all arms of a seed share."""
    still = {name: dict.fromkeys(range(seeds), 0.0) for name in kinds}
    design = paired(still, kinds, contrasts) if analysis == "paired" else unpaired(still, kinds, contrasts, {}, alike)
    now, family = design.planned(seeds)
    variance = np.array([sds[kind] ** 2 for kind in design.spreads])
    if analysis == "paired" and set(design.spreads) == {"fixed", "random"}:
        # A random arm's noise is that of its distance to the fixed arms' mean.
        variance[list(design.spreads).index("random")] += sds["fixed"] ** 2 / list(kinds.values()).count("fixed")
    planned = Noise(now.member, variance, now.runs, now.df, alike=now.alike)
    critical, (errors, df) = planned.critical(family, noise.DRAWS), planned.errors(family)
    known = planned.residual(family) >= LEAST_DF
    sizes = [float(errors[i]) * _reach(critical, float(df[i])) if critical and known[i] else None for i in range(len(errors))]
    return dict(zip(contrasts, sizes, strict=True))


def mean_intervals(found: Verdict) -> dict[str, float | None]:
    """Half the 95% interval of each unpaired arm's mean alone, as the verdict's contrasts have theirs: its own variance weighed with that
    of all, and the quantile of |t| where arms' variances are drawn anew. None where nothing says how noisy it is, and where seeds are
    pairs."""
    if found.analysis == "paired" or not found.arms:
        return dict.fromkeys(found.arms)
    arms, alike = list(found.arms.values()), found.alike or math.inf
    member = np.array([[float(arm.kind == kind) for arm in arms] for kind in found.spreads])
    variance = np.array([spread.sd**2 for spread in found.spreads.values()])
    sizes, own = np.array([float(len(arm.seeds)) for arm in arms]), np.array([(arm.sd or 0.0) ** 2 for arm in arms])
    units = noise.weighed(variance @ member, own, sizes - 1, alike)
    design = Noise(member, variance, sizes, np.array([float(spread.df) for spread in found.spreads.values()]), units, alike)
    errors, df = design.errors(np.eye(len(arms)))
    quantiles: dict[tuple[Draw, int], float | None] = {}  # t knows no scale, so arms of a kind and number of runs share theirs
    halves: dict[str, float | None] = {}
    for place, (name, arm) in enumerate(found.arms.items()):
        key = (arm.kind, len(arm.seeds))
        if df[place] > 0 and key not in quantiles:
            quantiles[key] = design.critical(np.eye(len(arms))[place : place + 1], noise.DRAWS)
        quantile = quantiles[key] if df[place] > 0 else None
        halves[name] = None if quantile is None else quantile * float(errors[place])
    return halves


class _Judge:
    """One family under one design."""

    def __init__(self, design: Design, delta: float, better: Better, look: Look | None, plan: bool) -> None:
        self.design, self.delta, self.better, self.plan = design, delta, better, plan
        self.errors, self.df = design.noise.errors(design.family)
        self.enough = design.noise.residual(design.family) >= LEAST_DF
        self.look = taken(look, design) if look and (self.df > 0).any() else None
        if self.look:
            self.critical: float | None = self.look.critical[self.look.number - 1]
        else:
            self.critical = design.noise.critical(design.family, noise.DRAWS)
        # Planned budgets need the critical value to a percent only, and many of them.
        self._planned = lru_cache(None)(self._plan)

    def contrast(self, row: int, candidate: str, control: str) -> Contrast:
        difference, df, error = float(self.design.differences[row]), float(self.df[row]), float(self.errors[row])
        if candidate == control:
            return Contrast(candidate, control, "equivalent", 0.0, 0.0, 0.0, df, 0.0, 0)
        if self.critical is None or df == 0:
            return Contrast(candidate, control, "cannot tell", difference, None, None, df, None, None)
        low, high = difference - self.critical * error, difference + self.critical * error
        enough = bool(self.enough[row])
        smallest = error * _reach(self.critical, df) if enough else None
        answer = _answer(low, high, self.delta, self.better) if enough else "cannot tell"
        needed = self._needed(row, difference, answer) if self.plan else None
        return Contrast(candidate, control, answer, difference, low, high, df, smallest, needed)

    def _needed(self, row: int, difference: float, answer: Answer) -> int | None:
        """Runs of each arm, the least that settle; those at hand where it is settled; under looks, those of the first look that settles."""
        have = self.design.have[row]
        if answer != "cannot tell":
            return have
        gap = max(abs(difference), self.delta - abs(difference))
        if self.look:
            return next((n for n in self.look.schedule[self.look.number :] if self._settles(row, gap, n)), None)
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
        critical, errors, df, enough = self._planned(count)
        return critical is not None and bool(enough[row]) and float(errors[row]) * _reach(critical, float(df[row])) <= gap

    def _plan(self, count: int) -> tuple[float | None, Floats, Floats, npt.NDArray[np.bool_]]:
        planned, family = self.design.planned(count)
        enough = planned.residual(family) >= LEAST_DF
        if self.look:
            return self.look.critical[self.look.schedule.index(count)], *planned.errors(family), enough
        return planned.critical(family, noise.DRAWS // 10), *planned.errors(family), enough


def _answer(low: float, high: float, delta: float, better: Better) -> Answer:
    if -delta < low and high < delta:
        return "equivalent"
    if low > 0 or high < 0:
        return "better" if (low > 0) == (better == "higher") else "worse"
    return "cannot tell"


def _reach(critical: float, df: float) -> float:
    """The true difference, in standard errors, whose t exceeds the critical value with probability `POWER`.

    By the normal approximation to the noncentral t (Johnson and Welch 1940), at most 1% too great at 4 degrees of freedom and more; below,
    by the noncentral t itself.
    """
    if df < LEAST_DF:
        return float(optimize.brentq(lambda reach: float(stats.nct.sf(critical, df, reach)) - POWER, 0.0, 20 * critical))
    return critical * (1 - 1 / (4 * df)) + POWER_NORMAL * math.sqrt(1 + critical**2 / (2 * df))


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
