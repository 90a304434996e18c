import numpy as np
import polars as pl
import pytest

from curate.errors import RecipeError
from curate.model import loaded
from curate.recipe import Recipe
from filters._clusters import nearest
from filters._vectors import unit
from filters.cluster import cluster
from filters.feature_clusters import feature_clusters
from pipelines import run


def packed(matrix):
    rows = [None if row is None else np.array(row).astype("<f2").tobytes() for row in matrix]
    return pl.DataFrame({"features": pl.Series(rows, dtype=pl.Binary)})


def test_a_row_belongs_to_the_centroid_of_the_greatest_product(frozen):
    points = np.random.default_rng(1).normal(size=(300, 8))
    digest = frozen(feature_clusters, [packed(points)], packed(points[:1]), k=7)
    found = cluster(packed([*points, None, np.zeros(8)]), model=digest)
    known = loaded(digest)
    unit = points.astype("<f2").astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    products = unit @ known.centroids.T.astype(np.float64)
    assert found["id"].to_list()[:300] == products.argmax(axis=1).tolist()
    assert np.allclose(found["similarity"].to_numpy()[:300], products.max(axis=1), atol=1e-5)
    assert found["near"].to_list()[:300] == (products.argmax(axis=1) == products[0].argmax()).tolist()
    assert found[300:].null_count().rows() == [(2, 2, 2, 2)]


def test_of_equal_centroids_the_first_is_taken_wherever_a_row_stands():
    rng = np.random.default_rng(0)
    centroids = unit(rng.normal(size=(1003, 768)).astype(np.float32))
    centroids[502:] = centroids[:501]
    points = unit(rng.normal(size=(256, 768)).astype(np.float32))
    found = nearest(points, centroids)
    assert (found < 502).all()
    assert np.array_equal(np.concatenate([nearest(points[:7], centroids), nearest(points[7:], centroids)]), found)
    assert np.array_equal(nearest(points[::-1], centroids)[::-1], found)
    assert np.array_equal(found, (points.astype(np.float64) @ centroids[:502].T.astype(np.float64)).argmax(axis=1))
    assert nearest(np.zeros((2, 768), np.float32), centroids).tolist() == [0, 0]


def test_features_of_another_width_are_refused(frozen):
    digest = frozen(feature_clusters, [packed(np.eye(4))], packed(np.eye(4)), k=2)
    with pytest.raises(RecipeError, match="the features have 5 numbers, the centroids 4"):
        cluster(packed(np.ones((3, 5))), model=digest)


RECIPE = """
models:
  net: {filter_network: {trusted: trusted/, samples: 128}}
  parts: {feature_clusters: {features: emb.image, target: good/, k: 4, sample: 0.5}}
signals: {emb: {clip_embedding: {model: net}}, part: {cluster: {features: emb.image, model: parts}}}
stages: {image_based: {keep: part.near}}
subsets: [image_based]
"""


def test_the_image_based_rule_from_images_to_a_subset(world, tmp_path):
    for name, rows, seed in (("trusted", 96, 1), ("good", 3, 2), ("shards", 60, 3)):
        (tmp_path / name).mkdir()
        world(rows, seed).write_parquet(tmp_path / name / "0.parquet")
    done = run(Recipe.parse(RECIPE, base=tmp_path), tmp_path / "shards", store=tmp_path / "store")
    kept = done.evidence("part")
    assert 0 < kept["near"].sum() < 60
    assert len(done.subset("image_based")) == kept["near"].sum()
