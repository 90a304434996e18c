"""The verdict's error rate, measured from runs of this store."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate import frames
from curate.errors import CeterisError
from curate.executor import InProcess
from curate.record import Run
from curate.store import Store
from eval_fixed_model.scale import load_scale
from eval_fixed_model.score import Job
from eval_fixed_model.statistics import calibration
from eval_fixed_model.statistics.calibration import Shape
from eval_fixed_model.tasks.answers import ANSWERS
from pipelines.scores import calibrate, training
from pipelines.scores.calibrate import calibrate_verdicts
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.verdicts import latest


@pytest.fixture
def run(scored: Evaluation, tmp_path: Path) -> Run:
    shutil.copytree(scored.store.path(""), tmp_path / "s")
    return Run(Store.open(tmp_path / "s"), scored.run)


@pytest.fixture
def made_up(scored: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that are there without a training: what is measured here is the verdict, and sixty trainings take a while."""
    asked = frames.from_bytes((scored.store.path(scored.arms["long"].scores[0]) / "items.parquet").read_bytes(), where="items")

    def score(job: Job) -> None:
        right = np.random.default_rng([job.seed, int(job.out.parent.name[:8], 16)]).random(len(asked)) < 0.4
        given = {"rank": np.where(right, 1, 9), "answer": np.where(right, asked["label"].fill_null(0), 99)}
        job.out.mkdir(parents=True)
        made = asked.with_columns(pl.Series(name, values, dtype=ANSWERS[name]) for name, values in given.items())
        (job.out / "items.parquet").write_bytes(frames.to_bytes(made))
        about = {"seed": job.seed, "split": "test", "seconds": 0.1, "weights": "0" * 64}
        (job.out / "train.json").write_text(json.dumps(about), encoding="utf-8")

    monkeypatch.setattr(training, "_train_one", score)


@pytest.mark.usefixtures("made_up")
def test_sixty_runs_calibrate_a_small_family(run: Run, scored: Evaluation, two_tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "FAMILIES_PER_BANK", 2)  # half a second instead of half a minute
    scale = str(two_tasks)
    found = calibrate_verdicts(run, scale=scale, runs=60, families=40, shapes=[Shape(1, 5)], executor=InProcess())
    random = next(name for name, arm in scored.arms.items() if arm.kind == "random")
    assert found.runs == {"whole pool": 20, "long": 20, random: 20}
    assert found.evaluation.trained == 60 - 2 * 3  # nothing twice
    (one,) = found.found
    assert (one.candidates, one.seeds, one.families) == (1, 5, 40)
    assert one.coverage.share > 0.7 > 0.3 > one.false_verdicts.share
    assert one.power.share > 0.4 > one.wrong_way.share
    assert run.store.json(found.file)["scores"]["long"]["19"] == found.evaluation.score("long", 19).headline
    again = calibrate_verdicts(run, scale=scale, runs=60, families=40, shapes=[Shape(1, 5)], executor=InProcess())
    assert (again.evaluation.trained, again.found, again.file) == (0, found.found, found.file)
    # What `compare` shows is still the evaluation of all arms.
    assert latest(run).arms == scored.arms


def test_a_bank_too_small_for_its_families_is_refused_before_it_is_trained(
    run: Run, two_tasks: Path, tmp_path: Path, write_scale: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "evaluate", lambda *_, **__: pytest.fail("it trained"))
    with pytest.raises(CeterisError, match="4 candidates need 9"):
        calibrate_verdicts(run, scale=str(two_tasks), runs=60, executor=InProcess())
    with pytest.raises(CeterisError, match="59 runs are too few"):
        calibrate_verdicts(run, scale=str(two_tasks), runs=59, executor=InProcess())
    paired = write_scale(tmp_path / "paired.yaml", analysis="paired", items__file=str(load_scale(two_tasks).evaluation_file))
    with pytest.raises(CeterisError, match="the bank holds 2 fixed arms of 3 runs; 1 candidates need 3"):
        calibrate_verdicts(run, scale=str(paired), runs=120, executor=InProcess())
