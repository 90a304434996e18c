"""Rank transfer: does a small scale put the subsets that one evaluated at both in the order of a larger one?"""

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curate.errors import CeterisError, nearest
from curate.store import Store
from eval_fixed_model.statistics import Draw, verdict
from eval_fixed_model.statistics.transfer import Transfer, transfer
from pipelines.scores.evaluations import Evaluation, entries
from pipelines.scores.standings import trained_on


@dataclass(frozen=True)
class RankTransfer:
    """`found` over the subsets of one pool evaluated at `small` and at `large`, under those conditions; `means` of each subset at both."""

    small: str
    large: str
    pool: str
    conditions: tuple[str, str]
    means: dict[str, tuple[float, float]]
    found: Transfer

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def rank_transfer(store: Store, small: str, large: str, pool: str | None = None) -> RankTransfer:
    """Compare two scales over what a store has of both, the latest conditions of each; only reads scores.

    A subset is the same at both where it is one run's subset of that name. Random draws of a size count as one subset. `pool` is
    pools/ID, where several were evaluated at both. CeterisError where nothing, or too little, was evaluated at both."""
    every = entries(store)
    for name in (small, large):
        if not any(one.scale.name == name for one in every):
            known = sorted({one.scale.name for one in every})
            raise CeterisError(f"nothing was evaluated at the scale {name}", where=store.address, fix=nearest(name, known))
    if small == large:
        raise CeterisError(f"{small} and {large} are one scale", fix="name two")
    shared = sorted({one.pool for one in every if one.scale.name == small} & {one.pool for one in every if one.scale.name == large})
    if not shared or (pool or shared[0]) not in shared or (len(shared) > 1 and pool is None):
        what = f"{len(shared)} pools were evaluated at both {small} and {large}"
        raise CeterisError(
            what, where=store.address, fix=f"name one of them: {', '.join(shared)}" if shared else "evaluate one run at both"
        )
    here = pool or shared[0]
    a, b = (_latest_conditions(every, here, name) for name in (small, large))
    of_small, of_large = _scores(a), _scores(b)
    both = _once({name: (of_small[name], of_large[name]) for name in of_small if name in of_large})
    at_small, at_large = ({name: pair[side][1] for name, pair in both.items()} for side in (0, 1))
    found = transfer(at_small, at_large, _settled(at_large, b), (a[-1].scale.headline.better, b[-1].scale.headline.better))
    means = {name: (_mean(at_small[name]), _mean(at_large[name])) for name in both}
    return RankTransfer(small, large, here, (a[-1].conditions, b[-1].conditions), means, found)


def _mean(scores: dict[int, float]) -> float:
    return float(np.mean(list(scores.values())))


Scored = tuple[str, dict[int, float]]
"""What an arm trains on, and its headline by seed."""


def _latest_conditions(every: list[Evaluation], pool: str, scale: str) -> list[Evaluation]:
    here = [one for one in every if (one.pool, one.scale.name) == (pool, scale)]
    return [one for one in here if one.conditions == here[-1].conditions]


def _scores(evaluations: list[Evaluation]) -> dict[str, Scored]:
    found: dict[str, Scored] = {}
    for one in evaluations:
        for name, arm in one.arms.items():
            told = name if arm.kind in ("pool", "random") else f"{one.run.removeprefix('runs/')}/{name}"
            seeds = {seed: one.score(name, seed).headline for seed in arm.scores}
            found[told] = (trained_on(arm), {**found[told][1], **seeds} if told in found else seeds)
    return found


def _once(both: dict[str, tuple[Scored, Scored]]) -> dict[str, tuple[Scored, Scored]]:
    """Names that train on equal rows at both scales are one subset: the first of them."""
    first: dict[tuple[str, str], str] = {}
    for name, (a, b) in both.items():
        first.setdefault((a[0], b[0]), name)
    return {name: both[name] for name in first.values()}


def _settled(scores: dict[str, dict[int, float]], evaluations: list[Evaluation]) -> list[tuple[str, str]]:
    """The pairs that the larger scale tells apart, by intervals that hold for all pairs of these subsets at once."""
    kinds: dict[str, Draw] = {name: "random" if name.startswith("random ") else "fixed" for name in scores}
    pairs = list(itertools.combinations(sorted(scores), 2))
    scale = evaluations[-1].scale
    judged = verdict(
        scores, kinds, pairs, scale.headline.delta, better=scale.headline.better, analysis=scale.analysis, alike=scale.alike, plan=False
    )
    return [(one.candidate, one.control) for one in judged.contrasts if one.answer in ("better", "worse")]
