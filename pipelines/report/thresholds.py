"""How many rows a stage would keep with another threshold, as far as stored evidence tells: nothing is measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.expression import Clause, parse
from curate.grammar import Node
from curate.plan import POOL
from pipelines.report.evidence import Floats, Held, Mask

POINTS = 160
WIDE = 200
"""Between thresholds that are so many times each other, the axis is logarithmic."""
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Curve:
    """Rows that a stage keeps, for every threshold in `at` (ascending): at `least`, and at `most` where rows that would enter have never
    been asked what comes later. `now` is the threshold in force (None: the rule kept nothing), `rule` its text, `sign` the comparison,
    `entering` the rows it judged, of which `unmeasured` have no value; `kept` are the rows kept now, `judged` (rows,) which
    those were that it judged. `ties` are the rows equal to a cut."""

    stage: str
    rule: str
    column: str
    sign: str
    now: float | None
    at: tuple[float, ...]
    least: tuple[int, ...]
    most: tuple[int, ...]
    entering: int
    unmeasured: int
    kept: int
    judged: Mask = field(repr=False, compare=False)
    ties: int = 0

    def exact(self, place: int) -> bool:
        """Whether the count at a threshold is exact."""
        return self.least[place] == self.most[place]

    @property
    def unsure(self) -> bool:
        """Whether any count is not exact."""
        return self.least != self.most

    @property
    def logarithmic(self) -> bool:
        """Whether thresholds spread so far that they are read on a logarithmic axis."""
        return self.at[0] > 0 and self.at[-1] / self.at[0] > WIDE

    @property
    def name(self) -> str:
        """Stage and column."""
        return f"{self.stage}: {self.column}"


def curves(held: Held) -> list[Curve]:
    """Of every stage that keeps the top by a number, and of every clause that compares a number with a constant, in the stages' order."""
    found = []
    for stage, node in held.run.facts["nodes"].items():
        if stage == POOL or not node["rule"]:
            continue
        made = [_top(held, stage, node["rule"])] if node["rule"].startswith("top ") else list(_clauses(held, stage, node["rule"]))
        found += [one for one in made if one is not None]
    return found


def clauses_of(rule: str) -> tuple[Clause, ...]:
    """The clauses of a rule that is an expression; none of another."""
    try:
        return parse(rule)
    except RecipeError:
        return ()


def _top(held: Held, stage: str, rule: str) -> Curve | None:
    column = held.run.facts["nodes"][stage]["columns"][0]
    cut = held.run.decided(stage).cut
    if column not in held.numeric() or cut is None or cut.value is None or " tokens of " in rule:
        return None
    sign = "<=" if f"{column} asc" in rule else ">="
    entering, values = held.entering(stage), held.numbers(column)
    measured = entering & ~np.isnan(values)
    at = _grid(values[measured], cut.value)
    counts = tuple(int(count) for count in _passing(values[measured], at, sign))
    kept, unmeasured = int(held.kept(stage).sum()), int((entering & ~measured).sum())
    ties = int((values[measured] == cut.value).sum())
    return Curve(
        stage, rule, column, sign, cut.value, tuple(at.tolist()), counts, counts, int(entering.sum()), unmeasured, kept, entering, ties
    )


def _clauses(held: Held, stage: str, rule: str) -> Iterator[Curve | None]:
    clauses = clauses_of(rule)
    reasons, codes = held.run.decided(stage).reasons, held.codes(stage)
    reaching = held.entering(stage)
    for number, clause in enumerate(clauses):
        of_this = [code for code, reason in enumerate(reasons) if (reason.stage, reason.text) == (stage, clause.text)]
        passing = reaching & ~np.isin(codes, of_this)
        found = _comparison(clause.tree)
        if found and clause.columns[0] in held.numeric() and reaching.any():
            yield _clause(held, stage, clause, found, (reaching, passing), clauses[number + 1 :])
        reaching = passing


def _clause(
    held: Held, stage: str, clause: Clause, found: tuple[str, Fraction], masks: tuple[Mask, Mask], later: Sequence[Clause]
) -> Curve | None:
    (sign, literal), (reaching, passing) = found, masks
    column = clause.columns[0]
    values = held.numbers(column)
    now = float(literal)
    if held.column(column).dtype == pl.Float32:
        now = float(np.float32(now))  # as the rule compares
    measured = reaching & ~np.isnan(values)
    if not measured.any():
        return None
    at, kept = _grid(values[measured], now), held.kept(stage)
    outside = measured & ~passing
    sure, unknown = _judged_later(held, later, outside)
    least = _passing(values[kept], at, sign) + _passing(values[outside][sure], at, sign)
    most = least + _passing(values[outside][unknown], at, sign)
    counts = [tuple(int(count) for count in each) for each in (least, most)]
    about = int(reaching.sum()), int((reaching & ~measured).sum()), int(kept.sum()), reaching
    return Curve(stage, clause.text, column, sign, now, tuple(at.tolist()), counts[0], counts[1], *about)


def _judged_later(held: Held, later: Sequence[Clause], rows: Mask) -> tuple[Mask, Mask]:
    """Of rows that a looser threshold would let in: which every later clause keeps, and of which that is not known."""
    held_in, unknown = np.ones(int(rows.sum()), bool), np.zeros(int(rows.sum()), bool)
    for clause in later:
        frame = pl.DataFrame([held.column(column).filter(pl.Series(rows)).alias(column) for column in clause.columns])
        try:
            answer = clause.evaluate(frame)
        except RecipeError:  # nothing was measured at all
            answer = pl.Series([None] * frame.height, dtype=pl.Boolean)
        unknown |= answer.is_null().to_numpy()
        held_in &= answer.fill_null(True).to_numpy()
    return held_in & ~unknown, held_in & unknown


def _comparison(tree: Node) -> tuple[str, Fraction] | None:
    """(sign, literal) of `column sign literal`, in that order however it is written; None of anything else."""
    if tree.op not in _TURNED or len(tree.parts) != 2:
        return None
    left, right = tree.parts
    if left.op == "column" and (value := _literal(right)) is not None:
        return tree.op, value
    if right.op == "column" and (value := _literal(left)) is not None:
        return _TURNED[tree.op], value
    return None


def _literal(node: Node) -> Fraction | None:
    if node.op == "neg" and (value := _literal(node.parts[0])) is not None:
        return -value
    return node.value if node.op == "literal" and isinstance(node.value, Fraction) else None


def _grid(values: Floats, now: float) -> Floats:
    """Thresholds worth a step: every value where they are few, else as many quantiles as equal steps; and the one in force."""
    every = np.unique(values)
    if every[0] == 0 < now and every[-1] > WIDE * min(now, float(every[1])):
        every = every[1:]  # so that they are read on a logarithmic axis
        values = values[values > 0]
    if every.size > POINTS:
        shares = np.linspace(0, 1, POINTS // 2)
        every = np.concatenate([np.quantile(values, shares, method="nearest"), np.linspace(every[0], every[-1], POINTS // 2)])
    found: Floats = np.unique(np.concatenate([every, [now]]))
    return found


def _passing(values: Floats, at: Floats, sign: str) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """How many of the values pass each threshold."""
    ordered = np.sort(values)
    below = np.searchsorted(ordered, at, side="left" if sign in (">=", "<") else "right")
    return (ordered.size - below if sign in (">=", ">") else below).astype(np.int64)
