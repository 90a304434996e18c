"""Training seed after seed until the verdict is known, at looks that were fixed beforehand."""

from typing import Any

from curate.executor import Executor
from curate.record import Run
from eval_fixed_model.scale import load_scale
from eval_fixed_model.statistics import Look
from pipelines.scores.training import evaluate, scale_of
from pipelines.scores.verdicts import Judged, compare
from pipelines.verbs import Progress, silent


def until_verdict(
    run: Run, *, scale: str | None = None, executor: Executor | None = None, progress: Progress = silent, **how: Any
) -> Judged:
    """Evaluate and compare at each look of the scale's schedule (`seeds.looks`); the first verdict in which no line is "cannot tell",
    or that of the last look, which may leave lines open (`Judged.last_look`). The looks spend the 5% between
    them, so its intervals hold although it stopped when it pleased. `how` as `evaluate` says."""
    schedule = load_scale(scale_of(run, scale)).seeds.looks
    for number, seeds in enumerate(schedule, 1):
        done = evaluate(run, scale=scale, seeds=seeds, look=Look(schedule, number), executor=executor, progress=progress, **how)
        judged = compare(done)
        if all(line.answer != "cannot tell" for line in judged.contrasts):
            break
    return judged
