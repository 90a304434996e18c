"""What each task can tell at this scale: the spread between arms against the noise of seeds and of last checkpoints.

Signal and Noise (arXiv 2508.13144): their ratio predicts how often a small scale decides as a large one does; DataDecide (arXiv 2504.11393)
shows that tasks without it order subsets by chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from curate.errors import CeterisError
from eval_fixed_model.statistics.records import CONFIDENCE, Better, Floats

CHANCE_BELOW = 0.05


@dataclass(frozen=True)
class TaskSignal:
    """One task over all arms, in the task's unit.

    `signal` is the s.d. of arms' true means (0 where their spread is not above the noise's), `noise` that of one run around its arm's mean
    (None without repeated seeds), `checkpoints` that of a run's last checkpoints around their mean (None where not given), `ratio` signal
    over noise, `p` of equal arms (F test). `at_chance`: no arm is surely above chance (one-sided t, 5% over all arms; None where no chance
    is known). `missing` says why the task has no signal, None where it has.
    """

    signal: float | None
    noise: float | None
    checkpoints: float | None
    ratio: float | None
    p: float | None
    at_chance: bool | None
    missing: str | None
    arms: int
    runs: int


def signal_to_noise(
    scores: Mapping[str, Mapping[str, Mapping[int, float]]],
    chance: Mapping[str, float] | None = None,
    checkpoints: Mapping[str, Mapping[str, Mapping[int, Sequence[float]]]] | None = None,
    better: Better = "higher",
) -> dict[str, TaskSignal]:
    """Every task's signal and noise: scores are {task: {arm: {seed: value}}}, chance levels in the same unit, `checkpoints` {task: {arm:
    {seed: values at the run's last checkpoints}}}. Tests are of one task each: of twenty tasks without signal one will seem to have some.

    Raises CeterisError for a task without arms.
    """
    found = {}
    for task, of_arms in scores.items():
        runs = [np.array(list(seeds.values()), float) for seeds in of_arms.values() if seeds]
        if not runs:
            raise CeterisError(f"task {task} has no scores", fix="evaluate it first")
        last = [np.asarray(values, float) for seeds in (checkpoints or {}).get(task, {}).values() for values in seeds.values()]
        found[task] = _task(runs, (chance or {}).get(task), [values for values in last if len(values) > 1], better)
    return found


def _task(runs: list[Floats], chance: float | None, last: list[Floats], better: Better) -> TaskSignal:
    sizes, means = np.array([len(r) for r in runs]), np.array([r.mean() for r in runs])
    arms, total = len(runs), int(sizes.sum())
    wobble = float(np.sqrt(_within(last) / sum(len(v) - 1 for v in last))) if last else None
    df = total - arms
    if not df:
        return TaskSignal(None, None, wobble, None, None, None, "no arm has two seeds", arms, total)
    noise = _within(runs) / df
    signal = p = None
    if arms > 1:
        between = float((sizes * (means - (sizes @ means) / total) ** 2).sum()) / (arms - 1)
        each = (total - float((sizes**2).sum()) / total) / (arms - 1)
        signal = float(np.sqrt(max(between - noise, 0.0) / each))
        p = float(stats.f.sf(between / noise, arms - 1, df)) if noise > 0 else float(between == 0)
    ratio = signal / float(np.sqrt(noise)) if signal is not None and noise > 0 else None
    at_chance = None
    if chance is not None:
        above = float(((means - chance) * (1 if better == "higher" else -1) * np.sqrt(sizes)).max())
        at_chance = above <= float(stats.t.isf(CHANCE_BELOW / arms, df)) * float(np.sqrt(noise))
    missing = "no arm is above chance" if at_chance else None
    if missing is None and p is not None and p >= 1 - CONFIDENCE:
        missing = "arms differ no more than seeds do"
    return TaskSignal(signal, float(np.sqrt(noise)), wobble, ratio, p, at_chance, missing, arms, total)


@dataclass(frozen=True)
class Averaging:
    """What averaging the last `checkpoints` does: s.d. between runs of an arm, of the last checkpoint and of the average, and the ratio
    average over last with its 95% interval: below 1 it lowers the noise."""

    last: float
    averaged: float
    ratio: float
    low: float
    high: float
    checkpoints: int
    df: int


def averaging(scores: Mapping[str, Mapping[int, Sequence[float]]]) -> Averaging:
    """How much averaging the last checkpoints lowers the noise: scores are {arm: {seed: values at the last k checkpoints, last one last}}.

    Both s.d. are of the same runs, so the interval is that of Morgan (1939) and Pitman (1939) for correlated variances, arms' means taken
    out. Raises CeterisError where runs have unequal numbers of checkpoints or one, with fewer than 3 degrees of freedom, and without noise.
    """
    tables = [np.array([list(values) for values in seeds.values()], float) for seeds in scores.values() if seeds]
    widths = {len(values) for seeds in scores.values() for values in seeds.values()}
    if len(widths) != 1 or min(widths) < 2:
        raise CeterisError(f"runs have {sorted(widths)} last checkpoints", fix="give the same number of each run, 2 or more")
    ends = np.concatenate([table[:, -1] - table[:, -1].mean() for table in tables])
    means = np.concatenate([table.mean(1) - table.mean() for table in tables])
    df = len(ends) - len(tables)
    if df < 3:
        raise CeterisError(f"{len(ends)} runs of {len(tables)} arms are too few to compare noise", fix="give more seeds of each arm")
    last, averaged = float(ends @ ends) / df, float(means @ means) / df
    if not last or not averaged:
        raise CeterisError("runs with other seeds have equal scores, so there is no noise to lower", fix="look at the scores")
    r = float(ends @ means) / df / float(np.sqrt(last * averaged))
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, df - 1))
    k = 1 + 2 * max(1 - r**2, 0.0) * t**2 / (df - 1)
    ratio = averaged / last
    low, high = ratio * (k - float(np.sqrt(k**2 - 1))), ratio * (k + float(np.sqrt(k**2 - 1)))
    last, averaged, ratio, low, high = (float(np.sqrt(each)) for each in (last, averaged, ratio, low, high))
    return Averaging(last, averaged, ratio, low, high, widths.pop(), df)


def _within(runs: Sequence[Floats]) -> float:
    return float(sum(((r - r.mean()) ** 2).sum() for r in runs))
