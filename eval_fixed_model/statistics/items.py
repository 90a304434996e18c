"""One task's difference between two arms, with an interval over seeds and items, both taken for samples."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from curate.errors import CeterisError
from eval_fixed_model.statistics.records import CONFIDENCE, Analysis, Floats

RESAMPLES = 2_000
RESAMPLES_AT_ONCE = 200


@dataclass(frozen=True)
class TaskDifference:
    """Candidate minus control on one task, in the values' unit, with its own 95% interval (not simultaneous; None with one seed), standard
    error, the share of its variance that more items would remove, and the degrees of freedom. It is no verdict: only the headline has one.
    """

    difference: float
    low: float | None
    high: float | None
    error: float | None
    of_items: float | None
    df: float | None


def task_difference(values: npt.ArrayLike, analysis: Analysis = "unpaired", resamples: int = RESAMPLES) -> TaskDifference:
    """The difference of two arms (values: (2, seeds, items), candidate first, the same items in the same order).

    Items are resampled crossed over arms and seeds, seeds within arms (paired: for both alike), as in the pigeonhole bootstrap (Owen 2007),
    with two corrections: seeds' weights are spread by seeds / (seeds - 1), since few are resampled with too little variance, and twice the
    variance of what items and seeds do together is taken off, which that bootstrap counts three times. Student's t with
    Satterthwaite's degrees of freedom, seeds' and items', since percentiles over 3 to 5 seeds are far too narrow. Seeded.
    Raises CeterisError for another shape and values that are not finite.
    """
    table = np.asarray(values, float)
    if table.ndim != 3 or len(table) != 2 or not table.size:
        raise CeterisError(f"values have shape {table.shape}", fix="give (2 arms, seeds, items)")
    if not np.isfinite(table).all():
        raise CeterisError("a value is not finite", fix="leave out the items that were not asked, in both arms")
    _, seeds, items = table.shape
    difference = float(table[0].mean() - table[1].mean())
    if seeds < 2 or items < 2:
        return TaskDifference(difference, None, None, None, None, None)
    random, drawn = np.random.default_rng(0), []
    stretch = np.sqrt(seeds / (seeds - 1))
    for start in range(0, resamples, RESAMPLES_AT_ONCE):
        count = min(RESAMPLES_AT_ONCE, resamples - start)
        of_items = random.multinomial(items, np.full(items, 1 / items), count) / items
        of_seeds = 1 + stretch * (random.multinomial(seeds, np.full(seeds, 1 / seeds), (count, 2)) - 1)
        if analysis == "paired":
            of_seeds[:, 1] = of_seeds[:, 0]
        means = np.einsum("asi,bi->bas", table, of_items, optimize=True)
        drawn.append((means * of_seeds).mean(2) @ np.array([1.0, -1.0]))
    seed_part, item_part, both = _parts(table, analysis)
    # A resample's variance holds seeds + items + 3 both; `seed_part` and `item_part` each hold theirs + both.
    variance = max(float(np.concatenate(drawn).var()) - 2 * both, max(seed_part.sum(), item_part))
    if not variance:
        return TaskDifference(difference, difference, difference, 0.0, None, None)
    below = float((seed_part**2).sum()) / (seeds - 1) + max(item_part - both, 0.0) ** 2 / (items - 1)
    df = variance**2 / below if below else float(seeds - 1)  # all that varies is of items and seeds together: the fewer count
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, df)) * np.sqrt(variance)
    return TaskDifference(
        difference, difference - half, difference + half, float(np.sqrt(variance)), float(min(item_part / variance, 1.0)), float(df)
    )


def _parts(table: Floats, analysis: Analysis) -> tuple[Floats, float, float]:
    """Variances of the difference by its margins: of seeds (an entry an arm; paired: one), of items, and of both together."""
    _, seeds, items = table.shape
    rows = (table[0] - table[1])[None] if analysis == "paired" else table
    left = rows - rows.mean(2, keepdims=True) - rows.mean(1, keepdims=True) + rows.mean((1, 2), keepdims=True)
    both = float((left**2).sum()) / ((seeds - 1) * (items - 1)) / (seeds * items)
    of_items = (table[0] - table[1]).mean(0).var(ddof=1) / items
    return rows.mean(2).var(axis=1, ddof=1) / seeds, float(of_items), both
