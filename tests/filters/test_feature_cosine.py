from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from curate.errors import RecipeError
from filters.clip_embedding import clip_embedding
from filters.clip_score import clip_score
from filters.feature_cosine import feature_cosine
from filters.filter_network import filter_network


def _packed(vectors: np.ndarray) -> list[bytes]:
    return [row.astype("<f2").tobytes() for row in vectors]


def test_stored_embeddings_give_the_clip_score_within_a_thousandth(frozen: Callable[..., str], world: Callable[..., pl.DataFrame]) -> None:
    model = frozen(filter_network, world(200, 1), samples=640)
    rows = pl.concat([world(60, 2), pl.DataFrame({"image": [None, world(1, 3)["image"][0], b"no image"], "text": ["a", None, "b"]})])
    direct = clip_score(rows, model=model)["score"]
    derived = feature_cosine(clip_embedding(rows, model=model).select("image", "text"))["score"]
    assert derived.is_null().equals(direct.is_null())
    assert derived.null_count() == 3
    assert float((derived - direct).abs().max()) < 1e-3  # type: ignore[arg-type]
    assert float(derived.std()) > 1e-2  # type: ignore[arg-type]


def test_length_does_not_count_and_zeros_have_no_direction() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 9, 12))
    b[4] = 0
    frame = pl.DataFrame({"image": _packed(3 * a), "text": _packed(b)})
    scores = feature_cosine(frame)["score"]
    expected = (a * b).sum(1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-9)
    assert scores.is_null().arg_true().to_list() == [4]
    there = np.arange(9) != 4
    assert np.allclose(scores.to_numpy()[there], expected[there], atol=2e-3)


def test_vectors_of_two_widths_are_refused() -> None:
    with pytest.raises(RecipeError, match="image has vectors of 4 numbers, text of 8"):
        feature_cosine(pl.DataFrame({"image": _packed(np.ones((2, 4))), "text": _packed(np.ones((2, 8)))}))
