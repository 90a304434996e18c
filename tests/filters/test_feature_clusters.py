import numpy as np
import polars as pl
import pytest
from scipy.cluster.vq import kmeans2

from curate.errors import RecipeError
from filters.feature_clusters import _lloyd, feature_clusters, load

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
    made = feature_clusters([packed(points[:100]), packed(points[100:])], target, k=6, seed=1)
    turned = feature_clusters([packed(points[::-1])], target, k=6, seed=1)
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


def test_what_points_nowhere_is_neither_clustered_nor_a_target(blobs):
    points, _, ways = blobs
    nothing = np.zeros((3, WIDTH))
    made = feature_clusters([packed(np.concatenate([points, nothing]))], packed(np.concatenate([nothing, ways[:1]])), k=6)
    alone = feature_clusters([packed(points)], packed(ways[:1]), k=6)
    assert made.card["rows"] == {"clustered": 600, "targets": 1}
    assert all(np.array_equal(made.weights[name], alone.weights[name]) for name in alone.weights)
    with pytest.raises(RecipeError, match="the target's features have 0 numbers"):
        feature_clusters([packed(points)], packed(nothing), k=6)


def test_pieces_of_two_widths_and_impossible_numbers_are_refused(blobs):
    with pytest.raises(RecipeError, match="the pool's features have 4, 12 numbers"):
        feature_clusters([packed(blobs[0]), packed(np.ones((1, 4)))], packed(blobs[2]), k=2)
    for wrong in ({"iterations": -1}, {"seed": -1}):
        with pytest.raises(RecipeError, match="0 or more"):
            feature_clusters([packed(blobs[0])], packed(blobs[2]), k=2, **wrong)


def test_it_is_lloyds_algorithm_a_block_at_a_time(blobs, monkeypatch):
    """Seven rows at a time here: nothing of the size of rows times clusters is held."""
    points = (blobs[0] / np.linalg.norm(blobs[0], axis=1, keepdims=True)).astype(np.float32)
    first = points[np.random.default_rng(5).choice(600, 40, replace=False)]
    expected, _ = kmeans2(points, first.copy(), iter=7, minit="matrix")
    monkeypatch.setattr("filters.feature_clusters.AT_ONCE", 280)
    assert np.allclose(_lloyd(points, 40, 7, 5), expected, atol=1e-6)
