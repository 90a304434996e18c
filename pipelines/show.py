"""What people see: tables, funnels, the story of a row, and progress with a rate and the time left."""

import io
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from curate.estimate import Forecast
from curate.passes import Effort
from curate.plan import Plan
from curate.shard_files import TABLES

ENDLESS = 10_000
out = Console(highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)
EVERY = 10.0
FIRST = 1.0
"""Seconds of work before a rate is told."""
LISTED = 12
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Things per second so far; nothing in the first second."""
        speed = task.finished_speed or task.speed
        return Text(_rate(speed) if speed and (task.elapsed or 0.0) >= FIRST else "")


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.2f}/s"


@contextmanager
def progress() -> "Iterator[Watch]":
    """Bars on a terminal; elsewhere a line every ten seconds. Both go to stderr."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=err,
        disable=not err.is_terminal,
    )
    with bars:
        yield Watch(bars)


class Watch:
    """Called with (label, done, total) as work goes on."""

    def __init__(self, bars: Progress) -> None:
        """Nothing is under way yet."""
        self.bars = bars
        self.tasks: dict[str, Any] = {}
        self.began: dict[str, tuple[float, int]] = {}
        self.said = time.monotonic()

    def __call__(self, label: str, done: int, total: int) -> None:
        """Say where `label` stands."""
        self.began.setdefault(label, (time.monotonic(), done))
        if err.is_terminal:
            if label not in self.tasks:
                self.tasks[label] = self.bars.add_task(escape(label), total=total)
            self.bars.update(self.tasks[label], completed=done, total=total)
        elif time.monotonic() - self.said > EVERY and done:
            self.said = time.monotonic()
            err.print(escape(f"{label}: {done:,} of {total:,}{self._pace(label, done, total)}"))

    def _pace(self, label: str, done: int, total: int) -> str:
        """The rate since this label was first heard of, and the time left; nothing in its first second, or while nothing was done since."""
        began, before = self.began[label]
        spent = self.said - began
        if spent < FIRST or done <= before:
            return ""
        rate = (done - before) / spent
        return f", {_rate(rate)}, {(total - done) / rate:,.0f} s left"


def line(text: str) -> None:
    """Print a line as it is, however long, so that it can be pasted."""
    out.print(visible(text), markup=False, soft_wrap=True)


def note(text: str) -> None:
    """Print a line to stderr as it is: brackets are not markup."""
    err.print(visible(text), markup=False)


def visible(text: str) -> str:
    """A text of which no character steers the terminal or turns the line: those are written as in Python; line ends and tabs stay."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> None:
    """Print a plain table. Nothing is cut: a line that is too long for the terminal is wrapped by the terminal."""
    made = Table(title=escape(visible(title)), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if number in right else "left"
        made.add_column(escape(visible(column)), justify=justify, no_wrap=True)
    for row in rows:
        made.add_row(*[escape(_cell(value)) for value in row])
    wide = Console(width=ENDLESS, file=io.StringIO(), force_terminal=out.is_terminal, highlight=False)
    with wide.capture() as drawn:
        wide.print(made)
    for text in drawn.get().splitlines():
        out.print(Text.from_ansi(text.rstrip()), soft_wrap=True)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else visible(str(value))


def pool(about: Mapping[str, Any]) -> None:
    """What `curate pool` believes."""
    size = f"{about['rows']:,} rows in {about['shards']} shards, {_bytes(about['bytes'])}"
    line(f"{about['path']}: {about['layout']}, {about['modality']}, {size}")
    table("roles", ["role", "column"], list(about["roles"].items()))
    columns = {name: f"pool.{name} ({dtype})" for name, dtype in about["columns"].items()}
    vectors = [columns.pop(name) for name, dtype in about["columns"].items() if dtype.startswith("vector of")]
    line(f"columns for rules: {', '.join(columns.values()) or 'none'}")
    if vectors:
        line(f"columns for signals and models only: {', '.join(vectors)}")
    for row in about["sample"]:
        line("  " + "; ".join(f"{role}: {value}".replace("\n", " ") for role, value in row.items()))
    if about["unreadable"]:
        pool_faults(about["unreadable"])
    if about["faults"]:
        lines = [[one["file"], one["role"], one["code"], one["rows"], ", ".join(_spots(one))] for one in about["faults"][:LISTED]]
        table("rows with faults", ["file", "role", "code", "rows", "the first"], lines, right=(3,))
        if len(about["faults"]) > LISTED:
            line(f"... and {len(about['faults']) - LISTED:,} more lines (--json shows all)")
    if about["uids"]:
        line(f"a run will refuse it: {about['uids']}")
    if about["looked"] < about["rows"]:
        line(f"of its rows the first {about['looked']:,} were looked at; --scan looks at all")
    if about["naming"]:
        line(about["naming"])
    if about["aside"]:
        others = [f"{count:,} {ending or 'without an ending'} ({first})" for ending, (count, first) in about["aside"].items()]
        line(f"left aside, no files of this pool: {', '.join(others)}")
        for ending in (one for one in TABLES if one in about["aside"]):
            line(f"  {ending} is not read: {TABLES[ending]}")


def _spots(fault: Mapping[str, Any]) -> list[str]:
    return [*(fault["at"] or [f"row {row}" for row in fault["first"]]), *(["..."] if fault["rows"] > len(fault["first"]) else [])]


def pool_faults(unreadable: Sequence[Mapping[str, Any]]) -> None:
    """Files that were left out, and why."""
    table("not readable, left out", ["file", "code", "detail", "fix"], [list(one.values()) for one in unreadable])


def plan(made: Plan, known: Forecast) -> None:
    """The DAG with what is in the store and what it costs."""
    rows = []
    for name, node in made.nodes.items():
        parents = "" if node.combinator == "pool" else f"{node.combinator} {', '.join(node.parents)}"
        rule = node.rule.text if node.rule is not None else ""
        rows.append([name, parents, ", ".join(known.stages[name]), rule])
    size = f"{made.pool.rows:,} rows" if made.pool.shards else f"no pool yet, as on any of the layout {made.pool.layout}"
    table(f"{made.recipe.name}: {size}", ["stage", "from", "asks", "keeps"], rows)
    evidence = []
    for name, one in known.evidence.items():
        stored = "unknown until made" if one.rows is None else f"{one.rows:,} of {made.pool.rows:,}"
        cost = "not measured yet" if one.seconds_per_row is None else f"{one.seconds_per_row * 1e6:,.1f} us/row"
        left = None if one.rows is None or one.seconds_per_row is None else (made.pool.rows - one.rows) * one.seconds_per_row
        evidence.append([name, stored, cost, "" if left is None else f"{left:,.1f} s"])
    if evidence:
        table("evidence", ["signal", "in the store", "cost", "at most left"], evidence, right=(1, 2, 3))
    for name, curve in known.recall.items():
        columns = [f"alike, from {made.groups[name].threshold:g}", *[f"{similarity:g}" for similarity in curve]]
        table(name, columns, [["pairs found", *[f"{chance:.3f}" for chance in curve.values()]]], right=range(1, len(columns)))
    for advice in known.advice:
        line(f"advice: {advice}")


def funnel(lines: Sequence[Mapping[str, Any]]) -> None:
    """Rows in, kept and why not, stage by stage."""
    rows: list[list[Any]] = []
    for at in lines:
        kept = f"{at['kept']:,} ({at['samples']:,} samples)" if at.get("samples", at["kept"]) != at["kept"] else at["kept"]
        rows.append([at["stage"], at["in"], kept, "" if at["cut"] is None else f"cut at {at['cut']:.4g}"])
        rows += [["", "", "", f"{reason['rows']:,} {reason['kind']}: {reason['text']}"] for reason in at["reasons"]]
        rows += [["", "", "", at["note"]]] if at.get("note") else []
    table("funnel", ["stage", "in", "kept", "why not"], rows, right=(1, 2))


def effort(spent: Effort, rows: int) -> None:
    """What a run measured."""
    if not spent.measured and not any(spent.linked.values()):
        line("nothing had to be measured")
        return
    measured = [f"{name} {count:,} rows ({spent.seconds[name]:,.1f} s)" for name, count in spent.measured.items()]
    linked = [f"{name} {count:,} new keys linked" for name, count in spent.linked.items() if count]
    line(f"measured, of {rows:,}: " + "; ".join([*measured, *linked]))


def row(story: Mapping[str, Any]) -> None:
    """Why a row is in or out."""
    line(f"{story['uid']}  {story['shard']} row {story['row']}")
    for role in ("original", "text", "url", "license", "source"):
        if story.get(role):
            line(f"  {role}: " + str(story[role]).replace("\n", "\n    "))
    for stage, verdict in story["stages"].items():
        line(f"  {stage}: {told(stage, verdict, story['values'])}")
    table("values", ["evidence", "value"], list(story["values"].items()))
    line(f"in: {', '.join(story['subsets']) or 'no subset'}")


def told(stage: str, verdict: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """One stage's verdict on a row, in words, with the values its rule looked at."""
    rule = verdict["rule"] or ""
    text = "kept" if verdict["kind"] == "in" else str(verdict["kind"])
    if verdict["stage"] != stage:
        return f"{text} by {verdict['stage']}"  # which says the rest
    text += f": {rule}" if rule else ""
    if "cut" in verdict:
        text += f" (cut at {verdict['cut']:.6g})"
    if "survivor" in verdict:
        place = f" of {verdict['survivor_pool']}" if "survivor_pool" in verdict else ""
        text += f" (survivor {verdict.get('survivor_original', verdict['survivor'])}{place}, similarity {verdict['similarity']:.3f})"
    if "stands_for" in verdict:
        others, first = verdict["stands_for"]["rows"], [one.get("original", one["uid"]) for one in verdict["stands_for"]["first"]]
        more = ", ..." if others > len(first) else ""
        text += f" (stands for {others:,} {'other' if others == 1 else 'others'}: {', '.join(first)}{more})"
    if "alone" in verdict:
        text += f" (alone: {verdict['alone']})"
    if verdict.get("copies", 1) != 1:
        text += f" (used {verdict['copies']} times)"
    if "entries" in verdict:
        drawn = [
            f"{one['entry']} {'drew it' if one['drew'] else 'did not'}: p {one['p']:.3g} of {one['count']:,} rows"
            for one in verdict["entries"]
        ]
        return text + f"; {'; '.join([*drawn[:LISTED], *(['...'] if len(drawn) > LISTED else [])])}"
    looked = [f"{name} is {_cell(value)}" for name, value in values.items() if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", rule)]
    return text + (f"; {', '.join(looked)}" if looked else "")


def around(stage: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """The rows at a cut."""
    column = next(name for name in rows[0] if name not in ("uid", "original", "kept")) if rows else "value"
    named, own = _named(rows)
    values = ["(not shown)" if one[column] is None else f"{one[column]:.6g}" for one in rows]
    lines = [[*name, value, "kept" if one["kept"] else "dropped"] for name, value, one in zip(own, values, rows, strict=True)]
    table(f"around the cut of {stage}", [*named, column, ""], lines, right=(len(named),))


def _named(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns that name rows, and of each row what stands there: the uid, and where the pool has other ids, those."""
    named = ["uid", *(["original"] if any("original" in one for one in rows) else [])]
    return named, [[one.get(name, "") for name in named] for one in rows]


def offences(rows: Sequence[Mapping[str, Any]]) -> None:
    """The first rows that offend against a policy."""
    named, own = _named(rows)
    table(
        "the first of them",
        [*named, "clause", "value"],
        [[*name, one["clause"], one["value"]] for name, one in zip(own, rows, strict=True)],
    )


def mix(column: str, counts: pl.DataFrame) -> None:
    """What each subset is made of, as rows and shares."""
    names = counts.columns[1:]
    totals = {name: max(int(counts[name].sum()), 1) for name in names}
    rows = [
        [values[0], *[f"{value:,} ({value / totals[name]:.1%})" for name, value in zip(names, values[1:], strict=True)]]
        for values in counts.rows()
    ]
    shown = rows[:LISTED]
    table(f"by {column}", [column, *names], shown, right=range(1, len(names) + 1))
    if len(rows) > LISTED:
        line(f"... and {len(rows) - LISTED} more values (--json shows all)")


def quarantine(held: pl.DataFrame) -> None:
    """Files and rows in quarantine, and how many of each kind."""
    if held.is_empty():
        line("nothing is in quarantine")
        return
    kinds = (
        held.group_by("stage", "evidence", "code").len().sort("len", "stage", "evidence", "code", descending=[True, False, False, False])
    )
    table("quarantine", ["stage", "evidence", "code", "rows"], [list(row) for row in kinds.rows()], right=(3,))
    table("the first of them", held.columns, [list(row) for row in held.head(LISTED).rows()])
    if held.height > LISTED:
        line(f"... and {held.height - LISTED:,} more (--json shows all)")


def program() -> str:
    """How the user calls this command, so that printed lines can be pasted."""
    called = Path(sys.argv[0])
    found = shutil.which("curate")
    if called.name == "cli.py":  # as a module: its file is no command
        return "curate" if found else "python -m pipelines.cli"
    if found and called.name == "curate" and Path(found).resolve() == called.resolve():
        return "curate"
    return str(called.relative_to(Path.cwd())) if called.is_absolute() and called.is_relative_to(Path.cwd()) else str(called)


def _bytes(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
