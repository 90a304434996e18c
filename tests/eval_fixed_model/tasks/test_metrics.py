"""Every metric against numbers worked out by hand, or against the definition written out as loops."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter

from curate.errors import CeterisError
from eval_fixed_model.records import Task
from eval_fixed_model.tasks.answers import ANSWERS
from eval_fixed_model.tasks.metrics import calibration_error, macro_f1, main_metric, measures

_TASK: TypeAdapter[Task] = TypeAdapter(Task)


def _task(kind: str, **keys: Any) -> Task:
    own = {"classes": ["a", "b", "c"], "templates": ["{}"]} if kind == "classification" else {}
    return _TASK.validate_python({"kind": kind, **own, **keys})


def _answers(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    common = {"task": "t", "variant": "", "direction": ""}
    return pl.DataFrame([{**common, "item": i, **row} for i, row in enumerate(rows)], schema=ANSWERS)


def _classified(pairs: Sequence[tuple[int, int]], **more: Sequence[Any]) -> pl.DataFrame:
    """(label, answer); the wrong ones at rank 2."""
    rows = [{"label": label, "answer": answer, "rank": 1 if label == answer else 2} for label, answer in pairs]
    return _answers([{**row, **{name: values[i] for name, values in more.items()}} for i, row in enumerate(rows)])


def test_classes_by_hand() -> None:
    # Class 0 is right 3 of 4 times, class 1 1 of 2, class 2 never; 3 is answered and never a label.
    found = measures(_classified([(0, 0), (0, 0), (0, 0), (0, 1), (1, 1), (1, 3), (2, 0)]), _task("classification"))
    assert found["accuracy"] == pytest.approx(400 / 7)
    assert found["mean_per_class_recall"] == pytest.approx(100 * (3 / 4 + 1 / 2 + 0) / 3)
    # F1 = 2 TP / (labelled + answered): class 0 is answered 4 times, class 1 twice, class 2 never.
    assert found["macro_f1"] == pytest.approx(100 * (6 / 8 + 2 / 4 + 0) / 3)
    assert "recall_at_5" not in found
    assert "worst_group" not in found
    assert next(iter(found)) == "accuracy"


def test_macro_f1_is_the_mean_of_f1_over_the_classes_that_occur() -> None:
    rng = np.random.default_rng(0)
    label, answer = rng.integers(0, 9, 400), rng.integers(0, 12, 400)
    scores = []
    for kind in set(label.tolist()):
        both = sum(1 for a, b in zip(label, answer, strict=True) if a == b == kind)
        precision, recall = both / max(1, (answer == kind).sum()), both / (label == kind).sum()
        scores.append(2 * precision * recall / (precision + recall) if both else 0.0)
    assert macro_f1(label, answer) == pytest.approx(100 * np.mean(scores))


def test_the_worst_group_and_the_first_five() -> None:
    rows = [("north", 1), ("north", 6), ("south", 2), ("south", 3), ("south", 1), (None, 9)]
    asked = _answers([{"group": group, "rank": rank, "label": 4, "answer": 4 if rank == 1 else 5} for group, rank in rows])
    found = measures(asked, _task("classification", metric="worst_group"))
    assert next(iter(found)) == "worst_group"
    assert found["worst_group"] == pytest.approx(100 / 3), "south"
    assert found["worst_group_at_5"] == pytest.approx(50), "north"
    assert found["recall_at_5"] == pytest.approx(100 * 4 / 6)
    assert found["accuracy"] == pytest.approx(100 * 2 / 6), "an item without a group counts, but in no group"


def test_recall_is_of_each_direction_and_their_plain_mean() -> None:
    ranks = {"image to text": [1, 4, 11, 1], "text to image": [2, 10]}
    asked = _answers([{"direction": way, "rank": rank} for way, listed in ranks.items() for rank in listed])
    found = measures(asked, _task("retrieval"))
    assert found["recall_at_1"] == pytest.approx((50 + 0) / 2)
    assert found["recall_at_5"] == pytest.approx((75 + 50) / 2)
    assert found["recall_at_10"] == pytest.approx((75 + 100) / 2)
    assert found["recall_at_5:image to text"] == pytest.approx(75)
    assert found["recall_at_5:text to image"] == pytest.approx(50)


def test_jaccard_takes_as_many_as_are_right() -> None:
    # Item 0 has three right candidates, two of them among the first three: 2 of 4 in the union. Item 1 has both of two.
    asked = _answers([{"item": item, "rank": rank} for item, rank in ((0, 1), (0, 3), (0, 5), (1, 2), (1, 1))])
    assert measures(asked, _task("retrieval", metric="jaccard")) == {"jaccard": pytest.approx(100 * (2 / 4 + 1) / 2)}


def test_calibration_error_by_its_definition() -> None:
    rng = np.random.default_rng(1)
    sure = np.concatenate([rng.random(500), [0.0, 1.0, 1 / 15, 7 / 15]]).astype(np.float32)
    right = rng.random(len(sure)) < sure
    asked = _answers([{"sure": float(s), "rank": 1 if r else 2} for s, r in zip(sure, right, strict=True)])
    total = 0.0
    for m in range(1, 16):
        inside = [i for i, s in enumerate(sure.astype(float)) if (m - 1) / 15 < s <= m / 15 or (m == 1 and s == 0)]
        if inside:
            total += len(inside) / len(sure) * abs(np.mean([right[i] for i in inside]) - np.mean([float(sure[i]) for i in inside]))
    assert calibration_error(asked) == pytest.approx(100 * total)


def test_calibration_error_by_hand() -> None:
    # Two answers at .9, one right: off by .4. Two at .5, both right: off by .5.
    asked = _answers([{"sure": sure, "rank": rank} for sure, rank in ((0.9, 1), (0.9, 2), (0.5, 1), (0.5, 1))])
    assert calibration_error(asked) == pytest.approx(45, abs=1e-4)
    even = _answers([{"sure": 0.75, "rank": rank} for rank in (1, 1, 1, 3)])
    assert calibration_error(even) == pytest.approx(0, abs=1e-6)


def test_bits_per_byte_weigh_texts_by_their_bytes() -> None:
    asked = _answers([{"nats": -8 * math.log(2), "bytes": 4}, {"nats": -2 * math.log(2), "bytes": 6}])
    found = measures(asked, _task("likelihood"))
    assert found["bits_per_byte"] == pytest.approx(10 / 10)
    assert found["nats"] == pytest.approx(-5 * math.log(2))


def test_choices_and_short_answers_have_accuracy() -> None:
    asked = _answers([{"rank": 1, "nats": -1.0, "sure": 0.5}, {"rank": 3, "nats": -3.0, "sure": 0.5}])
    found = measures(asked, _task("multiple_choice", choices=4))
    assert found == {"accuracy": 50, "calibration_error": pytest.approx(0), "nats": -2}
    assert measures(asked.with_columns(sure=None, nats=None), _task("short_answer")) == {"accuracy": 50}


def test_perturbed_answers_stand_apart_beside_the_same_items() -> None:
    rows = [{"rank": 1}, {"rank": 1}, {"rank": 2}, {"rank": 2}]
    rows += [{"item": 0, "rank": 2, "variant": "blur"}, {"item": 2, "rank": 1, "variant": "blur"}]
    rows += [{"item": 0, "rank": 1, "variant": "typos"}, {"item": 2, "rank": 1, "variant": "typos"}]
    found = measures(_answers([{"label": 0, "answer": 1, **row} for row in rows]), _task("classification"))
    assert found["accuracy"] == 50
    assert (found["accuracy:blur"], found["accuracy:typos"], found["accuracy:same items"]) == (50, 100, 50)
    few = _answers([{"label": 0, "answer": 1, **row} for row in (rows[0], rows[1], rows[4])])
    assert measures(few, _task("classification"))["accuracy:same items"] == 100, "items that were not perturbed do not count"


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(CeterisError, match="no answers"):
        measures(_answers([]), _task("retrieval"))
    with pytest.raises(CeterisError, match="say nothing of worst_group"):
        measures(_classified([(0, 0)]), _task("classification", metric="worst_group"))


@pytest.mark.parametrize(
    ("kind", "keys", "name"),
    [
        ("classification", {}, "accuracy"),
        ("classification", {"metric": "macro_f1"}, "macro_f1"),
        ("retrieval", {}, "recall_at_1"),
        ("likelihood", {}, "bits_per_byte"),
        ("multiple_choice", {"choices": 2}, "accuracy"),
    ],
)
def test_the_main_metric(kind: str, keys: dict[str, Any], name: str) -> None:
    assert main_metric(_task(kind, **keys)) == name
