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
from curate.digest import UInt64s
from curate.errors import CeterisError, NondeterminismError
from eval_fixed_model.rows import Rows
from eval_fixed_model.scale import Scale, load_scale
from eval_fixed_model.steps import one_deterministic_thread, weights_digest
from eval_fixed_model.tasks.classification import classify
from eval_fixed_model.tasks.features import Judge
from eval_fixed_model.tasks.items import Split, items_of
from eval_fixed_model.tasks.retrieval import retrieve
from eval_fixed_model.train import train


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
    """`points` (0-100: accuracy, or the mean recall at 1 of both directions), the same `corrected` so that a guess makes 0, the mean
    log-probability of the right answer in `nats` (0 is certainty), and the number of items."""

    points: float
    corrected: float
    nats: float
    items: int


@dataclass(frozen=True)
class SeedScore:
    """What one training scored. `headline` is the plain mean of the scale's headline tasks in points, `corrected` that of their corrected
    points; `seconds` is the training's; `weights` its digest."""

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
        train_file = folder / "train.json"
        if not train_file.is_file():
            raise CeterisError("no finished score lies here", where=str(folder), fix="evaluate the subset again")
        about = json.loads(train_file.read_text(encoding="utf-8"))
        answers = frames.from_bytes((folder / "items.parquet").read_bytes(), where=str(folder / "items.parquet"))
        tasks = task_scores(answers, scale, without)
        headline = float(np.mean([tasks[task].points for task in scale.headline]))
        corrected = float(np.mean([tasks[task].corrected for task in scale.headline]))
        return SeedScore(about["seed"], about["split"], tasks, headline, corrected, about["seconds"], about["weights"])

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def train_and_score(job: Job) -> SeedScore:
    """Train, ask every task, write items.parquet and train.json into `job.out`; the same job gives bit-identical weights.

    The folder appears whole or not at all. One that is already there is left as it is, and must hold the same weights:
    NondeterminismError where it does not. Raises CeterisError when the arm has no row left or the training diverges.
    """
    scale, rows = load_scale(job.scale), Rows.open(job.rows)
    uids = np.load(job.members, allow_pickle=False) if isinstance(job.members, Path) else job.members
    with one_deterministic_thread():
        network, record = train(scale, rows, rows.indices(uids), job.seed)
        answers = ask(network, scale, job.split)
    about = {"seed": job.seed, "split": job.split, "scale": scale.digest, "asked": len(uids), "weights": weights_digest(network), **record}
    _publish(answers, about, job.out)
    return SeedScore.read(job.out, scale)


def ask(network: Judge, scale: Scale, split: Split) -> pl.DataFrame:
    """Every answer to every item of a split (`tasks.features.ANSWERS`), in the scale's order of tasks."""
    asked = [(retrieve if items.task in scale.tasks.retrieval else classify)(network, items, scale) for items in items_of(scale, split)]
    return pl.concat(asked)


def task_scores(answers: pl.DataFrame, scale: Scale, without: Set[int] = frozenset()) -> dict[str, TaskScore]:
    """Each task's score over the items that are not in `without`.

    Retrieval leaves such items out as questions and keeps them as wrong choices, so the number of choices and the chance stay.
    Raises CeterisError when a task has no item left.
    """
    kept = answers.filter(~pl.col("item").is_in(sorted(without)))
    scores = {}
    for task in scale.tasks.names:
        every, left = answers.filter(task=task), kept.filter(task=task)
        if left.is_empty():
            raise CeterisError(f"task {task} has no items left", fix="its pictures are in the pool: remove them there")
        points, nats = (left.group_by("direction").agg(pl.col("correct", "nats").mean()).select("correct", "nats").mean()).row(0)
        chance = scale.chance(task, every["item"].n_unique())
        scores[task] = TaskScore(100 * points, 100 * (100 * points - chance) / (100 - chance), nats, left["item"].n_unique())
    return scores


def _publish(answers: pl.DataFrame, about: dict[str, Any], out: Path) -> None:
    """The folder by one rename; an existing one is only compared with."""
    attempt = out.parent / f".{out.name}.{uuid.uuid4().hex}"
    attempt.mkdir(parents=True)
    (attempt / "items.parquet").write_bytes(frames.to_bytes(answers))
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
