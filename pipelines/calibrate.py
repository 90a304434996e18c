"""How often the verdict is wrong, measured: many runs of arms that are equal to themselves, judged as candidates and controls are."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curate.digest import digest_of
from curate.errors import CeterisError
from curate.executor import Executor
from curate.plan import POOL
from curate.record import Run
from eval_fixed_model.scale import load_scale
from eval_fixed_model.statistics import Analysis, Draw
from eval_fixed_model.statistics.calibration import Calibration, Runs, Shape, calibrate
from pipelines.arms import RANDOM, WHOLE
from pipelines.evaluations import Evaluation
from pipelines.training import evaluate, scale_of
from pipelines.verbs import Progress, silent

SHAPES = (Shape(1, 3), Shape(4, 3), Shape(1, 5), Shape(4, 5))


@dataclass(frozen=True)
class Calibrated:
    """What was measured: the bank's arms with their runs, and a `Calibration` for each shape of a family; `file` is where it is kept."""

    evaluation: Evaluation
    runs: dict[str, int]
    found: tuple[Calibration, ...]
    file: str

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        about = {"run": self.evaluation.run, "scale": self.evaluation.scale.name, "conditions": self.evaluation.conditions}
        return {**about, "runs": self.runs, "file": self.file, "calibrations": [one.to_json() for one in self.found]}


def calibrate_verdicts(
    run: Run,
    *,
    scale: str | None = None,
    runs: int = 120,
    families: int = 2_000,
    shapes: Sequence[Shape] = SHAPES,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> Calibrated:
    """Train `runs` runs, a third each of the whole pool, of the last candidate and of its random control (every one another draw), and
    judge families drawn from them: equal arms, planted differences, differences at the edge of equivalence (`calibration`).

    Trains nothing twice. CeterisError, before anything is trained, with fewer than 60 runs, or too few for the shapes (a paired scale's
    families need more arms than are trained here), and where the run has no subset but the pool.
    """
    if runs < 60:
        raise CeterisError(f"{runs} runs are too few to tell 5% from 10%", where="--runs", fix="100 or more; 60 at least")
    named = scale_of(run, scale)
    record = load_scale(named)
    candidate = next((name for name in reversed(run.facts["subsets"]) if name != POOL), None)
    if candidate is None:
        raise CeterisError("the run has no subset but the pool", where=run.folder, fix="name a subset in the recipe")
    _refuse_too_few(-(-runs // 3), shapes, record.analysis)
    done = evaluate(run, scale=named, seeds=-(-runs // 3), only=[WHOLE, candidate, RANDOM], executor=executor, progress=progress)
    scores = {name: {seed: done.score(name, seed).headline for seed in arm.scores} for name, arm in done.arms.items()}
    kinds: dict[str, Draw] = {name: "random" if arm.kind == "random" else "fixed" for name, arm in done.arms.items()}
    found = []
    for number, shape in enumerate(shapes):
        progress("calibrating", number, len(shapes))
        headline = record.headline
        found.append(
            calibrate(Runs(scores, kinds), shape, headline.delta, better=headline.better, analysis=record.analysis, families=families)
        )
    progress("calibrating", len(shapes), len(shapes))
    about = {"scale": record.name, "conditions": done.conditions, "scores": scores, "calibrations": [asdict(one) for one in found]}
    key = f"{run.folder}/calibration-{digest_of(about)[:12]}.json"
    run.store.put_json(key, about)
    return Calibrated(done, {name: len(of_seeds) for name, of_seeds in scores.items()}, tuple(found), key)


def _refuse_too_few(seeds: int, shapes: Sequence[Shape], analysis: Analysis) -> None:
    """CeterisError where the bank to come holds no family of some shape."""
    kinds: dict[str, Draw] = {"pool": "fixed", "candidate": "fixed", "random": "random"}
    bank = Runs({name: dict.fromkeys(range(seeds), 0.0) for name in kinds}, kinds)
    for shape in shapes:
        bank.noise(shape, analysis, np.random.default_rng(0))
