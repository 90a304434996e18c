"""The image-text loop: its parts in one place, as `loops.Loop` names them."""

import polars as pl

from eval_fixed_model.leaks import leaked_pairs
from eval_fixed_model.loops import Split
from eval_fixed_model.models.judges import build
from eval_fixed_model.records import Classification
from eval_fixed_model.rows import Rows, materialise
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.steps import weights_digest
from eval_fixed_model.tasks.classification import classify
from eval_fixed_model.tasks.features import Judge
from eval_fixed_model.tasks.items import items_digest, items_of
from eval_fixed_model.tasks.retrieval import retrieve
from eval_fixed_model.train import train

ROLES = ("image", "text")
open_rows = Rows.open

__all__ = ["ROLES", "ask", "build", "items_digest", "leaked_pairs", "libraries", "materialise", "open_rows", "train", "weights_digest"]


def libraries(scale: ImageTextScale) -> tuple[str, ...]:  # noqa: ARG001  # text's differ from scale to scale
    """Those whose versions are conditions."""
    return ("torch", "torchvision", "open_clip", "numpy", "PIL")


def ask(network: Judge, scale: ImageTextScale, split: Split) -> pl.DataFrame:
    """Every answer to every item of a split (`tasks.answers.ANSWERS`), in the scale's order of tasks."""
    asked = []
    for items in items_of(scale, split):
        task = scale.tasks[items.task]
        asked.append(classify(network, items, task, scale) if isinstance(task, Classification) else retrieve(network, items, scale))
    return pl.concat(asked)
