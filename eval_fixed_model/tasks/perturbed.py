"""Perturbed items, for robustness: what a picture and a text become. A change follows from the item alone: all judges see the same.

Kinds of ImageNet-C (Hendrycks & Dietterich 2019, arXiv 1903.12261); noise and JPEG near the middle of its severities and CIFAR-10-C's,
blur and contrast at the strong end, so that each shows at 32 pixels.
"""

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from curate.digest import row_hash
from eval_fixed_model.records import Perturbed
from eval_fixed_model.rows.images import Bytes
from eval_fixed_model.scale import ImageTextScale

NOISE, CONTRAST, QUALITY = 0.08, 0.3, 25
"""Standard deviation of the noise, of levels from 0 to 1; share of the contrast that is left; the JPEG's quality."""

BLUR = 1 / 32
"""Standard deviation of the blur, as a share of the picture's side."""


def of(scale: ImageTextScale, task: str) -> Perturbed | None:
    """What the scale asks again of this task."""
    return scale.perturbed if task in scale.headline.tasks else None


def images(variant: str, pictures: Bytes, numbers: npt.NDArray[np.uint32]) -> Bytes:
    """Pictures (n, 3, r, r) as `noise`, `blur`, `contrast` or `jpeg` makes them; noise is seeded by the item's number."""
    levels = pictures.astype(np.float32)
    match variant:
        case "noise":
            noise = [
                np.random.Generator(np.random.Philox(int(number))).standard_normal(pictures.shape[1:], np.float32) for number in numbers
            ]
            return _bytes(levels + NOISE * 255 * np.stack(noise))
        case "contrast":
            mean = levels.mean((2, 3), keepdims=True)
            return _bytes(mean + CONTRAST * (levels - mean))
        case "blur":
            blur = ImageFilter.GaussianBlur(BLUR * pictures.shape[-1])
            return _each(pictures, lambda picture: picture.filter(blur))
        case "jpeg":
            return _each(pictures, _poor)
    raise ValueError(f"no perturbation of pictures is called {variant}")


def text(variant: str, words: str) -> str:
    """A text with a slip in a quarter of its words (at least in one) as `typos`, in `capitals`, or with its words in another `order`.

    Seeded by the text itself. Slips: two neighbouring letters change places, one is left out, or one is doubled; words of one letter, and
    those without letters, have none. Words are parted by spaces.
    """
    if variant == "capitals":
        return words.upper()
    listed = words.split(" ")
    random = np.random.Generator(
        np.random.Philox(int.from_bytes(row_hash([variant.encode(), words.encode("utf-8", "surrogatepass")])[:8], "big"))
    )
    match variant:
        case "order":
            return " ".join(listed[place] for place in random.permutation(len(listed)))
        case "typos":
            able = [place for place, word in enumerate(listed) if len(word) > 1 and word.isalpha()]
            for place in random.permutation(able)[: max(1, len(listed) // 4)].tolist():
                listed[place] = _slip(listed[place], random)
            return " ".join(listed)
    raise ValueError(f"no perturbation of texts is called {variant}")


def _slip(word: str, random: np.random.Generator) -> str:
    place = int(random.integers(len(word) - 1))
    first, second = word[place], word[place + 1]
    match int(random.integers(3)):
        case 0 if first != second:
            return word[:place] + second + first + word[place + 2 :]
        case 1:
            return word[:place] + word[place + 1 :]
    return word[:place] + first + word[place:]


def _poor(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return Image.open(file)


def _each(pictures: Bytes, change: Callable[[Image.Image], Image.Image]) -> Bytes:
    made = [np.asarray(change(Image.fromarray(picture.transpose(1, 2, 0))), np.uint8).transpose(2, 0, 1) for picture in pictures]
    return np.ascontiguousarray(np.stack(made))


def _bytes(levels: npt.NDArray[np.float32]) -> Bytes:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
