"""One score: train the scale's model on one arm with one seed, ask it every task, keep every answer. The instrument's main flow."""

import json
import shutil
import uuid
from collections.abc import Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate import frames
from curate.digest import UInt64s, sha256
from curate.errors import CeterisError, NondeterminismError
from eval_fixed_model.loops import Split, loop_of
from eval_fixed_model.scale import Scale, load_scale
from eval_fixed_model.steps import one_deterministic_thread
from eval_fixed_model.tasks.metrics import main_metric, measures


@dataclass(frozen=True, eq=False)
class Job:
    """One training to do, small enough to send to another process.

    `rows` is a folder of materialised rows; `scale` a name or path; `members` the arm's uids, (n, 2) words with copies repeated, or the
    .npy file that holds them; `out` the folder the score goes to.
    """

    rows: Path
    scale: str
    members: UInt64s | Path
    seed: int
    out: Path
    split: Split = "test"


@dataclass(frozen=True)
class TaskScore:
    """`value` of the task's own metric (points, 0-100, or bits per byte), the same `corrected` so that a guess makes 0 (bits per byte as
    they are), the mean log-probability of the right answer in `nats` (0 is certainty), the number of items, and all its `measures`."""

    value: float
    corrected: float
    nats: float
    items: int
    measures: dict[str, float]


@dataclass(frozen=True)
class SeedScore:
    """What one training scored. `headline` is the plain mean of the scale's headline tasks in its measure, `corrected` that of their
    corrected values; `seconds` is the training's; `weights` its digest."""

    seed: int
    split: Split
    tasks: dict[str, TaskScore]
    headline: float
    corrected: float
    seconds: float
    weights: str

    @staticmethod
    def read(folder: Path, scale: Scale, without: Set[int] = frozenset()) -> "SeedScore":
        """The score in a finished folder, over all items but those numbered in `without`. Raises CeterisError where there is none."""
        about = read_training(folder)
        answers = frames.from_bytes((folder / "items.parquet").read_bytes(), where=str(folder / "items.parquet"))
        tasks = task_scores(answers, scale, without)
        headline = float(np.mean([tasks[task].value for task in scale.headline.tasks]))
        corrected = float(np.mean([tasks[task].corrected for task in scale.headline.tasks]))
        return SeedScore(about["seed"], about["split"], tasks, headline, corrected, about["seconds"], about["weights"])

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def read_training(folder: Path) -> dict[str, Any]:
    """The record of the training in a finished folder. Raises CeterisError where there is none."""
    file = folder / "train.json"
    if not file.is_file():
        raise CeterisError("no finished score lies here", where=str(folder), fix="evaluate the subset again")
    about: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return about


def train_and_score(job: Job) -> SeedScore:
    """Train, ask every task, write items.parquet and train.json into `job.out`; the same job gives bit-identical weights.

    The folder appears whole or not at all. One that is already there is left as it is, and must hold the same weights:
    NondeterminismError where it does not. Raises CeterisError when the arm has no row left or the training diverges.
    """
    scale = load_scale(job.scale)
    loop = loop_of(scale)
    rows = loop.open_rows(job.rows)
    uids = np.load(job.members, allow_pickle=False) if isinstance(job.members, Path) else job.members
    with one_deterministic_thread():
        network, record = loop.train(scale, rows, rows.indices(uids), job.seed)
        answers = loop.ask(network, scale, job.split)
    weights = loop.weights_digest(network)
    about = {"seed": job.seed, "split": job.split, "scale": scale.digest, "asked": len(uids), "weights": weights, **record}
    _publish(answers, about, job.out)
    return SeedScore.read(job.out, scale)


def task_scores(answers: pl.DataFrame, scale: Scale, without: Set[int] = frozenset()) -> dict[str, TaskScore]:
    """Each task's score over the items that are not in `without`.

    Retrieval leaves such items out as questions and keeps them as wrong choices, so the number of choices and the chance stay.
    Raises CeterisError when a task has no item left.
    """
    kept = answers.filter(~pl.col("item").is_in(sorted(without)))
    scores = {}
    for name, task in scale.tasks.items():
        left = kept.filter(task=name)
        if left.is_empty():
            raise CeterisError(f"task {name} has no items left", fix="they are in the pool: remove them there")
        found = measures(left, task)
        value = found[main_metric(task)]
        chance = scale.chance(name, answers.filter(task=name)["item"].n_unique())
        corrected = value if chance is None else 100 * (value - chance) / (100 - chance)
        plain = left.filter(variant="")
        nats = plain.group_by("direction").agg(pl.col("nats").mean())["nats"].mean()
        scores[name] = TaskScore(value, corrected, float(nats or 0.0), plain["item"].n_unique(), found)  # type: ignore[arg-type]
    return scores


def _publish(answers: pl.DataFrame, about: dict[str, Any], out: Path) -> None:
    """The folder by one rename; an existing one is only compared with."""
    attempt = out.parent / f".{out.name}.{uuid.uuid4().hex}"
    attempt.mkdir(parents=True)
    kept = frames.to_bytes(answers)
    about = {**about, "answers": sha256(kept)}
    (attempt / "items.parquet").write_bytes(kept)
    (attempt / "train.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    try:
        attempt.rename(out)
    except OSError:
        shutil.rmtree(attempt)
        if not out.exists():
            raise
        if not (out / "train.json").is_file():
            raise CeterisError("what lies here is no score", where=str(out), fix="move it away") from None
        there = json.loads((out / "train.json").read_text(encoding="utf-8"))
        if there["weights"] != about["weights"]:
            raise NondeterminismError(
                f"seed {about['seed']} gave other weights than the last time", where=str(out), fix="train where the first score was made"
            ) from None
