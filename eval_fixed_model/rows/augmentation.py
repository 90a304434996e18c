"""What images go through when they are shown, by the 64 bits that are drawn for each showing."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from curate.digest import UInt64s
from eval_fixed_model.records import Augmentation

Bytes = npt.NDArray[np.uint8]
_RATIO = math.log(4 / 3)


def augmented(images: Bytes, draws: npt.NDArray[np.uint64], augmentation: Augmentation) -> Bytes:
    """Images (n, 3, r, r), each rolled and cropped as its draw says."""
    found = rolled(images, draws, augmentation.roll)
    return found if augmentation.crop == 1 else cropped(found, draws, augmentation.crop)


def rolled(images: Bytes, draws: npt.NDArray[np.uint64], most: int) -> Bytes:
    """Images (n, 3, r, r), each rolled by -most..most pixels in both directions, as its draw says."""
    if most == 0:
        return np.ascontiguousarray(images)
    span, (count, channels, side, _) = np.uint64(2 * most + 1), images.shape
    down, right = (draws % span).astype(np.int64), (draws // span % span).astype(np.int64)
    wide = np.concatenate([images[..., -most:], images, images[..., :most]], axis=3)
    # A line of a rolled image is a line of the wide one, from some byte on: they are copied whole.
    starts = np.ndarray(wide.size - side + 1, f"V{side}", wide, strides=(1,))
    lines = (np.arange(side) + down[:, None] - most) % side
    at = (np.arange(count * channels).reshape(count, channels, 1) * side + lines[:, None]) * wide.shape[3] + right[:, None, None]
    copied: Bytes = starts[at].view(np.uint8).reshape(images.shape)
    return copied


def cropped(images: Bytes, draws: npt.NDArray[np.uint64], least: float) -> Bytes:
    """Of each image (3, r, r) a part of `least` to all of its area and 3/4 to 4/3 as wide as high, brought back to r by bicubic.

    The distribution is that of torchvision's RandomResizedCrop (arXiv 1409.4842), a side that would be longer than the image cut to it
    where that draws again; the crop is of the picture that was already brought to r, not of the original.
    """
    out, side = np.empty_like(images), images.shape[-1]
    for row, (image, box) in enumerate(zip(images, boxes(draws, least), strict=True)):
        picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
        part = picture.resize((side, side), Image.Resampling.BICUBIC, box=tuple((box * side).tolist()))
        out[row] = np.asarray(part).transpose(2, 0, 1)
    return out


def boxes(draws: UInt64s, least: float) -> npt.NDArray[np.float64]:
    """(n, 4): left, top, right and bottom of the crops, as shares of the image; 16 bits of the draw for each number that is drawn."""
    area, ratio, x, y = ((draws[:, None] >> np.array([0, 16, 32, 48], np.uint64)) & np.uint64(0xFFFF)).T / 65536
    area, ratio = least + (1 - least) * area, np.exp(_RATIO * (2 * ratio - 1))
    width, height = np.minimum(np.sqrt(area * ratio), 1), np.minimum(np.sqrt(area / ratio), 1)
    left, top = x * (1 - width), y * (1 - height)
    return np.stack([left, top, left + width, top + height], axis=1)
