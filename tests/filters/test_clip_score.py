from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from curate.model import digest_of_model, pack, shelve
from filters import filter_network
from filters.clip_score import clip_score

World = Callable[[int, int], pl.DataFrame]


@pytest.fixture(scope="module")
def matcher(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, filter_network.Matcher]:
    """A briefly trained network, shelved: its weights digest, and the loaded model."""
    made = filter_network.filter_network(world(96, 1), samples=640)
    folder: Path = tmp_path_factory.mktemp("model")
    for name, data in zip(("weights.safetensors", "card.json"), pack(made), strict=True):
        (folder / name).write_bytes(data)
    digest = digest_of_model(made.weights, made.card)
    shelve(digest, filter_network.load, folder)
    return digest, filter_network.load(made.weights, made.card)


def test_the_score_is_the_cosine_of_the_models_features(matcher: tuple[str, filter_network.Matcher], world: World) -> None:
    digest, network = matcher
    rows = world(10, 2)
    with torch.inference_mode():
        images = torch.stack([network.preprocess(image) for image in rows["image"]])
        image = torch.nn.functional.normalize(network.model.encode_image(images), dim=-1)
        text = torch.nn.functional.normalize(network.model.encode_text(network.tokenize(rows["text"].to_list())), dim=-1)
    expected = (image * text).sum(-1).numpy()
    scored = clip_score(rows, model=digest)
    assert np.allclose(scored["score"], expected, atol=1e-5)
    assert scored["score"].is_between(-1, 1).all()
    assert scored["error"].null_count() == 10


def test_a_score_does_not_depend_on_the_size_or_order_of_the_batch(matcher: tuple[str, filter_network.Matcher], world: World) -> None:
    rows, digest = world(150, 3), matcher[0]
    whole = clip_score(rows, model=digest)["score"].to_numpy()
    order = np.random.default_rng(0).permutation(150)
    assert np.array_equal(clip_score(rows[order], model=digest)["score"].to_numpy(), whole[order])
    assert np.array_equal(np.concatenate([clip_score(rows[i : i + 7], model=digest)["score"].to_numpy() for i in range(0, 150, 7)]), whole)


def test_threads_and_kernels_are_left_as_they_were_found(matcher: tuple[str, filter_network.Matcher], world: World) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        clip_score(world(3, 0), model=matcher[0])
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(before)


def test_rows_without_image_or_text_have_no_score_and_broken_images_an_error(
    matcher: tuple[str, filter_network.Matcher], world: World, huge_png: bytes
) -> None:
    image, text = world(1, 5).row(0)
    rows = pl.DataFrame(
        [(image, text), (None, text), (image, None), (b"<html>", text), (huge_png, text), (image[: len(image) // 2], None), (image, "")],
        schema={"image": pl.Binary, "text": pl.String},
        orient="row",
    )
    scored = clip_score(rows, model=matcher[0])
    assert scored["error"].to_list() == [None, None, None, "not_an_image", "too_large", "truncated_image", None]
    assert scored["score"].is_null().to_list() == [False, True, True, True, True, True, False]
    assert scored["score"][0] == clip_score(rows[:1], model=matcher[0])["score"][0]


def test_nul_bytes_and_ten_megabytes_of_text_are_scored(matcher: tuple[str, filter_network.Matcher], world: World) -> None:
    image = world(1, 6)["image"][0]
    rows = pl.DataFrame({"image": [image] * 3, "text": ["x" * 10_000_000, "a " * 5_000_000, "\0"]})
    assert clip_score(rows, model=matcher[0])["score"].null_count() == 0
