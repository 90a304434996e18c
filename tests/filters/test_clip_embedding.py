from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from filters import filter_network
from filters.clip_embedding import clip_embedding
from filters.clip_score import clip_score

World = Callable[[int, int], pl.DataFrame]


@pytest.fixture(scope="module")
def model(frozen: Callable[..., str], world: World) -> str:
    return frozen(filter_network.filter_network, world(96, 1), samples=128)


def _vectors(column: pl.Series) -> np.ndarray:
    return np.frombuffer(b"".join(column), "<f2").reshape(len(column), -1).astype(np.float32)


def test_scores_follow_from_embeddings(model: str, world: World) -> None:
    rows = world(30, 2)
    made = clip_embedding(rows, model=model)
    image, text = _vectors(made["image"]), _vectors(made["text"])
    assert image.shape == text.shape == (30, 128)
    assert np.allclose(np.linalg.norm(image, axis=1), 1, atol=1e-3)
    assert np.allclose((image * text).sum(axis=1), clip_score(rows, model=model)["score"], atol=1e-3)


def test_each_of_image_and_text_stands_without_the_other(model: str, world: World) -> None:
    image, text = world(1, 5).row(0)
    rows = pl.DataFrame(
        [(image, text), (None, text), (image, None), (b"x", text)], schema={"image": pl.Binary, "text": pl.String}, orient="row"
    )
    made = clip_embedding(rows, model=model)
    assert made["error"].to_list() == [None, None, None, "not_an_image"]
    assert made["image"].is_null().to_list() == [False, True, False, True]
    assert made["text"].is_null().to_list() == [False, False, True, False]
    assert made["image"][0] == made["image"][2]
    assert made["text"][0] == made["text"][1] == made["text"][3]
    assert made["image"].bin.size().drop_nulls().unique().to_list() == [256]
