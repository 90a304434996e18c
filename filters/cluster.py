"""The cluster that a row's features belong to."""

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import loaded
from curate.signal import Evidence, ModelRef, signal
from filters._clusters import Clusters, nearest
from filters._vectors import unit, vectors

_WRITES = {"id": pl.UInt32, "similarity": pl.Float32, "near": pl.Boolean}


@signal(version=2, reads=[], writes=_WRITES, batch=256, uses=["numba", "numpy"])
def cluster(batch: pl.DataFrame, *, features: Evidence, model: ModelRef) -> pl.DataFrame:
    """The centroid of `model`, a `feature_clusters`, of the greatest inner product with a row's features.

    `id`: its number from 0; `similarity`: that product, of features at unit length; `near`: whether a target lies there too:
    `keep: cluster.near` is DataComp's image-based rule (Gadre et al., arXiv 2304.14108). Null where a row has no features, or none but
    zeros, or some that are no numbers. Raises RecipeError if the model is another, or of other features.
    """
    known = loaded(model)
    if not isinstance(known, Clusters):
        raise RecipeError("this model holds no clusters", where="cluster", fix="give it a feature_clusters")
    made, _ = vectors(batch[features], "cluster")
    made[~np.isfinite(made).all(axis=1)] = 0
    if not made.any():
        return pl.DataFrame({name: pl.Series([None] * batch.height, dtype=dtype) for name, dtype in _WRITES.items()})
    if made.shape[1] != known.centroids.shape[1]:
        what = f"the features have {made.shape[1]} numbers, the centroids {known.centroids.shape[1]}"
        raise RecipeError(what, where="cluster", fix="give the features that were clustered")
    points = unit(made)
    best = nearest(points, known.centroids)
    found = pl.DataFrame({"id": best, "similarity": (points * known.centroids[best]).sum(axis=1), "near": known.near[best]})
    there = pl.Series(made.any(axis=1))
    return found.select(pl.when(there).then(pl.col(name).cast(dtype)).alias(name) for name, dtype in _WRITES.items())
