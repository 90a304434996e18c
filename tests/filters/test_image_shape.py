from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from PIL import Image

from filters.image_shape import image_shape

Encode = Callable[..., bytes]


def _of(*images: bytes | None) -> list[tuple[object, ...]]:
    return image_shape(pl.DataFrame({"image": pl.Series(images, dtype=pl.Binary)})).rows()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_width_height_and_aspect_of_every_format(form: str, encoded: Encode) -> None:
    assert _of(encoded(Image.new("RGB", (120, 40)), form)) == [(120, 40, 3.0, None)]
    assert _of(encoded(Image.new("RGB", (40, 120)), form)) == [(40, 120, 3.0, None)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_exif_turn_by_a_quarter_swaps_the_sides(orientation: int, encoded: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    ((width, height, _, _),) = _of(encoded(Image.new("RGB", (30, 20)), "JPEG", exif=exif))
    assert (width, height) == ((20, 30) if orientation >= 5 else (30, 20))


def test_a_cut_file_still_has_the_shape_its_header_says(encoded: Encode) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8))
    whole = encoded(noise, "JPEG")
    assert _of(whole[: len(whole) // 2]) == _of(whole) == [(48, 64, np.float32(64 / 48), None)]


def test_what_is_no_image_says_why(huge_png: bytes, encoded: Encode) -> None:
    jpeg = encoded(Image.new("RGB", (64, 64)), "JPEG")
    assert [row[3] for row in _of(None, b"", b"<html>no image here</html>", b"\0" * 1000, huge_png)] == [
        None, "not_an_image", "not_an_image", "not_an_image", "too_large",
    ]  # fmt: skip
    assert _of(None) == [(None, None, None, None)]
    assert _of(jpeg[:30])[0][3] in ("not_an_image", "broken_image")


def test_formats_that_run_programs_are_no_images() -> None:
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n"
    assert _of(script)[0][3] == "not_an_image"
