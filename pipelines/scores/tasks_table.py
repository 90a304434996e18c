"""What a scale asks, task by task: `curate scales NAME`."""

from typing import Any

import polars as pl

from eval_fixed_model.scale import Scale, TextScale

SHOWN = 60
"""Characters of a first question that are shown."""


def tasks_table(scale: Scale) -> list[dict[str, Any]]:
    """One line a task: its kind, whether it is in the headline, how many items of the test split it has, and what the first of them is
    (None where sets of pictures in a folder have to be brought). CeterisError where the items are not here."""
    if isinstance(scale, TextScale):
        from eval_fixed_model.tasks.text_items import read_items as read_texts

        frame: pl.DataFrame | None = read_texts(scale).with_columns(asked=pl.col("text"))
    elif scale.items.file is not None:
        from eval_fixed_model.tasks.items import read_items as read_pictures

        frame = read_pictures(scale).with_columns(asked=pl.coalesce("label", "text"))
    else:
        frame = None
    lines = []
    for name, task in scale.tasks.items():
        mine = None if frame is None else frame.filter(pl.col("task") == name, pl.col("split") == "test")["asked"]
        first = "" if mine is None or mine.is_empty() else str(mine[0])
        about = {"task": name, "kind": task.kind, "headline": "yes" if name in scale.headline.tasks else ""}
        lines.append({**about, "items": None if mine is None else len(mine), "the first": first[:SHOWN] + "..." * (len(first) > SHOWN)})
    return lines
