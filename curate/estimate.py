"""What a plan would cost, from what the store has measured before; advice, never a reordering."""

from dataclasses import dataclass

from curate.plan import Plan
from curate.store import Store

EXPENSIVE = 10.0
SIMILARITIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Evidence:
    """A signal's stored coverage of this pool (rows, or None until its model is made), and seconds a row as measured here so far."""

    name: str
    folder: str
    rows: int | None
    seconds_per_row: float | None


@dataclass(frozen=True)
class Forecast:
    """Per stage the signals it asks for; per signal its coverage and cost; lint; and, of groupings that say it, the probability that a
    pair is found, by its similarity."""

    stages: dict[str, tuple[str, ...]]
    evidence: dict[str, Evidence]
    advice: tuple[str, ...]
    recall: dict[str, dict[float, float]]


def forecast(plan: Plan, store: Store) -> Forecast:
    """Look at the store only; read no row of the pool."""
    scopes = {shard.digest for shard in plan.pool.shards}
    evidence = {}
    for name, measure in plan.measures.items():
        by_scope = store.parts(measure.folder)
        every = [part for parts in by_scope.values() for part in parts]
        rows = sum(part.rows for scope in scopes for part in by_scope.get(scope, []))
        measured = sum(part.rows for part in every)
        cost = sum(part.seconds for part in every) / measured if measured else None
        evidence[name] = Evidence(name, measure.folder, None if measure.pending else rows, cost)
    stages = {name: plan.asked(node) for name, node in plan.nodes.items()}
    curves = {name: groups.recall(SIMILARITIES) for name, groups in plan.groups.items()}
    recall = {name: dict(zip(SIMILARITIES, curve, strict=True)) for name, curve in curves.items() if curve}
    return Forecast(stages, evidence, tuple(_advice(plan, stages, evidence)), recall)


def _advice(plan: Plan, stages: dict[str, tuple[str, ...]], evidence: dict[str, Evidence]) -> list[str]:
    """Where a stage that costs more runs before a row-local child that costs ten times less."""
    cost = {name: sum(evidence[signal].seconds_per_row or 0.0 for signal in asks) for name, asks in stages.items()}
    known = {name for name, asks in stages.items() if all(evidence[signal].seconds_per_row is not None for signal in asks)}
    found = []
    for name, node in plan.nodes.items():
        for parent in node.parents:
            if node.combinator != "after" or node.is_global or not {name, parent} <= known or not stages[name]:
                continue
            if cost[parent] > EXPENSIVE * cost[name]:
                dear, cheap = f"{parent} costs {_time(cost[parent])} a row", f"{name}, {_time(cost[name])} a row"
                found.append(f"{dear} and runs before {cheap}: the other order would measure less")
    return found


def _time(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 0.1 else f"{seconds * 1e3:.2g} ms" if seconds >= 1e-4 else f"{seconds * 1e6:.2g} us"
