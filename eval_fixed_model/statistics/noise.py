"""Variance components, standard errors and the family's critical value.

A family is a matrix (contrasts, units): a unit is what varies by itself, an arm with its runs or a single run. A contrast's variance is a
sum of components, each estimated with its own degrees of freedom; its own are Satterthwaite's (1946). One critical value serves all
contrasts: the quantile of the greatest |t| among them, simulated with their correlation (max-t, Hothorn, Bretz and Westfall 2008).

Arms of one component need not be equally noisy: cleaner data train more alike. Their variances are taken as drawn from a scaled inverse
chi-square, so that each arm's is weighed with that of all (Smyth 2004): (alike pooled + df own) / (alike + df). `alike`, its degrees of
freedom, are the scale's, measured beforehand, since the few arms of one family cannot tell; infinite, all have the pooled one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eval_fixed_model.statistics.records import CONFIDENCE, Floats

DRAWS = 100_000
DRAWS_AT_ONCE = 10_000
MOST_SHARED = 30


@dataclass(frozen=True)
class Noise:
    """Variance components: `member` (components, units) is 1 where the component is the unit's; `variance` and `df` of each component;
    `runs` that each unit is the mean of; `units`, the variance of a run of each (none given: its component's); how far they are `alike`."""

    member: Floats
    variance: Floats
    runs: Floats
    df: Floats
    units: Floats | None = None
    alike: float = math.inf

    @property
    def ratios(self) -> Floats:
        """The components' variances over the greatest of them, never 0: t knows no other scale."""
        found = self.variances()[0]
        over: Floats = found / found.max()
        return over

    def variances(self) -> tuple[Floats, Floats]:
        """Of components and of units, up to one factor and never 0."""
        units = self.of_units()
        greatest = max(float(self.variance.max()), float(units.max()))
        if greatest <= 0:
            return np.ones_like(self.variance), np.ones_like(units)
        return np.maximum(self.variance / greatest, 1e-12), np.maximum(units / greatest, 1e-12)

    def of_units(self) -> Floats:
        """(units,): the variance of one run of each."""
        return self.units if self.units is not None else self.variance @ self.member

    def parts(self, family: Floats) -> Floats:
        """(contrasts, components): what each component's variance is multiplied with in a contrast's."""
        return family**2 / self.runs @ self.member.T

    def errors(self, family: Floats) -> tuple[Floats, Floats]:
        """Each contrast's standard error and Satterthwaite's degrees of freedom, 0 where a component it needs has none."""
        parts = self.parts(family)
        lacking = ((parts > 0) & (self.df == 0)).any(1)
        below, total = self._uncertainty(family, parts)
        df = np.where(lacking | (below == 0), 0.0, total**2 / np.where(below == 0, 1.0, below))
        return np.sqrt(family**2 / self.runs @ self.of_units()), df

    def _uncertainty(self, family: Floats, parts: Floats) -> tuple[Floats, Floats]:
        """Half the variance of each contrast's estimated variance, and that variance, up to one factor."""
        known, (ratios, units) = np.where(self.df > 0, self.df, 1.0), self.variances()
        if math.isinf(self.alike):
            shares = parts * ratios
            return (shares**2 / known).sum(1), shares.sum(1)
        squares, own_df = family**2 / self.runs, self.runs - 1
        pooled = self.alike / (self.alike + own_df)
        shared = (squares * pooled) @ self.member.T
        lent = np.maximum(self.df - self.member @ own_df, 0.0)
        weights = squares * (1 - pooled) + shared / known @ self.member * own_df
        below = (weights**2 * units**2 / np.where(own_df > 0, own_df, 1.0)).sum(1)
        below += ((shared / known) ** 2 * lent * ratios**2).sum(1)
        below += ((weights - squares) ** 2 * units**2).sum(1) / self.alike
        return below, squares @ units

    def residual(self, family: Floats) -> Floats:
        """Each contrast's residual degrees of freedom: those of all components it needs, together; 0 where one has none."""
        needed = self.parts(family) > 0
        return np.where((needed & (self.df == 0)).any(1), 0.0, needed @ self.df)

    def critical(self, family: Floats, draws: int) -> float | None:
        """The quantile of the greatest |t| over the contrasts that have degrees of freedom, were all true differences 0; seeded.

        None where no contrast has any. Where two components or one make up the noise, many families of one design share their draws.
        """
        family = family[self.errors(family)[1] > 0]
        if not len(family):
            return None
        df = np.where(self.df > 0, self.df, 1.0)
        design = Noise(self.member, np.ones_like(df), self.runs, df, alike=self.alike)
        if len(df) > 2 or draws < DRAWS or len(family) > MOST_SHARED:
            return _drawn(design, family, self.ratios, draws)
        held = tuple(np.ascontiguousarray(each) for each in (self.member, self.runs, df, family))
        shared = _design(tuple(each.tobytes() for each in held), held[0].shape, self.alike, draws)
        return shared.critical(self.ratios) or _drawn(design, family, self.ratios, draws)


def weighed(pooled: Floats, own: Floats, df: Floats, alike: float) -> Floats:
    """Each unit's `own` variance of `df` degrees of freedom weighed with that of all of its component."""
    if math.isinf(alike):
        return pooled
    both: Floats = (alike * pooled + df * own) / (alike + df)
    return both


def _drawn(noise: Noise, family: Floats, ratios: Floats, draws: int) -> float:
    greatest = []
    for means, squares in _draws(noise, family, draws):
        greatest.append((np.abs(np.tensordot(np.sqrt(ratios), means, 1)) / np.sqrt(np.tensordot(ratios, squares, 1))).max(1))
    return float(np.quantile(np.concatenate(greatest), CONFIDENCE))


def _draws(noise: Noise, family: Floats, draws: int) -> Iterator[tuple[Floats, Floats]]:
    """What each component adds to every contrast's estimate and to its estimated variance, were its own variance 1: twice (components,
    draws, contrasts), in pieces, always the same."""
    random, parts = np.random.default_rng(0), noise.parts(family)
    units, own_df = len(noise.runs), noise.runs - 1
    lent = np.maximum(noise.df - noise.member @ own_df, 0.0)
    for start in range(0, draws, DRAWS_AT_ONCE):
        count = min(DRAWS_AT_ONCE, draws - start)
        normal = random.standard_normal((count, units)) / np.sqrt(noise.runs)
        if math.isinf(noise.alike):
            pooled = random.chisquare(noise.df, (count, len(noise.df))) / noise.df
            squares = np.stack([p[:, None] * part for p, part in zip(pooled.T, parts.T, strict=True)])
        else:
            true = noise.alike / random.chisquare(noise.alike, (count, units))
            inside = true * random.chisquare(np.where(own_df > 0, own_df, 1.0), (count, units)) * (own_df > 0)
            # What a bank lends speaks of a pool's usual variance.
            usual = np.exp(np.log(true @ noise.member.T / noise.member.sum(1)).mean(0))
            borrowed = random.chisquare(np.where(lent > 0, lent, 1.0), (count, len(lent))) * (lent > 0) * usual
            pooled = (inside @ noise.member.T + borrowed) / noise.df
            held = weighed(pooled @ noise.member, inside / np.where(own_df > 0, own_df, 1.0), own_df, noise.alike)
            normal *= np.sqrt(true)
            squares = np.stack([held * member / noise.runs @ (family**2).T for member in noise.member])
        yield np.stack([normal * member @ family.T for member in noise.member]), squares


class _Design:
    """The draws of one design, for any variances: the quantile is exact, from the few draws that can matter.

    By Cauchy and Schwarz no variances lift a draw's t^2 above the sum of its components' own t^2, so a draw whose sum is below the
    quantile is below it whatever the variances. The draws with the greatest sums are kept, sorted.
    """

    def __init__(self, noise: Noise, family: Floats, draws: int) -> None:
        self.draws = draws
        means, squares = (np.concatenate(each, 1) for each in zip(*_draws(noise, family, draws), strict=True))
        bound = (means**2 / np.where(squares > 0, squares, 1.0)).sum(0).max(1)
        order = np.argsort(-bound, kind="stable")[: draws // 2]
        self.means, self.squares, self.bound = means[:, order], squares[:, order], bound[order]

    def critical(self, ratios: Floats) -> float | None:
        """The quantile at these ratios of variances. None where the draws kept do not settle it."""
        below, share = divmod(CONFIDENCE * (self.draws - 1), 1)
        wanted = self.draws - int(below)
        count = max(2 * wanted, len(self.bound) // 4)
        while count <= len(self.bound):
            estimates = np.abs(np.tensordot(np.sqrt(ratios), self.means[:, :count], 1))
            greatest = (estimates / np.sqrt(np.tensordot(ratios, self.squares[:, :count], 1))).max(1)
            greatest.partition(count - wanted)
            if count < len(self.bound) and greatest[count - wanted] >= np.sqrt(self.bound[count]):
                low, high = np.partition(greatest[count - wanted :], 1)[:2]
                return float(low + (high - low) * share)
            count *= 2
        return None


@lru_cache(maxsize=8)
def _design(held: tuple[bytes, ...], shape: tuple[int, int], alike: float, draws: int) -> _Design:
    member, runs, df, family = (np.frombuffer(each) for each in held)
    noise = Noise(member.reshape(shape), np.ones(shape[0]), runs, df, alike=alike)
    return _Design(noise, family.reshape(-1, shape[1]), draws)
