"""Rows that a story names beside its own, without those that nobody may see."""

from collections.abc import Callable, Sequence
from typing import Any

from curate.index.search import Indices, locate
from curate.plan import LAWFUL, RESTRICTED
from curate.record import Run
from curate.store import Store
from curate.takedown.revoked import ERROR

Verdicts = dict[str, dict[str, Any]]


def unnamed(store: Store, pools: dict[str, list[Run]], barred: Callable[[Sequence[Run]], Indices]) -> Callable[[Verdicts], Verdicts]:
    """What takes verdicts of stages (`curate.audit.standing`) and calls survivors and duplicates that any run of `pools` (by pools/ID)
    restricts so, by no uid and no id; `barred` are the numbers of such rows in the pool of some runs."""
    hide = {key: frozenset(barred(runs).tolist()) for key, runs in pools.items() if any(LAWFUL in run.facts["nodes"] for run in runs)}

    def bars(uid: str) -> bool:
        places = ((key, locate(store, key, uid)) for key in hide if uid != ERROR)
        return any(place is not None and place.number in hide[key] for key, place in places)

    def plain(stage: dict[str, Any]) -> dict[str, Any]:
        if "survivor" in stage and bars(stage["survivor"]):
            stage = {name: value for name, value in stage.items() if name != "survivor_original"} | {"survivor": RESTRICTED}
        if "stands_for" in stage:
            first = [{"uid": RESTRICTED} if bars(one["uid"]) else one for one in stage["stands_for"]["first"]]
            stage = stage | {"stands_for": stage["stands_for"] | {"first": first}}
        return stage

    return lambda stages: {name: plain(stage) for name, stage in stages.items()} if hide else stages
