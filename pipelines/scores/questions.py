"""Tasks that a user brings, asked of a trained judge of texts, or written as the items of a scale."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from curate.errors import CeterisError
from eval_fixed_model.judge_folder import open_judge
from eval_fixed_model.tasks.local_tasks import read_tasks
from eval_fixed_model.tasks.metrics import main_metric, measures
from eval_fixed_model.tasks.text_scoring import ask_items, by_group


@dataclass(frozen=True)
class Asked:
    """One task: its `items`, the `metric` that decides and its `value`, what guessing makes (None where nothing is chosen), every measure,
    and {group, items, points} of each subject or level."""

    task: str
    items: int
    metric: str
    value: float
    chance: float | None
    measures: dict[str, float]
    groups: list[dict[str, Any]]


def ask(judge: Path, tasks: Path, device: str = "cpu") -> list[Asked]:
    """Every task of the file (`eval_fixed_model/tasks/local_tasks.py`), asked of the judge in a folder (`open_judge`).

    It is one network's score, without an interval: what it says of the data behind it, only a comparison of arms can.
    """
    read, found = read_tasks(tasks), []
    model = open_judge(judge, device)
    for name, (task, items) in read.items():
        record = task.record(items)
        answers = ask_items(model, items, record)
        made, metric = measures(answers, record), main_metric(record)
        found.append(Asked(name, items.frame.height, metric, made[metric], items.chance(), made, by_group(answers).to_dicts()))
    return found


def write_items(tasks: Path, out: Path) -> dict[str, int]:
    """Write each task's items as OUT/TASK.parquet, as a scale's `items: {folder: OUT}` reads them: half of them, in turn, the validation
    split's, so that what is tuned is tuned on other items. Returns how many each task has. CeterisError where one is there already."""
    read = read_tasks(tasks)
    taken = [name for name in read if (out / f"{name}.parquet").exists()]
    if taken:
        raise CeterisError(f"items of {', '.join(taken)} are there already", where=str(out), fix="name another folder")
    out.mkdir(parents=True, exist_ok=True)
    turn = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("test")).otherwise(pl.lit("validation"))
    for name, (_, items) in read.items():
        items.frame.drop("item").with_columns(split=turn).write_parquet(out / f"{name}.parquet")
    return {name: items.frame.height for name, (_, items) in read.items()}
