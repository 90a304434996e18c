"""What pairing by seed would give, measured: a scale's author decides by it beforehand, a verdict never."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from eval_fixed_model.statistics.records import CONFIDENCE, Pairing


def pairing(arms: Sequence[Mapping[int, float]]) -> Pairing | None:
    """The intraclass correlation of fixed arms' residuals over the seeds that all share, its interval and what pairing gains by it.

    ICC(3,1) of a two-way analysis of variance with its exact F interval (Shrout and Fleiss 1979; McGraw and Wong 1996), arms as judges.
    None with fewer than two arms or two shared seeds, or without any residual.
    """
    shared = sorted(set.intersection(*[set(arm) for arm in arms])) if arms else []
    if len(arms) < 2 or len(shared) < 2:
        return None
    table = np.array([[arm[seed] for seed in shared] for arm in arms])
    residuals = table - table.mean(1, keepdims=True)
    of_seeds = residuals.mean(0)
    over, under = len(shared) - 1, (len(arms) - 1) * (len(shared) - 1)
    between = len(arms) * float((of_seeds**2).sum()) / over
    within = float(((residuals - of_seeds) ** 2).sum()) / under
    if between == within == 0:
        return None
    tail = (1 - CONFIDENCE) / 2
    bounds = (1.0, float(special.fdtri(over, under, 1 - tail)), float(special.fdtri(over, under, tail)))
    correlations = [(between - f * within) / (between + (len(arms) - 1) * f * within) for f in bounds]
    found, low, high = correlations
    gain, least, most = (1 / max(1 - each, 1e-9) for each in correlations)
    return Pairing(found, low, high, gain, least, most, len(arms), len(shared))
