"""Faces made unrecognisable, as img2dataset does it for DataComp (arXiv 2304.14108, appendix G): boxes enlarged, blurred, blended in."""

import functools
import io
import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin
from scipy.ndimage import gaussian_filter

from filters._image import PIXELS_AT_MOST

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
ENLARGED, SIGMA, REACH = 0.1, 0.1, 4
"""A box grows by this share of its longer side at each edge; the blur's standard deviation is this share of the longest side of all boxes;
the Gaussian is cut at so many deviations."""

QUALITY = 95
OUTSIDE = 0.5
"""Detectors may put a box a little outside of the image; one that lies further out is no share of width and height."""

_ORIENTATION = 0x0112
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, Image.DecompressionBombError)
_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "CMYK", "YCbCr": "YCbCr"}

Floats = npt.NDArray[np.float32]


def blurred(data: bytes, boxes: Sequence[Sequence[float]]) -> tuple[bytes | None, str | None]:
    """An image in its own format with its boxes (left, top, right, bottom as shares of width and height, of the pixels as stored) blurred;
    or None and why not: bad_boxes, broken_image, too_large, animated, unknown_mode.

    Beside pixels only the colour profile and the orientation leave with it: a preview in its metadata would show what the blur hides.
    """
    if any(not -OUTSIDE <= number <= 1 + OUTSIDE for box in boxes for number in box) or any(b[2] < b[0] or b[3] < b[1] for b in boxes):
        return None, "bad_boxes"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata beside a picture that decodes
            image = Image.open(io.BytesIO(data), formats=_formats())
            if image.width * image.height > PIXELS_AT_MOST:
                return None, "too_large"
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # the others hold faces too
                return None, "animated"
            mode = "RGBA" if image.mode == "P" and "transparency" in image.info else _MODES.get(image.mode)
            if mode is None:
                return None, "unknown_mode"
            pixels = np.array(image if image.mode == mode else image.convert(mode))
            return _encoded(Image.fromarray(_smeared(pixels, boxes), mode), image), None
    except _DAMAGE:
        return None, "broken_image"


@functools.cache
def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]  # AVIF is missing from some builds


def _smeared(pixels: npt.NDArray[np.uint8], boxes: Sequence[Sequence[float]]) -> npt.NDArray[np.uint8]:
    """The pixels with the boxes blurred: each pixel between itself and its blur, by the blur of the boxes' mask."""
    height, width = pixels.shape[:2]
    places = [[int(box[0] * width), int(box[1] * height), int(box[2] * width), int(box[3] * height)] for box in boxes]
    longest = max(1, *(max(right - left, bottom - top) for left, top, right, bottom in places))
    mask = np.zeros((height, width), np.float32)
    for left, top, right, bottom in places:
        grown = ENLARGED * max(1, right - left, bottom - top)
        rows = slice(max(0, int(top - grown)), max(1, math.ceil(bottom + grown)))
        mask[rows, max(0, int(left - grown)) : max(1, math.ceil(right + grown))] = 1
    sigma = SIGMA * longest
    reach = math.ceil(REACH * sigma)
    rows, columns = (_around(np.flatnonzero(mask.any(axis=axis)), 2 * reach, size) for axis, size in ((1, height), (0, width)))
    weight = _blur(mask[rows, columns], sigma, reach)
    weight = weight if pixels.ndim == 2 else weight[..., None]
    part = pixels[rows, columns].astype(np.float32)
    changed = pixels.copy()
    changed[rows, columns] = np.rint(part * (1 - weight) + _blur(part, sigma, reach) * weight).clip(0, 255).astype(np.uint8)
    return changed


def _around(places: npt.NDArray[np.int64], reach: int, size: int) -> slice:
    return slice(max(0, int(places[0]) - reach), min(size, int(places[-1]) + 1 + reach)) if places.size else slice(0, 0)


def _blur(values: Floats, sigma: float, reach: int) -> Floats:
    """A Gaussian over rows and columns, mirrored at the edges."""
    if not values.size:
        return values
    found: Floats = gaussian_filter(
        values, (sigma, sigma, *(0,) * (values.ndim - 2)), mode="mirror", radius=(reach, reach, *(0,) * (values.ndim - 2))
    )
    return found


def _encoded(image: Image.Image, original: Image.Image) -> bytes:
    kind = "JPEG" if original.format == "MPO" else str(original.format)
    options: dict[str, object] = {"quality": QUALITY} if kind in ("JPEG", "WEBP", "AVIF") else {}
    if kind == "JPEG":
        options["subsampling"] = (
            max(0, JpegImagePlugin.get_sampling(original)) if isinstance(original, JpegImagePlugin.JpegImageFile) else 0
        )
    if kind == "GIF":
        image = image.convert("RGB").quantize(dither=Image.Dither.NONE)
    profile, turn = original.info.get("icc_profile"), original.getexif().get(_ORIENTATION)
    if profile and kind in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF"):
        options["icc_profile"] = profile
    if turn and kind in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF"):
        exif = Image.Exif()
        exif[_ORIENTATION] = turn
        options["exif"] = exif
    held = io.BytesIO()
    image.save(held, kind, **options)
    return held.getvalue()
