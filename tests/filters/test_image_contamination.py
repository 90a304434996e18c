import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageChops

from curate.errors import RecipeError
from filters.evaluation_images import evaluation_images
from filters.evaluation_ngrams import evaluation_ngrams
from filters.image_contamination import image_contamination

Draw, Encode = Callable[..., tuple[Image.Image, str]], Callable[..., bytes]
COLUMNS = ["items", "task", "item", "distance", "exact"]


@pytest.fixture(scope="module")
def pictures(scene: Draw) -> list[Image.Image]:
    """Twelve scenes laid over each other: more in a picture than a figure on plain ground."""
    rng = np.random.default_rng(8)
    return [functools.reduce(ImageChops.difference, (scene(rng, 160)[0] for _ in range(12))) for _ in range(30)]


@pytest.fixture(scope="module")
def sets(pictures: list[Image.Image], encoded: Encode, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Task `folder`: pictures 0 to 4 as files. Task `rows`: pictures 5 to 9, one that is no image, a blank one, picture 5 again."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "folder" / "deep").mkdir(parents=True)
    for number in range(5):
        (folder / "folder" / "deep" / f"{number}.webp").write_bytes(encoded(pictures[number], "WEBP", lossless=True))
    rows = [*(encoded(picture) for picture in pictures[5:10]), b"<html>", encoded(Image.new("RGB", (64, 64), "red")), encoded(pictures[5])]
    pl.DataFrame({"label": range(8), "image": [{"bytes": row, "path": "x"} for row in rows]}).write_parquet(folder / "rows.parquet")
    return folder


@pytest.fixture(scope="module")
def model(sets: Path, frozen: Callable[..., str]) -> str:
    """Their hashes, frozen."""
    return frozen(evaluation_images, sets=str(sets))


def _of(model: str, *images: bytes | None) -> pl.DataFrame:
    return image_contamination(pl.DataFrame({"image": pl.Series(images, dtype=pl.Binary)}), model=model)


def test_copies_name_their_item_and_others_none(model: str, pictures: list[Image.Image], encoded: Encode) -> None:
    smaller = [encoded(picture.resize((100, 100), Image.Resampling.BICUBIC), "JPEG", quality=70) for picture in pictures]
    found = _of(model, *smaller)
    assert found["items"].to_list() == [1] * 5 + [2] + [1] * 4 + [0] * 20
    assert found["task"][:10].to_list() == ["folder"] * 5 + ["rows"] * 5
    assert found["item"][:10].to_list() == [0, 1, 2, 3, 4] * 2
    assert (found["distance"][:10] <= 31).all()
    assert (found["distance"][10:] > 31).all(), "the nearest is named, but it is far"
    assert found["similarity"].to_list() == pytest.approx([1 - distance / 256 for distance in found["distance"]])
    assert found["hits"].is_null().to_list() == [False] * 10 + [True] * 20
    assert np.frombuffer(found["hits"][5], "<u4").tolist() == [5, 12], "numbered through all tasks"
    assert not found["exact"].any()


def test_equal_pixels_are_exact_whatever_holds_them(model: str, pictures: list[Image.Image], encoded: Encode) -> None:
    red, blue = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    found = _of(model, encoded(pictures[7]), encoded(pictures[2], "PNG", compress_level=0), encoded(red), encoded(blue))
    assert found.select(COLUMNS).rows() == [
        (1, "rows", 2, 0, True),
        (1, "folder", 2, 0, True),
        (1, "rows", 6, 0, True),
        (0, None, None, None, False),
    ]


def test_how_near_is_near_is_the_models(sets: Path, pictures: list[Image.Image], encoded: Encode, frozen: Callable[..., str]) -> None:
    image = encoded(pictures[0].crop((2, 2, 156, 158)), "JPEG", quality=60)
    (distance,) = _of(frozen(evaluation_images, sets=str(sets)), image)["distance"]
    assert distance > 0
    counts = [_of(frozen(evaluation_images, sets=str(sets), bits=bits), image)["items"][0] for bits in (distance - 1, distance)]
    assert counts == [0, 1]


def test_colours_tell_pictures_apart_where_asked(
    sets: Path, pictures: list[Image.Image], encoded: Encode, frozen: Callable[..., str]
) -> None:
    copies = [encoded(pictures[0], "JPEG", quality=70), encoded(pictures[0].convert("L"))]
    loose, strict = (_of(frozen(evaluation_images, sets=str(sets), colours=colours), *copies) for colours in (255.0, 8.0))
    assert loose["items"].to_list() == [1, 1]
    assert strict["items"].to_list() == [1, 0]
    assert strict["item"].to_list() == [0, 0], "the nearest is named all the same"
    assert loose["colours"][0] < 4 < 8 < loose["colours"][1]


def test_a_single_file_or_folder_is_one_task(sets: Path, pictures: list[Image.Image], encoded: Encode, frozen: Callable[..., str]) -> None:
    for place, task, picture in ((sets / "rows.parquet", "rows", 6), (sets / "folder" / "deep", "deep", 1)):
        found = _of(frozen(evaluation_images, sets=str(place)), encoded(pictures[picture], "JPEG", quality=90))
        assert found.select("items", "task", "item").rows() == [(1, task, 1)]


def test_rows_without_an_image_have_no_evidence_and_no_hits(model: str, encoded: Encode, pictures: list[Image.Image]) -> None:
    jpeg = encoded(pictures[0], "JPEG")
    found = _of(model, None, b"", jpeg[: len(jpeg) // 2])
    assert found["error"].to_list() == [None, "not_an_image", "truncated_image"]
    assert found["items"].null_count() == found["hits"].null_count() == 3


def test_another_model_is_refused(tmp_path: Path, frozen: Callable[..., str]) -> None:
    pl.DataFrame({"q": ["one two three four five six seven eight nine"]}).write_parquet(tmp_path / "texts.parquet")
    texts = frozen(evaluation_ngrams, sets=str(tmp_path / "texts.parquet"), fields=["q"])
    with pytest.raises(RecipeError, match="this model holds no evaluation images"):
        _of(texts, None)
