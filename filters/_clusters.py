"""What clusters of features are to a signal."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from filters._vectors import Floats

AT_ONCE = 1 << 24
"""Products that are held at a time: 64 MB."""


class Clusters(NamedTuple):
    """`centroids` (k, width) float32; `near` (k,), whether one is the nearest of any target."""

    centroids: Floats
    near: npt.NDArray[np.bool_]


def nearest(points: Floats, centroids: Floats) -> npt.NDArray[np.int64]:
    """For each point the centroid of the greatest inner product (DataComp's assignment), of equal ones the first."""
    best = np.zeros(len(points), np.int64)
    step = max(1, AT_ONCE // max(1, len(centroids)))
    for start in range(0, len(points), step):
        best[start : start + step] = (points[start : start + step] @ centroids.T).argmax(axis=1)
    return best
