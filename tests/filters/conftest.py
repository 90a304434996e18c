"""A small world of drawn scenes whose truth is known."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 50), "blue": (40, 70, 200), "yellow": (220, 200, 40)}
FIGURES = {"circle": 0, "square": 4, "triangle": 3, "hexagon": 6}


def _scene(rng: np.random.Generator, size: int = 64) -> tuple[Image.Image, str]:
    """An image of one to three figures of one kind and colour on a plain ground, and a true caption."""
    colour, figure, count = str(rng.choice(list(COLOURS))), str(rng.choice(list(FIGURES))), int(rng.integers(1, 4))
    image = Image.new("RGB", (96, 96), tuple(int(v) for v in rng.integers(60, 190, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(count):
        radius = int(rng.integers(10, 20))
        x, y = (int(v) for v in rng.integers(radius, 96 - radius, 2))
        if figure == "circle":
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=COLOURS[colour])
        else:
            draw.regular_polygon((x, y, radius), FIGURES[figure], rotation=int(rng.integers(40)), fill=COLOURS[colour])
    return image.resize((size, size), Image.Resampling.BOX), f"{('one', 'two', 'three')[count - 1]} {colour} {figure}"


def _encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The image in a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _noised(image: Image.Image, rng: np.random.Generator, deviation: float) -> Image.Image:
    """Independent Gaussian noise on every value."""
    values = np.asarray(image, np.float64)
    return Image.fromarray((values + rng.normal(0, deviation, values.shape)).clip(0, 255).astype(np.uint8))


def _moved(image: Image.Image, right: int, down: int) -> Image.Image:
    """Shifted by up to 3 pixels, edges repeated."""
    values = np.asarray(image)
    height, width = values.shape[:2]
    wide = np.pad(values, ((3, 3), (3, 3), (0, 0)), mode="edge")
    return Image.fromarray(wide[3 - down : 3 - down + height, 3 - right : 3 - right + width])


def _world(count: int, seed: int) -> pl.DataFrame:
    """`count` image-text rows with true captions."""
    rng = np.random.default_rng(seed)
    rows = [_scene(rng) for _ in range(count)]
    return pl.DataFrame({"image": [_encoded(image) for image, _ in rows], "text": [text for _, text in rows]})


@pytest.fixture(scope="session")
def scene() -> Callable[..., tuple[Image.Image, str]]:
    """Draws one."""
    return _scene


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    """An image to a file's bytes."""
    return _encoded


@pytest.fixture(scope="session")
def noised() -> Callable[..., Image.Image]:
    """Adds noise."""
    return _noised


@pytest.fixture(scope="session")
def moved() -> Callable[..., Image.Image]:
    """Shifts by whole pixels."""
    return _moved


@pytest.fixture(scope="session")
def world() -> Callable[[int, int], pl.DataFrame]:
    """Rows with true captions."""
    return _world


@pytest.fixture(scope="session")
def huge_png() -> bytes:
    """A well-formed PNG of a few bytes that says it has 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
