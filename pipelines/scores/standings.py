"""Standings: every subset of a pool against every other, item by item, under equal conditions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from curate import frames
from curate.errors import CeterisError
from curate.record import Run
from eval_fixed_model.statistics import Draw
from eval_fixed_model.statistics.ratings import Matches, Rating, Win, ratings, win_matrix
from pipelines.scores.evaluations import Entered, Evaluation, entries
from pipelines.scores.verdicts import latest

COLUMNS = ("item", "task", "variant", "direction", "label", "nats")


@dataclass(frozen=True)
class Standings:
    """Who beats whom on `items` items of the headline's `tasks`, and ratings, best first. `same` are names of arms that train on
    equal rows, by the name that stands for them. `left_out`: items that occur in an arm, where those were left out."""

    run: str
    pool: str
    scale: str
    conditions: str
    tasks: tuple[str, ...]
    items: int
    left_out: int
    wins: tuple[Win, ...]
    ratings: tuple[Rating, ...]
    same: dict[str, tuple[str, ...]]

    def of(self, a: str, b: str) -> Win:
        """How often `a` beats `b`. CeterisError for names that are not rated."""
        for win in self.wins:
            if (win.a, win.b) == (a, b):
                return win
            if (win.b, win.a) == (a, b):
                low, high = (None if win.high is None else 1 - win.high), (None if win.low is None else 1 - win.low)
                return Win(a, b, 1 - win.chance, low, high, {task: 1 - chance for task, chance in win.tasks.items()})
        raise CeterisError(f"{a} and {b} have not met", fix=f"there are: {', '.join(sorted({one.arm for one in self.ratings}))}")

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def standings(
    done: Evaluation | Run, subsets: Sequence[str] = (), *, scale: str | None = None, without_leaks: bool = False, everything: bool = False
) -> Standings:
    """Rate the arms of a run's latest evaluation, or those named; with `everything`, all that were ever evaluated on its pool
    under the same conditions, those of other runs as RUN/SUBSET. Only reads scores.

    CeterisError for fewer than two arms, an unknown name, or a headline without a task that gives the right answer a probability.
    """
    mine = done if isinstance(done, Evaluation) else latest(done, scale)
    arms, same = _arms(mine, everything)
    if unknown := sorted(set(subsets) - arms.keys()):
        raise CeterisError(f"no arm called {unknown[0]} was evaluated", where=mine.run, fix=f"there are: {', '.join(arms)}")
    chosen = {name: arms[name] for name in subsets or arms}
    leaked = sorted(mine.leaked) if without_leaks else []
    answers = {name: [_answers(mine, key, leaked) for key in arm.scores.values()] for name, arm in chosen.items()}
    matches = Matches.of(answers, mine.scale.headline.tasks)
    kinds: dict[str, Draw] = {name: "random" if arm.kind == "random" else "fixed" for name, arm in chosen.items()}
    return Standings(
        mine.run,
        mine.pool,
        mine.scale.name,
        mine.conditions,
        matches.tasks,
        len(matches.start),
        len(leaked),
        win_matrix(matches, kinds),
        ratings(matches, kinds),
        {name: tuple(names) for name, names in same.items() if name in chosen and names},
    )


def _arms(mine: Evaluation, everything: bool) -> tuple[dict[str, Entered], dict[str, list[str]]]:
    """By name, each training once; the seeds of equal arms together."""
    others = [one for one in entries(mine.store) if one.conditions == mine.conditions and one.pool == mine.pool] if everything else []
    found: dict[str, Entered] = {}
    names: dict[str, str] = {}
    same: dict[str, list[str]] = {}
    for one in [mine, *reversed(others)]:
        for name, arm in one.arms.items():
            told = name if one.run == mine.run or arm.kind in ("pool", "random") else f"{one.run.removeprefix('runs/')}/{name}"
            known = names.setdefault(trained_on(arm), told)
            if known not in found:
                found[known] = arm
                same[known] = []
                continue
            there = found[known]
            found[known] = Entered(there.name, there.id, there.kind, there.rows, {**arm.scores, **there.scores})
            if told not in (known, *same[known]):
                same[known].append(told)
    return found, same


def trained_on(arm: Entered) -> str:
    """The digest of the rows of its first seed: equal for all names of one training, such as a random draw of the whole pool."""
    return arm.scores[min(arm.scores)].split("/")[-2]


def _answers(mine: Evaluation, key: str, leaked: list[int]) -> pl.DataFrame:
    file = mine.store.path(key) / "items.parquet"
    if not file.is_file():
        raise CeterisError("no finished score lies here", where=str(file.parent), fix="evaluate the subset again")
    return frames.from_bytes(file.read_bytes(), where=str(file), columns=COLUMNS).filter(~pl.col("item").is_in(leaked))
