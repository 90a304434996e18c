import numpy as np
import torch
from torch import Tensor

from eval_fixed_model.rows.images import tokenise
from eval_fixed_model.scale import load_scale
from eval_fixed_model.tasks.items import Items
from eval_fixed_model.tasks.retrieval import retrieve

SCALE = load_scale("tiny-image-text").model_copy(update={"perturbed": None})
TEXTS = ("one", "two", "three")
WORDS = tokenise(TEXTS, SCALE.tokens)[:, 0].astype(np.int64)


class Fixed:
    """A judge whose cosines are given: images are rows of a matrix over texts."""

    logit_scale = torch.tensor(0.0)

    def __init__(self, cosines: list[list[float]]) -> None:
        self.cosines = torch.tensor(cosines)

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        assert normalize
        return self.cosines[image[:, 0, 0, 0].long()]

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        assert normalize
        return (text[:, :1] == torch.from_numpy(WORDS)).float()


def test_each_direction_is_asked_among_all_items() -> None:
    images = np.zeros((3, 3, 32, 32), np.uint8)
    images[:, 0, 0, 0] = [0, 1, 2]
    items = Items("retrieval", np.array([4, 5, 6], np.uint32), images, TEXTS, np.array([], np.int64))
    # Rows are images, columns texts. Image 1 prefers text 0; text 2 prefers image 0.
    answers = retrieve(Fixed([[0.9, 0.1, 0.8], [0.6, 0.5, 0.0], [0.0, 0.2, 0.7]]), items, SCALE)
    got = {way: answers.filter(direction=way)["rank"].to_list() for way in ("image to text", "text to image")}
    assert got == {"image to text": [1, 2, 1], "text to image": [1, 1, 2]}
    assert answers["item"].to_list() == [4, 5, 6, 4, 5, 6]
