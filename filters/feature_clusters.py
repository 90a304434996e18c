"""Clusters of the pool's features, and which of them lie nearest to a target set: DataComp's image-based filter."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import Made, Weights, model
from curate.signal import Evidence
from filters._clusters import AT_ONCE, Clusters, nearest
from filters._vectors import Floats, unit, vectors

_USER = "feature_clusters"


@model(version=2, rows=["target"], over="pool", trusts=False)
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
    rows drawn by `seed`; then Lloyd's iterations by Euclidean distance; a centroid that loses all its rows stays where it was. Vectors of
    zeros point nowhere and do not count. Those that are clustered are held in memory as float32, twice at the most: 6 GB for 1,000,000 of
    768. The card says how many clusters a target lies in. Raises RecipeError if there are fewer rows with features than `k`, no target has
    any, or their widths differ.
    """
    held = [one for one in (_directions(frame[features]) for frame in rows) if len(one)]
    widths, targets = sorted({one.shape[1] for one in held}), _directions(target[features])
    if len(widths) > 1 or iterations < 0 or seed < 0:
        what = f"the pool's features have {', '.join(map(str, widths))} numbers" if len(widths) > 1 else "iterations and seed are 0 or more"
        raise RecipeError(what, where=_USER, fix="give it features of one width, and numbers that can be")
    pool = np.concatenate(held) if held else np.empty((0, 0), np.float32)
    del held
    if not 1 <= k <= len(pool):
        what = f"{len(pool):,} rows of the pool that were drawn have features, k is {k:,}"
        raise RecipeError(what, where=_USER, fix="lower k, or raise sample")
    if not len(targets) or targets.shape[1] != pool.shape[1]:
        what = f"the target's features have {targets.shape[1] if len(targets) else 0} numbers, the pool's {pool.shape[1]}"
        raise RecipeError(what, where=_USER, fix="give a target whose rows have features of the same model")
    order = np.argsort(pool.view(f"S{pool.itemsize * pool.shape[1]}").ravel(), kind="stable")  # whatever order the rows came in
    centroids = _lloyd(pool[order], k, iterations, seed)
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


def _directions(values: pl.Series) -> Floats:
    """Those of the vectors that point somewhere, at unit length."""
    made, _ = vectors(values, _USER)
    return unit(made[made.any(axis=1) & np.isfinite(made).all(axis=1)])


def _lloyd(points: Floats, k: int, iterations: int, seed: int) -> Floats:
    """k-means, with as many products of points and centroids at a time as memory should hold: all of them are n k."""
    from scipy.sparse import csr_array

    made = points[np.random.default_rng(seed).choice(len(points), k, replace=False)]
    nearest_to, step = np.empty(len(points), np.int64), max(1, AT_ONCE // k)
    for _ in range(iterations):
        halves = np.square(made).sum(axis=1) / 2  # of equal lengths the least distance is the greatest product
        for start in range(0, len(points), step):
            nearest_to[start : start + step] = (points[start : start + step] @ made.T - halves).argmax(axis=1)
        counts = np.bincount(nearest_to, minlength=k)
        members = (np.ones(len(points), np.float32), np.argsort(nearest_to, kind="stable"), np.append(0, np.cumsum(counts)))
        there = counts > 0
        made[there] = (csr_array(members, shape=(k, len(points))) @ points)[there] / counts[there, None].astype(np.float32)
    return made
