"""What the scores of a run say: answers in words, every seed drawn, differences task by task, and the account of how they follow."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from curate import frames
from curate.record import Run
from curate.takedown.revoked import must_be_made_again
from eval_fixed_model.records import Task
from eval_fixed_model.score import SeedScore
from eval_fixed_model.statistics import Contrast, TaskDifference, mean_intervals, task_difference
from pipelines.report import charts
from pipelines.report.words import several
from pipelines.scores.account import account, limits
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.tables import to_settle
from pipelines.scores.verdicts import Judged, compare, latest

Floats = np.ndarray[Any, np.dtype[np.float64]]
LEFT_OUT = ("Answers", "What cannot be concluded")
"""Sections of the account that the page shows in its own way."""

MOST = 4
"""Lines that are said in words, of several candidates."""


@dataclass(frozen=True)
class Remembered(Evaluation):
    """An evaluation whose scores are read from their items once, however often they are asked for."""

    known: dict[tuple[str, int, bool], SeedScore] = field(default_factory=dict, compare=False)

    def score(self, arm: str, seed: int, without_leaks: bool = False) -> SeedScore:
        """One training's score; with all items, or without those that occur in an arm."""
        key = (self.arms[arm].scores[seed], seed, without_leaks)
        if key not in self.known:
            self.known[key] = super().score(arm, seed, without_leaks)
        return self.known[key]


@dataclass(frozen=True)
class Line:
    """One contrast as the page shows it: `said` is the answer as a sentence, numbers as they are printed."""

    contrast: Contrast
    said: Markup
    difference: str
    interval: str
    detectable: str
    seeds_needed: str


@dataclass(frozen=True)
class Scored:
    """Everything the page says of the scores. `heads` are the lines said in words, `lead` those of the recipe's last candidate, `lines`
    those of all; `axis` is the span that their intervals are drawn over, `ticks` the round numbers in it; `limits_of_others` are those that
    speak of other candidates alone; `sections` the account's, as HTML by title; `again` are arms that rest on rows that were taken down."""

    scale: str
    unit: str
    better: str
    delta: float
    seeds: int
    contrasts: int
    candidate: str
    heads: tuple[Line, ...]
    lead: tuple[Line, ...]
    lines: tuple[Line, ...]
    same: tuple[tuple[str, str], ...]
    axis: tuple[float, float]
    ticks: tuple[str, ...]
    limits: tuple[str, ...]
    limits_of_others: tuple[str, ...]
    headline: Markup
    headline_narrow: Markup
    headline_rows: tuple[tuple[str, str, str, str, str], ...]
    tasks: tuple["TaskPart", ...]
    differences: tuple[tuple[str, str, tuple[tuple[str, str, str, str], ...]], ...]
    sections: tuple[tuple[str, Markup], ...]
    again: tuple[str, ...]


@dataclass(frozen=True)
class TaskPart:
    """One task: its chart, its numbers by arm (arm, mean, every seed's), whether it counts in the headline, its unit."""

    name: str
    headline: bool
    unit: str
    chart: Markup
    rows: tuple[tuple[str, str, str], ...]


def scored(run: Run, scale: str | None = None) -> Scored:
    """Of a run's latest evaluation, at `scale` if that is named. CeterisError where nothing was evaluated."""
    last = latest(run, scale)
    judged = compare(Remembered(**vars(last)))
    done = judged.rests_on
    headline, places = done.scale.headline, 1 if done.scale.headline.measure == "points" else 3
    unit = headline.measure
    lines = tuple(_line(one, unit, headline.delta, places) for one in judged.contrasts)
    candidates = list(dict.fromkeys(one.candidate for one in judged.contrasts))
    named = [name for name in run.facts["subsets"] if name in candidates]
    lead = (named or candidates or [""])[-1]
    ends = [value for one in judged.contrasts for value in (one.low, one.high, one.difference) if value is not None]
    ends += [-headline.delta, headline.delta]
    every = {name: {seed: done.score(name, seed) for seed in arm.scores} for name, arm in done.arms.items()}
    stale = must_be_made_again(run.store).keys()
    wide, narrow, rows = _headline(judged, every, unit, places)
    return Scored(
        done.scale.name,
        unit,
        headline.better,
        headline.delta,
        max((len(arm.scores) for arm in done.arms.values()), default=0),
        len(judged.family.contrasts),
        lead,
        heads(lines, lead),
        tuple(line for line in lines if line.contrast.candidate == lead),
        lines,
        judged.same,
        (min(ends), max(ends)),
        charts.ticks(min(ends), max(ends)),
        *_limits(judged, lead),
        wide,
        narrow,
        rows,
        tuple(_task(done, name, every) for name in done.scale.tasks),
        tuple(_differences(done, one, every) for one in judged.contrasts if one.candidate == lead and one.control in done.arms),
        tuple(_sections(judged)),
        tuple(name for name, arm in done.arms.items() if stale & {key.rpartition("/")[0] for key in arm.scores.values()}),
    )


def _limits(judged: Judged, lead: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What cannot be concluded: of the lead and in general, and of other candidates."""
    others = tuple(f"{one.candidate} " for one in judged.contrasts if one.candidate != lead)
    every = list(limits(judged))
    return tuple(one for one in every if not one.startswith(others)), tuple(one for one in every if one.startswith(others))


def heads(lines: Sequence[Line], lead: str) -> tuple[Line, ...]:
    """The lines that are said in words: every candidate's against the whole pool (else its first), the lead's before others, `MOST` at the
    most; of a single candidate all of its."""
    names = dict.fromkeys([lead, *(line.contrast.candidate for line in lines)])
    of = {name: [line for line in lines if line.contrast.candidate == name] for name in names}
    if len(names) == 1:
        return tuple(of[lead])
    return tuple(max(mine, key=lambda line: line.contrast.control == "whole pool") for mine in of.values() if mine)[:MOST]


def _line(one: Contrast, unit: str, delta: float, places: int) -> Line:
    difference = f"{one.difference:+.{places}f}"
    interval = "" if one.low is None or one.high is None else f"{one.low:+.{places}f} to {one.high:+.{places}f}"
    detectable = "" if one.detectable is None else f"{one.detectable:.{places}f}"
    return Line(one, said(one, f"{difference} {unit}", interval, f"{delta:g} {unit}"), difference, interval, detectable, to_settle(one))


def said(one: Contrast, difference: str, interval: str, delta: str) -> Markup:
    """An answer as a sentence."""
    between = f" ({interval})" if interval else ", from too few runs for an interval"
    words = {
        "better": "{a} is <strong>better</strong> than {b}: {d}{i}.",
        "worse": "{a} is <strong>worse</strong> than {b}: {d}{i}.",
        "equivalent": "{a} and {b} are <strong>equivalent</strong>, within {delta} of each other: {d}{i}.",
        "cannot tell": "Whether {a} or {b} is better, <strong>we cannot tell</strong>: {d}{i}.",
    }[one.answer]
    names = {"a": _arm(one.candidate), "b": _arm(one.control, the=True)}
    return Markup(words).format(**names, d=difference, i=between, delta=delta)


def _arm(name: str, the: bool = False) -> Markup:
    """An arm's name in running text."""
    if name == "whole pool":
        return Markup("the whole pool")
    if found := re.fullmatch(r"random ([\d,]+)", name):
        return Markup("a random draw of {}").format(several(int(found[1].replace(",", ""))))
    return Markup("<b>{}</b>").format(name) if the or name else escape(name)


def _headline(
    judged: Judged, every: Mapping[str, Mapping[int, SeedScore]], unit: str, places: int
) -> tuple[Markup, Markup, tuple[Any, ...]]:
    """The headline of every arm and seed, with the interval of each mean alone: drawn for a wide and for a narrow page, and its numbers."""
    done, dots, rows = judged.rests_on, [], []
    ordered, halves = _ordered(done, every), mean_intervals(judged.family)
    for name in ordered:
        values = {seed: score.headline for seed, score in every[name].items()}
        mean, half = float(np.mean(list(values.values()))), halves[done.arms[name].id]
        span = "" if half is None else f"{mean - half:.{places}f} to {mean + half:.{places}f}"
        low, high = (None, None) if half is None else (mean - half, mean + half)
        told = f"{name}: mean {mean:.{places + 1}f} {unit} over {several(len(values), 'seed')}" + (
            f", 95% {span} (of this mean alone)" if span else ""
        )
        side = "candidate" if done.arms[name].kind == "candidate" else "control"
        dots.append({"arm": name, "value": mean, "kind": "mean", "low": low, "high": high, "told": told, "side": side})
        dots += [_dot(name, seed, value, side, f"{value:.{places + 1}f} {unit}") for seed, value in values.items()]
        seeds = ", ".join(f"{value:.{places}f}" for value in values.values())
        rows.append((name, f"{done.arms[name].rows:,}", f"{mean:.{places}f}", span, seeds))
    wide, narrow = (charts.seeds(dots, ordered, "headline", unit, chance=None, width=width) for width in (560, 240))
    return wide, narrow, tuple(rows)


def _dot(name: str, seed: int, value: float, side: str, told: str) -> dict[str, Any]:
    return {"arm": name, "value": value, "kind": "seed", "told": f"{name}, seed {seed}: {told}", "side": side}


def _ordered(done: Evaluation, every: Mapping[str, Mapping[int, SeedScore]]) -> list[str]:
    """Arms, best first."""
    sign = 1 if done.scale.headline.better == "higher" else -1
    return sorted(every, key=lambda name: -sign * float(np.mean([score.headline for score in every[name].values()])))


def _task(done: Evaluation, task: str, every: Mapping[str, Mapping[int, SeedScore]]) -> TaskPart:
    record = done.scale.tasks[task]
    unit, places = ("bits per byte", 3) if record.kind == "likelihood" else ("points", 1)
    items = next(iter(next(iter(every.values())).values())).tasks[task].items
    chance, dots, rows = done.scale.chance(task, items), [], []
    for name in (ordered := _ordered(done, every)):
        values = {seed: score.tasks[task].value for seed, score in every[name].items()}
        mean, side = float(np.mean(list(values.values()))), "candidate" if done.arms[name].kind == "candidate" else "control"
        told = f"{name}: mean {mean:.{places + 1}f} {unit} over {several(len(values), 'seed')}"
        dots.append({"arm": name, "value": mean, "kind": "mean", "low": None, "high": None, "told": told, "side": side})
        dots += [_dot(name, seed, value, side, f"{value:.{places + 1}f} {unit}") for seed, value in values.items()]
        rows.append((name, f"{mean:.{places}f}", ", ".join(f"{value:.{places}f}" for value in values.values())))
    chart = charts.seeds(dots, ordered, task, unit, chance=chance, width=210)
    return TaskPart(task, task in done.scale.headline.tasks, unit, chart, tuple(rows))


def _differences(
    done: Evaluation, one: Contrast, every: Mapping[str, Mapping[int, SeedScore]]
) -> tuple[str, str, tuple[tuple[str, str, str, str], ...]]:
    """Candidate minus control, task by task, each with its own interval over seeds and items: (task, difference, interval, counts)."""
    seeds = [seed for seed in done.arms[one.candidate].scores if seed in done.arms[one.control].scores]
    lines = []
    for task, record in done.scale.tasks.items():
        places = 3 if record.kind == "likelihood" else 1
        found = _difference(done, one, task, record, seeds, every)
        interval = (
            "" if found is None or found.low is None or found.high is None else f"{found.low:+.{places}f} to {found.high:+.{places}f}"
        )
        means = [np.mean([every[name][seed].tasks[task].value for seed in seeds]) for name in (one.candidate, one.control)]
        lines.append((task, f"{means[0] - means[1]:+.{places}f}", interval, "headline" if task in done.scale.headline.tasks else ""))
    return one.candidate, one.control, tuple(lines)


def _difference(
    done: Evaluation, one: Contrast, task: str, record: Task, seeds: Sequence[int], every: Mapping[str, Mapping[int, SeedScore]]
) -> TaskDifference | None:
    """None where the task's value is no mean over its items, or arms were not asked the same."""
    table = []
    for name in (one.candidate, one.control):
        runs = [_items(done, name, seed, task, record) for seed in seeds]
        if any(
            len(run) != len(runs[0]) or abs(run.mean() - every[name][seed].tasks[task].value) > 1e-3
            for run, seed in zip(runs, seeds, strict=True)
        ):
            return None
        table.append(runs)
    return task_difference(np.array(table), done.scale.analysis) if seeds and len(table[0][0]) == len(table[1][0]) else None


def _items(done: Evaluation, arm: str, seed: int, task: str, record: Task) -> Floats:
    """What each item adds to a task's value, in item order, such that their mean is the value where it is a mean at all."""
    file = done.store.path(done.arms[arm].scores[seed]) / "items.parquet"
    answers = frames.from_bytes(file.read_bytes(), where=str(file)).filter(task=task, variant="")
    if record.kind == "likelihood":
        per_item = (
            answers.group_by("item").agg(bits=-pl.col("nats").cast(pl.Float64).sum() / np.log(2), bytes=pl.col("bytes").sum()).sort("item")
        )
        found: Floats = (per_item["bits"] / per_item["bytes"].mean()).to_numpy()
        return found
    found = answers.group_by("item").agg(value=100 * (pl.col("rank") <= 1).cast(pl.Float64).mean()).sort("item")["value"].to_numpy()
    return found


def _sections(judged: Judged) -> Iterator[tuple[str, Markup]]:
    """The account's sections as HTML: its own Markdown, in which nothing else is markup."""
    told = account(judged)
    if judged.evaluation.store.json(judged.file) is None:  # of a store in which nothing is written
        told = told.replace(f"- Kept as {judged.file}.\n", "")
    _, *parts = told.split("\n## ")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    for part in parts:
        title, _, text = part.partition("\n")
        if title not in LEFT_OUT:
            made = re.sub(
                r"<td>([+-]?[\d.,]+(?:e[+-]\d+)?(?: \(.*?\))?|[+-][\d.]+ to [+-][\d.]+)</td>",
                r'<td class="n">\1</td>',
                markdown.render(text),
            )
            made = made.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
            yield title, Markup(made)
