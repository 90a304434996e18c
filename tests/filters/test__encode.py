import io
import threading
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from PIL import Image

from filters import _encode, filter_network, open_clip
from filters._encode import Held, encoded
from filters.clip_score import clip_score

World = Callable[[int, int], pl.DataFrame]
Freeze = Callable[..., str]


@pytest.fixture(scope="module")
def model(frozen: Freeze, world: World) -> str:
    return frozen(filter_network.filter_network, world(96, 1), samples=128)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """What this process keeps, empty."""
    fresh = Held(1 << 20)
    monkeypatch.setattr(_encode, "_HELD", fresh)
    return fresh


def _pixels(size: int) -> np.ndarray:
    return np.zeros(size, np.uint8)


def test_pixels_are_kept_up_to_so_many_bytes_and_found_by_content() -> None:
    held = Held(100)
    held.hold((b"a", ""), _pixels(60))
    held.hold((b"b", ""), _pixels(60))
    held.hold((b"c", ""), _pixels(40))
    assert [held.found((key, "")) is not None for key in (b"a", b"b", b"c")] == [True, False, True]
    assert held.size == 100
    assert held.found((b"a", "another sight")) is None


def test_a_scan_of_more_than_fits_still_finds_some_and_what_is_not_asked_again_gives_way() -> None:
    held = Held(100)
    for _ in range(2):
        found = 0
        for row in range(40):
            key = (bytes([row]), "")
            if held.found(key) is not None:
                found += 1
            else:
                held.hold(key, _pixels(10))
    assert found == 10, "the oldest was not dropped for the newest over and over"
    for row in range(40, 120):
        if held.found((bytes([row]), "")) is None:
            held.hold((bytes([row]), ""), _pixels(10))
    assert held.found((bytes([0]), "")) is None
    assert sum(held.found((bytes([row]), "")) is not None for row in range(40, 120)) == 10
    assert held.size == 100


def test_several_models_see_one_decoding_and_score_as_each_does_alone(
    model: str, frozen: Freeze, world: World, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, other = world(20, 4), frozen(filter_network.filter_network, world(96, 2), samples=128)
    alone = [clip_score(rows, model=one) for one in (model, other)]
    decoded: list[int] = []
    monkeypatch.setattr(_encode, "decode", lambda data, decode=_encode.decode: (decoded.append(len(data)), decode(data))[1])
    assert held.users == {("clip_score", model), ("clip_score", other)}
    fresh = Held(1 << 20)
    fresh.users |= held.users
    monkeypatch.setattr(_encode, "_HELD", fresh)
    assert [clip_score(rows, model=one).equals(expected) for one, expected in zip((model, other), alone, strict=True)] == [True, True]
    assert len(decoded) == len(set(rows["image"])), "the first kept what it decoded, and equal images are decoded once"


def test_models_of_another_resolution_see_their_own_pixels(model: str, frozen: Freeze, world: World, held: Held) -> None:
    wide = frozen(filter_network.filter_network, world(96, 2), samples=128, resolution=40)
    rows = world(10, 4)
    alone = [clip_score(rows, model=one) for one in (model, wide)]
    assert len(held.users) == 2
    assert all(clip_score(rows, model=one).equals(expected) for one, expected in zip((model, wide), alone, strict=True))


def test_images_are_decoded_beside_the_model_in_other_threads(
    model: str, world: World, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    monkeypatch.setattr(_encode, "decode", lambda data, decode=_encode.decode: (threads.add(threading.get_ident()), decode(data))[1])
    encoded(model, world(40, 1)["image"].to_list(), ["x"] * 40)
    assert threads
    assert threading.get_ident() not in threads


def test_nothing_to_see_and_nothing_to_say_has_no_features(model: str, held: Held) -> None:
    nothing = encoded(model, [None, None], [None, None])
    assert nothing.image.shape == nothing.text.shape == (2, 0)
    assert not nothing.seen.any()
    assert nothing.error == [None, None]


def test_features_have_unit_length_and_broken_images_none(model: str, world: World, held: Held) -> None:
    image = world(1, 0)["image"][0]
    made = encoded(model, [image, b"no image", None, image], ["a", None, "b", "a"])
    assert made.seen.tolist() == [True, False, False, True]
    assert made.error == [None, "not_an_image", None, None]
    assert np.allclose(np.linalg.norm(made.image[[0, 3]], axis=1), 1)
    assert np.array_equal(made.image[0], made.image[3])
    assert not made.text[1].any()


def test_pixels_are_open_clips_own_to_the_bit(frozen: Freeze) -> None:
    """Of sizes below, at and above the model's, upright and wide."""
    import open_clip as library
    import torch

    made = open_clip.open_clip(name="ViT-S-32-alt", random_seed=0)
    matcher = open_clip.load(made.weights, made.card)
    transform = library.create_model_and_transforms("ViT-S-32-alt", load_weights=False)[2]
    rng = np.random.default_rng(0)
    for width, height in ((224, 224), (17, 300), (512, 384), (300, 225), (1, 1)):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(buffer, "JPEG")
        plain = transform(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
        assert torch.equal(matcher.preprocess(buffer.getvalue()), plain)
    assert matcher.shape == (224, 224, 3)
