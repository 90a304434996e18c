import polars as pl
import pytest
from PIL import Image

from filters.image_file import image_file


def measured(*images):
    return image_file(pl.DataFrame({"image": pl.Series(images, dtype=pl.Binary)})).rows()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_size_and_format_of_every_kind(form, encoded):
    data = encoded(Image.new("RGB", (9, 7)), form)
    assert measured(data) == [(len(data), form, None)]


def test_what_is_no_image_has_a_size_and_no_image_has_none():
    wave = b"RIFF\x24\0\0\0WAVEfmt "
    assert measured(wave, b"", None, b"\xff\xd8") == [(16, "other", None), (0, "other", None), (None, None, None), (2, "other", None)]
