"""What an arm cost: seconds that its evidence took to measure, arithmetic and seconds of its trainings, and what was gained for it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curate.plan import POOL
from curate.record import Run
from eval_fixed_model.cost import cost_of
from pipelines.scores.arms import WHOLE
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.verdicts import whole

HOUR = 3600.0


@dataclass(frozen=True)
class ArmCost:
    """`flops` and `seconds` of one training (mean of its seeds); `curation` seconds of one core, as measured, that this pool's
    evidence for the arm's stages took (None for arms that are no stage of the run; what a model took to make is not in it);
    `gain` over the whole pool in the headline's measure, positive where it is better, and the gain for each hour of curation
    (None where there was none)."""

    flops: int
    seconds: float
    curation: float | None
    gain: float | None
    gain_per_hour: float | None

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def costs(done: Evaluation) -> dict[str, ArmCost]:
    """Every arm's, by name, over all its seeds in the store."""
    done = whole(done)
    run = Run(done.store, done.run)
    flops, sign = cost_of(done.scale).training, 1 if done.scale.headline.better == "higher" else -1
    means = {name: float(np.mean([done.score(name, seed).headline for seed in arm.scores])) for name, arm in done.arms.items()}
    found = {}
    for name, arm in done.arms.items():
        seconds = float(np.mean([done.training(name, seed)["seconds"] for seed in arm.scores]))
        curation = curation_seconds(run, [name]) if name in run.facts["nodes"] else 0.0 if name == WHOLE or arm.kind == "random" else None
        gain = sign * (means[name] - means[WHOLE]) if WHOLE in means else None
        rate = gain * HOUR / curation if gain is not None and curation and name != WHOLE else None
        found[name] = ArmCost(flops, seconds, curation, gain, rate)
    return found


def curation_seconds(run: Run, stages: Iterable[str]) -> float:
    """Seconds that measuring this pool's evidence for the stages, and for those they are made of, took: every signal and sketch once."""
    return seconds_of(run, asked(run, ancestors(run, stages)))


def ancestors(run: Run, stages: Iterable[str]) -> tuple[str, ...]:
    """The stages and all that they are made of, parents first."""
    nodes, wanted = run.facts["nodes"], set(stages)
    for name in reversed(run.facts["order"]):
        if name in wanted:
            wanted |= {parent for parent in nodes[name]["parents"] if parent != POOL}
    return tuple(name for name in run.facts["order"] if name in wanted)


def asked(run: Run, stages: Iterable[str]) -> frozenset[str]:
    """The measures (signals, sketches, and the evidence that these are of) that the rules of these stages alone ask for."""
    measures, found = run.facts["measures"], set[str]()
    for name in stages:
        node = run.facts["nodes"][name]
        found |= {column.rpartition(".")[0] for column in node["columns"]}
        found |= {f"{node['grouping']}.sketch"} if node["grouping"] else set()
    found &= measures.keys()
    while deeper := {measure for one in found for measure in _inputs(measures, one)} - found:
        found |= deeper
    return frozenset(found)


def _inputs(measures: dict[str, Any], name: str) -> set[str]:
    values = [value for value in measures[name]["parameters"].values() if isinstance(value, str)]
    return {value.rpartition(".")[0] for value in values} & measures.keys()


def seconds_of(run: Run, measures: Iterable[str]) -> float:
    """As the store has them, of this pool's shards alone."""
    scopes = {shard.digest for shard in run.pool.shards}
    kept = [run.store.parts(run.facts["measures"][name]["folder"]) for name in measures]
    return float(sum(part.seconds for parts in kept for scope, of_scope in parts.items() if scope in scopes for part in of_scope))
