import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw, ImageFilter

from curate.errors import RecipeError
from filters._pdq import pdq
from filters.filter_network import filter_network
from filters.hash_list import hash_list
from filters.hash_match import hash_match

Frozen = Callable[..., str]
World = Callable[[int, int], pl.DataFrame]


def _picture(seed: int) -> Image.Image:
    """Smooth shapes: what a perceptual hash has much to say of."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (128, 128))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y, r = (int(v) for v in rng.integers((0, 0, 5), (128, 128, 40)))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(int(v) for v in rng.integers(0, 256, 3)))
    return image.filter(ImageFilter.GaussianBlur(1))


def _file(image: Image.Image, kind: str = "PNG", **how: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def test_files_are_found_by_each_kind_of_hash_and_others_are_not(frozen: Frozen, tmp_path: Path) -> None:
    files = [_file(_picture(seed)) for seed in range(8)]
    kinds = ["md5", "sha1", "sha256"]
    lines = [hashlib.new(kind, file).hexdigest() for kind, file in zip(kinds, files, strict=False)]
    (tmp_path / "list.txt").write_text(f"# three of them\n{lines[0].upper()}\n\n{lines[1]}  # the second\n{lines[2]}\n{lines[0]}\n")
    found = hash_match(pl.DataFrame({"image": [*files, None, b"no image"]}), model=frozen(hash_list, file=str(tmp_path / "list.txt")))
    assert found["matched"].to_list() == [True] * 3 + [False] * 5 + [None, False]
    assert found["kind"].cast(pl.String).to_list() == [*kinds, *[None] * 7]
    assert found["hash"].to_list()[:4] == [*lines, None]
    assert found["distance"].null_count() == 10, "the list has no PDQ hash"
    assert found["list"].n_unique() == 2
    assert found["list"][8] is None
    assert found["error"].null_count() == 10


def test_re_encoded_and_resized_copies_lie_near_their_listed_picture_and_others_far(frozen: Frozen, tmp_path: Path) -> None:
    pictures = [_picture(seed) for seed in range(12)]
    listed = pictures[:6]
    (tmp_path / "pdq.txt").write_text("\n".join(pdq(np.asarray(one))[0].hex() for one in listed))
    copies = [_file(one.resize((100, 100)), "JPEG", quality=60) for one in listed]
    rows = [*copies, *[_file(one) for one in pictures], _file(Image.new("RGB", (64, 64), (9, 9, 9))), b"no image"]
    found = hash_match(pl.DataFrame({"image": rows}), model=frozen(hash_list, file=str(tmp_path / "pdq.txt"), kind="pdq"))
    distances = found["distance"].to_list()
    assert all(distance <= 31 for distance in distances[:6])
    assert distances[6:12] == [0] * 6
    assert all(distance > 60 for distance in distances[12:18])
    assert distances[18:] == [None, None], "a blank page and what is no image"
    assert found["matched"].to_list()[6:] == [True] * 6 + [False] * 8
    assert set(found["kind"].cast(pl.String)[6:12]) == {"pdq"}


def test_csv_and_parquet_lists_are_the_same_list(tmp_path: Path) -> None:
    hashes = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(300)]
    (tmp_path / "a.txt").write_text("\n".join(hashes))
    (tmp_path / "b.csv").write_text("id,digest\n" + "\n".join(f"{n},{one}" for n, one in enumerate(hashes[::-1])))
    pl.DataFrame({"note": ["x"] * 300, "sha": hashes}).write_parquet(tmp_path / "c.parquet")
    cards = [hash_list(file=str(tmp_path / name)).card["architecture"] for name in ("a.txt", "b.csv", "c.parquet")]
    assert cards[0] == cards[1] == cards[2]
    assert cards[0]["hashes"] == {"sha256": 300}
    assert hash_list(file=str(tmp_path / "b.csv"), column="digest").card["architecture"] == cards[0]
    (tmp_path / "a.txt").write_text("\n".join(hashes[1:]))
    assert hash_list(file=str(tmp_path / "a.txt")).card["architecture"]["digest"] != cards[0]["digest"]


@pytest.mark.parametrize(
    ("name", "text", "how", "message"),
    [
        ("a.txt", "d41d8cd98f00b204e9800998ecf8427e\nxyz\n", {}, "3 characters are no hash"),
        ("a.txt", "g" * 32, {}, "32 characters are no hash"),
        ("a.txt", "d41d8cd98f00b204e9800998ecf8427e", {"kind": "pdq"}, "no pdq in hex"),
        ("a.txt", "# nothing\n", {}, "the list is empty"),
        ("a.csv", "id,name\n1,x\n", {}, "no column of hashes"),
        ("a.csv", "id,md5\n1,d41d8cd98f00b204e9800998ecf8427e\n", {"column": "sha1"}, "no column sha1"),
        ("a.csv", "id,md5\n1,d41d8cd98f00b204e9800998ecf8427e\n2\n", {}, "0 characters are no hash"),
        ("a.parquet", "no parquet", {}, "cannot be read"),
        ("a.txt", "", {"kind": "crc"}, "no kind crc"),
    ],
)
def test_a_list_that_is_not_wholly_read_is_refused(name: str, text: str, how: dict[str, str], message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RecipeError, match=message):
        hash_list(file=str(tmp_path / name), **how)


def test_a_model_that_is_no_list_is_refused(frozen: Frozen, world: World) -> None:
    with pytest.raises(RecipeError, match="no list of hashes"):
        hash_match(pl.DataFrame({"image": [b"x"]}), model=frozen(filter_network, world(100, 1), samples=64))
