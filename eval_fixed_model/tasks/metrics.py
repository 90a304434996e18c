"""Metrics: what stored answers of one task amount to. Pure, so that every number can be taken again from the answers.

Ties count against the judge: an answer is right where its rank is 1, and a rank counts everything as likely as the right answer before it.
"""

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import CeterisError
from eval_fixed_model.records import Task

BINS = 15
SAME = "same items"
"""The variant that `measures` calls the unperturbed answers to the items that were also asked perturbed."""

Floats = npt.NDArray[np.float64]
_AT = {"recall_at_1": 1, "recall_at_5": 5, "recall_at_10": 10}


def measures(answers: pl.DataFrame, task: Task) -> dict[str, float]:
    """Every metric of one task's answers (`answers.ANSWERS`), the task's main one first; points (0-100) but for `bits_per_byte` and `nats`.

    classification, multiple_choice, short_answer: `accuracy`; of classes also `recall_at_5` where five occur, `mean_per_class_recall`
    (plain mean over the classes that occur), `macro_f1` (likewise, as WILDS has it), and where items have groups `worst_group` and
    `worst_group_at_5` (the least accuracy of a group). retrieval: `recall_at_1`, `_5`, `_10` (one of the right ones is among so many), of
    each direction and as their mean; or `jaccard`. likelihood: `bits_per_byte`. Where there is a choice, `calibration_error`; `nats` is the
    mean log-probability of what is right. With perturbed variants, `MAIN:VARIANT`, and `MAIN:same items` of their items as they are.

    Raises CeterisError where there is no answer.
    """
    plain = answers.filter(variant="")
    if plain.is_empty():
        raise CeterisError("no answers to measure", fix="ask the task, or give it items")
    made = _measures(plain, task)
    main = main_metric(task)
    for variant in answers.filter(pl.col("variant") != "")["variant"].unique().sort():
        asked = answers.filter(variant=variant)
        made[f"{main}:{variant}"] = _measures(asked, task)[main]
        made.setdefault(f"{main}:{SAME}", _measures(plain.join(asked, "item", "semi"), task)[main])
    return made


def main_metric(task: Task) -> str:
    """The name of the metric that a task's score is."""
    if task.kind == "likelihood":
        return "bits_per_byte"
    return task.metric if task.kind in ("classification", "retrieval") else "accuracy"


def _measures(answers: pl.DataFrame, task: Task) -> dict[str, float]:
    match task.kind:
        case "likelihood":
            made = {"bits_per_byte": bits_per_byte(answers)}
        case "retrieval" if task.metric == "jaccard":
            made = {"jaccard": jaccard(answers)}
        case "retrieval":
            made = _recalls(answers)
        case "classification":
            made = _of_classes(answers)
        case _:
            made = {"accuracy": 100 * float(_within(answers, 1).mean())}
    if answers["sure"].count():
        made["calibration_error"] = calibration_error(answers)
    if answers["nats"].count():
        made["nats"] = _mean_of_directions(answers, "nats")
    main = main_metric(task)
    if main not in made:
        raise CeterisError(f"the answers say nothing of {main}", fix="answers need a group for the worst group, and five classes for five")
    return {main: made.pop(main), **made}


def _of_classes(answers: pl.DataFrame) -> dict[str, float]:
    right, label, answer = _within(answers, 1), answers["label"].to_numpy(), answers["answer"].to_numpy()
    made = {"accuracy": 100 * float(right.mean())}
    several = max(label.max(), answer.max()) >= 4
    if several:
        made["recall_at_5"] = 100 * float(_within(answers, 5).mean())
    made["mean_per_class_recall"] = 100 * float(_means(label, right).mean())
    made["macro_f1"] = macro_f1(label, answer)
    if answers["group"].count():
        made["worst_group"] = worst_group(answers, 1)
        if several:
            made["worst_group_at_5"] = worst_group(answers, 5)
    return made


def _recalls(answers: pl.DataFrame) -> dict[str, float]:
    """Means over directions, then each direction's."""
    ways = {way: answers.filter(direction=way) for way in answers["direction"].unique().sort()}
    each = {name: {way: 100 * float(_within(asked, k).mean()) for way, asked in ways.items()} for name, k in _AT.items()}
    means = {name: sum(recalls.values()) / len(recalls) for name, recalls in each.items()}
    return means | {f"{name}:{way}": recall for name, recalls in each.items() for way, recall in recalls.items() if len(ways) > 1}


def macro_f1(label: npt.NDArray[np.integer], answer: npt.NDArray[np.integer]) -> float:
    """Points: the plain mean over the classes that occur as labels of 2 TP / (2 TP + FP + FN), which is how WILDS scores iWildCam."""
    size = 1 + max(int(label.max()), int(answer.max()))
    hits = np.bincount(label[label == answer], minlength=size)
    labelled, answered = np.bincount(label, minlength=size), np.bincount(answer, minlength=size)
    occurs = labelled > 0
    return 100 * float((2 * hits[occurs] / (labelled + answered)[occurs]).mean())


def worst_group(answers: pl.DataFrame, most: int) -> float:
    """Points: the least share, over groups, of answers whose right one is among the first `most`; those without a group are in none."""
    grouped = answers.drop_nulls("group")
    _, groups = np.unique(grouped["group"].to_list(), return_inverse=True)
    return 100 * float(_means(groups, _within(grouped, most)).min())


def jaccard(answers: pl.DataFrame) -> float:
    """Points: the mean over items of |chosen and right| / |chosen or right|, where as many are chosen as are right (WinoGAViL, arXiv
    2207.12576). An item has one answer for each right candidate, with its rank among all candidates."""
    counted = answers.group_by("item", maintain_order=True).agg(right=pl.len(), hit=(pl.col("rank") <= pl.len()).sum())
    right, hit = counted["right"].to_numpy().astype(float), counted["hit"].to_numpy().astype(float)
    return 100 * float((hit / (2 * right - hit)).mean())


def calibration_error(answers: pl.DataFrame, bins: int = BINS) -> float:
    """Points: the expected calibration error of Guo et al. 2017 (arXiv 1706.04599, equation 3), over all directions together.

    Bin m of M equally wide ones holds the answers with (m - 1) / M < sure <= m / M (of float32 probabilities); the error is the mean over
    answers of how far their bin's accuracy is from its mean probability.
    """
    asked = answers.drop_nulls("sure")
    sure = asked["sure"].to_numpy().astype(np.float64)
    place = np.clip(np.ceil(sure * bins) - 1, 0, bins - 1).astype(np.int64)
    gaps = np.bincount(place, _within(asked, 1) - sure, bins)
    return 100 * float(np.abs(gaps).sum() / len(sure))


def bits_per_byte(answers: pl.DataFrame) -> float:
    """Bits of all texts by bytes of all texts."""
    return -float(answers["nats"].cast(pl.Float64).sum()) / math.log(2) / float(answers["bytes"].sum())


def _mean_of_directions(answers: pl.DataFrame, column: str) -> float:
    ways = [answers.filter(direction=way)[column].cast(pl.Float64).mean() for way in answers["direction"].unique().sort()]
    return float(np.mean([mean for mean in ways if mean is not None]))


def _within(answers: pl.DataFrame, most: int) -> Floats:
    """1 where the right answer is among the first `most`, else 0."""
    return (answers["rank"] <= most).to_numpy().astype(np.float64)


def _means(groups: npt.NDArray[np.integer], values: Floats) -> Floats:
    """The mean of each group that occurs."""
    count = np.bincount(groups)
    sums = np.bincount(groups, values)
    means: Floats = sums[count > 0] / count[count > 0]
    return means
