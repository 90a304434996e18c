"""Encoded images: what their bytes say without decoding, and the one way they become RGB pixels."""

import functools
import io
import struct
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

try:
    import simplejpeg
except ImportError:  # it only decodes faster: the pixels are Pillow's own
    simplejpeg = None

BYTES_AT_MOST = 1 << 30
"""Files with more bytes are refused before they are opened: more than any image within the limit of pixels needs."""
PIXELS_AT_MOST = 178_956_970
"""Images with more pixels are refused before they are decoded: Pillow's own limit for a decompression bomb, 2/3 GB as RGB."""

# Raster formats only: others start programs (EPS), follow references (SVG wrappers) or have no pixels of their own.
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "PPM")
_ORIENTATION = 0x0112  # EXIF 2.32, tag 274
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's readers raise on damaged input; OSError covers "image file is truncated".
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, struct.error)


class ImageError(ValueError):
    """Bytes that are no readable image; `code` is not_an_image, too_large, truncated_image or broken_image."""

    def __init__(self, code: str) -> None:
        """Carry the short code that becomes a signal's `error`."""
        super().__init__(code)
        self.code = code


def shape(data: bytes) -> tuple[int, int]:
    """(width, height) as shown, EXIF orientation applied, read from the header alone. Raises ImageError."""
    image = _open(data)
    width, height = image.size
    return (height, width) if _orientation(image) >= 5 else (width, height)


def decode(data: bytes) -> Image.Image:
    """The first frame as 8-bit RGB, upright. Raises ImageError.

    Transparency is composited on white. 16-bit grey is scaled to 8 bits by its range (Pillow alone would clip it); 32-bit integers are
    read as 16-bit values and floats as 0..1, both clipped. CMYK and other colour models are converted by Pillow, colour profiles ignored.
    """
    image = _open(data)
    turn = _TURNS.get(_orientation(image))
    try:
        upright = _jpeg(data, image) or _rgb(image)
    except Image.DecompressionBombError as error:
        raise ImageError("too_large") from error
    except _DAMAGE as error:
        raise ImageError("truncated_image" if "truncated" in str(error).lower() else "broken_image") from error
    return upright if turn is None else upright.transpose(turn)


def _jpeg(data: bytes, image: Image.Image) -> Image.Image | None:
    """The pixels of a flawless RGB or grey JPEG, as Pillow has them. All else is Pillow's to decode or to refuse.

    Never with simplejpeg's `fastdct` and `fastupsample`: they move values by up to 49 of 255.
    """
    if simplejpeg is None or image.format not in ("JPEG", "MPO") or image.mode not in ("RGB", "L"):
        return None
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:  # strict: whatever the decoder would only warn of
        return None
    return Image.fromarray(pixels) if pixels.shape == (image.height, image.width, 3) else None


def _open(data: bytes) -> Image.Image:
    if len(data) > BYTES_AT_MOST:
        raise ImageError("too_large")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns from half the limit on, and of odd metadata; neither decides anything here
            image = Image.open(io.BytesIO(data), formats=_formats())
    except Image.DecompressionBombError as error:
        raise ImageError("too_large") from error
    except UnidentifiedImageError as error:
        raise ImageError("not_an_image") from error
    except _DAMAGE as error:
        raise ImageError("broken_image") from error
    if image.width * image.height > PIXELS_AT_MOST:
        raise ImageError("too_large")
    if not image.width * image.height:
        raise ImageError("broken_image")
    return image


@functools.cache
def _formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]  # AVIF is missing from some builds


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8. Only metadata before the pixels counts, so that `shape` and `decode` agree."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the whole image to look for a late chunk
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGE:
        return 1  # damaged metadata says nothing about the pixels
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _rgb(image: Image.Image) -> Image.Image:
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        scaled = values * 255.0 if image.mode == "F" else values / 257.0
        clean = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0)
        return Image.fromarray(np.rint(clean.clip(0.0, 255.0)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        paper = Image.new("RGBA", colours.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, colours).convert("RGB")
    return image.convert("RGB")
