"""Clusters of the pool's features, and which of them lie nearest to a target set: DataComp's image-based filter."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import Made, Weights, model
from curate.signal import Evidence
from filters._clusters import Clusters, nearest
from filters._vectors import Floats, unit, vectors

_USER = "feature_clusters"


@model(version=1, rows=["target"], over="pool", trusts=False)
def feature_clusters(
    rows: Iterable[pl.DataFrame],
    target: pl.DataFrame,
    *,
    features: Evidence,
    k: int = 100_000,
    iterations: int = 20,
    seed: int = 0,
    sample: float = 1.0,
) -> Made:
    """k-means centroids of the pool's features (Gadre et al., DataComp, arXiv 2304.14108: k = 100,000, 20 iterations).

    `features` names vectors, of the pool and of the `target` rows alike; they are brought to unit length. `sample` is the share of the
    pool's rows that are clustered, drawn by uid (DataComp drew with replacement, from its largest pools only). The first centroids are
    rows drawn by `seed`; then Lloyd's iterations by Euclidean distance (scipy.cluster.vq). The vectors that are clustered are held in
    memory as float32, 3 GB for 1,000,000 of 768. The card says how many clusters a target lies in. Raises RecipeError if there are fewer
    rows with features than `k`, or no target has any.
    """
    drawn = [vectors(frame[features], _USER) for frame in rows]
    held = [made[there] for made, there in drawn if there.any()]
    wanted, named = vectors(target[features], _USER)
    pool, targets = unit(np.concatenate(held)) if held else np.empty((0, 0), np.float32), unit(wanted[named])
    if not 1 <= k <= len(pool):
        what = f"{len(pool):,} rows of the pool that were drawn have features, k is {k:,}"
        raise RecipeError(what, where=_USER, fix="lower k, or raise sample")
    if targets.shape[1] != pool.shape[1]:
        what = f"the target's features have {targets.shape[1]} numbers, the pool's {pool.shape[1]}"
        raise RecipeError(what, where=_USER, fix="give a target whose rows have features of the same model")
    centroids = _lloyd(pool[np.lexsort(pool.T[::-1])], k, iterations, seed)  # sorted: whatever order the rows came in
    near = np.zeros(k, np.bool_)
    near[nearest(targets, centroids)] = True
    card = {
        "architecture": {"k": k},
        "rows": {"clustered": len(pool), "targets": len(targets)},
        "near": int(near.sum()),
        "sample": sample,
        "iterations": iterations,
        "seed": seed,
        "licence": "that of the pool and the target; means of their features",
    }
    return Made({"centroids": centroids, "near": near}, card)


@feature_clusters.loader
def load(weights: Weights, card: dict[str, Any]) -> Clusters:  # noqa: ARG001  every loader is handed the card
    """The clusters, for `cluster`."""
    return Clusters(weights["centroids"], weights["near"])


def _lloyd(points: Floats, k: int, iterations: int, seed: int) -> Floats:
    from scipy.cluster.vq import kmeans2

    first = points[np.random.default_rng(seed).choice(len(points), k, replace=False)]
    found = kmeans2(points, first, iter=iterations, minit="matrix", missing="warn")[0] if iterations else first
    return np.ascontiguousarray(found, np.float32)
