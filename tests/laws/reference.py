"""A naive engine: rows are dictionaries, stages are loops. Slow, obvious, and independent of curate's passes, pieces and codes."""

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from curate.digest import h

IN, OUT, UNKNOWN = "in", "out", "unknown"
Row = dict[str, Any]


def judged(rows: Sequence[Row], stages: dict[str, dict[str, Any]]) -> tuple[dict[str, list[str]], dict[str, list[int]]]:
    """Each stage's membership and copies, row by row. `rows` have uid (two words), x (a number or None), words and text; stages come in
    order."""
    member, copies = {"pool": [IN] * len(rows)}, {"pool": [1] * len(rows)}
    for name, stage in stages.items():
        before, times = _combined(stage, member, len(rows)), _copied(stage, copies, len(rows))
        rule = stage.get("keep", {})
        if "soft_cap" in rule:
            times = _drawn(rule, rows, [i for i, value in enumerate(before) if value == IN and rows[i]["x"] is not None])
            before = [
                value if value != IN else UNKNOWN if row["x"] is None else IN if count else OUT
                for value, row, count in zip(before, rows, times, strict=True)
            ]
        elif "repeat" in rule:
            times = [count * rule["repeat"] for count in times]
        elif rule:
            before = _kept(rule, rows, before)
        member[name], copies[name] = before, [count if value == IN else 0 for value, count in zip(before, times, strict=True)]
    return member, copies


def _copied(stage: dict[str, Any], copies: dict[str, list[int]], count: int) -> list[int]:
    if "all_of" in stage:
        return [min(copies[p][i] for p in stage["all_of"]) for i in range(count)]
    if "any_of" in stage:
        return [max(copies[p][i] for p in stage["any_of"]) for i in range(count)]
    return list(copies[stage["minus"][0] if "minus" in stage else stage.get("after", "pool")])


def _drawn(rule: dict[str, Any], rows: Sequence[Row], alive: Sequence[int]) -> list[int]:
    """One draw after the other, the row whose next arrival is the earliest."""
    best, counts = max((rows[i]["x"] for i in alive), default=0), [0] * len(rows)
    warm = rule.get("temperature", 1)

    def wait(i: int) -> float:
        uniform = ((_hash("soft_cap", rule["seed"], rows[i], counts[i])[0] >> 12) + 0.5) / 2**52
        return -math.log(uniform) / math.exp((rows[i]["x"] - rule["penalty"] * counts[i] - best) / warm)

    coming = [(wait(i), i) for i in alive]
    heapq.heapify(coming)
    for _ in range((rule["count"] if "count" in rule else int(Fraction(str(rule["fraction"])) * len(alive))) if alive else 0):
        time, i = heapq.heappop(coming)
        counts[i] += 1
        heapq.heappush(coming, (time + wait(i), i))
    return counts


def _combined(stage: dict[str, Any], member: dict[str, list[str]], count: int) -> list[str]:
    if "all_of" in stage:
        return [_and([member[p][i] for p in stage["all_of"]]) for i in range(count)]
    if "any_of" in stage:
        return [_not(_and([_not(member[p][i]) for p in stage["any_of"]])) for i in range(count)]
    if "minus" in stage:
        first, *others = stage["minus"]
        return [_and([member[first][i], *[_not(member[p][i]) for p in others]]) for i in range(count)]
    return list(member[stage.get("after", "pool")])


def _not(value: str) -> str:
    return {IN: OUT, OUT: IN, UNKNOWN: UNKNOWN}[value]


def _and(values: Sequence[str]) -> str:
    return OUT if OUT in values else UNKNOWN if UNKNOWN in values else IN


def _kept(rule: Any, rows: Sequence[Row], before: list[str]) -> list[str]:
    after = list(before)
    alive = [i for i, value in enumerate(before) if value == IN]
    if isinstance(rule, str):
        for i in alive:
            after[i] = _expression(rule, rows[i])
    elif "top" in rule:
        column, _, order = rule["top"].partition(" ")
        for i in alive:
            after[i] = UNKNOWN if rows[i][column.removeprefix("pool.")] is None else OUT
        sign = 1 if order == "asc" else -1
        ranked = sorted((sign * rows[i]["x"], _hash("tie", 0, rows[i]), i) for i in alive if after[i] == OUT)
        kept = _within([rows[i]["words"] for _, _, i in ranked], rule["tokens"]) if "tokens" in rule else _quota(rule, len(ranked))
        for _, _, i in ranked[:kept]:
            after[i] = IN
    elif "mix" in rule:
        for i in alive:
            after[i] = OUT
        amount = {i: rows[i]["words"] if "of" in rule else 1 for i in alive}
        drawn = {
            name: sorted((_hash("random", rule["seed"], rows[i]), i) for i in alive if rows[i]["text"] == name) for name in rule["mix"]
        }
        whole = min(sum(amount[i] for _, i in some) / Fraction(str(rule["mix"][name])) for name, some in drawn.items())
        whole = min(whole, rule.get("tokens", rule.get("count", whole)))
        for name, some in drawn.items():
            quota = int(Fraction(str(rule["mix"][name])) * whole)
            for _, i in some[: _within([amount[i] for _, i in some], quota)]:
                after[i] = IN
    elif "balance" in rule:
        counts = Counter(rows[i]["text"] for i in alive)
        share = Fraction(str(rule["tail"])) * len(alive) if "tail" in rule else 0
        fitting = [t for t in counts.values() if sum(c for c in counts.values() if c < t) <= share]
        limit = rule["at_most"] if "at_most" in rule else max(fitting, default=1)
        for i in alive:
            high, low = _hash("balance", rule["seed"], rows[i], 0)
            draw = _hash("balance", rule["seed"], {"uid": (high, low)}, 1)[0]
            after[i] = IN if Fraction(draw >> 11, 2**53) * counts[rows[i]["text"]] < limit else OUT
    elif "random" in rule:
        ranked_by_hash = sorted((_hash("random", rule["seed"], rows[i]), i) for i in alive)
        chosen = {i for _, i in ranked_by_hash[: int(Fraction(str(rule["random"])) * len(alive))]}
        for i in alive:
            after[i] = IN if i in chosen else OUT
    else:
        best: dict[str, int] = {}
        for i in sorted(alive, key=lambda i: (rows[i]["x"] is None, -(rows[i]["x"] or 0), tuple(rows[i]["uid"]))):
            best.setdefault(rows[i]["text"], i)
        for i in alive:
            after[i] = IN if best[rows[i]["text"]] == i else OUT
    return after


def _expression(rule: str, row: Row) -> str:
    """Clauses `pool.x > N` and `text_length.words > N`, joined by `and`."""
    for clause in rule.split(" and "):
        column, _, bound = clause.split(" ")
        value = row["x"] if column == "pool.x" else row["words"]
        if value is None:
            return UNKNOWN
        if not value > float(bound):
            return OUT
    return IN


def _quota(rule: dict[str, Any], count: int) -> int:
    return min(rule["count"], count) if "count" in rule else int(Fraction(str(rule["fraction"])) * count)


def _within(amounts: Sequence[int], budget: int) -> int:
    """How many of the first amounts make `budget` at most."""
    return max(n for n in range(len(amounts) + 1) if sum(amounts[:n]) <= budget)


def _hash(domain: str, seed: int, row: Row, *more: int) -> tuple[int, int]:
    high, low = h(domain, seed, np.array([row["uid"]], np.uint64), *more)[0].tolist()
    return high, low
