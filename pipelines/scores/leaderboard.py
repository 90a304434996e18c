"""One offline table of many stores: every score verified first, unequal conditions never ranked together, what does not verify named."""

import html
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from curate.digest import short
from curate.errors import CeterisError
from eval_fixed_model.conditions import differences
from eval_fixed_model.loops import MODULES
from eval_fixed_model.scale import Scale
from eval_fixed_model.sources import code
from eval_fixed_model.statistics import Answer, Draw, Look, mean_intervals, verdict
from pipelines.scores.verdicts import within
from pipelines.scores.verified import Refused, Verified, VerifiedArm, verified

SCORING = "eval_fixed_model.score"


@dataclass(frozen=True)
class Line:
    """A subset on one pool: `mean` of its seeds' headlines, with the 95% interval of that mean alone (`mean_intervals`; None where it is
    unknown, and where seeds are pairs); the verdicts against the whole pool and the random draw of its size, of all contrasts of this pool
    together (None: not asked, or not to be judged); the headline `without_leaks`, and of how many items that is without; `unchecked`: what
    is not there to be held against."""

    subset: str
    kind: str
    pool: str
    runs: tuple[str, ...]
    rows: int
    seeds: int
    mean: float
    low: float | None
    high: float | None
    against_pool: Answer | None
    against_random: Answer | None
    without_leaks: float
    leaks: int
    weights: dict[int, str]
    where: tuple[str, ...]
    unchecked: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """The lines under equal conditions, best first. `differs` says, part by part, how they are other conditions than those of `than`, the
    first group at this scale."""

    conditions: str
    scale: str
    measure: str
    better: str
    comparable: str | None
    lines: tuple[Line, ...]
    than: str | None
    differs: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Leaderboard:
    """Groups that are not ranked against each other, and everything that was refused."""

    groups: tuple[Group, ...]
    refused: tuple[Refused, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def leaderboard(places: Sequence[Path]) -> Leaderboard:
    """Verify every store or folder of scores, and rank what verifies. Reads only; CeterisError for a place that holds no scores."""
    found = [one for place in places for one in verified(place)]
    refused = [refusal for one in found for refusal in one.refused]
    by_conditions: dict[str, list[Verified]] = {}
    for one in found:
        if one.arms and one.scale:
            by_conditions.setdefault(one.id, []).append(one)
    groups: list[Group] = []
    first: dict[str, Verified] = {}
    for held in sorted(by_conditions.values(), key=lambda same: (same[0].scale.name if same[0].scale else "", same[0].id)):
        scale = held[0].scale
        assert scale is not None
        arms, unequal = _merged(one for same in held for one in same.arms)
        refused += unequal
        earlier = first.setdefault(scale.name, held[0])
        than = None if earlier is held[0] else earlier.id
        looks, twice = _looks(held)
        lines, unjudged = _lines(arms, {pair for same in held for pair in same.contrasts}, looks, scale, twice)
        groups.append(
            Group(
                held[0].id,
                scale.name,
                scale.headline.measure,
                scale.headline.better,
                scale.comparable,
                tuple(lines),
                than,
                tuple(differences(earlier.held, held[0].held)) if than else (),
                (*unjudged, *_ways(held, scale), *_notes(held[0], scale)),
            )
        )
    return Leaderboard(tuple(groups), tuple(dict.fromkeys(refused)))


def _ways(held: Sequence[Verified], scale: Scale) -> Iterable[str]:
    every = [found for one in held if one.scale for found in (*one.before, one.scale)]
    other = dict.fromkeys(text for found in every for text in differences(scale.beside(), found.beside()))
    if other:
        yield f"some of these scores were judged in another way, where they lie or before (here, there): {'; '.join(other)}"


def _notes(one: Verified, scale: Scale) -> Iterable[str]:
    here = {**code(SCORING), **code(MODULES[scale.modality])}
    changed = sorted(name for name in {*here, *one.held["code"]} if here.get(name) != one.held["code"].get(name))
    if changed:
        yield f"scored by another instrument than is installed here, which only read its answers again; different: {', '.join(changed)}"


def _merged(arms: Iterable[VerifiedArm]) -> tuple[list[tuple[VerifiedArm, tuple[str, ...], tuple[str, ...]]], list[Refused]]:
    """One arm for equal rows of a pool, with all its seeds, its runs and where it lies. Unequal weights of one training are
    refused, both."""
    merged: dict[tuple[str, str], tuple[VerifiedArm, tuple[str, ...], tuple[str, ...]]] = {}
    unequal: dict[tuple[str, str], Refused] = {}
    for arm in arms:
        key = (arm.pool, arm.id)
        if key not in merged:
            merged[key] = (arm, (arm.run,), (arm.where,))
            continue
        there, runs, where = merged[key]
        for seed in arm.scores.keys() & there.scores.keys():
            if arm.scores[seed].weights != there.scores[seed].weights:
                why = f"seed {seed} has other weights than in {where[0]}: one of the two was not trained as it says"
                unequal[key] = Refused(arm.where, arm.name, why)
        both = replace(
            there,
            kind="candidate" if "candidate" in (arm.kind, there.kind) else there.kind,
            name=arm.name if arm.kind == "candidate" != there.kind else there.name,
            scores={**there.scores, **arm.scores},
            without_leaks={**there.without_leaks, **arm.without_leaks},
            leaked=max(there.leaked, arm.leaked),
            unchecked=tuple(sorted({*there.unchecked} & {*arm.unchecked})),
        )
        merged[key] = (both, tuple(dict.fromkeys((*runs, arm.run))), tuple(dict.fromkeys((*where, arm.where))))
    return [one for key, one in merged.items() if key not in unequal], list(unequal.values())


def _looks(held: Sequence[Verified]) -> tuple[dict[tuple[str, str], Look], set[tuple[str, str]]]:
    """The last look at each candidate, in whichever store; and the candidates looked at by two schedules, each of which spent the 5%."""
    found: dict[tuple[str, str], Look] = {}
    twice: set[tuple[str, str]] = set()
    for key, look in (each for one in held for each in one.looks.items()):
        known = found.setdefault(key, look)
        if known.schedule != look.schedule:
            twice.add(key)
        found[key] = max(known, look, key=lambda each: each.number)
    return found, twice


def _lines(
    arms: list[tuple[VerifiedArm, tuple[str, ...], tuple[str, ...]]],
    contrasts: set[tuple[str, str, str]],
    looks: Mapping[tuple[str, str], Look],
    scale: Scale,
    twice: Collection[tuple[str, str]] = (),
) -> tuple[list[Line], list[str]]:
    """The lines, best first; and which pools cannot be judged, and why."""
    sign = 1 if scale.headline.better == "higher" else -1
    lines: list[Line] = []
    unjudged: list[str] = []
    for pool in sorted({arm.pool for arm, *_ in arms}):
        here = {arm.id: arm for arm, *_ in arms if arm.pool == pool}
        pairs = sorted((a, b) for of, a, b in contrasts if of == pool and a != b and {a, b} <= here.keys())
        scores = {name: {seed: score.headline for seed, score in arm.scores.items()} for name, arm in here.items()}
        kinds: dict[str, Draw] = {name: "random" if arm.kind == "random" else "fixed" for name, arm in here.items()}
        answers: dict[tuple[str, str], Answer] = {}
        halves: dict[str, float | None] = dict.fromkeys(scores)
        own = {name: look for name in here if (look := looks.get((pool, name)))}
        for look in [None, *dict.fromkeys(own.values())]:  # who looked is judged as at the last look
            how: dict[str, Any] = {"better": scale.headline.better, "analysis": scale.analysis, "alike": scale.alike, "look": look}
            try:
                judged = verdict(within(scores, scale, look) if look else scores, kinds, pairs, scale.headline.delta, **how, plan=False)
            except CeterisError as error:
                unjudged.append(f"pool {short(pool.removeprefix('pools/'))} is not judged: {error.what}; {error.fix}")
                continue
            if look is None:
                halves = mean_intervals(judged)
            answers |= {(one.candidate, here[one.control].kind): one.answer for one in judged.contrasts if own.get(one.candidate) == look}
        if torn := {name for name in here if (pool, name) in twice}:
            names = ", ".join(sorted(here[name].name for name in torn))
            unjudged.append(f"not judged: {names}, looked at by two schedules in different stores, which spent the 5% twice")
            answers = {pair: answer for pair, answer in answers.items() if pair[0] not in torn}
        for arm, runs, where in arms:
            if arm.pool != pool:
                continue
            mean = float(np.mean([score.headline for score in arm.scores.values()]))
            half = halves[arm.id]
            lines.append(
                Line(
                    arm.name,
                    arm.kind,
                    arm.pool,
                    runs,
                    arm.rows,
                    len(arm.scores),
                    mean,
                    None if half is None else mean - half,
                    None if half is None else mean + half,
                    answers.get((arm.id, "pool")),
                    answers.get((arm.id, "random")),
                    float(np.mean(list(arm.without_leaks.values()))),
                    arm.leaked,
                    {seed: score.weights for seed, score in sorted(arm.scores.items())},
                    where,
                    arm.unchecked,
                )
            )
    return sorted(lines, key=lambda line: -sign * line.mean), list(dict.fromkeys(unjudged))


COLUMNS = (
    "subset",
    "kind",
    "pool",
    "rows",
    "seeds",
    "headline",
    "95%",
    "against the whole pool",
    "against random",
    "without leaks",
    "leaks",
    "unchecked",
)
RIGHT = (3, 4, 5, 6, 9, 10)


def cells(group: Group) -> list[list[str]]:
    """A group's lines as texts under `COLUMNS`."""
    places = 1 if group.measure == "points" else 3
    return [
        [
            one.subset,
            one.kind,
            short(one.pool.removeprefix("pools/")),
            f"{one.rows:,}",
            str(one.seeds),
            f"{one.mean:.{places}f}",
            "" if one.low is None or one.high is None else f"{one.low:.{places}f} to {one.high:.{places}f}",
            one.against_pool or "",
            one.against_random or "",
            f"{one.without_leaks:.{places}f}",
            str(one.leaks),
            ", ".join(one.unchecked),
        ]
        for one in group.lines
    ]


def title(group: Group) -> str:
    """What its numbers are."""
    way = "" if group.better == "higher" else ", lower is better"
    return f"{group.scale}, {group.measure} of the headline{way}; conditions {group.conditions}"


def remarks(group: Group) -> list[str]:
    """What must be read beside a group's numbers."""
    found = [f"not comparable with the public board: {group.comparable}"] if group.comparable else []
    if group.than:
        found.append(f"not ranked with the group of conditions {group.than}; different: {'; '.join(group.differs)}")
    return found + list(group.notes)


def refusals(board: Leaderboard) -> list[list[str]]:
    """What was refused, as where, arm and why."""
    return [[one.where, one.arm or "all", one.why] for one in board.refused]


def markdown(board: Leaderboard) -> str:
    """The whole table as Markdown."""
    parts = ["# Leaderboard\n"]
    for group in board.groups:
        parts += [f"## {title(group)}\n", _table(COLUMNS, cells(group)), *[f"{remark}\n" for remark in remarks(group)]]
    if board.refused:
        parts += ["## Refused\n", _table(("where", "arm", "why"), refusals(board))]
    return "\n".join(parts)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") for cell in line) + " |\n" for line in lines
    )


STYLE = "body{font:15px sans-serif;margin:2em} th,td{text-align:left;padding:.2em .8em .2em 0} td.n{text-align:right}"


def page(board: Leaderboard) -> str:
    """The whole table as one HTML file that needs no other."""
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>Leaderboard</title>", f"<style>{STYLE}</style><h1>Leaderboard</h1>"]
    for group in board.groups:
        parts += [f"<h2>{html.escape(title(group))}</h2>", _html(COLUMNS, cells(group), RIGHT)]
        parts += [f"<p>{html.escape(remark)}</p>" for remark in remarks(group)]
    if board.refused:
        parts += ["<h2>Refused</h2>", _html(("where", "arm", "why"), refusals(board))]
    return "\n".join([*parts, "</html>"]) + "\n"


def _html(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = (
        "<tr>" + "".join(f"<td{' class=n' if n in right else ''}>{html.escape(cell)}</td>" for n, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>\n" + "\n".join(body) + "</table>"
