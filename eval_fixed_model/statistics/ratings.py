"""Who beats whom: the chance that a run of one arm beats a run of another on an item, for every pair, and one rating an arm.

A match is one item between two runs: the run that gives the right answer (or, of text, the item's bytes) the higher probability wins, equal
ones win half each. Every run of an arm meets every run of every other arm, since runs are independent, on every item that both answered;
each task counts the same, as in the headline. Ratings are Bradley and Terry's (1952), which Chatbot Arena (arXiv 2403.04132) uses.

An interval is of two crossed samples, the items and the runs: the items' variance, from their sums over runs, and that of the
runs' own ratings, pooled over arms as the verdict pools it, less their interaction, which both hold (resampling both, Owen 2007,
counts it twice). Simulated with 2 to 5 runs an arm, 95% intervals hold the truth in 94.6% to 96.1% of the cases; a percentile
bootstrap of three runs would be far too narrow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats
from scipy.special import expit, log_expit

from curate.errors import CeterisError
from eval_fixed_model.statistics.records import CONFIDENCE, Draw

Floats = npt.NDArray[np.float64]

POINTS = 400 / math.log(10)
"""Of a rating in a unit of log-odds: 400 points are odds of 10 to 1, as in chess."""
PRIOR = 0.5
"""Matches that every run wins, and as many that it loses, against a run rated 0, so that who always won has a rating too."""
STEPS = 200


@dataclass(frozen=True)
class Win:
    """The chance that a run of `a` beats one of `b` on an item, ties half; `low` and `high` hold 95%, for this pair alone; None
    where no arm of a kind has two runs. `tasks` has the chance on each task."""

    a: str
    b: str
    chance: float
    low: float | None
    high: float | None
    tasks: dict[str, float]


@dataclass(frozen=True)
class Rating:
    """An arm's rating: 400 points are odds of 10 to 1, and 0 is the arms' mean. `low` and `high` hold 95%, for this arm alone."""

    arm: str
    rating: float
    low: float | None
    high: float | None
    runs: int


@dataclass(frozen=True, eq=False)
class Matches:
    """What the runs of every arm answered: `nats` (runs, questions) of the right answer, `owner` (runs,) the arm's number.
    Questions of one item stand together: `start` (items,) is each item's first, `task` (items,) its task's number."""

    arms: tuple[str, ...]
    tasks: tuple[str, ...]
    owner: npt.NDArray[np.int64]
    nats: npt.NDArray[np.float32]
    start: npt.NDArray[np.int64]
    task: npt.NDArray[np.int64]

    @staticmethod
    def of(answers: Mapping[str, Sequence[pl.DataFrame]], tasks: Sequence[str]) -> "Matches":
        """From every run's answers (`tasks.answers.ANSWERS`) by arm. Questions without `nats` are no match, nor are perturbed ones.

        CeterisError where runs answered other questions, or an arm has no run.
        """
        frames = [(number, frame) for number, runs in enumerate(answers.values()) for frame in runs]
        if len(answers) < 2 or {number for number, _ in frames} != set(range(len(answers))):
            raise CeterisError("ratings need the answers of two arms at least", fix="evaluate more subsets of this pool")
        key = ["task", "item", "direction", "label"]
        asked = [_asked(frame, tasks).select(*key, "nats") for _, frame in frames]
        first = asked[0].select(key)
        for (number, _), frame in zip(frames, asked, strict=True):
            if not frame.select(key).equals(first):
                raise CeterisError(f"the runs of {list(answers)[number]} answered other items", fix="evaluate all subsets at one place")
        present = [task for task in tasks if (first["task"] == task).any()]
        if not present:
            raise CeterisError("no task has a probability of the right answer", fix="rate by tasks that give one")
        starts = first.with_row_index("row").group_by("task", "item", maintain_order=True).agg(pl.col("row").min())
        task = np.array([present.index(name) for name in starts["task"]], np.int64)
        nats = np.stack([frame["nats"].to_numpy() for frame in asked])
        owner = np.array([number for number, _ in frames], np.int64)
        return Matches(tuple(answers), tuple(present), owner, nats, starts["row"].to_numpy().astype(np.int64), task)

    @property
    def weights(self) -> Floats:
        """(items,), of sum 1: tasks count the same, and items of a task do."""
        count = np.bincount(self.task, minlength=len(self.tasks))
        weights: Floats = 1 / (len(self.tasks) * count[self.task])
        return weights

    def wins(self, run: int) -> npt.NDArray[np.float32]:
        """(runs, items): the share of an item's questions at which `run` beats each run; a tie is half."""
        mine, every = self.nats[run], self.nats
        won: npt.NDArray[np.float32] = (mine > every).astype(np.float32)
        won += (mine == every).astype(np.float32) / 2
        if len(self.start) == won.shape[1]:
            return won
        counts = np.diff(np.append(self.start, won.shape[1]))
        return (np.add.reduceat(won, self.start, axis=1) / counts).astype(np.float32)


def _asked(frame: pl.DataFrame, tasks: Sequence[str]) -> pl.DataFrame:
    order = pl.col("task").replace_strict({task: n for n, task in enumerate(tasks)}, return_dtype=pl.Int32)
    kept = frame.filter(pl.col("task").is_in(list(tasks)), pl.col("variant") == "", pl.col("nats").is_not_null())
    return kept.sort(order, "item", "direction", "label", maintain_order=True)


def win_matrix(matches: Matches, kinds: Mapping[str, Draw] | None = None) -> tuple[Win, ...]:
    """Every pair of arms, each once, in the order of the arms; runs' variance is pooled as that of `ratings` is."""
    count, weights = len(matches.arms), matches.weights
    runs = np.bincount(matches.owner, minlength=count)
    mean = (matches.owner[:, None] == np.arange(count)).astype(np.float32) / runs  # (runs, arms)
    chance, of_items, both = (np.zeros((count, count)) for _ in range(3))
    groups = _groups(matches.arms, kinds, _strength(matches)[0], matches.owner)
    by_task = np.zeros((len(matches.tasks), count, count))
    in_task = (matches.task[:, None] == np.arange(len(matches.tasks))) * (weights * len(matches.tasks))[:, None]  # (items, tasks): means
    for a in range(count):
        table = np.stack([mean.T @ matches.wins(int(run)) for run in np.flatnonzero(matches.owner == a)]).astype(
            np.float64
        )  # (runs, arms, items)
        chance[a] = table.mean(0) @ weights
        by_task[:, a] = (table.mean(0) @ in_task).T
        of_items[a], both[a] = _of_items(table * weights, matches.task)
    found = []
    for a in range(count):
        for b in range(a + 1, count):
            mine = [([arm for arm in (a, b) if arm in arms], variance, df) for arms, variance, df in groups]
            of_runs = np.array([variance * (1 / runs[arms]).sum() for arms, variance, _ in mine if arms])
            df = np.array([df for arms, _, df in mine if arms])
            interval = _interval_of_chance(chance[a, b], of_runs, of_items[a, b], both[a, b] + both[b, a], df, len(weights))
            tasks = dict(zip(matches.tasks, by_task[:, a, b].tolist(), strict=True))
            found.append(Win(matches.arms[a], matches.arms[b], float(np.clip(chance[a, b], 0, 1)), *interval, tasks))
    return tuple(found)


def ratings(matches: Matches, kinds: Mapping[str, Draw] | None = None) -> tuple[Rating, ...]:
    """Every arm's rating, best first: the mean of its runs' Bradley-Terry ratings.

    Runs' variance is pooled over the arms of a kind (`kinds`; all `fixed` unless given), as the verdict's is; the items' is the sandwich's,
    clustered by item. No interval where no arm of some kind has two runs.
    """
    count, weights = len(matches.arms), matches.weights
    items, owner = len(weights), matches.owner
    runs = np.bincount(owner, minlength=count)
    strength, won = _strength(matches)
    others = owner[:, None] != owner
    expected = expit(strength[:, None] - strength) * others
    pull = np.stack([(matches.wins(r) * others[r][:, None]).sum(0) - expected[r].sum() for r in range(len(owner))]) * (weights * items)
    influence = np.linalg.solve(_curvature(strength, won + won.T), pull)  # (runs, items): what an item adds to a run's rating
    of_arm = (owner == np.arange(count)[:, None]) / runs[:, None]  # (arms, runs): means
    centred = np.eye(count) - 1 / count
    mean = centred @ of_arm @ strength
    of_items = _of_items((centred @ of_arm @ influence)[None], matches.task)[0]
    groups = _groups(matches.arms, kinds, strength, owner)
    share = centred**2 / runs  # (arms, arms): how an arm's run variance enters each rating
    both = np.array([_of_items(influence[owner == a][:, None], matches.task)[1][0] for a in range(count)])
    found = []
    for a, name in enumerate(matches.arms):
        parts = np.array([share[a, arms].sum() * variance for arms, variance, _ in groups])
        sd, t = _crossed(parts, of_items[a], float(centred[a] ** 2 @ both), np.array([df for *_, df in groups]))
        low, high = (None, None) if sd is None else (float(mean[a] - t * sd) * POINTS, float(mean[a] + t * sd) * POINTS)
        found.append(Rating(name, float(mean[a] * POINTS), low, high, int(runs[a])))
    return tuple(sorted(found, key=lambda one: -one.rating))


def _strength(matches: Matches) -> tuple[Floats, Floats]:
    """Every run's rating in log-odds, and how often the line's run beat the column's, in items; runs of one arm do not meet."""
    others = matches.owner[:, None] != matches.owner
    won = np.stack([matches.wins(run) @ matches.weights for run in range(len(matches.owner))]) * others * len(matches.weights)
    return bradley_terry(won), won


def bradley_terry(wins: Floats) -> Floats:
    """Ratings in log-odds, (n,), that make `wins`, (n, n) how often the line beat the column, likeliest.

    Everybody also won and lost half a match against one rated 0: without it no finite rating fits a run that always won, and none
    at all tells apart runs that never met, even through others. The likelihood is strictly concave then, and its maximum found by
    Newton's steps, halved where they overshoot (Hunter's MM of 2004 has the same maximum, but needs thousands of steps where only
    the prior binds)."""
    played = wins + wins.T
    strength = np.zeros(len(wins))
    worth = _worth(strength, wins)
    for _ in range(STEPS):
        toward = strength[:, None] - strength
        slope = (wins - played * expit(toward)).sum(1) + PRIOR - 2 * PRIOR * expit(strength)
        step = np.linalg.solve(_curvature(strength, played), slope)
        while (moved := _worth(strength + step, wins)) < worth and np.abs(step).max() > 1e-9:
            step /= 2
        strength, worth = strength + step, moved
        if np.abs(step).max() < 1e-9:
            break
    return strength


def _worth(strength: Floats, wins: Floats) -> float:
    own = PRIOR * (log_expit(strength) + log_expit(-strength)).sum()
    return float((wins * log_expit(strength[:, None] - strength)).sum() + own)


def _curvature(strength: Floats, played: Floats) -> Floats:
    even = expit(strength[:, None] - strength)
    pairs = played * even * (1 - even)
    own = 2 * PRIOR * expit(strength) * expit(-strength)
    curvature: Floats = np.diag(pairs.sum(1) + own) - pairs
    return curvature


def _of_items(table: Floats, task: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Of (runs, things, items) summands: the variance that the draw of items gives the mean over runs of their sum, (things,),
    and the part of it that is the runs' own (interaction; 0 of one run). Items are drawn within their tasks."""
    runs, things, _ = table.shape
    of_items, both = np.zeros(things), np.zeros(things)
    for number in np.unique(task):
        part = table[:, :, task == number]
        count = part.shape[2]
        if count < 2:
            continue
        off = part - part.mean(2, keepdims=True)
        middle = off.mean(0)
        of_items += (middle**2).sum(1) * count / (count - 1)
        if runs > 1:
            both += ((off - middle) ** 2).sum((0, 2)) / (runs - 1) / runs * count / (count - 1)
    return of_items, both


def _crossed(of_runs: Floats, of_items: float, both: float, df: npt.NDArray[np.integer]) -> tuple[float | None, float]:
    """The standard error of two crossed samples and its t quantile with Satterthwaite's degrees of freedom; None where runs tell
    nothing."""
    if (df < 1).any():
        return None, 0.0
    seeds = float(of_runs.sum())
    total = max(seeds + of_items - both, seeds, of_items)
    spent = float((of_runs**2 / df).sum())
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, total**2 / spent) if spent > 0 else stats.norm.ppf((1 + CONFIDENCE) / 2)
    return float(np.sqrt(total)), float(quantile)


def _interval_of_chance(
    chance: float, of_runs: Floats, of_items: float, both: float, df: npt.NDArray[np.integer], items: int
) -> tuple[float | None, float | None]:
    """On the scale of log-odds, so that it stays within 0 and 1: runs' variances are of that scale, items' of the chance's. Who won all or
    nothing is taken to have missed half an item."""
    inside = (chance * items + 0.5) / (items + 1)
    slope = inside * (1 - inside)
    least = slope / items if min(chance, 1 - chance) < 1e-9 else of_items
    sd, t = _crossed(of_runs, least / slope**2, both / slope**2, df)
    if sd is None:
        return None, None
    middle = math.log(inside / (1 - inside))
    return float(expit(middle - t * sd)), float(expit(middle + t * sd))


def _groups(
    arms: Sequence[str], kinds: Mapping[str, Draw] | None, strength: Floats, owner: npt.NDArray[np.int64]
) -> list[tuple[list[int], float, int]]:
    """The arms of each kind, the variance of their runs, pooled, and its degrees of freedom."""
    of_kind: dict[str, list[int]] = {}
    for number, name in enumerate(arms):
        of_kind.setdefault("fixed" if kinds is None else kinds[name], []).append(number)
    found = []
    for members in of_kind.values():
        runs = [strength[owner == a] for a in members]
        df = sum(len(one) - 1 for one in runs)
        found.append((members, sum(float(((one - one.mean()) ** 2).sum()) for one in runs) / max(df, 1), df))
    return found
