"""Questions with choices: the one whose text is likeliest after the question is given."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from eval_fixed_model.tasks._language_model import LanguageModel
from eval_fixed_model.tasks.text_items import DELIMITER, TextItems

Floats = npt.NDArray[np.float64]


def multiple_choice(model: LanguageModel, items: TextItems, by: Literal["sum", "per byte"] = "sum") -> pl.DataFrame:
    """Per item: the choice with the greatest log-probability after the question and one space, in `sum` or `per byte` of the choice.

    `sum` is what lm-evaluation-harness calls acc, `per byte` its acc_bytes, which is its acc_norm (per character) where all choices are
    ASCII. A choice as likely as the right one counts against it; the harness takes the first. `sure` and `nats` are of the softmax of the
    sums over the choices: the probability of the given one, and the log-probability of the right one.
    """
    return chosen(items, choice_nats(model, items), by)


def choice_nats(model: LanguageModel, items: TextItems) -> list[Floats]:
    """Of each item the log-probability of each choice, in nats."""
    pairs = [
        (prompt, DELIMITER + choice) for prompt, choices in zip(items.prompts, items.frame["choices"], strict=True) for choice in choices
    ]
    sums = np.array([one.nats.sum(dtype=np.float64) for one in model.continuations(pairs)])
    return np.split(sums, np.cumsum(items.frame["choices"].list.len().to_numpy())[:-1]) if len(sums) else []


def chosen(items: TextItems, nats: Sequence[Floats], by: Literal["sum", "per byte"]) -> pl.DataFrame:
    """`ANSWERS` of the choices' log-probabilities."""
    ranks, answers, sure, right_nats = [], [], [], []
    labels = items.frame["label"].to_list()
    for sums, choices, right in zip(nats, items.frame["choices"], labels, strict=True):
        score = sums / np.array([len(choice.encode()) for choice in choices]) if by == "per byte" else sums.copy()
        before = int((score >= score[right]).sum()) - 1
        score[right] = score[right] if before == 0 else -np.inf  # a tie is not right: another choice is given
        given = int(score.argmax())
        likely = sums - sums.max()
        likely = likely - np.log(np.exp(likely).sum())
        ranks.append(1 + before)
        answers.append(given)
        sure.append(float(np.exp(likely[given])))
        right_nats.append(float(likely[right]))
    return items.answers(rank=ranks, label=labels, answer=answers, sure=sure, nats=right_nats)
