"""Variance components, standard errors and the family's critical value.

A family is a matrix (contrasts, units): a unit is what varies by itself, an arm with its runs or a single run. A contrast's variance is a
sum of components, each estimated with its own degrees of freedom; its own are Satterthwaite's (1946). One critical value serves all
contrasts: the quantile of the greatest |t| among them, simulated with their correlation (max-t, Hothorn, Bretz and Westfall 2008).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eval_fixed_model.statistics.records import CONFIDENCE, Floats

DRAWS = 100_000
DRAWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Noise:
    """Variance components: `member` (components, units) is 1 where the component is the unit's; `variance` and `df` of each component;
    `runs` that each unit is the mean of."""

    member: Floats
    variance: Floats
    runs: Floats
    df: Floats

    @property
    def ratios(self) -> Floats:
        """The variances up to a factor and never 0: degrees of freedom and t know no other scale."""
        greatest = float(self.variance.max())
        return np.maximum(self.variance / greatest, 1e-12) if greatest > 0 else np.ones_like(self.variance)

    def parts(self, family: Floats) -> Floats:
        """(contrasts, components): what each component's variance is multiplied with in a contrast's."""
        return family**2 / self.runs @ self.member.T

    def errors(self, family: Floats) -> tuple[Floats, Floats]:
        """Each contrast's standard error and Satterthwaite's degrees of freedom, 0 where a component it needs has none."""
        parts = self.parts(family)
        shares = parts * self.ratios
        lacking = ((parts > 0) & (self.df == 0)).any(1)
        below = (shares**2 / np.where(self.df > 0, self.df, 1)).sum(1)
        df = np.where(lacking | (below == 0), 0.0, shares.sum(1) ** 2 / np.where(below == 0, 1.0, below))
        return np.sqrt(parts @ self.variance), df

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
        if len(df) > 2 or draws < DRAWS:
            return self._drawn(family, df, draws)
        held = tuple(np.ascontiguousarray(each) for each in (self.member, self.runs, df, family))
        design = _design(tuple(each.tobytes() for each in held), held[0].shape, draws)
        return design.critical(self.ratios) or self._drawn(family, df, draws)

    def _drawn(self, family: Floats, df: Floats, draws: int) -> float:
        true, parts = self.ratios, self.parts(family)
        deviation = np.sqrt(true @ self.member / self.runs)
        greatest = []
        for normal, squares in _draws(len(self.runs), df, draws):
            greatest.append((np.abs(normal * deviation @ family.T) / np.sqrt(squares * true @ parts.T)).max(1))
        return float(np.quantile(np.concatenate(greatest), CONFIDENCE))


def _draws(units: int, df: Floats, draws: int) -> Iterator[tuple[Floats, Floats]]:
    """Standard normals per unit and chi-squares over their degrees of freedom per component, in pieces, always the same."""
    random = np.random.default_rng(0)
    for start in range(0, draws, DRAWS_AT_ONCE):
        count = min(DRAWS_AT_ONCE, draws - start)
        yield random.standard_normal((count, units)), random.chisquare(df, (count, len(df))) / df


class _Design:
    """The draws of one design, for any variances: the quantile is exact, from the few draws that can matter.

    By Cauchy and Schwarz no variances lift a draw's t^2 above the sum of its components' own t^2, so a draw whose sum is below the
    quantile is below it whatever the variances. The draws with the greatest sums are kept, sorted.
    """

    def __init__(self, noise: Noise, family: Floats, draws: int) -> None:
        self.draws, self.parts = draws, noise.parts(family)
        weights = [(family * member / np.sqrt(noise.runs)).T for member in noise.member]
        means, squares = [], []
        for normal, square in _draws(len(noise.runs), noise.df, draws):
            means.append(np.stack([normal @ weight for weight in weights]))
            squares.append(square)
        mean, square = np.concatenate(means, 1), np.concatenate(squares)
        own = [m**2 / (part * s[:, None]) for m, part, s in zip(mean, np.where(self.parts > 0, self.parts, 1).T, square.T, strict=True)]
        bound = np.sum(own, axis=0).max(1)
        order = np.argsort(-bound, kind="stable")[: draws // 2]
        self.mean, self.square, self.bound = mean[:, order], square[order], bound[order]

    def critical(self, ratios: Floats) -> float | None:
        """The quantile at these ratios of variances. None where the draws kept do not settle it."""
        below, share = divmod(CONFIDENCE * (self.draws - 1), 1)
        wanted = self.draws - int(below)
        count = max(2 * wanted, len(self.bound) // 4)
        while count <= len(self.bound):
            means = np.tensordot(np.sqrt(ratios), self.mean[:, :count], 1)
            greatest = (np.abs(means) / np.sqrt(self.square[:count] * ratios @ self.parts.T)).max(1)
            greatest.partition(count - wanted)
            if count < len(self.bound) and greatest[count - wanted] >= np.sqrt(self.bound[count]):
                low, high = np.partition(greatest[count - wanted :], 1)[:2]
                return float(low + (high - low) * share)
            count *= 2
        return None


@lru_cache(maxsize=8)
def _design(held: tuple[bytes, ...], shape: tuple[int, int], draws: int) -> _Design:
    member, runs, df, family = (np.frombuffer(each) for each in held)
    noise = Noise(member.reshape(shape), np.ones(shape[0]), runs, df)
    return _Design(noise, family.reshape(-1, shape[1]), draws)
