"""What a run selected: the funnel by stage and reason, how subsets overlap, and what each is made of before and after."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from curate.errors import CeterisError
from curate.plan import LAWFUL, POOL, REVOKED, UNSEEN, parted
from pipelines import verbs
from pipelines.report.evidence import SHOWN_SUBSETS, Floats, Held
from pipelines.report.thresholds import clauses_of
from pipelines.report.words import several

BINS = 36
VALUES = 14
COMBINATIONS = 24
NAMES = {
    POOL: "the pool",
    UNSEEN: "rows that no model was trained on",
    LAWFUL: "rows that are not restricted",
    REVOKED: "rows that were not taken down",
}


@dataclass(frozen=True)
class Left:
    """Rows that left a stage for one reason: `kind` is dropped, no evidence, quarantined, restricted or revoked."""

    kind: str
    text: str
    rows: int


@dataclass(frozen=True)
class Step:
    """A stage of the funnel: rows in (None for unions and intersections, which nothing enters) and kept, the reasons of the others, the
    rows it came from, its rule and cut."""

    stage: str
    about: str
    parents: str
    rule: str
    rows: int | None
    kept: int
    samples: int
    cut: float | None
    note: str
    subset: bool
    left: tuple[Left, ...]

    @property
    def clauses(self) -> int:
        """How many conditions its rule has, where they are listed one by one; else 0."""
        return len(clauses) if len(clauses := clauses_of(self.rule)) > 1 else 0

    def by_kind(self) -> list[tuple[str, int]]:
        """Rows that left, by kind, and those kept first."""
        counts = Counter({"kept": self.kept})
        for one in self.left:
            counts[one.kind] += one.rows
        return list(counts.items())


@dataclass(frozen=True)
class Combination:
    """Rows in just these subsets; `inside` has an entry for each subset."""

    inside: tuple[bool, ...]
    rows: int


@dataclass(frozen=True)
class Histogram:
    """A numeric column over the pool and one subset: `bins` are {low, high, before, after, told}, rows without a value apart."""

    column: str
    subset: str
    bins: tuple[dict[str, Any], ...]
    logarithmic: bool
    before: "Summary"
    after: "Summary"


@dataclass(frozen=True)
class Summary:
    """Of the values of a column: rows that have one, rows that have none, and quantiles."""

    measured: int
    unmeasured: int
    low: float
    quarter: float
    median: float
    three_quarters: float
    high: float


@dataclass(frozen=True)
class Mix:
    """What subsets are made of by one column: a line for each value, with the rows of each subset; the rarest values are one line."""

    column: str
    subsets: tuple[str, ...]
    totals: tuple[int, ...]
    lines: tuple[tuple[str, tuple[int, ...]], ...]
    others: int

    @property
    def most(self) -> float:
        """The largest share of any value in any subset."""
        return max(
            (rows / total for _, counts in self.lines for rows, total in zip(counts, self.totals, strict=True) if total), default=1.0
        )


def funnel(held: Held) -> list[Step]:
    """Every stage in order."""
    facts, steps = held.run.facts, []
    for line in held.run.funnel():
        node = facts["nodes"][line["stage"]]
        joined = ", ".join(node["parents"])
        joined = joined if node["combinator"] == "after" else f"{node['combinator'].replace('_', ' ')} {joined}"
        left = _left(line["reasons"], node["rule"] or "")
        samples = line.get("samples") or line["kept"]
        about = NAMES.get(line["stage"], "")
        parents_told = "" if line["stage"] == POOL else joined
        named = line["stage"] in facts["subsets"]
        rest = (line["in"], line["kept"], samples, line["cut"], line.get("note") or "", named, left)
        steps.append(Step(line["stage"], about, parents_told, node["rule"] or "", *rest))
    return steps


def _left(reasons: Sequence[dict[str, Any]], rule: str) -> tuple[Left, ...]:
    """Reasons with their rows; of a rule of several clauses every clause, also one for which no row left."""
    found = [Left(reason["kind"], reason["text"], reason["rows"]) for reason in reasons if reason["rows"]]
    clauses = [clause.text for clause in clauses_of(rule)]
    if len(clauses) < 2:
        return tuple(found)
    silent = [Left("dropped", text, 0) for text in clauses if not any(one.text == text for one in found)]
    order = {text: place for place, text in enumerate(clauses)}
    return tuple(sorted([*found, *silent], key=lambda one: order.get(one.text, len(order))))


def overlaps(held: Held) -> tuple[tuple[str, ...], list[Combination], int]:
    """(subsets, combinations with most rows first, rows in combinations that are left out). None where there are fewer than two subsets."""
    names = tuple(held.subsets()[-16:])
    if len(names) < 2:
        return names, [], 0
    members = np.zeros(held.run.pool.rows, np.uint32)
    for bit, name in enumerate(names):
        members |= held.of_subset(name).astype(np.uint32) << np.uint32(bit)
    found, counts = np.unique(members, return_counts=True)
    every = [
        Combination(tuple(bool(int(key) >> bit & 1) for bit in range(len(names))), int(count))
        for key, count in zip(found, counts, strict=True)
    ]
    every.sort(key=lambda one: -one.rows)
    return names, every[:COMBINATIONS], sum(one.rows for one in every[COMBINATIONS:])


def mixes(held: Held) -> list[Mix]:
    """Licences, languages and sources where the run has them, of the pool and of every subset."""
    measures, found = held.run.facts["measures"], []
    wanted = [
        c
        for c in ("license.class", "license.expression", "language.code")
        if parted(c)[1] in measures.get(parted(c)[0], {}).get("columns", {})
    ]
    wanted += [role for role in ("license", "source") if role in held.run.pool.roles and not held.gone and f"{role}.class" not in wanted]
    if not wanted:
        return []
    try:
        tables = verbs.mixes(held.run, wanted)
    except CeterisError:
        return []
    for column, table in tables.items():
        found.append(_mix(column, table))
    return found


def _mix(column: str, table: pl.DataFrame) -> Mix:
    names = tuple(table.columns[1:])
    totals = tuple(int(table[name].sum()) for name in names)
    shown = [(str(values[0]), tuple(int(value) for value in values[1:])) for values in table.head(VALUES).rows()]
    rest = table.slice(VALUES)
    if rest.height:
        shown.append((several(rest.height, "other value"), tuple(int(rest[name].sum()) for name in names)))
    return Mix(column, names, totals, tuple(shown), rest.height)


def histograms(held: Held) -> list[list[Histogram]]:
    """Of every numeric column: one for each of the last subsets, all in the same bins."""
    names = held.subsets()[-SHOWN_SUBSETS:]
    found = []
    for column in held.numeric():
        values = held.numbers(column)
        known = values[~np.isnan(values)]
        if known.size and known.min() < known.max():
            edges, end, logarithmic = _edges(known, held.column(column).dtype.is_integer())
            found.append([_histogram(held, column, name, edges, end, logarithmic) for name in names])
    return found


def _histogram(held: Held, column: str, subset: str, edges: Floats, end: float, logarithmic: bool) -> Histogram:
    values, inside = held.numbers(column), held.of_subset(subset)
    known = ~np.isnan(values)
    before, after = (np.histogram(values[mask], edges)[0] for mask in (known, known & inside))
    whole, bins = held.column(column).dtype.is_integer(), []
    for low, high, b, a in zip(edges[:-1].tolist(), edges[1:].tolist(), before.tolist(), after.tolist(), strict=True):
        if b:
            told = f"{_span(low, high, whole)}: {several(b)} before, {a:,} after ({a / b:.1%} of them)"
            bins.append({"low": low, "high": min(high, end), "before": b, "after": a})
            bins[-1]["told"] = told
    return Histogram(column, subset, tuple(bins), logarithmic, summary(values), summary(values[inside]))


def summary(values: Floats) -> Summary:
    """Counts and quantiles."""
    known = values[~np.isnan(values)]
    quantiles: Sequence[float] = np.quantile(known, [0, 0.25, 0.5, 0.75, 1]).tolist() if known.size else [float("nan")] * 5
    return Summary(known.size, values.size - known.size, *quantiles)


def _edges(known: Floats, whole: bool) -> tuple[Floats, float, bool]:
    """Bin edges over all values, where the last bin ends as it is drawn, and whether the axis is logarithmic. Edges of whole numbers lie at
    halves, so that a bin holds what it says. Logarithmic where values spread far above 0; else few values far out share the last bin,
    which is drawn as wide as the one before."""
    low, high = float(known.min()), float(known.max())
    if whole:
        low, high = low - 0.5, high + 0.5
    spread = low > 0 and high / max(float(np.median(known)), 1e-12) > 12
    most = float(np.quantile(known, 0.995))
    far = not spread and high - low > 3 * (most - low) > 0
    if spread:
        edges = np.geomspace(low, high, BINS + 1)
    else:
        end = most if far else high
        edges = np.linspace(low, end, (min(BINS, max(round(end - low), 1)) if whole else BINS) + 1)
    if whole:
        edges = np.floor(edges) + 0.5
    edges[0] = low
    if far:
        return np.unique(np.append(edges, high)), float(2 * edges[-1] - edges[-2]), spread
    return np.unique(np.append(edges[:-1], high)), high, spread


def _span(low: float, high: float, whole: bool) -> str:
    if whole:
        first, last = round(low + 0.5), round(high - 0.5)
        return f"{first:,}" if first == last else f"{first:,} to {last:,}"
    return f"{low:.4g} to {high:.4g}"
