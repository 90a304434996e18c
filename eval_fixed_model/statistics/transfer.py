"""Does a small scale decide as a larger one does? Agreement of the two over the subsets that were evaluated at both.

Decision accuracy (DataDecide, arXiv 2504.11393) is the share of pairs of subsets that both scales put in the same order;
Kendall's and Spearman's correlations are of the whole ranking. Intervals speak of other subsets of this kind at these budgets:
subsets are drawn again, each with its scores at both scales, so that the seeds' noise, which is in those scores, is not added a
second time. Of few subsets the bootstrap of a unanimous sample has no width; there Wilson's (1927) interval of half as many
independent pairs is given, since the variance of such a mean is at most that (Hoeffding 1948). Simulated with 5 to 20 subsets,
the true accuracy lies within in 95% to 100% of the cases."""

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from curate.errors import CeterisError
from eval_fixed_model.statistics.records import CONFIDENCE, Better

Transfers = Literal["transfers", "misleads", "cannot tell"]
Scores = Mapping[str, Mapping[int, float]]
Floats = npt.NDArray[np.float64]

LEAST = 5
"""Subsets. Of four, even equal rankings are chance in 2 of 24 cases (Kendall's exact test), more than 5%."""
DRAWS = 4_000


@dataclass(frozen=True)
class Estimate:
    """A number and its 95% interval; None where there is nothing to tell it from."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Transfer:
    """How the larger scale's order follows from the smaller one's.

    `accuracy`: the share of pairs in the same order, equal means half. `settled`: the same over the `settled_pairs` alone, those
    that the larger scale's verdict calls better or worse; `unsettled`: over the others, where it cannot tell itself. `repeat`:
    the accuracy to expect of the larger scale's own means, were it run again. `p`: of Kendall's exact test that the rankings have
    nothing to do with each other. `disagreeing`: the pairs in another order, settled ones first, each (better at the larger
    scale, worse there). `answer`: whether the interval of the accuracy lies above one half, below it, or neither; of fewer than 5
    subsets always "cannot tell"."""

    answer: Transfers
    subsets: tuple[str, ...]
    pairs: int
    accuracy: Estimate
    settled_pairs: int
    settled: Estimate | None
    unsettled: float | None
    repeat: float | None
    kendall: Estimate
    spearman: Estimate
    p: float
    disagreeing: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def transfer(
    small: Scores, large: Scores, settled: Collection[tuple[str, str]], better: tuple[Better, Better] = ("higher", "higher")
) -> Transfer:
    """Compare scores (subset -> seed -> headline) of a small and a larger scale over the subsets that are in both.

    `settled` are the pairs, in any order, whose verdict at the larger scale is better or worse; `better` says where each scale's
    better scores lie. CeterisError for fewer than three subsets in both, or a score that is not finite."""
    names = tuple(sorted(set(small) & set(large)))
    if len(names) < 3:
        raise CeterisError(
            f"{len(names)} subsets were evaluated at both scales", fix="rank transfer needs three, and five to conclude: evaluate more"
        )
    for scores in (small, large):
        if not np.isfinite([score for name in names for score in scores[name].values()]).all():
            raise CeterisError("a score is not finite", fix="evaluate the subset again")
    x, y = (_means(scores, names, way) for scores, way in zip((small, large), better, strict=True))
    agreed = _agreement(x, y)
    known = {frozenset(pair) for pair in settled}
    sure = np.array([[frozenset((a, b)) in known for b in names] for a in names])
    draws = np.random.default_rng(0).integers(0, len(names), (DRAWS, len(names)))
    accuracy, of_settled = _share(agreed, ~np.eye(len(names), dtype=bool), draws), _share(agreed, sure, draws)
    others = ~sure & ~np.eye(len(names), dtype=bool)
    return Transfer(
        answer=_answer(accuracy, len(names)),
        subsets=names,
        pairs=math.comb(len(names), 2),
        accuracy=accuracy or Estimate(0.5, None, None),
        settled_pairs=int(sure.sum()) // 2,
        settled=of_settled,
        unsettled=float(agreed[others].mean()) if others.any() else None,
        repeat=_repeat(large, names, y),
        kendall=_correlation(x, y, draws, accuracy, "kendall"),
        spearman=_correlation(x, y, draws, accuracy, "spearman"),
        p=float(stats.kendalltau(x, y).pvalue) if np.ptp(x) and np.ptp(y) else 1.0,
        disagreeing=_disagreeing(names, agreed, sure, y),
    )


def _means(scores: Scores, names: tuple[str, ...], better: Better) -> Floats:
    """Such that greater is better."""
    sign = 1 if better == "higher" else -1
    return sign * np.array([np.mean(list(scores[name].values())) for name in names])


def _agreement(x: Floats, y: Floats) -> Floats:
    """(n, n): 1 where both put the pair in one order, 0 in opposite ones, one half where either has no order."""
    agreed: Floats = (1 + np.sign(x[:, None] - x) * np.sign(y[:, None] - y)) / 2
    return agreed


def _share(agreed: Floats, counted: npt.NDArray[np.bool_], draws: npt.NDArray[np.int64]) -> Estimate | None:
    """The mean over the counted pairs, and its interval when subsets are drawn again; a subset makes no pair with itself."""
    if not counted.any():
        return None
    value, count = float(agreed[counted].mean()), len(agreed)
    if value in (0.0, 1.0):
        return Estimate(value, *_wilson(value, count / 2))
    weights = np.zeros((len(draws), count))
    np.add.at(weights, (np.arange(len(draws))[:, None], draws), 1)
    pairs = np.einsum("bi,ij,bj->b", weights, counted.astype(float), weights)
    right = np.einsum("bi,ij,bj->b", weights, agreed * counted, weights)
    low, high = _percentiles(right[pairs > 0] / pairs[pairs > 0])
    return Estimate(value, low, high)


def _percentiles(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _wilson(share: float, count: float) -> tuple[float, float]:
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def _correlation(
    x: Floats, y: Floats, draws: npt.NDArray[np.int64], accuracy: Estimate | None, which: Literal["kendall", "spearman"]
) -> Estimate:
    """Of unanimous rankings the interval is that of the accuracy, as 2 a - 1."""
    if not np.ptp(x) or not np.ptp(y):
        return Estimate(0.0, None, None)
    value = float((stats.kendalltau if which == "kendall" else stats.spearmanr)(x, y).statistic)
    if accuracy is not None and accuracy.value in (0.0, 1.0) and accuracy.low is not None and accuracy.high is not None:
        return Estimate(value, 2 * accuracy.low - 1, 2 * accuracy.high - 1)
    many = (_kendalls if which == "kendall" else _spearmans)(x[draws], y[draws])
    low, high = _percentiles(many[np.isfinite(many)])
    if low == high:  # unanimous but for ties
        low, high = (2 * end - 1 for end in _wilson((1 + value) / 2, len(x) / 2))
    return Estimate(value, low, high)


def _spearmans(x: Floats, y: Floats) -> Floats:
    ranks = [stats.rankdata(values, axis=1) for values in (x, y)]
    a, b = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations: Floats = (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return correlations


def _kendalls(x: Floats, y: Floats) -> Floats:
    """Tau-b of each line. Two draws of one subset are tied in both rankings and count in neither."""
    a, b = (np.sign(values[:, :, None] - values[:, None, :]) for values in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        taus: Floats = (a * b).sum((1, 2)) / np.sqrt((a != 0).sum((1, 2)) * (b != 0).sum((1, 2)))
    return taus


def _repeat(scores: Scores, names: tuple[str, ...], means: Floats) -> float | None:
    """The mean over pairs of the chance that new means of as many runs have the order of these, from the runs' pooled variance."""
    runs = [np.array(list(scores[name].values())) for name in names]
    df = sum(len(one) - 1 for one in runs)
    if not df:
        return None
    variance = sum(float(((one - one.mean()) ** 2).sum()) for one in runs) / df
    of_mean = variance / np.array([len(one) for one in runs])
    chances = []
    for a, b in itertools.combinations(range(len(names)), 2):
        # What is seen once has this variance around the truth, and so has what is seen next.
        sd = math.sqrt(2 * (of_mean[a] + of_mean[b]))
        gap = abs(means[a] - means[b])
        chances.append(float(stats.norm.cdf(gap / sd)) if sd > 0 else 1.0)
    return float(np.mean(chances))


def _answer(accuracy: Estimate | None, count: int) -> Transfers:
    if accuracy is None or accuracy.low is None or accuracy.high is None or count < LEAST:
        return "cannot tell"
    return "transfers" if accuracy.low > 0.5 else "misleads" if accuracy.high < 0.5 else "cannot tell"


def _disagreeing(names: tuple[str, ...], agreed: Floats, sure: npt.NDArray[np.bool_], y: Floats) -> tuple[tuple[str, str], ...]:
    pairs = [(a, b) if y[a] > y[b] else (b, a) for a, b in itertools.combinations(range(len(names)), 2) if agreed[a, b] == 0]
    return tuple((names[a], names[b]) for a, b in sorted(pairs, key=lambda pair: (not sure[pair], -(y[pair[0]] - y[pair[1]]))))
