from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from curate.errors import RecipeError
from filters.filter_network import filter_network
from filters.head import head
from filters.head_score import head_score

Frozen = Callable[..., str]
ABOUT = {"name": "mine", "licence": "MIT", "source": "here"}


def _features(vectors: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"features": [None if np.isnan(row).all() else row.astype("<f2").tobytes() for row in vectors]})


@pytest.fixture(scope="module")
def linear(frozen: Frozen, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, np.ndarray]:
    """The digest of a linear head on 16 numbers, and its weights."""
    weights = np.random.default_rng(4).normal(size=(1, 16)).astype(np.float32)
    path = tmp_path_factory.mktemp("head") / "linear.safetensors"
    save_file({"weight": weights, "bias": np.array([0.5], np.float32)}, path)
    return frozen(head, weights=str(path), **ABOUT), weights[0]


def test_the_score_is_the_heads_output_and_only_vectors_have_one(linear: tuple[str, np.ndarray]) -> None:
    digest, weights = linear
    vectors = np.random.default_rng(5).normal(size=(70, 16))
    vectors[3] = np.nan
    scores = head_score(_features(vectors), model=digest)["score"]
    stored = vectors.astype("<f2").astype(np.float64)
    expected = (stored / np.linalg.norm(stored, axis=1, keepdims=True)) @ weights + 0.5
    assert scores.is_null().arg_true().to_list() == [3]
    there = np.arange(70) != 3
    assert np.allclose(scores.to_numpy()[there], expected[there], atol=1e-5)


def test_other_widths_and_other_models_are_refused(
    linear: tuple[str, np.ndarray], frozen: Frozen, world: Callable[..., pl.DataFrame]
) -> None:
    with pytest.raises(RecipeError, match="mine takes vectors of 16 numbers; these have 8"):
        head_score(_features(np.ones((3, 8))), model=linear[0])
    with pytest.raises(RecipeError, match="no head"):
        head_score(_features(np.ones((3, 16))), model=frozen(filter_network, world(100, 1), samples=64))
