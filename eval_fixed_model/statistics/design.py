"""How runs bear on contrasts: unpaired, where arms are independent samples, and paired, where runs of one seed meet.

Unpaired, an arm's variance is weighed with that of all fixed arms, or of all random ones, whose redrawn rows add to the seed's noise.
Paired, a fixed arm's noise is what arm and seed leave of it, and a random arm's is that of its distance to the fixed arms' mean at its
seed, which holds whether or not its draws go with those of other random arms; where Brown and Forsythe (1974) reject equal variances
within a kind, each contrast has the variance of its own differences, and goes for independent of the others.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from curate.errors import CeterisError
from eval_fixed_model.statistics.bank import Bank
from eval_fixed_model.statistics.noise import Noise, weighed
from eval_fixed_model.statistics.records import LEAST_DF, BankUse, Draw, Floats, Spread

UNEQUAL_BELOW = 0.01

Pairs = Sequence[tuple[str, str]]
Scores = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class Design:
    """Noise and family (contrasts, units), each contrast's difference and the runs it has of either arm; both, were every arm run `count`
    times. `centred` marks units whose noise is what their common part of each run leaves: seeds, of paired fixed arms; None
    where runs are too uneven for that."""

    noise: Noise
    family: Floats
    differences: Floats
    have: tuple[int, ...]
    spreads: dict[Draw, Spread]
    planned: Callable[[int], tuple[Noise, Floats]]
    centred: tuple[bool, ...] | None


def unpaired(scores: Scores, kinds: Mapping[str, Draw], pairs: Pairs, banks: Mapping[Draw, Bank], alike: float | None) -> Design:
    """Arms as independent samples of runs; the units are arms, whose variances are as `alike` as the scale says (`noise`)."""
    names, alike = sorted(scores), alike or math.inf
    runs = [np.array([scores[name][seed] for seed in sorted(scores[name])]) for name in names]
    member, variance, freedom, lent, spreads = [], [], [], [], {}
    for kind in sorted(set(kinds.values())):
        arms = [i for i, name in enumerate(names) if kinds[name] == kind]
        if not arms:
            continue
        spread, joined = _spread([runs[i] for i in arms], banks.get(kind))
        spreads[kind] = spread
        member.append([float(i in arms) for i in range(len(names))])
        variance.append(joined[0])
        freedom.append(joined[1])
        lent.append(spread.bank.df if spread.bank and spread.bank.used else 0.0)
    sizes = np.array([float(len(r)) for r in runs])
    own = np.array([float(r.var(ddof=1)) if len(r) > 1 else 0.0 for r in runs])
    units = weighed(np.array(variance) @ np.array(member), own, sizes - 1, alike)
    noise = Noise(np.array(member), np.array(variance), sizes, np.array(freedom, float), units, alike)
    family = np.array([[float(name == a) - float(name == b) for name in names] for a, b in pairs]).reshape(-1, len(names))

    def planned(count: int) -> tuple[Noise, Floats]:
        df = noise.member @ np.full(len(names), count - 1.0)
        df = np.where(df < LEAST_DF, df + np.array(lent), df)
        return Noise(noise.member, noise.variance, np.full(len(names), float(count)), df, units, alike), family

    means = np.array([r.mean() for r in runs])
    have = tuple(int(sizes[row != 0].min()) if row.any() else 0 for row in family)
    return Design(noise, family, family @ means, have, spreads, planned, (False,) * len(names))


def paired(scores: Scores, kinds: Mapping[str, Draw], pairs: Pairs) -> Design:
    """Runs against those of the same seed. Raises CeterisError where two arms to be compared share no seed."""
    return _Paired(scores, kinds, pairs).design()


class _Paired:
    def __init__(self, scores: Scores, kinds: Mapping[str, Draw], pairs: Pairs) -> None:
        self.scores, self.kinds, self.pairs, self.names = scores, kinds, pairs, sorted(scores)
        self.fixed = [name for name in self.names if kinds[name] == "fixed"]
        self.random = [name for name in self.names if kinds[name] == "random"]
        self.shared = [sorted(set(scores[a]) & set(scores[b])) for a, b in pairs]
        for (a, b), seeds in zip(pairs, self.shared, strict=True):
            if not seeds:
                raise CeterisError(f"{a} and {b} share no seed, and this scale compares by seed", fix="evaluate both with the same seeds")
        self.differences = [
            np.array([scores[a][seed] - scores[b][seed] for seed in seeds]) for (a, b), seeds in zip(pairs, self.shared, strict=True)
        ]

    def design(self) -> Design:
        of_fixed, of_random = self._residuals(), self._distances()
        components = [(self.fixed, *of_fixed)] if self.fixed else []
        components += [(self.random, *of_random)] if self.random else []
        spreads: dict[Draw, Spread] = {}
        for names, residuals, df in components:
            p = _unequal(residuals)
            square = sum(float((r**2).sum()) for r in residuals)
            spreads[self.kinds[names[0]]] = Spread(float(np.sqrt(square / df)) if df else 0.0, df, p, True)
        means = np.array([difference.mean() for difference in self.differences])
        have = tuple(len(seeds) for seeds in self.shared)
        if any(spread.p is not None and spread.p < UNEQUAL_BELOW for spread in spreads.values()):
            spreads = {kind: Spread(spread.sd, spread.df, spread.p, False) for kind, spread in spreads.items()}
            return self._own(means, have, spreads)
        balanced = len({tuple(sorted(arm)) for arm in self.scores.values()}) == 1

        def planned(count: int) -> tuple[Noise, Floats]:
            df = [(len(self.fixed) - 1) * (count - 1.0)] * bool(self.fixed) + [len(self.random) * (count - 1.0)] * bool(self.random)
            return self._noise([[name] for name in self.names], spreads, float(count), df), self._by_arm()

        if balanced:
            noise, family = planned(len(self.scores[self.names[0]]))
            return Design(noise, family, means, have, spreads, planned, tuple(name in self.fixed for name in self.names))
        noise = self._noise([[name] * len(self.scores[name]) for name in self.names], spreads, 1.0, [df for _, _, df in components])
        return Design(noise, self._by_run(), means, have, spreads, planned, None)

    def _residuals(self) -> tuple[list[Floats], float]:
        """What arm and seed (least squares, additive) leave of each fixed arm's runs, and the degrees of freedom."""
        cells = [(i, seed) for i, name in enumerate(self.fixed) for seed in sorted(self.scores[name])]
        seeds = sorted({seed for _, seed in cells})
        table = np.zeros((len(cells), len(self.fixed) + len(seeds)))
        for row, (i, seed) in enumerate(cells):
            table[row, i] = table[row, len(self.fixed) + seeds.index(seed)] = 1
        values = np.array([self.scores[self.fixed[i]][seed] for i, seed in cells])
        if not len(values):
            return [], 0
        values = values - values.mean()
        solution, _, rank, _ = np.linalg.lstsq(table, values, rcond=None)
        left, arms = values - table @ solution, np.array([i for i, _ in cells])
        left[np.abs(left) < 1e-12 * max(float(np.abs(values).max()), 1e-300)] = 0
        return [left[arms == i] for i in range(len(self.fixed))], int(len(cells) - rank)

    def _distances(self) -> tuple[list[Floats], float]:
        """Each random arm's runs minus the fixed arms' mean at the same seed, minus their mean; and the degrees of freedom."""
        found = []
        for name in self.random:
            away = []
            for seed, score in sorted(self.scores[name].items()):
                beside = [self.scores[other][seed] for other in self.fixed if seed in self.scores[other]]
                if beside or not self.fixed:
                    away.append(score - (float(np.mean(beside)) if beside else 0.0))
            found.append(np.array(away) - (np.mean(away) if away else 0.0))
        return found, sum(max(len(each) - 1, 0) for each in found)

    def _noise(self, units: Sequence[Sequence[str]], spreads: Mapping[Draw, Spread], runs: float, df: Sequence[float]) -> Noise:
        kinds = [self.kinds[name] for unit in units for name in unit]
        member = np.array([[float(kind == of) for of in kinds] for kind in spreads])
        return Noise(member, np.array([spread.sd**2 for spread in spreads.values()]), np.full(len(kinds), runs), np.array(df, float))

    def _by_arm(self) -> Floats:
        """(contrasts, arms) where all share their seeds: a random arm stands for its distance to the fixed arms' mean."""
        rows = []
        for a, b in self.pairs:
            row = np.array([float(name == a) - float(name == b) for name in self.names])
            if self.kinds[a] != self.kinds[b]:
                sign = 1.0 if self.kinds[a] == "fixed" else -1.0
                row -= sign * np.array([float(name in self.fixed) / len(self.fixed) for name in self.names])
            rows.append(row)
        return np.array(rows).reshape(-1, len(self.names))

    def _by_run(self) -> Floats:
        """(contrasts, runs), arms by name and their runs by seed."""
        place = {cell: i for i, cell in enumerate((name, seed) for name in self.names for seed in sorted(self.scores[name]))}
        family = np.zeros((len(self.pairs), len(place)))
        for row, (a, b), seeds in zip(family, self.pairs, self.shared, strict=True):
            for seed in seeds:
                row[place[a, seed]] += 1 / len(seeds)
                row[place[b, seed]] -= 1 / len(seeds)
                if self.kinds[a] != self.kinds[b]:
                    beside = [place[name, seed] for name in self.fixed if seed in self.scores[name]]
                    row[beside] -= (1.0 if self.kinds[a] == "fixed" else -1.0) / len(seeds) / len(beside)
        return family

    def _own(self, means: Floats, have: tuple[int, ...], spreads: dict[Draw, Spread]) -> Design:
        """Every contrast with the variance of its own differences by seed; the units are contrasts."""
        each = np.eye(len(self.pairs))
        variance = np.array([float(d.var(ddof=1)) if len(d) > 1 else 0.0 for d in self.differences])

        def planned(count: int) -> tuple[Noise, Floats]:
            return Noise(each, variance, np.full(len(each), float(count)), np.full(len(each), count - 1.0)), each

        runs = np.array([float(n) for n in have])
        return Design(Noise(each, variance, runs, runs - 1), each, means, have, spreads, planned, (False,) * len(each))


def _spread(runs: Sequence[Floats], bank: Bank | None) -> tuple[Spread, tuple[float, float]]:
    """Unpaired arms' spread, and the pooled variance to use with its degrees of freedom."""
    variance, df = _pooled_variance(runs)
    use, joined = None, (variance, float(df))
    if bank is not None:
        *found, use = bank.joined(variance, df)
        if df < LEAST_DF:
            joined = (found[0], found[1])
        else:
            use = BankUse(use.sd, use.df, use.runs, use.pools, use.p, used=False)
    return Spread(float(np.sqrt(joined[0])), joined[1] if use and use.used else df, _unequal(runs), True, use), joined


def _unequal(runs: Sequence[Floats]) -> float | None:
    """p of equal variances. Two runs lie equally far from their median, so the test needs three."""
    away = [np.abs(r - np.median(r)) for r in runs if len(r) > 2]
    total = sum(len(a) for a in away)
    if len(away) < 2 or not any(a.any() for a in away):
        return None
    mean = sum(float(a.sum()) for a in away) / total
    between = sum(len(a) * (float(a.mean()) - mean) ** 2 for a in away) / (len(away) - 1)
    within = sum(float(((a - a.mean()) ** 2).sum()) for a in away) / (total - len(away))
    if within == 0:
        return float(between == 0)
    return float(special.fdtrc(len(away) - 1, total - len(away), between / within))


def _pooled_variance(runs: Sequence[Floats]) -> tuple[float, int]:
    df = sum(len(r) - 1 for r in runs)
    return (sum(float(((r - r.mean()) ** 2).sum()) for r in runs) / df if df else 0.0), df
