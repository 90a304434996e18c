"""The verdict over pools: does a recipe win on pools like these? Pools are the unit of replication, seeds lie within them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from curate.errors import CeterisError
from eval_fixed_model.statistics.judge import verdict
from eval_fixed_model.statistics.records import Better, Draw, Levels, Verdict


def verdict_over_pools(
    scores: Mapping[str, Mapping[int, Mapping[int, float]]],
    kinds: Mapping[str, Draw],
    contrasts: Sequence[tuple[str, str]],
    delta: float,
    *,
    better: Better = "higher",
    plan: bool = True,
) -> Verdict:
    """Judge every contrast over pools: scores are {arm: {pool: {seed: score}}}, and each arm's mean on a pool is one replication.

    Arms meet on the same pools, so contrasts are of differences within pools, and their degrees of freedom count pools: more seeds sharpen
    each mean, and no number of them makes up for a second pool. `seeds_needed` counts pools. Pools that an arm lacks are left out for all.
    Raises CeterisError with fewer than two pools that all arms share, and as `verdict` does.
    """
    shared = sorted(set.intersection(*[set(arm) for arm in scores.values()])) if scores else []
    if len(shared) < 2:
        raise CeterisError(f"a verdict over pools needs two that all arms share, and there are {len(shared)}", fix="evaluate on more pools")
    empty = next(((name, pool) for name, arm in scores.items() for pool in shared if not arm[pool]), None)
    if empty:
        raise CeterisError(f"arm {empty[0]} has no runs on pool {empty[1]}", fix="evaluate it there")
    means = {name: {pool: float(np.mean(list(arm[pool].values()))) for pool in shared} for name, arm in scores.items()}
    found = verdict(means, kinds, contrasts, delta, better=better, analysis="paired", plan=plan)
    return replace(found, levels=_levels(scores, kinds, shared, found))


def _levels(
    scores: Mapping[str, Mapping[int, Mapping[int, float]]], kinds: Mapping[str, Draw], pools: Sequence[int], found: Verdict
) -> Levels | None:
    cells = [np.array(list(arm[pool].values())) for name, arm in scores.items() if kinds[name] == "fixed" for pool in pools]
    if "fixed" not in found.spreads or not found.spreads["fixed"].df:
        return None
    seeds, df = float(np.mean([len(cell) for cell in cells])), sum(len(cell) - 1 for cell in cells)
    if not df:
        return Levels(None, None, None, seeds, len(pools))
    within = sum(float(((cell - cell.mean()) ** 2).sum()) for cell in cells) / df
    # The variance of a cell's mean is within / its seeds.
    lent = within * float(np.mean([1 / len(cell) for cell in cells]))
    spread = found.spreads["fixed"]
    p = float(stats.f.sf(spread.sd**2 / lent, spread.df, df)) if lent else None
    return Levels(float(np.sqrt(within)), float(np.sqrt(max(spread.sd**2 - lent, 0.0))), p, seeds, len(pools))
