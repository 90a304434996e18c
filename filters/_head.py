"""A stack of dense layers on embeddings, as numpy: what a `head` is to `head_score`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.errors import RecipeError
from curate.model import Weights
from filters._vectors import Floats, unit

ACTIVATIONS, OUTPUTS = ("none", "relu", "gelu"), ("none", "sigmoid", "softmax")
ACTIVE = {"none": 0, "relu": 1, "gelu": 2, "sigmoid": 3, "softmax": 4}
"""As `_dense` numbers them."""
_LEAST_DEVIATION = 1e-7  # Keras: a layer Normalization divides by at least its epsilon


@dataclass(frozen=True)
class Head:
    """`layers` are (weights (in, out), offsets (out,)) in order; `mean` and `deviation` (in,) of a normalisation before them."""

    layers: tuple[tuple[Floats, Floats], ...]
    mean: Floats | None
    deviation: Floats | None
    normalise: bool
    activation: str
    output: str
    column: int
    name: str

    @property
    def width(self) -> int:
        """How many numbers an embedding has."""
        return int(self.layers[0][0].shape[0])

    def __call__(self, embeddings: Floats) -> Floats:
        """(rows, width) to (rows,)."""
        from filters._dense import dense  # loads a compiler, which no plan needs

        x = unit(embeddings) if self.normalise else embeddings
        if self.mean is not None and self.deviation is not None:
            x = (x - self.mean) / self.deviation
        for number, (weights, offsets) in enumerate(self.layers):
            last, out = number + 1 == len(self.layers), np.empty((len(x), offsets.size), np.float32)
            dense(np.ascontiguousarray(x), weights, offsets, ACTIVE[self.output if last else self.activation], out)
            x = out
        return np.ascontiguousarray(x[:, self.column])


def head_of(weights: Weights, shape: Mapping[str, Any]) -> Head:
    """The head that a card's `architecture` describes."""
    layers = tuple((weights[f"{number}.weights"], weights[f"{number}.offsets"]) for number in range(shape["layers"]))
    how = (shape["normalise"], shape["activation"], shape["output"], shape["column"], shape["name"])
    return Head(layers, weights.get("mean"), weights.get("deviation"), *how)


def layers_of(state: Mapping[str, npt.NDArray[Any]], where: str) -> Weights:
    """Named tensors as `N.weights` (in, out), `N.offsets` (out,), and `mean` and `deviation` where there is a normalisation.

    Dense layers are matrices called weight, (out, in) as torch has them, or kernel, (in, out) as Keras has them; their order is that of the
    numbers in their names. What is called mean and variance belongs to a normalisation in front. RecipeError for tensors of other kinds, or
    that do not fit together.
    """
    made: Weights = {}
    state = {name.removesuffix(":0"): value for name, value in state.items()}  # as TensorFlow calls them
    for name, value in state.items():
        last = _last(name)
        if last in ("mean", "variance"):
            flat = value.astype(np.float32).ravel()
            made["mean" if last == "mean" else "deviation"] = flat if last == "mean" else np.maximum(np.sqrt(flat), _LEAST_DEVIATION)
    names = sorted((name for name, value in state.items() if _last(name) in ("weight", "kernel") and value.ndim == 2), key=_order)
    for number, name in enumerate(names):
        matrix, stem = state[name].astype(np.float32), name[: len(name) - len(_last(name))]
        matrix = matrix.T if _last(name) == "weight" else matrix
        made[f"{number}.weights"] = np.ascontiguousarray(matrix)
        made[f"{number}.offsets"] = state.get(f"{stem}bias", np.zeros(matrix.shape[1])).astype(np.float32).ravel()
    biases = {f"{name[: len(name) - len(_last(name))]}bias" for name in names}
    odd = sorted(name for name in state if name not in {*names, *biases} and _last(name) not in ("mean", "variance", "count"))
    if not names or odd or ("mean" in made) != ("deviation" in made):
        what = (
            f"the tensor {odd[0]} {state[odd[0]].shape} is of no dense layer"
            if odd
            else "there are no dense layers, or half a normalisation"
        )
        raise RecipeError(what, where=where, fix="give a linear head, or a stack of dense layers, on embeddings")
    if len({re.sub(r"[._]?\d+", "", name) for name in names}) > 1:
        what = f"the names {', '.join(names)} do not tell the order of layers"
        raise RecipeError(what, where=where, fix="call them alike but for numbers, in the order in which they follow each other")
    for number in range(len(names)):
        matrix, offsets = made[f"{number}.weights"], made[f"{number}.offsets"]
        before = made[f"{number - 1}.weights"].shape[1] if number else made.get("mean", matrix).shape[0]
        if matrix.shape[0] != before or offsets.size != matrix.shape[1]:
            what = f"{names[number]} takes {matrix.shape[0]} numbers and gives {matrix.shape[1]}; {before} come, {offsets.size} are added"
            raise RecipeError(what, where=where, fix="number the layers in the order in which they follow each other")
    return made


def _last(name: str) -> str:
    return re.split(r"[./]", name)[-1]


def _order(name: str) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", name)], name
