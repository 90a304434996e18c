import io
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from curate.digest import words_of
from eval_fixed_model.leaks import leaked_items, leaked_pairs
from eval_fixed_model.rows import Rows, materialise
from eval_fixed_model.tasks.items import read_items


def _again(encoded: bytes, form: str, **options: int) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(encoded)).save(file, form, **options)
    return file.getvalue()


def _rows(world, images: list[bytes], folder: Path) -> Rows:
    rng = np.random.default_rng(9)
    return materialise([(words_of([rng.bytes(16) for _ in images]), images, ["x"] * len(images))], world.scale, folder)


def test_leaked_pictures_are_found_in_any_file_format(world, tmp_path: Path) -> None:
    items = read_items(world.scale).with_row_index("number").filter(split="test")
    chosen = items.sample(3, seed=1).sort("number")
    planted = chosen["image"].to_list()
    images = [*world.images, planted[0], _again(planted[1], "WEBP", quality=95), _again(planted[2], "BMP")]
    pairs = leaked_pairs(_rows(world, images, tmp_path), world.scale)
    planted_pairs = pairs.filter(pl.col("row") >= 400)
    assert set(chosen["number"]) <= set(planted_pairs["item"])
    nearest = planted_pairs.sort("distance").unique("row", keep="first", maintain_order=True).sort("row")
    assert nearest["item"].to_list() == chosen["number"].to_list()
    assert nearest["distance"][0] == nearest["distance"][2] == 0
    assert leaked_items(_rows(world, images, tmp_path), world.scale) >= set(chosen["number"])


def test_only_the_asked_split_is_compared(world, tmp_path: Path) -> None:
    items = read_items(world.scale).with_row_index("number")
    image = items.filter(split="validation")["image"][0]
    rows = _rows(world, [image], tmp_path)
    assert items.filter(split="validation")["number"][0] in leaked_items(rows, world.scale, "validation")
    assert not leaked_items(rows, world.scale, "validation") & set(items.filter(split="test")["number"])


def test_other_pictures_are_no_leaks(world, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    noise = []
    for _ in range(50):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(file, "PNG")
        noise.append(file.getvalue())
    assert leaked_items(_rows(world, noise, tmp_path), world.scale) == frozenset()
    assert leaked_items(_rows(world, [], tmp_path), world.scale) == frozenset()


def test_comparing_by_blocks_loses_nothing(world, rows_folder: Path) -> None:
    rows = Rows.open(rows_folder)
    items = read_items(world.scale).with_row_index("number").filter(split="test")
    from eval_fixed_model.leaks import THRESHOLD
    from eval_fixed_model.rows import pixels

    asked = np.stack([pixels(image, 16) for image in items["image"]]).astype(np.float32)
    every = np.sqrt(((np.asarray(rows.images, np.float32)[:, None] - asked[None]) ** 2).mean((2, 3, 4)))
    row, item = np.nonzero(every <= THRESHOLD)
    expected = set(zip(items["number"].to_numpy()[item].tolist(), row.tolist(), strict=True))
    found = leaked_pairs(rows, world.scale)
    assert set(zip(found["item"], found["row"], strict=True)) == expected
    assert expected, "the world has twins by chance, or this test says nothing"
