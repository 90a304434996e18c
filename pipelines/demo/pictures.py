"""Pictures as the web stores them: two encodings, several sizes, copies that are not byte-equal, and files that are broken."""

import io
import random

import numpy as np
from PIL import Image

from pipelines.demo.scenes import SIDE

SIDES = (64, 72, 80, 96)
NEAR_COPIES = ("noised", "shifted", "re-encoded")
BREAKAGES = ("truncated PNG", "truncated JPEG", "a web page", "no bytes")

_JPEG_SHARE = 0.4


def encode(picture: Image.Image, rng: random.Random) -> bytes:
    """PNG, or JPEG of quality 75 to 92."""
    return as_jpeg(picture, rng.randint(75, 92)) if rng.random() < _JPEG_SHARE else as_png(picture)


def as_png(picture: Image.Image) -> bytes:
    """PNG bytes."""
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=2)
    return file.getvalue()


def as_jpeg(picture: Image.Image, quality: int) -> bytes:
    """JPEG bytes."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def stored(picture: Image.Image, rng: random.Random) -> Image.Image:
    """At one of the usual sizes, 64 to 96 px square."""
    return _resized(picture, (side := rng.choice(SIDES), side))


def tiny(picture: Image.Image, rng: random.Random) -> Image.Image:
    """12 to 28 px square."""
    return _resized(picture, (side := rng.randint(12, 28), side))


def stretched(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Squeezed to 3.2 to 5 times as long as it is short, either way."""
    long = rng.randint(128, 200)
    short = round(long / rng.uniform(3.2, 5.0))
    return picture.resize((long, short) if rng.random() < 0.5 else (short, long), Image.Resampling.BILINEAR)


def near_copy(original: bytes, kind: str, rng: random.Random) -> bytes:
    """The same picture in other bytes: noise of s.d. 4 to 7 levels, one pixel's shift, or JPEG of quality 50 to 70 at another size."""
    picture = Image.open(io.BytesIO(original)).convert("RGB")
    if kind == "noised":
        noise = np.random.default_rng(rng.getrandbits(64)).normal(0, rng.uniform(4, 7), (picture.height, picture.width, 3))
        picture = Image.fromarray((np.asarray(picture) + noise).round().clip(0, 255).astype(np.uint8))
        return encode(picture, rng)
    if kind == "shifted":
        pixels = np.asarray(picture)
        step, axis = rng.choice((-1, 1)), rng.randrange(2)
        edges = np.pad(pixels, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        start = [1 + step if a == axis else 0 for a in range(2)]
        return encode(Image.fromarray(edges[start[0] : start[0] + picture.height, start[1] : start[1] + picture.width]), rng)
    side = rng.choice([s for s in SIDES if s != picture.width])
    return as_jpeg(picture.resize((side, side), Image.Resampling.BICUBIC), rng.randint(50, 70))


def broken(picture: Image.Image, kind: str, rng: random.Random) -> bytes:
    """Bytes that no decoder turns into this picture."""
    if kind == "a web page":
        return b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"
    if kind == "no bytes":
        return b""
    whole = as_png(picture) if kind == "truncated PNG" else as_jpeg(picture, 85)
    return whole[: int(len(whole) * rng.uniform(0.35, 0.7))]


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture if size == (SIDE, SIDE) else picture.resize(size, Image.Resampling.BOX)
