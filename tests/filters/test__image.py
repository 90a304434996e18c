from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from curate import InProcess, Recipe
from curate.quarantine import quarantined
from filters import _image
from filters._image import ImageError, decode, shape
from pipelines import run

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


@pytest.fixture(scope="module")
def harmed(photo: Image.Image, encoded: Encode, huge_png: bytes) -> dict[str, bytes]:
    """Files that are no whole image, by what is wrong with them."""
    jpeg, png, gif, webp, tiff = (encoded(photo, form) for form in ("JPEG", "PNG", "GIF", "WEBP", "TIFF"))
    cmyk, alpha = encoded(photo.convert("CMYK"), "JPEG"), encoded(photo.convert("RGBA"))
    sos = jpeg.index(b"\xff\xda")
    idat = png.index(b"IDAT")
    huge_jpeg = jpeg[: (at := jpeg.index(b"\xff\xc0") + 5)] + b"\xff\xff\xff\xff" + jpeg[at + 4 :]
    return {
        "empty": b"",
        "one byte": b"\xff",
        "zeros": bytes(1000),
        "text": b"404 not found",
        "html": b"<!doctype html><img src=x>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "json": b'{"error": "gone"}',
        "pdf": b"%PDF-1.4\n%%EOF",
        "zip": b"PK\x03\x04" + bytes(40),
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "heic": b"\0\0\0\x18ftypheic" + bytes(60),
        "avif header": b"\0\0\0\x1cftypavif" + bytes(60),
        "mp4": b"\0\0\0\x18ftypmp42" + bytes(60),
        "psd": b"8BPS\0\1" + bytes(40),
        "jpeg magic only": jpeg[:3],
        "jpeg header only": jpeg[:sos],
        "jpeg half": jpeg[: len(jpeg) // 2],
        "jpeg without its end": jpeg[:-2],
        "jpeg with no tables": jpeg.replace(b"\xff\xdb", b"\xff\xe3"),
        "jpeg of a huge size": huge_jpeg,
        "cmyk jpeg half": cmyk[: len(cmyk) // 2],
        "base64 of a jpeg": b"/9j/4AAQSkZJRgABAQ==",
        "png magic only": png[:8],
        "png half": png[: len(png) // 2],
        "alpha png half": alpha[: len(alpha) // 2],
        "png of a huge size": huge_png,
        "png with no pixels": png[: idat - 4] + png[-12:],
        "png with broken pixels": png[: idat + 9] + bytes(200) + png[idat + 209 :],
        "png of no height": png[:20] + bytes(4) + png[24:],
        "gif magic only": gif[:6],
        "gif half": gif[: len(gif) // 2],
        "webp half": webp[: len(webp) // 2],
        "webp header only": webp[:12],
        "tiff half": tiff[: len(tiff) // 2],
        "tiff magic only": tiff[:4],
        "bmp magic only": b"BM",
    }


def test_each_of_three_dozen_kinds_of_broken_files_has_its_code(harmed: dict[str, bytes]) -> None:
    answers = {kind: _answer(data) for kind, data in harmed.items()}
    assert len(answers) >= 36
    assert {kind: answer for kind, answer in answers.items() if isinstance(answer, bytes)} == {}
    assert {kind for kind, answer in answers.items() if answer == "too_large"} == {"jpeg of a huge size", "png of a huge size"}
    assert {kind for kind, answer in answers.items() if answer == "truncated_image"} >= {"jpeg half", "cmyk jpeg half", "png half"}
    never = ("empty", "zeros", "text", "html", "svg", "json", "pdf", "zip", "eps", "mp4", "psd", "base64 of a jpeg")
    assert {answers[kind] for kind in never} == {"not_an_image"}
    assert all(answers[kind] == _by_pillow(data) for kind, data in harmed.items())


RECIPE = """
errors_at_most: 1.0
models: {net: {filter_network: {trusted: trusted.parquet, samples: 128}}}
signals: {match: {clip_score: {model: net}}, emb: {clip_embedding: {model: net}}}
stages:
  shaped: {keep: "image_shape.width > 0"}
  scored: {keep: "match.score >= -1"}
  known:  {keep: "emb.image is None or match.score >= -1"}
  thumbnails: {keep: {one_per: near_duplicate_image}}
subsets: [shaped, scored, known, thumbnails]
"""


def test_a_folder_of_broken_files_loses_no_row_and_explains_each(
    harmed: dict[str, bytes], photo: Image.Image, encoded: Encode, world: Callable[[int, int], pl.DataFrame], tmp_path: Path
) -> None:
    good = {f"photo as {form}": encoded(photo, form) for form in ("JPEG", "PNG", "WEBP")}
    files = {**harmed, **good}
    (tmp_path / "images").mkdir()
    for kind, data in files.items():
        (tmp_path / "images" / kind).write_bytes(data)
    named = [f"images/{kind}" for kind in files]
    rows = {"image": [*named, "images/not there", "../outside", None], "text": [*files, "missing", "outside", "none"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "pool.parquet")
    world(96, 5).write_parquet(tmp_path / "trusted.parquet")
    done = run(Recipe.parse(RECIPE, base=tmp_path), tmp_path / "pool.parquet", store=tmp_path / "store", executor=InProcess())
    held = quarantined(done)
    broken = dict(held.filter(pl.col("stage").is_in(["unseen", "scored"])).select(pl.col("row").cast(pl.Int64), "code").rows())
    answers = {number: _answer(data) for number, data in enumerate(harmed.values())}
    assert broken == {**answers, len(files): "image:missing_file", len(files) + 1: "image:outside_pool"}
    for stage in done.funnel():
        entering = len(rows["image"]) - (0 if stage["stage"] in ("pool", "unseen") else 2)  # whose images cannot be read at all
        assert stage["in"] == stage["kept"] + sum(reason["rows"] for reason in stage["reasons"]) == entering
    assert len(done.subset("scored")) == len(good)
    assert len(done.subset("thumbnails")) == 1 + 1  # one photograph, and the row without an image
    assert set(held["code"]) == {"not_an_image", "truncated_image", "broken_image", "too_large", "image:missing_file", "image:outside_pool"}
