from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from curate.errors import RecipeError
from filters.evaluation_images import evaluation_images, load

Draw, Encode = Callable[..., tuple[Image.Image, str]], Callable[..., bytes]


@pytest.fixture
def image(scene: Draw, encoded: Encode) -> bytes:
    return encoded(scene(np.random.default_rng(8), 96)[0])


@pytest.fixture
def sets(image: bytes, encoded: Encode, tmp_path: Path) -> Path:
    """Task `folder`: two files, the same picture. Task `rows`: one that is no image, a blank one, none, the picture."""
    folder = tmp_path / "sets"
    (folder / "folder" / "deep").mkdir(parents=True)
    for place in ("a.png", "deep/b.png"):
        (folder / "folder" / place).write_bytes(image)
    rows = [b"<html>", encoded(Image.new("RGB", (64, 64), "red")), None, image]
    pl.DataFrame({"label": range(4), "image": [{"bytes": row, "path": "x"} for row in rows]}).write_parquet(folder / "rows.parquet")
    (folder / "labels.txt").write_text("not an item", encoding="utf-8")
    return folder


def test_items_are_numbered_in_their_task_and_what_could_not_be_looked_for_is_listed(sets: Path) -> None:
    made = evaluation_images(sets=str(sets), quality=1)
    assert made.card["architecture"]["tasks"] == [("folder", 2), ("rows", 4)]
    assert made.card["unchecked"] == {"rows": [0, 1, 2]}
    assert evaluation_images(sets=str(sets), quality=0).card["unchecked"] == {"rows": [0, 2]}
    known = load(made.weights, made.card)
    assert sorted(known.pixels.values()) == [[0, 1, 5], [3]], "equal pixels; what cannot be decoded is nobody's equal"
    assert known.numbers.tolist() == [0, 1, 5]
    assert known.begins.tolist() == [0, 2, 6]


def test_no_picture_can_be_made_from_what_is_kept(sets: Path) -> None:
    made = evaluation_images(sets=str(sets))
    assert sum(array.nbytes for array in made.weights.values()) == 6 * (32 + 16 + 48 + 1)


def test_a_single_file_or_folder_is_one_task(sets: Path) -> None:
    for place, task in ((sets / "rows.parquet", ("rows", 4)), (sets / "folder" / "deep", ("deep", 1))):
        assert evaluation_images(sets=str(place)).card["architecture"]["tasks"] == [task]


def test_columns_of_plain_bytes_are_read(image: bytes, tmp_path: Path) -> None:
    pl.DataFrame({"jpg": [image] * 300}).write_parquet(tmp_path / "task.parquet", row_group_size=100)
    made = evaluation_images(sets=str(tmp_path))
    assert len(made.weights["hashes"]) == 300
    assert (made.weights["hashes"] == made.weights["hashes"][0]).all()


def test_what_is_no_evaluation_set_is_refused(tmp_path: Path, sets: Path, image: bytes) -> None:
    empty, other, broken, nothing = tmp_path / "empty", tmp_path / "other.parquet", tmp_path / "broken.parquet", tmp_path / "nothing"
    empty.mkdir()
    nothing.mkdir()
    (nothing / "readme.txt").write_text("no image", encoding="utf-8")
    pl.DataFrame({"text": ["a"]}).write_parquet(other)
    tasks = tmp_path / "tasks"
    for task in ("fine", "inner"):
        (tasks / task).mkdir(parents=True)
    (tasks / "fine" / "0.png").write_bytes(image)
    pl.DataFrame({"image": [image]}).write_parquet(tasks / "inner" / "test.parquet")  # one too deep
    broken.write_bytes(b"PAR1")
    for place, what in (
        (tmp_path / "nowhere", "there is no such place"),
        (empty, "there are no evaluation images"),
        (nothing, "no image of the task nothing can be decoded"),
        (tasks, "no image of the task inner can be decoded"),
        (other, r"there is no column image \(it has text\)"),
        (broken, "the evaluation images cannot be read"),
    ):
        with pytest.raises(RecipeError, match=what):
            evaluation_images(sets=str(place))


@pytest.mark.parametrize("wrong", [{"bits": 256}, {"bits": -1}, {"colours": 256.0}, {"quality": 101}])
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, float], sets: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be"):
        evaluation_images(sets=str(sets), **wrong)


def test_a_task_that_is_a_folder_and_a_file_is_refused(sets: Path, image: bytes) -> None:
    pl.DataFrame({"image": [image]}).write_parquet(sets / "folder.parquet")
    with pytest.raises(RecipeError, match="two sets are of one task"):
        evaluation_images(sets=str(sets))
