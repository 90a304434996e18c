import functools
import itertools
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageChops, ImageEnhance, ImageOps

from curate.sketches import Sketches
from filters import _hamming
from filters._pdq import pdq
from filters.perceptual_duplicate import links, perceptual_duplicate, sketch

Draw, Encode, Change = Callable[..., tuple[Image.Image, str]], Callable[..., bytes], Callable[..., Image.Image]
Pairs = dict[tuple[int, int], float]

# Of `_picture(height, width, seed)`, by pdqhash 0.2.8, which compiles Meta's own source. On 300 photographs both agree in every bit.
REFERENCE = [
    (5, 5, 0, "ce73cb72318c348d91a43b0ece73c4f164d9cb72ce73cb72318c348d93a43b0e", 100),
    (17, 31, 1, "c10f1a6de76218d8b131e65d9cb02c88d61d9435eddaa332c27d933f98ecd263", 100),
    (64, 64, 2, "067412e6b5c61f2d3cc3631c964d67998f352256f62038c663d23f47c63decd4", 100),
    (64, 97, 3, "96361e9b7791a63cdcd196241cefb16030f1e4d3870cad96ab1668736728e378", 100),
    (96, 72, 4, "ae3c8ae910ac35ba7f0144b9953b96742947ab57c6b944ba01dc7b638e19be16", 100),
    (300, 128, 5, "1e27f06130c3ff3b51e86d0b5a4ad63000fb562b153bee3558c874c3ecd8959e", 100),
    (129, 640, 6, "7287b31c023846608c6522eb56da4192975f3e77743e64fddf25f57025ea38c1", 100),
    (480, 640, 7, "265cf8dc4010186c3098412d139b6ff7fb9c303172b86ff7539ff12f3018b8fc", 100),
    (1200, 65, 8, "57bd9a0c34a7cd8ac41dcb5923742b13073f36a5071f6f13b374c35b900dcb4c", 100),
]
# Slopes of `step` levels a pixel from top to bottom, 96 x 96.
QUALITIES = [(0, 0), (10, 0), (17, 22), (20, 22), (26, 40)]


def _picture(height: int, width: int, seed: int) -> np.ndarray:
    blocks = np.random.default_rng(seed).integers(0, 256, (7, 9, 3))
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    return ((blocks[y * 7 // height, x * 9 // width] + (3 * x + 5 * y)[..., None]) % 256).astype(np.uint8)


def _sketched(images: list[bytes | None]) -> pl.DataFrame:
    return sketch(pl.DataFrame({"image": pl.Series(images, dtype=pl.Binary)}))


def _hashed(words: np.ndarray, quality: int | list[int] = 100) -> pl.DataFrame:
    """Sketches with these hashes, shape (n, 4) of uint64."""
    keys = [i.to_bytes(16, "big") for i in range(len(words))]
    columns = {"key": keys, "hash": [row.tobytes() for row in words], "quality": quality, "colours": bytes(48)}
    return pl.DataFrame(columns, schema_overrides={"quality": pl.UInt8})


@pytest.fixture(scope="module")
def crowded() -> np.ndarray:
    """150 hashes, each with four others that differ from it in up to 69 bits, in no order."""
    rng = np.random.default_rng(0)
    every = rng.integers(0, 256, (150, 32), dtype=np.uint8)
    copies = [every]
    for _ in range(4):
        bits = np.unpackbits(every, axis=1)
        for row in bits:
            row[rng.choice(256, int(rng.integers(0, 70)), replace=False)] ^= 1
        copies.append(np.packbits(bits, axis=1))
    return rng.permutation(np.concatenate(copies)).view("<u8")


def _brute(words: np.ndarray, bits: int) -> Pairs:
    distances = np.bitwise_count(words[:, None] ^ words[None]).sum(2)
    return {(i, j): 1 - int(distances[i, j]) / 256 for i, j in np.argwhere(np.triu(distances <= bits, 1)).tolist()}


def _linked(sketches: Sketches, **parameters: object) -> list[tuple[tuple[int, int], float]]:
    return [((i, j), alike) for frame in links(sketches, **parameters) for i, j, alike in frame.iter_rows()]


@pytest.mark.parametrize(("height", "width", "seed", "digest", "quality"), REFERENCE)
def test_hashes_are_those_of_the_reference(height: int, width: int, seed: int, digest: str, quality: int) -> None:
    assert pdq(_picture(height, width, seed)) == (bytes.fromhex(digest), quality)


def test_qualities_are_those_of_the_reference() -> None:
    for step, quality in QUALITIES:
        slope = np.broadcast_to((np.arange(96) * step // 10).astype(np.uint8)[:, None, None], (96, 96, 3))
        assert pdq(np.ascontiguousarray(slope))[1] == quality
    assert pdq(_picture(4, 90, 0)) == (bytes(32), 0), "too few pixels"


@pytest.mark.parametrize("bits", [0, 8, 15, 16, 31, 47, 63])
def test_every_pair_within_the_floor_is_found_once_with_its_distance(bits: int, crowded: np.ndarray) -> None:
    found = _linked(Sketches.of(_hashed(crowded)), floor=1 - bits / 256)
    assert len(found) == len(dict(found))
    assert dict(found) == _brute(crowded, bits)
    assert len(found) > (100 if bits > 15 else 5)


def test_shares_of_the_search_find_together_what_one_finds_and_no_pair_twice(crowded: np.ndarray) -> None:
    every = Sketches.of(_hashed(crowded[:400]), _hashed(crowded[400:]))
    found = [pair for share in range(3) for pair in _linked(Sketches(every.batches, every.fresh, (share, 3)))]
    assert len(found) == len(dict(found))
    assert dict(found) == {pair: alike for pair, alike in _brute(crowded, 31).items() if pair[1] >= 400}


def test_a_crowd_is_handed_over_in_parts(crowded: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """600 hashes within 20 bits of each other: 179,700 pairs, through a window of 1,000."""
    near = crowded[:1].repeat(600, 0)
    near[:, 0] ^= np.random.default_rng(1).integers(0, 1 << 10, 600, dtype=np.uint64)
    monkeypatch.setattr(_hamming, "FOUND", 1000)
    frames = list(links(Sketches.of(_hashed(near))))
    assert max(frame.height for frame in frames) == 1000
    found = pl.concat(frames)
    assert found.height == found.select("i", "j").unique().height == 600 * 599 // 2


def test_images_of_low_quality_are_candidates_only_if_asked(crowded: np.ndarray) -> None:
    given = _hashed(crowded[:1].repeat(4, 0), [100, 49, 50, 20])
    assert dict(_linked(Sketches.of(given))) == {(0, 2): 1.0}
    assert set(dict(_linked(Sketches.of(given), quality=49))) == {(0, 1), (0, 2), (1, 2)}
    assert len(_linked(Sketches.of(given), quality=0)) == 6


def test_blank_pages_of_two_colours_are_two(encoded: Encode) -> None:
    """Their hashes are equal: there is nothing in them."""
    red, blue = (Image.new("RGB", (90, 60), colour) for colour in ("red", "blue"))
    rows = _sketched([encoded(red), encoded(blue), encoded(red, "WEBP", lossless=True)])
    assert (rows["quality"] == 0).all()
    assert rows["key"][0] == rows["key"][2] != rows["key"][1]
    assert perceptual_duplicate.pairs(rows).height == 0


def test_colours_tell_pictures_apart_where_asked(crowded: np.ndarray) -> None:
    """Hash 1 has the same colours as hash 0, hash 2 lies 5 from both, hash 3 far off."""
    colours = [bytes([100] * 48), bytes([100] * 48), bytes([105] * 48), bytes([200] * 24 + [100] * 24)]
    given = _hashed(crowded[:1].repeat(4, 0)).with_columns(colours=pl.Series(colours))
    assert set(dict(_linked(Sketches.of(given), colours=4.9))) == {(0, 1)}
    assert set(dict(_linked(Sketches.of(given), colours=5.0))) == {(0, 1), (0, 2), (1, 2)}
    assert len(_linked(Sketches.of(given))) == 6


def test_another_colour_of_the_same_picture_is_another_only_if_asked(encoded: Encode, gallery: list[Image.Image]) -> None:
    rows = _sketched([encoded(gallery[0], "JPEG", quality=90), encoded(gallery[0], "JPEG", quality=50), encoded(gallery[0].convert("L"))])
    number = {key: i for i, key in enumerate(rows["key"])}
    assert perceptual_duplicate.pairs(rows, quality=0).height == 3
    found = perceptual_duplicate.pairs(rows, quality=0, colours=8.0)
    assert [{number[a], number[b]} for a, b in found.select("a", "b").iter_rows()] == [{0, 1}]


@pytest.fixture(scope="module")
def gallery(scene: Draw) -> list[Image.Image]:
    """Twelve scenes laid over each other: more in a picture than a figure on plain ground."""
    rng = np.random.default_rng(5)
    return [functools.reduce(ImageChops.difference, (scene(rng, 200)[0] for _ in range(12))) for _ in range(40)]


@pytest.mark.parametrize(
    ("name", "recall"), [("JPEG 40", 0.95), ("WebP 40", 0.95), ("half as large", 0.9), ("darker", 0.95), ("grey", 0.95), ("mirrored", 0.0)]
)
def test_copies_are_found_whatever_was_done_to_them_but_for_turning(
    name: str, recall: float, gallery: list[Image.Image], encoded: Encode
) -> None:
    changes: dict[str, Callable[[Image.Image], bytes]] = {
        "JPEG 40": lambda image: encoded(image, "JPEG", quality=40),
        "WebP 40": lambda image: encoded(image, "WEBP", quality=40),
        "half as large": lambda image: encoded(image.resize((100, 100), Image.Resampling.BICUBIC)),
        "darker": lambda image: encoded(ImageEnhance.Brightness(image).enhance(0.8)),
        "grey": lambda image: encoded(image.convert("L")),
        "mirrored": lambda image: encoded(ImageOps.mirror(image)),
    }
    rows = _sketched([*(encoded(image) for image in gallery), *(changes[name](image) for image in gallery)])
    number = {key: i % len(gallery) for i, key in enumerate(rows["key"])}
    found = perceptual_duplicate.pairs(rows, quality=0)
    right = sum(number[a] == number[b] for a, b in found.select("a", "b").iter_rows())
    equal = sum(rows["key"][i] == rows["key"][i + len(gallery)] for i in range(len(gallery)))
    assert right >= 0.99 * found.height
    if recall:
        assert right + equal >= recall * len(gallery)
    else:
        assert right + equal <= 0.1 * len(gallery), "a mirrored image is not promised"


def test_links_grow_as_rows_arrive(gallery: list[Image.Image], encoded: Encode) -> None:
    rows = _sketched([encoded(image, "JPEG", quality=quality) for image, quality in itertools.product(gallery[:20], (90, 60, 30))])
    known, new = rows[:35], rows[35:]
    parts = [perceptual_duplicate.pairs(known), perceptual_duplicate.pairs(known, new)]
    assert parts[1].height > 0
    assert pl.concat(parts).sort("a", "b").equals(perceptual_duplicate.pairs(rows))


def test_bytes_that_are_no_image_have_an_error_and_no_links(encoded: Encode, gallery: list[Image.Image], huge_png: bytes) -> None:
    jpeg = encoded(gallery[0], "JPEG")
    rows = _sketched([None, b"", b"<html>", jpeg[: len(jpeg) // 2], huge_png])
    assert rows["error"].to_list() == [None, "not_an_image", "not_an_image", "truncated_image", "too_large"]
    assert rows["key"].null_count() == rows["quality"].null_count() == rows["colours"].null_count() == 5
    assert perceptual_duplicate.pairs(rows).height == 0
    assert perceptual_duplicate.pairs(_sketched([])).height == 0


def test_planning_loads_no_compiler() -> None:
    code = "import sys, filters.perceptual_duplicate, filters.near_duplicate_image\nassert not {'numba', 'llvmlite'} & set(sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
