"""Looking more than once: fixed looks that spend the 5% between them, so that stopping at the first verdict is no way to one.

What a look may spend follows Lan and DeMets (1983) in the share of the schedule's seeds seen by then. Its critical value is that of the
family's greatest |t| in the whole process, with the variance estimated anew at each look: simulated run by run, so both the correlation
of contrasts and that of looks are in it. Intervals at a look are repeated confidence intervals (Jennison and Turnbull 1989): they hold for
all contrasts at all looks together, whatever made it stop.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import stats

from curate.errors import CeterisError
from eval_fixed_model.statistics.design import Design
from eval_fixed_model.statistics.noise import DRAWS, Noise, weighed
from eval_fixed_model.statistics.records import CONFIDENCE, Floats, LookTaken

Spending = Literal["pocock", "obrien-fleming"]

RUNS_AT_ONCE = 500_000
LEAST_COUNT = 50


@dataclass(frozen=True)
class Look:
    """The look that is taken: `number` from 1 in a schedule of seeds per arm, fixed beforehand, and how it spends.

    "obrien-fleming" keeps nearly all of the 5% for the last look; "pocock" spends about evenly, so clear differences end it early.
    """

    schedule: tuple[int, ...]
    number: int
    spending: Spending = "obrien-fleming"

    def __post_init__(self) -> None:
        """Raises CeterisError for a schedule that does not rise from 2 or more, or a look that is not in it."""
        rises = all(a < b for a, b in zip(self.schedule, self.schedule[1:], strict=False))
        if not self.schedule or self.schedule[0] < 2 or not rises:
            raise CeterisError(f"looks at {self.schedule} seeds are no schedule", fix="give rising numbers of seeds, 2 and more")
        if not 1 <= self.number <= len(self.schedule):
            raise CeterisError(f"look {self.number} is not one of {len(self.schedule)}", fix="number looks from 1")


def spent(share: float, spending: Spending = "obrien-fleming") -> float:
    """What of the 5% is spent once `share` (0-1) of the schedule's seeds are seen (Lan and DeMets 1983, alpha*1 and alpha*2)."""
    alpha = 1 - CONFIDENCE
    if spending == "pocock":
        return alpha * math.log(1 + (math.e - 1) * share)
    return float(2 * stats.norm.sf(stats.norm.isf(alpha / 2) / math.sqrt(share)))


def taken(look: Look, design: Design) -> LookTaken:
    """The critical values of all looks, for the family and variances of a design whose arms have the runs of this look.

    Arms that have more runs than this look, or fewer, are taken to have had them at every look up to this. Raises CeterisError for a
    paired design whose arms do not share all seeds, and where a bank stands in for own runs.
    """
    if design.centred is None:
        raise CeterisError("looks of a paired scale need every arm at the same seeds", fix="evaluate all arms with the same seeds")
    if any(spread.bank is not None and spread.bank.used for spread in design.spreads.values()):
        raise CeterisError("looks begin where own runs say how noisy they are", fix="begin the schedule with more seeds")
    now = look.schedule[look.number - 1]
    counts = [[n if runs == now else int(runs) for runs in design.noise.runs] for n in look.schedule]
    family = design.family[design.noise.errors(design.family)[1] > 0]
    arrays = (design.noise.member, design.noise.ratios, np.array(counts, float), np.array(design.centred, float), family)
    shares = tuple(n / look.schedule[-1] for n in look.schedule)
    levels = tuple(spent(share, look.spending) for share in shares)
    critical = _critical(tuple(np.ascontiguousarray(each).tobytes() for each in arrays), arrays[0].shape, design.noise.alike, levels, DRAWS)
    return LookTaken(look.schedule, look.number, levels[look.number - 1], critical)


@lru_cache(maxsize=32)
def _critical(held: tuple[bytes, ...], shape: tuple[int, int], alike: float, levels: tuple[float, ...], draws: int) -> tuple[float, ...]:
    flat = [np.frombuffer(each) for each in held]
    member, ratios, counts, centred = flat[0].reshape(shape), flat[1], flat[2].reshape(-1, shape[1]).astype(int), flat[3] > 0
    family = flat[4].reshape(-1, shape[1])
    if not len(family):
        return tuple(math.inf for _ in levels)
    greatest, df = _process(member, ratios, counts, centred, family, alike, draws)
    alive, found = np.ones(draws, bool), []
    for look, (level, before) in enumerate(zip(levels, (0.0, *levels), strict=False)):
        want = (level - before) * draws
        if want < LEAST_COUNT:
            # Too rare to be simulated: Bonferroni over the family, hardly wider so far out. There an arm that is rarely so noisy, and whose
            # own runs rarely do not show it, decides: the tail falls as that of t with `alike` and the runs' own degrees of freedom.
            tail = min(df[look], alike + int(counts[look][family.any(0)].min()) - 1)
            critical = float(stats.t.isf((level - before) / 2 / len(family), tail))
        else:
            reached = np.sort(greatest[alive, look])
            critical = float(reached[max(len(reached) - math.floor(want), 0)])
        found.append(critical)
        alive &= greatest[:, look] <= critical
    return tuple(found)


def _process(
    member: Floats,
    ratios: Floats,
    counts: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]",
    centred: object,
    family: Floats,
    alike: float,
    draws: int,
) -> tuple[Floats, list[float]]:
    """(draws, looks): the family's greatest |t| at each look, were there no differences; and each look's least degrees of freedom."""
    random, marked = np.random.default_rng(0), np.asarray(centred, bool)
    units, most = counts.shape[1], int(counts.max())
    deviation = np.sqrt(ratios @ member)
    greatest, least = [], []
    for look in counts:
        df = np.maximum(_freedom(member, look, marked), 1e-9)
        least.append(float(Noise(member, ratios, look.astype(float), df, alike=alike).errors(family)[1].min()))
    piece = max(1, RUNS_AT_ONCE // (units * most))
    for start in range(0, draws, piece):
        count = min(piece, draws - start)
        runs = random.standard_normal((count, units, most)) * deviation[:, None]
        if not math.isinf(alike):
            runs *= np.sqrt(alike / random.chisquare(alike, (count, units, 1)))
        if marked.any():
            runs[:, marked] -= runs[:, marked].mean(1, keepdims=True)
        sums, squares = runs.cumsum(2), (runs**2).cumsum(2)
        each = []
        for look in counts:
            total, df, arm = sums[:, np.arange(units), look - 1], _freedom(member, look, marked), np.arange(units)
            inside = squares[:, arm, look - 1] - total**2 / look
            pooled = inside @ member.T / np.maximum(df, 1e-9) @ member
            held = weighed(pooled, inside / np.maximum(look - 1, 1), look - 1, alike)
            each.append((np.abs(total / look @ family.T) / np.sqrt(held / look @ (family**2).T)).max(1))
        greatest.append(np.stack(each, 1))
    return np.concatenate(greatest), least


def _freedom(member: Floats, look: object, centred: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> Floats:
    """Each component's degrees of freedom at a look; units that are centred together lose those of their common part."""
    runs = np.asarray(look, float) - 1
    common = member @ (centred * runs) / np.maximum(member @ centred, 1)
    left: Floats = member @ runs - common
    return left
