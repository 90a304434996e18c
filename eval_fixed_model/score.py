"""One score: train the scale's model on one arm with one seed, ask it every task, keep every answer. The instrument's main flow."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate import frames
from curate.digest import UInt64s, sha256
from curate.errors import CeterisError, NondeterminismError
from eval_fixed_model.loops import Loop, Rows, Split, loop_of
from eval_fixed_model.scale import Scale, load_scale
from eval_fixed_model.tasks.metrics import main_metric, measures
from eval_fixed_model.training.checkpoint import Keep
from eval_fixed_model.training.place import Place, device_of
from eval_fixed_model.training.steps import one_deterministic_thread


@dataclass(frozen=True, eq=False)
class Job:
    """One training to do, small enough to send to another process.

    `rows` is a folder of materialised or surveyed rows; `scale` a name or path; `members` the arm's uids, (n, 2) words with copies
    repeated, or the .npy file that holds them; `out` the folder the score goes to; `device` the kind that trains, as conditions name it;
    `judge` where the trained network goes, if it is to be kept; `processes` how many share each batch, and `micro` how many rows each of
    them computes at once (None: all of its share); `software` what must be equal where it runs (`conditions.software`).
    """

    rows: Path
    scale: str
    members: UInt64s | Path
    seed: int
    out: Path
    device: str = "cpu"
    split: Split = "test"
    judge: Path | None = None
    processes: int = 1
    micro: int | None = None
    software: Mapping[str, Any] | None = None

    @property
    def gpu(self) -> bool:
        """Whether it asks for a GPU."""
        return self.device.startswith("cuda")

    whole_gpu = gpu
    """One training per GPU."""

    endless = True
    """No time is too long for a training."""


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
        """The score in a finished folder, over all items but those numbered in `without`: of the end, or the mean over the scale's last
        checkpoints. Raises CeterisError where there is none."""
        about = read_training(folder)
        files = [folder / "items.parquet", *(folder / checkpoint_file(step) for step in checkpoints(scale))]
        if gone := [file for file in files if not file.is_file()]:
            raise CeterisError(
                "answers of this score are gone", where=str(gone[0]), fix="move its folder away and evaluate the subset again"
            )
        every = [task_scores(frames.from_bytes(file.read_bytes(), where=str(file)), scale, without) for file in files]
        tasks = {name: _mean([one[name] for one in every]) for name in every[0]}
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


def train_and_score(job: Job, kept: Callable[[Any, Scale], None] | None = None) -> SeedScore:
    """Train, ask every task, write items.parquet and train.json into `job.out`; the same job gives bit-identical weights on a processor.

    The folder appears whole or not at all; what an ended attempt left beside it is gone on from. `kept` is handed
    the trained network. One that is already there is left as it
    is, and must hold the same weights: NondeterminismError where it does not. Raises CeterisError when the arm has no row left or the
    training diverges.
    """
    scale, loop, rows, uids = _opened(job)
    keep = Keep(part := _part(job))

    def visit(step: int) -> Callable[[Any], object]:
        return lambda network: _write(part / checkpoint_file(step), loop.ask(network, scale, job.split))

    with device_of(job.device) as device, one_deterministic_thread(place := Place(device, job.micro)):
        visits = {step: visit(step) for step in checkpoints(scale)}
        network, record = loop.train(scale, rows, rows.indices(uids), job.seed, place=place, keep=keep, visits=visits)
        answers = _write(part / "items.parquet", loop.ask(network, scale, job.split))
    weights = loop.weights_digest(network)
    about = {"seed": job.seed, "split": job.split, "scale": scale.digest, "asked": len(uids), "weights": weights, **record}
    before = {str(step): sha256((part / checkpoint_file(step)).read_bytes()) for step in checkpoints(scale)}
    kept_of = {"answers": answers} | ({"answers before": before} if before else {})
    (part / "train.json").write_text(json.dumps({**about, **kept_of}, indent=1), encoding="utf-8")
    if kept:
        kept(network, scale)
    keep.remove()
    _publish(part, about, job.out)
    return SeedScore.read(job.out, scale)


def take_part(job: Job) -> None:
    """What the other processes of a gang do whose first one does `train_and_score`: compute their share of every batch."""
    scale, loop, rows, uids = _opened(job)
    with device_of(job.device) as device, one_deterministic_thread(place := Place(device, job.micro)):
        loop.train(scale, rows, rows.indices(uids), job.seed, place=place, keep=Keep(_part(job)))


def _opened(job: Job) -> tuple[Scale, Loop, Rows, UInt64s]:
    scale = load_scale(job.scale)
    loop = loop_of(scale)
    return scale, loop, loop.open_rows(job.rows), np.load(job.members, allow_pickle=False) if isinstance(job.members, Path) else job.members


def _part(job: Job) -> Path:
    return job.out.parent / f".{job.out.name}.part"


def checkpoints(scale: Scale) -> list[int]:
    """After which steps before the end the scale's tasks are asked as well."""
    last = scale.last_checkpoints
    return [scale.steps - back * last.every for back in range(last.count - 1, 0, -1)] if last else []


def checkpoint_file(step: int) -> str:
    """Where the answers after so many steps lie in a score's folder."""
    return f"items-{step}.parquet"


def _write(file: Path, answers: pl.DataFrame) -> str:
    """The SHA-256 of what was written, by one rename."""
    kept = frames.to_bytes(answers)
    file.parent.mkdir(parents=True, exist_ok=True)
    attempt = file.with_suffix(".tmp")
    attempt.write_bytes(kept)
    attempt.replace(file)
    return sha256(kept)


def _mean(scores: Sequence[TaskScore]) -> TaskScore:
    """Over checkpoints."""
    if len(scores) == 1:
        return scores[0]
    value, corrected, nats = (float(np.mean([getattr(one, name) for one in scores])) for name in ("value", "corrected", "nats"))
    measures = {name: float(np.mean([one.measures[name] for one in scores])) for name in scores[0].measures}
    return TaskScore(value, corrected, nats, scores[0].items, measures)


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


def _settle(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _publish(part: Path, about: dict[str, Any], out: Path) -> None:
    """The folder by one rename, its files on the disk before; an existing one is only compared with."""
    for path in (*part.iterdir(), part):
        _settle(path)
    try:
        part.rename(out)
        _settle(out.parent)
    except OSError:
        if not out.exists():
            raise
        shutil.rmtree(part, ignore_errors=True)
        if not (out / "train.json").is_file():
            raise CeterisError("what lies here is no score", where=str(out), fix="move it away") from None
        there = json.loads((out / "train.json").read_text(encoding="utf-8"))
        if there["weights"] != about["weights"]:
            raise NondeterminismError(
                f"seed {about['seed']} gave other weights than the last time", where=str(out), fix="train where the first score was made"
            ) from None
