"""How often the verdict is wrong, measured: many runs of arms that are equal to themselves, judged as candidates and controls are."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from curate.digest import digest_of
from curate.errors import CeterisError
from curate.executor import Executor
from curate.ledger import name_file
from curate.plan import POOL
from curate.record import Run
from eval_fixed_model.scale import load_scale
from eval_fixed_model.statistics import Analysis, Draw
from eval_fixed_model.statistics.bank import Likeness, likeness
from eval_fixed_model.statistics.calibration import Calibration, Runs, Shape, calibrate
from pipelines.scores.arms import RANDOM, WHOLE
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.training import evaluate, scale_of
from pipelines.verbs import Progress, silent

SHAPES = (Shape(1, 3), Shape(4, 3), Shape(1, 5), Shape(4, 5))


@dataclass(frozen=True)
class Calibrated:
    """What was measured: the bank's arms with their runs and these runs' s.d., how far fixed arms' variances are alike (None: too few
    arms), and a `Calibration` for each shape of a family; `file` is where it is kept."""

    evaluation: Evaluation
    runs: dict[str, int]
    sds: dict[str, float]
    alike: Likeness | None
    found: tuple[Calibration, ...]
    file: str

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        about = {"run": self.evaluation.run, "scale": self.evaluation.scale.name, "conditions": self.evaluation.conditions}
        alike = asdict(self.alike) if self.alike else None
        return {
            **about,
            "runs": self.runs,
            "sds": self.sds,
            "alike": alike,
            "file": self.file,
            "calibrations": [one.to_json() for one in self.found],
        }


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
    """Train `runs` runs, two thirds of the whole pool and every subset, the others of the last subset's random control (every one another
    draw), and judge families drawn from them: equal arms, planted differences, differences at the edge of equivalence (`calibration`).

    Trains nothing twice. CeterisError, before anything is trained, with fewer than 60 runs, or too few for the shapes (a paired scale's
    families need more arms than are trained here), and where the run has no subset but the pool.
    """
    if runs < 60:
        raise CeterisError(f"{runs} runs are too few to tell 5% from 10%", where="--runs", fix="100 or more; 60 at least")
    named = scale_of(run, scale)
    record = load_scale(named)
    subsets = [name for name in run.facts["subsets"] if name != POOL]
    if not subsets:
        raise CeterisError("the run has no subset but the pool", where=run.folder, fix="name a subset in the recipe")
    draws, seeds = -(-runs // 3), -(-2 * runs // 3 // (1 + len(subsets)))
    _refuse_too_few({WHOLE: seeds, **dict.fromkeys(subsets, seeds), RANDOM: draws}, shapes, record.analysis)

    def trained(seeds: int, only: Sequence[str]) -> Evaluation:
        return evaluate(run, scale=named, seeds=seeds, only=only, executor=executor, progress=progress)

    first = trained(seeds, [WHOLE, subsets[-1], RANDOM])
    drawn = next(name for name, arm in first.arms.items() if arm.kind == "random")
    parts = [trained(seeds, [WHOLE, *subsets]), trained(draws, [drawn])]
    done = replace(parts[0], trained=sum(part.trained for part in (first, *parts)))
    scores = {name: {seed: part.score(name, seed).headline for seed in arm.scores} for part in parts for name, arm in part.arms.items()}
    kinds: dict[str, Draw] = {name: "random" if name == drawn else "fixed" for name in scores}
    found_alike = likeness([list(of_seeds.values()) for name, of_seeds in scores.items() if kinds[name] == "fixed"])
    found = []
    for number, shape in enumerate(shapes):
        progress("calibrating", number, len(shapes))
        headline = record.headline
        how: dict[str, Any] = {"better": headline.better, "analysis": record.analysis, "alike": record.alike}
        found.append(calibrate(Runs(scores, kinds), shape, headline.delta, **how, families=families))
    progress("calibrating", len(shapes), len(shapes))
    about = {"scale": record.name, "conditions": done.conditions, "scores": scores, "calibrations": [asdict(one) for one in found]}
    key = f"{run.folder}/calibration-{digest_of(about)[:12]}.json"
    run.store.put_json(key, about)
    name_file(run.store, key)
    sds = {name: float(np.std(list(of_seeds.values()), ddof=1)) for name, of_seeds in scores.items()}
    return Calibrated(done, {name: len(of_seeds) for name, of_seeds in scores.items()}, sds, found_alike, tuple(found), key)


def _refuse_too_few(seeds: Mapping[str, int], shapes: Sequence[Shape], analysis: Analysis) -> None:
    """CeterisError where the bank to come, with so many seeds of each arm, holds no family of some shape."""
    kinds: dict[str, Draw] = {name: "random" if name == RANDOM else "fixed" for name in seeds}
    bank = Runs({name: dict.fromkeys(range(count), 0.0) for name, count in seeds.items()}, kinds)
    for shape in shapes:
        bank.noise(shape, analysis, np.random.default_rng(0))
