import itertools
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageEnhance

from curate.sketches import Sketches
from filters import _shifted
from filters.near_duplicate_image import likeness, links, near_duplicate_image, sketch

Draw, Encode, Change = Callable[..., tuple[Image.Image, str]], Callable[..., bytes], Callable[..., Image.Image]


def _sketched(images: list[bytes | None]) -> pl.DataFrame:
    return sketch(pl.DataFrame({"image": pl.Series(images, dtype=pl.Binary)}))


def _hashes(rows: pl.DataFrame) -> np.ndarray:
    return np.frombuffer(b"".join(rows["hashes"]), "<u8").reshape(rows.height, 9)


def _brute(rows: pl.DataFrame, bits: int, floor: float) -> set[tuple[bytes, bytes]]:
    """Every pair whose hashes, either side shifted or not, are near enough and whose thumbnails are alike, by looking at all pairs."""
    hashes = _hashes(rows)
    thumbnails = np.frombuffer(b"".join(rows["thumbnail"]), np.uint8).reshape(-1, 16, 16, 3)
    near = set()
    for i, j in itertools.combinations(range(rows.height), 2):
        one = int(np.bitwise_count(hashes[i, 0] ^ hashes[j]).min())
        other = int(np.bitwise_count(hashes[j, 0] ^ hashes[i]).min())
        if min(one, other) <= bits and likeness(thumbnails[i : i + 1], thumbnails[j : j + 1])[0] >= np.float32(floor):
            a, b = sorted((rows["key"][i], rows["key"][j]))
            near.add((a, b))
    return {pair for pair in near if pair[0] != pair[1]}


@pytest.fixture(scope="module")
def gallery(scene: Draw, encoded: Encode, noised: Change, moved: Change) -> pl.DataFrame:
    """60 scenes, each with a noised, a shifted, a re-encoded and a resized copy."""
    rng = np.random.default_rng(3)
    files: list[bytes | None] = []
    for _ in range(60):
        image, _ = scene(rng)
        files += [encoded(image), encoded(noised(image, rng, 3)), encoded(moved(image, 1, 0)), encoded(image, "JPEG", quality=60)]
        files.append(encoded(image.resize((96, 96), Image.Resampling.BICUBIC)))
    return _sketched(files)


@pytest.mark.parametrize("bits", [0, 3, 6, 10])
def test_no_pair_within_the_bits_is_lost_and_none_is_invented(bits: int, gallery: pl.DataFrame) -> None:
    found = near_duplicate_image.pairs(gallery, bits=bits, floor=0.8)
    brute = _brute(gallery, bits, 0.8)
    assert len(brute) > 50
    assert set(found.select("a", "b").iter_rows()) == brute


def test_links_grow_as_rows_arrive(gallery: pl.DataFrame) -> None:
    known, new = gallery[:100], gallery[100:]
    parts = [near_duplicate_image.pairs(known), near_duplicate_image.pairs(known, new)]
    assert pl.concat(parts).sort("a", "b").equals(near_duplicate_image.pairs(gallery))
    assert near_duplicate_image.pairs(gallery, new).height == 0


def test_copies_are_found_and_other_scenes_are_not(gallery: pl.DataFrame) -> None:
    found = near_duplicate_image.pairs(gallery)
    number = {key: i // 5 for i, key in reversed(list(enumerate(gallery["key"])))}
    strong = found.filter(pl.col("similarity") >= near_duplicate_image.threshold)
    right = [number[a] == number[b] for a, b in strong.select("a", "b").iter_rows()]
    assert sum(right) >= 0.99 * len(right), "precision at the declared threshold"
    alike = {tuple(sorted((a, b))) for a, b in strong.select("a", "b").iter_rows()}
    copies = [tuple(sorted((gallery["key"][5 * i], gallery["key"][5 * i + k]))) for i in range(60) for k in (1, 2, 3, 4)]
    kept = [pair in alike or pair[0] == pair[1] for pair in copies]
    assert sum(kept) >= 0.9 * len(kept), "recall over noised, shifted, re-encoded and resized copies"


def test_another_brightness_is_another_picture(scene: Draw, encoded: Encode) -> None:
    image, _ = scene(np.random.default_rng(0))
    dark = ImageEnhance.Brightness(image).enhance(0.5)
    rows = _sketched([encoded(image), encoded(dark)])
    assert near_duplicate_image.pairs(rows, bits=64, floor=0.0)["similarity"][0] < near_duplicate_image.threshold


def test_likeness_is_symmetric_one_for_equals_and_never_above() -> None:
    rng = np.random.default_rng(1)
    one, other = (rng.integers(0, 256, (50, 16, 16, 3), dtype=np.uint8) for _ in range(2))
    assert np.array_equal(likeness(one, other), likeness(other, one))
    assert np.array_equal(likeness(one, one), np.ones(50, np.float32))
    assert (likeness(one, other) < 0.9).all()
    flat = np.full((1, 16, 16, 3), 128, np.uint8)
    noisy = (flat.astype(int) + rng.integers(-2, 3, flat.shape)).astype(np.uint8)
    assert likeness(flat, noisy)[0] > 0.9, "noise on a flat image is not structure"


def test_bytes_that_are_no_image_have_an_error_and_no_links(scene: Draw, encoded: Encode, huge_png: bytes) -> None:
    jpeg = encoded(scene(np.random.default_rng(0), 400)[0], "JPEG")
    rows = _sketched([None, b"", b"<html>", jpeg[: len(jpeg) // 2], huge_png])
    assert rows["error"].to_list() == [None, "not_an_image", "not_an_image", "truncated_image", "too_large"]
    assert rows["key"].null_count() == 5
    assert near_duplicate_image.pairs(rows).height == 0


def test_the_same_pixels_in_other_bytes_have_the_same_key(scene: Draw, encoded: Encode) -> None:
    image, _ = scene(np.random.default_rng(4))
    one, other = _sketched([encoded(image), encoded(image, "PNG", compress_level=0)])["key"]
    assert one == other


def test_shares_of_the_search_find_together_what_one_finds_and_no_pair_twice(gallery: pl.DataFrame) -> None:
    rows = gallery.unique("key", maintain_order=True)
    every = Sketches.of(rows[:120], rows[120:])
    found = [pl.concat(links(Sketches(every.batches, every.fresh, (share, 3)))) for share in range(3)]
    together = pl.concat(found)
    assert together.height == together.select("i", "j").unique().height > 50
    assert together.sort("i", "j").equals(pl.concat(links(every)).sort("i", "j"))


def test_a_crowd_is_handed_over_in_parts(gallery: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred near copies of one image: 4,950 pairs, through a window of 700."""
    one = gallery[:1]
    hashes = np.frombuffer(one["hashes"][0], "<u8") ^ (np.uint64(1) << np.random.default_rng(0).integers(0, 64, (100, 1), dtype=np.uint64))
    crowd = pl.concat([one] * 100).with_columns(
        key=pl.Series([i.to_bytes(16, "big") for i in range(100)]), hashes=pl.Series([row.tobytes() for row in hashes])
    )
    monkeypatch.setattr(_shifted, "FOUND", 700)
    frames = list(links(Sketches.of(crowd)))
    assert max(frame.height for frame in frames) == 700
    assert pl.concat(frames).select("i", "j").unique().height == sum(frame.height for frame in frames) == 100 * 99 // 2
