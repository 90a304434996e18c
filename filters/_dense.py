"""Sums over rows in one order, so that a row's answer depends neither on its mates nor on the machine's BLAS: dense layers, and which of
many products is the greatest."""

import math

import numpy as np
import numpy.typing as npt

from filters._compiled import kernel

Floats = npt.NDArray[np.float32]
NONE, RELU, GELU, SIGMOID, SOFTMAX = range(5)
_ROWS = 8  # so many rows use a line of weights while it is near
_GELU_SCALE, _GELU_CUBIC = np.float32(math.sqrt(2 / math.pi)), np.float32(0.044715)


@kernel
def dense(x: Floats, weights: Floats, offsets: Floats, active: int, out: Floats) -> None:
    """Write active(x @ weights + offsets): x (n, in), weights (in, out), out (n, out); gelu in its tanh form (arXiv 1606.08415)."""
    for start in range(0, x.shape[0], _ROWS):
        stop = min(start + _ROWS, x.shape[0])
        for row in range(start, stop):
            out[row] = offsets
        for k in range(weights.shape[0]):
            for row in range(start, stop):
                value = x[row, k]
                for column in range(weights.shape[1]):
                    out[row, column] += value * weights[k, column]
        for row in range(start, stop):
            total, most = np.float32(0.0), out[row].max()
            for column in range(weights.shape[1]):
                value = out[row, column]
                if active == RELU:
                    value = max(value, np.float32(0.0))
                elif active == GELU:
                    inner = _GELU_SCALE * (value + _GELU_CUBIC * value * value * value)
                    value = np.float32(0.5) * value * (np.float32(1.0) + np.float32(math.tanh(inner)))
                elif active == SIGMOID:
                    value = np.float32(0.5) * (np.float32(1.0) + np.float32(math.tanh(np.float32(0.5) * value)))
                elif active == SOFTMAX:
                    value = np.float32(math.exp(value - most))
                out[row, column] = value
                total += value
            if active == SOFTMAX:
                out[row] /= total


@kernel
def greatest(products: Floats, points: Floats, others: Floats, room: npt.NDArray[np.float64], best: npt.NDArray[np.int64]) -> None:
    """Write which of `others` (k, width) has the greatest inner product with each of `points` (n, width), of equal ones the first.

    `products` (n, k) are those in any order of sums, off by less than half of a row's `room`. Rows without room (zeros) are passed over.
    """
    for row in range(points.shape[0]):
        if not room[row] > 0:
            continue
        floor, most = products[row].max() - room[row], -np.inf
        for place in range(others.shape[0]):
            if products[row, place] >= floor:
                exact = 0.0
                for k in range(points.shape[1]):
                    exact += np.float64(points[row, k]) * np.float64(others[place, k])
                if exact > most:
                    most, best[row] = exact, place
