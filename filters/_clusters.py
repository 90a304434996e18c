"""What clusters of features are to a signal."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from filters._vectors import Floats

AT_ONCE = 1 << 24
"""Products that are held at a time: 64 MB."""


class Clusters(NamedTuple):
    """`centroids` (k, width) float32, means of unit vectors: none is longer than 1; `near` (k,), whether one is the nearest of a target."""

    centroids: Floats
    near: npt.NDArray[np.bool_]


def nearest(points: Floats, centroids: Floats) -> npt.NDArray[np.int64]:
    """For each point the centroid of the greatest inner product (DataComp's assignment), of equal ones the first; for zeros 0.

    BLAS's last bits depend on a row's place in a batch, so products that they leave open are told apart in one order of float64 sums.
    """
    from filters._dense import greatest  # loads a compiler, which no plan needs

    best = np.zeros(len(points), np.int64)
    room = 2 * points.shape[1] * np.finfo(np.float32).eps * np.linalg.norm(points.astype(np.float64), axis=1)
    step = max(1, AT_ONCE // max(1, len(centroids)))
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        some = np.ascontiguousarray(points[part])
        greatest(some @ centroids.T, some, centroids, room[part], best[part])
    return best
