import io
import struct
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageOps

from curate.digest import hex_of
from curate.errors import CeterisError, PoolError
from eval_fixed_model.arms import random_members
from eval_fixed_model.rows import images as rows
from eval_fixed_model.rows.images import Rows, materialise, pixels, tokenise
from eval_fixed_model.scale import load_scale

TOKENS = load_scale("tiny-image-text").tokens


def _png(array: np.ndarray, mode: str | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array, mode).save(file, "PNG")
    return file.getvalue()


def _read(uids, images, texts):
    return uids, pl.DataFrame({"image": images, "text": texts}, schema={"image": pl.Binary, "text": pl.String})


def test_rows_come_back_as_they_were_read(world, rows_folder: Path) -> None:
    rows = Rows.open(rows_folder)
    assert rows.images.shape == (400, 3, 16, 16)
    assert (rows.uids == world.uids).all()
    assert (rows.images[7] == pixels(world.images[7], 16)).all()
    assert (rows.tokens[7] == tokenise([world.texts[7]], world.scale.tokens)[0]).all()
    assert rows.rejected.is_empty()


@pytest.mark.parametrize(("read", "decoded"), [(7, 1024), (400, 3)])
def test_batches_of_reading_change_nothing(
    world, rows_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: int, decoded: int
) -> None:
    monkeypatch.setattr(rows, "_ROWS", decoded)
    reads = (_read(world.uids[i : i + read], world.images[i : i + read], world.texts[i : i + read]) for i in range(0, 400, read))
    materialise(reads, world.scale, tmp_path / "rows")
    for name in ("images.npy", "tokens.npy", "uids.npy"):
        assert (tmp_path / "rows" / name).read_bytes() == (rows_folder / name).read_bytes()


def test_what_cannot_be_decoded_leaves_every_arm_alike(world, tmp_path: Path) -> None:
    images: list[bytes | None] = list(world.images)
    texts: list[str | None] = list(world.texts)
    images[3], images[5], images[8], texts[9] = images[3][:60], b"<html>", None, None
    rows = materialise([_read(world.uids, images, texts)], world.scale, tmp_path)
    codes = dict(zip(hex_of(world.uids[[3, 5, 8, 9]]), ["undecodable_image", "undecodable_image", "no_image", "no_text"], strict=True))
    assert dict(rows.rejected.rows()) == codes
    gone, arms = set(codes), (world.uids, world.uids[:20], random_members(world.uids, 200, 0))
    for arm in arms:
        assert set(hex_of(rows.uids[rows.indices(arm)])) == set(hex_of(arm)) - gone


def test_an_empty_caption_is_a_caption(world, tmp_path: Path) -> None:
    rows = materialise([_read(world.uids[:2], world.images[:2], ["", "!?"])], world.scale, tmp_path)
    assert len(rows.uids) == 2
    assert not rows.tokens.any()


def test_positions_keep_order_and_copies(rows_folder: Path) -> None:
    rows = Rows.open(rows_folder)
    foreign = np.array([[1, 2]], np.uint64)
    assert list(rows.indices(np.concatenate([rows.uids[[5, 2, 5]], foreign, rows.uids[[0]]]))) == [5, 2, 5, 0]


def test_a_pool_without_rows_opens(world, tmp_path: Path) -> None:
    rows = materialise([], world.scale, tmp_path)
    assert rows.images.shape == (0, 3, 16, 16)
    assert len(rows.indices(world.uids)) == 0


def test_a_uid_read_twice_is_refused(world, tmp_path: Path) -> None:
    twice = _read(world.uids[:2], world.images[:2], world.texts[:2])
    with pytest.raises(PoolError, match="a uid was read twice"):
        materialise([twice, twice], world.scale, tmp_path)


def test_an_interrupted_folder_does_not_open(world, tmp_path: Path) -> None:
    world.materialised(tmp_path)

    def broken():
        yield _read(world.uids[:2], world.images[:2], world.texts[:2])
        raise KeyboardInterrupt("stopped here")

    with pytest.raises(KeyboardInterrupt, match="stopped here"):
        materialise(broken(), world.scale, tmp_path)
    with pytest.raises(CeterisError, match="no finished rows lie here"):
        Rows.open(tmp_path)


def test_pictures_of_every_mode_become_rgb() -> None:
    grey = np.full((20, 40), 130, np.uint8)
    assert set(pixels(_png(grey), 16).ravel()) == {130}
    palette = io.BytesIO()
    Image.fromarray(np.stack([grey, grey, grey], 2)).quantize(4).save(palette, "PNG")
    assert pixels(palette.getvalue(), 16).shape == (3, 16, 16)
    clear = np.dstack([grey, grey, grey, np.zeros_like(grey)])
    assert set(pixels(_png(clear), 16).ravel()) == {130}, "alpha is dropped, not blended"


def test_a_turned_photo_stands_upright() -> None:
    rng = np.random.default_rng(0)
    upright = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
    for orientation in range(1, 9):
        file, exif = io.BytesIO(), Image.Exif()
        exif[0x0112] = orientation
        stored = upright
        for other in Image.Transpose:  # store it so that Pillow's own reading of the tag brings it back
            turned = upright.transpose(other)
            turned.getexif()[0x0112] = orientation
            if ImageOps.exif_transpose(turned).tobytes() == upright.tobytes():
                stored = upright.transpose(other)
        stored.save(file, "PNG", exif=exif)
        assert (pixels(file.getvalue(), 16) == np.asarray(upright).transpose(2, 0, 1)).all(), orientation


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">II5B", 12_000, 12_000, 8, 2, 0, 0, 0)  # 144 million pixels: Pillow would decode them, with a warning
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))
    with pytest.raises(ValueError, match="DecompressionBombWarning"):
        pixels(bomb, 16)


def test_any_damage_is_a_value_error_or_a_picture() -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8))
    for form in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        file = io.BytesIO()
        picture.save(file, form)
        for _ in range(150):
            damaged = np.frombuffer(file.getvalue(), np.uint8).copy()
            damaged[rng.integers(0, min(len(damaged), 200), 3)] = rng.integers(0, 256, 3)
            try:
                assert pixels(damaged.tobytes(), 16).shape == (3, 16, 16)
            except ValueError:
                continue


def test_words_are_casefolded_hashed_and_cut() -> None:
    a, b, many = tokenise(["A Red, Circle!", "a red circle", "word " * 40], TOKENS)
    assert (a == b).all()
    assert (a > 0).sum() == 3
    assert (many > 0).all()
    assert len(many) == TOKENS.context
    assert a.max() < TOKENS.vocabulary
    assert tokenise(["日本語 красный \udcff\x00"], TOKENS).any()
