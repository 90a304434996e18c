"""What an image-text model is to a signal."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curate.digest import canonical_json
from filters._image import decode

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

Pixels = npt.NDArray[np.uint8]


class Matcher(NamedTuple):
    """`model` has encode_image, encode_text and logit_scale. An image becomes bytes of `shape` (`pixels`), and a batch of such, on any
    device, the floats that the model takes (`scaled`). `tokenize` makes an (n, context) tensor of numbers from n texts.

    `seeing` says everything that `pixels` depends on. `lengths`, of tokens, is how many of a text's leading numbers `encode_text(tokens)`
    needs for the features of all of them: one of few, so that texts of a length share a batch.
    """

    model: Any
    shape: tuple[int, int, int]
    seeing: dict[str, Any]
    pixels: "Callable[[Image.Image], Pixels]"
    scaled: "Callable[[Tensor], Tensor]"
    tokenize: "Callable[[list[str]], Tensor]"
    lengths: "Callable[[Tensor], npt.NDArray[np.int64]]"
    encode_text: "Callable[[Tensor], Tensor]"

    @property
    def sight(self) -> str:
        """`seeing` as a key."""
        return canonical_json(self.seeing)

    def preprocess(self, data: bytes) -> "Tensor":
        """One image file as the model takes it, (3, h, w). Raises ImageError."""
        import torch

        return self.scaled(torch.from_numpy(np.array(self.pixels(decode(data))))[None])[0]


def whole(tokens: "Tensor") -> npt.NDArray[np.int64]:
    """`lengths` of a model that reads all numbers of every text."""
    return np.full(len(tokens), tokens.shape[1], np.int64)
