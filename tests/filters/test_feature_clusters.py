import numpy as np
import polars as pl
import pytest

from curate.errors import RecipeError
from filters.feature_clusters import feature_clusters, load

WIDTH = 12


def packed(matrix):
    return pl.DataFrame({"features": pl.Series([row.astype("<f2").tobytes() for row in matrix], dtype=pl.Binary)})


@pytest.fixture(scope="module")
def blobs():
    """600 points around 6 directions, and which."""
    rng = np.random.default_rng(3)
    ways = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0][:6]
    which = rng.integers(0, 6, 600)
    return ways[which] + rng.normal(scale=0.08, size=(600, WIDTH)), which, ways


def test_centroids_are_found_whatever_the_order_and_those_near_a_target_are_marked(blobs):
    points, which, ways = blobs
    target = packed(ways[[1, 4]] * 7)
    made = feature_clusters([packed(points[:100]), packed(points[100:])], target, k=6, seed=2)
    turned = feature_clusters([packed(points[::-1])], target, k=6, seed=2)
    assert made.weights["centroids"].tobytes() == turned.weights["centroids"].tobytes()
    found = load(made.weights, made.card)
    assert made.card["rows"] == {"clustered": 600, "targets": 2}
    near = (points @ found.centroids.T).argmax(axis=1)
    marked = set(which[found.near[near]].tolist())
    assert marked == {1, 4}
    assert made.card["near"] == int(found.near.sum()) >= 2


def test_a_centroid_is_the_mean_of_its_points(blobs):
    points, _, ways = blobs
    made = feature_clusters([packed(points)], packed(ways), k=1)
    unit = points.astype("<f2").astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    assert np.allclose(made.weights["centroids"][0], unit.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize(
    ("k", "target", "what"),
    [
        (601, np.ones((1, WIDTH)), "600 rows .* k is 601"),
        (0, np.ones((1, WIDTH)), "k is 0"),
        (2, np.ones((1, 4)), "have 4 numbers, the pool's 12"),
    ],
)
def test_what_cannot_be_clustered_is_refused(blobs, k, target, what):
    with pytest.raises(RecipeError, match=what):
        feature_clusters([packed(blobs[0])], packed(target), k=k)


def test_a_target_without_features_is_refused(blobs):
    nothing = pl.DataFrame({"features": pl.Series([None], dtype=pl.Binary)})
    with pytest.raises(RecipeError, match="the target's features have 0 numbers"):
        feature_clusters([packed(blobs[0])], nothing, k=2)
