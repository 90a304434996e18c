"""A bank of runs made elsewhere under the same conditions, for when own runs are too few to say how noisy they are.

What the noise of one place says of another is limited by how much places differ, not by how many runs were made there. So a bank is worth
the degrees of freedom of a scaled inverse chi-square from which places draw their variances (Smyth 2004), estimated from the differences
between its pools; a new pool's difference over the bank's s.d. is then Student's t with those degrees of freedom. It is honest where the
new pool and its subsets are of the kind that the bank's pools and subsets were: same conditions, sizes within the range there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from curate.errors import CeterisError
from eval_fixed_model.statistics.records import LEAST_ALIKE, BankUse, Draw

LEAST_POOLS = 3
NOISIER_BELOW = 0.05
DIFFERENCE_CONFIDENCE = 0.8
MOST_DF = 1_000.0


@dataclass(frozen=True)
class Bank:
    """Residual s.d. of one kind of runs (unpaired), the degrees of freedom it is worth in a new pool, and the runs and pools behind it."""

    kind: Draw
    sd: float
    df: float
    runs: int
    pools: int

    def to_json(self) -> dict[str, Any]:
        """As a scale's bank file holds it."""
        return asdict(self)

    def joined(self, variance: float, df: int) -> tuple[float, float, BankUse]:
        """Variance and degrees of freedom of own runs (`df` may be 0) together with the bank, weighted by degrees of freedom.

        Where own runs are noisier than the bank says (F test, p below 5%) they stand alone.
        """
        p = float(stats.f.sf(variance / self.sd**2, df, self.df)) if df else None
        used = p is None or p >= NOISIER_BELOW
        use = BankUse(self.sd, self.df, self.runs, self.pools, p, used)
        if not used:
            return variance, float(df), use
        return (self.df * self.sd**2 + df * variance) / (self.df + df), self.df + df, use


def bank_of(kind: Draw, pools: Mapping[str, Mapping[str, Sequence[float]]]) -> Bank:
    """The frozen bank of {pool: {arm: scores of its runs}}, in the headline's unit; arms of one run say nothing.

    How much pools differ in variance is taken at its upper 80% bound, so few pools are worth little. Raises CeterisError for fewer than
    three pools with repeated runs: then nothing is known of a fourth, and a verdict needs seeds of its own.
    """
    squares, freedom, runs = [], [], 0
    for arms in pools.values():
        repeated = [np.asarray(scores, float) for scores in arms.values() if len(scores) > 1]
        if repeated:
            squares.append(sum(float(((scores - scores.mean()) ** 2).sum()) for scores in repeated))
            freedom.append(sum(len(scores) - 1 for scores in repeated))
            runs += sum(len(scores) for scores in repeated)
    if len(freedom) < LEAST_POOLS:
        raise CeterisError(
            f"a bank needs repeated runs on {LEAST_POOLS} pools or more, and there are {len(freedom)}",
            fix="run more seeds of your own: they need no bank",
        )
    if not all(squares):
        raise CeterisError("a pool of the bank has no noise at all", fix="look at its scores: runs with other seeds cannot be equal")
    df = np.array(freedom, float)
    logs = np.log(np.array(squares) / df) - special.digamma(df / 2) + np.log(df / 2)
    bound = float(stats.chi2.ppf(1 - DIFFERENCE_CONFIDENCE, len(df) - 1))
    excess = float(((logs - logs.mean()) ** 2).sum()) / bound - float(special.polygamma(1, df / 2).mean())
    worth = _df_of_trigamma(excess) if excess > 0 else MOST_DF
    centre = float(np.exp(logs.mean() + special.digamma(worth / 2) - np.log(worth / 2)))
    return Bank(kind, float(np.sqrt(centre)), 1 / (1 / worth + 1 / float(df.sum())), runs, len(df))


@dataclass(frozen=True)
class Likeness:
    """How far arms' variances resemble each other: degrees of freedom of the scaled inverse chi-square that they are drawn from, its 95%
    interval (`MOST_DF`: as good as equal), and the arms behind it."""

    df: float
    low: float
    high: float
    arms: int


def likeness(arms: Sequence[Sequence[float]]) -> Likeness | None:
    """Of the scores of arms' runs, by the spread of the logarithms of their variances beyond that of their degrees of freedom (Smyth 2004,
    section 6.2). None with fewer than three arms of three runs, or without noise."""
    runs = [np.asarray(scores, float) for scores in arms if len(scores) > 2]
    variance, df = np.array([each.var(ddof=1) for each in runs]), np.array([len(each) - 1.0 for each in runs])
    if len(runs) < LEAST_POOLS or not variance.all():
        return None
    logs = np.log(variance) - special.digamma(df / 2) + np.log(df / 2)
    spread, expected = float(logs.var(ddof=1)), float(special.polygamma(1, df / 2).mean())

    def df_at(share: float) -> float:
        excess = spread / share - expected
        return _df_of_trigamma(excess) if excess > 0 else MOST_DF

    found = df_at(1.0)
    # Logarithms of chi-squares have longer tails than normal numbers: the fewer their degrees of freedom, the less a variance is worth.
    tails = float(special.polygamma(3, found / 2) + special.polygamma(3, df / 2).mean()) / max(spread, expected) ** 2
    worth = 2 / (2 / (len(runs) - 1) + tails / len(runs))
    low, high = (df_at(float(stats.chi2.ppf(tail, worth)) / worth) for tail in (0.025, 0.975))
    return Likeness(found, low, high, len(runs))


def _df_of_trigamma(value: float) -> float:
    """The degrees of freedom of the inverse chi-square whose logarithm has this variance."""
    low, high = LEAST_ALIKE, MOST_DF
    if special.polygamma(1, high / 2) >= value:
        return high
    if special.polygamma(1, low / 2) <= value:
        return low
    return float(optimize.brentq(lambda df: float(special.polygamma(1, df / 2)) - value, low, high))
