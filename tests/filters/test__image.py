from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from filters import _image
from filters._image import ImageError, decode, shape

Encode = Callable[..., bytes]


@pytest.fixture(scope="module")
def corner() -> Image.Image:
    """Grey, with a red upper left corner."""
    pixels = np.full((32, 48, 3), 128, np.uint8)
    pixels[:16, :16] = (255, 0, 0)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_shown_upright(orientation: int, corner: Image.Image, encoded: Encode) -> None:
    """Stored as the camera would have held it, the red corner comes back to the upper left."""
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(corner if undo is None else corner.transpose(undo), "PNG", exif=exif)
    assert shape(data) == decode(data).size == (48, 32)
    assert decode(data).getpixel((4, 4)) == (255, 0, 0)
    assert decode(data).getpixel((40, 28)) == (128, 128, 128)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(mode: str, encoded: Encode) -> None:
    form = "JPEG" if mode == "CMYK" else "PNG"
    assert decode(encoded(Image.new(mode, (5, 4)), form)).mode == "RGB"


def test_what_is_transparent_is_white_paper(encoded: Encode) -> None:
    assert decode(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 0)))).getpixel((0, 0)) == (255, 255, 255)
    assert decode(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 128)))).getpixel((0, 0)) == (127, 127, 127)


def test_sixteen_bits_are_scaled_and_not_clipped(encoded: Encode) -> None:
    grey = Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16))
    assert [decode(encoded(grey)).getpixel((x, 0))[0] for x in range(3)] == [0, 100, 255]


def test_an_animation_is_its_first_frame(encoded: Encode) -> None:
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    assert decode(encoded(red, "GIF", save_all=True, append_images=[blue])).getpixel((1, 1)) == (255, 0, 0)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_cut_file_is_an_error_never_half_an_image(form: str, share: float, encoded: Encode) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8))
    whole = encoded(noise, form)
    with pytest.raises(ImageError, match=r"truncated_image|broken_image|not_an_image") as caught:
        decode(whole[: int(len(whole) * share)])
    assert caught.value.code == str(caught.value)


def test_a_broken_jpeg_is_decoded_or_refused_but_never_raises_anything_else(encoded: Encode) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    whole = np.frombuffer(encoded(noise, "JPEG"), np.uint8)
    rng, refused = np.random.default_rng(1), 0
    for _ in range(200):
        broken = whole.copy()
        broken[rng.integers(0, broken.size, 12)] = rng.integers(0, 256, 12)
        try:
            assert decode(broken.tobytes()).mode == "RGB"
        except ImageError:
            refused += 1
    assert 0 < refused < 200


@pytest.mark.parametrize("pillows_own_limit", [Image.MAX_IMAGE_PIXELS, None])
def test_too_many_pixels_are_refused_before_any_is_decoded(
    pillows_own_limit: int | None, huge_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillows_own_limit)
    for read in (shape, decode):
        with pytest.raises(ImageError, match="too_large"):
            read(huge_png)


def test_too_many_bytes_are_refused_before_they_are_opened(encoded: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.new("RGB", (4, 4)))
    monkeypatch.setattr(_image, "BYTES_AT_MOST", len(data) - 1)
    for read in (shape, decode):
        with pytest.raises(ImageError, match="too_large"):
            read(data)


def _by_pillow(data: bytes) -> bytes | str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_image, "simplejpeg", None)
        return _answer(data)


def _answer(data: bytes) -> bytes | str:
    try:
        return decode(data).tobytes()
    except ImageError as error:
        return error.code


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Smooth shapes under noise, of an odd size: neither flat nor only noise."""
    rng = np.random.default_rng(3)
    smooth = Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)).resize((101, 131), Image.Resampling.BICUBIC)
    return Image.fromarray((np.asarray(smooth).astype(int) + rng.integers(-9, 10, (131, 101, 3))).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("quality", [10, 75, 100])
def test_jpegs_have_pillows_pixels(subsampling: str, progressive: bool, quality: int, photo: Image.Image, encoded: Encode) -> None:
    pytest.importorskip("simplejpeg")
    for image in (photo, photo.crop((0, 0, 1, 1)), photo.crop((0, 0, 17, 8))):
        data = encoded(image, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive)
        assert _image._jpeg(data, _image._open(data)) is not None
        assert _answer(data) == _by_pillow(data)


def test_jpegs_of_every_colour_model_have_pillows_pixels(photo: Image.Image, encoded: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [encoded(photo.convert(mode), "JPEG") for mode in ("L", "1", "CMYK")]
    files += [encoded(photo, "JPEG", keep_rgb=True), encoded(photo, "JPEG", exif=exif), encoded(photo, "JPEG", icc_profile=b"x" * 200)]
    files += [encoded(photo, "MPO", save_all=True, append_images=[photo.rotate(180)]), encoded(photo, "JPEG", restart_marker_rows=1)]
    for data in files:
        assert _answer(data) == _by_pillow(data) not in ("not_an_image", "broken_image", "truncated_image")


def test_damaged_jpegs_are_what_pillow_makes_of_them(photo: Image.Image, encoded: Encode) -> None:
    """Damage in headers and pixels, files cut short and files with more behind their end."""
    whole = [np.frombuffer(encoded(photo, "JPEG", progressive=progressive), np.uint8) for progressive in (False, True)]
    rng = np.random.default_rng(2)
    read = 0
    for turn in range(150):
        broken = whole[turn % 2].copy()
        broken[rng.integers(0, broken.size, rng.integers(1, 9))] = rng.integers(0, 256)
        for data in (broken.tobytes(), broken[: rng.integers(2, broken.size)].tobytes(), whole[turn % 2].tobytes() + bytes(turn)):
            assert _answer(data) == _by_pillow(data)
            read += isinstance(_answer(data), bytes)
    assert 150 < read < 450
