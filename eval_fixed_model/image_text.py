"""The image-text loop: its parts in one place, as `loops.Loop` names them."""

from pathlib import Path

import polars as pl

from curate.errors import CeterisError
from eval_fixed_model.leaks import images as leaks
from eval_fixed_model.loops import Split
from eval_fixed_model.models.judges import build
from eval_fixed_model.records import Classification
from eval_fixed_model.rows.images import Rows, materialise
from eval_fixed_model.rows.survey import Survey
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.tasks.classification import classify
from eval_fixed_model.tasks.features import Judge
from eval_fixed_model.tasks.items import items_digest, items_of
from eval_fixed_model.tasks.retrieval import retrieve
from eval_fixed_model.training.images import train
from eval_fixed_model.training.steps import weights_digest

ROLES = ("image", "text")

__all__ = ["ROLES", "ask", "build", "items_digest", "leaked_pairs", "libraries", "materialise", "open_rows", "train", "weights_digest"]


def libraries(scale: ImageTextScale) -> tuple[str, ...]:  # noqa: ARG001  # text's differ from scale to scale
    """Those whose versions are conditions."""
    return ("torch", "torchvision", "open_clip", "numpy", "PIL")


def open_rows(folder: Path) -> Rows | Survey:
    """Those that `materialise` or `survey` has finished."""
    return Survey.open(folder) if Survey.lies(folder) else Rows.open(folder)


def leaked_pairs(rows: Rows | Survey, scale: ImageTextScale, split: Split = "test") -> pl.DataFrame:
    """As `leaks.leaked_pairs` says; a survey has looked for those of the test split."""
    if not isinstance(rows, Survey):
        return leaks.leaked_pairs(rows, scale, split)
    if split != "test":
        raise CeterisError(f"the pictures were not held against the {split} items", fix="ask for the test split")
    return rows.leaks


def ask(network: Judge, scale: ImageTextScale, split: Split) -> pl.DataFrame:
    """Every answer to every item of a split (`tasks.answers.ANSWERS`), in the scale's order of tasks."""
    asked = []
    for items in items_of(scale, split):
        task = scale.tasks[items.task]
        asked.append(classify(network, items, task, scale) if isinstance(task, Classification) else retrieve(network, items, scale))
    return pl.concat(asked)
