"""A text network asked every item of its scale: what the loop's `ask` gives."""

import polars as pl

from eval_fixed_model.records import Task
from eval_fixed_model.scale import TextScale
from eval_fixed_model.tasks._language_model import LanguageModel
from eval_fixed_model.tasks.likelihood import likelihood
from eval_fixed_model.tasks.multiple_choice import multiple_choice
from eval_fixed_model.tasks.short_answer import short_answer
from eval_fixed_model.tasks.text_items import Split, TextItems, items_of

MISSPELT = 100


def ask_scale(model: LanguageModel, scale: TextScale, split: Split) -> pl.DataFrame:
    """`ANSWERS` of every task of the scale; of the first `MISSPELT` test items of each task also with typos."""
    asked = [(one, scale.tasks[one.task]) for one in items_of(scale, split)]
    misspelt = [(one.first(MISSPELT).with_typos(), record) for one, record in asked] if split == "test" else []
    return pl.concat([ask_items(model, *one) for one in [*asked, *misspelt]])


def ask_items(model: LanguageModel, items: TextItems, task: Task) -> pl.DataFrame:
    """`ANSWERS` of one task's items."""
    match task.kind:
        case "likelihood":
            return likelihood(model, items)
        case "multiple_choice":
            return multiple_choice(model, items, task.likelihood)
        case "short_answer":
            return short_answer(model, items, task.most_tokens)
    raise ValueError(f"{task.kind} is no task of texts")


def by_group(answers: pl.DataFrame) -> pl.DataFrame:
    """{group, items, points}: the share of right answers (0-100) of each subject or level, in name order; without variants."""
    plain = answers.filter((pl.col("variant") == "") & pl.col("group").is_not_null())
    return plain.group_by("group").agg(items=pl.len(), points=100 * (pl.col("rank") == 1).mean()).sort("group")
