"""A dense layer over rows whose sums run in one order, so that a row's numbers depend neither on its mates nor on the machine's BLAS."""

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
