import numpy as np
import pytest
import torch
from torch import Tensor

from eval_fixed_model.rows.images import tokenise
from eval_fixed_model.scale import load_scale
from eval_fixed_model.tasks.classification import classify
from eval_fixed_model.tasks.items import Items

SCALE = load_scale("tiny-image-text").model_copy(update={"perturbed": None})
COUNT = SCALE.tasks["count"]
CLASSES = COUNT.classes
WORDS = {name: int(tokenise([name], SCALE.tokens)[0][0]) for name in CLASSES}


class Counting:
    """A judge that reads a count off the first pixel, and off the word for it in a text."""

    logit_scale = torch.tensor(10.0).log()

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        assert normalize
        return torch.nn.functional.one_hot(image[:, 0, 0, 0].long(), 5).float()

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        assert normalize
        features = torch.stack([(text == WORDS[name]).any(1) for name in CLASSES], 1).float()
        return torch.nn.functional.pad(features, (0, 1), value=0.0)


def _items(shown: list[int], labels: list[int]) -> Items:
    images = np.zeros((len(shown), 3, 32, 32), np.uint8)
    images[:, 0, 0, 0] = shown
    return Items("count", np.arange(7, 7 + len(shown), dtype=np.uint32), images, (), np.array(labels))


def test_an_item_is_right_when_its_class_is_nearest() -> None:
    answers = classify(Counting(), _items([0, 1, 2, 3, 0], [0, 1, 2, 3, 1]), COUNT, SCALE)
    assert answers["rank"].to_list() == [1, 1, 1, 1, 4], "ties count against the right class"
    assert answers["label"].to_list() == [0, 1, 2, 3, 1]
    assert answers["answer"].to_list() == [0, 1, 2, 3, 0]
    assert answers["item"].to_list() == [7, 8, 9, 10, 11]
    sure, wrong = -np.log(1 + 3 * np.exp(-10)), -10 - np.log(1 + 3 * np.exp(-10))
    assert answers["nats"].to_list() == pytest.approx([sure] * 4 + [wrong], abs=1e-4)


def test_a_tie_is_not_right() -> None:
    answers = classify(Counting(), _items([4, 4], [0, 3]), COUNT, SCALE)  # an image that is like no class is as like each
    assert answers["rank"].to_list() == [4, 4]
    assert answers["sure"].to_list() == [0.25, 0.25]
    assert answers["nats"].to_list() == pytest.approx([-np.log(4)] * 2)
