"""A linear or layered head on embeddings from a local weights file: aesthetics, unsafe content, watermarks, or one of your own."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from curate.errors import RecipeError
from curate.model import Made, Weights, model
from filters._head import ACTIVATIONS, OUTPUTS, Head, head_of, layers_of

_TORCH = (".pth", ".pt", ".bin")


@model(version=1, files=("weights",))
def head(
    *,
    weights: str,
    name: str,
    licence: str,
    source: str,
    activation: str = "none",
    output: str = "none",
    normalise: bool = True,
    column: int = 0,
) -> Made:
    """Freeze the head in `weights` (.safetensors; .pth, .pt or .bin read as weights only): dense layers, told by their tensors' shapes.

    LAION's aesthetic predictors fit as they are published: version 1, one layer; version 2 ("improved-aesthetic-predictor"), layers 768 -
    1024 - 128 - 64 - 16 - 1 with nothing but dropout between them, hence `activation: none`. Their CLIP-based NSFW detector is published as
    an archive that would run code when loaded: convert it to .safetensors first (normalisation's mean and variance, then dense kernels;
    `activation: relu, output: sigmoid, normalise: false`). `normalise`: embeddings come at unit length first. `activation` follows every
    layer but the last: none, relu or gelu (tanh form); `output` the last: none, sigmoid or softmax. `column`: which output is the score.

    `name`, `licence` and `source` are yours to state: no weights file holds them, and the card must. Raises RecipeError for a file that
    holds something else than weights of dense layers that follow each other.
    """
    for key, value in (("name", name), ("licence", licence), ("source", source)):
        if not isinstance(value, str) or not value.strip():
            raise RecipeError(f"head: {key} must say something, not {value!r}", where=str(weights), fix=f"state its {key}")
    for key, value, known in (("activation", activation, ACTIVATIONS), ("output", output, OUTPUTS)):
        if value not in known:
            raise RecipeError(f"head: there is no {key} {value}", where=str(weights), fix=f"one of {', '.join(known)}")
    made = layers_of(_state(str(weights)), str(weights))
    layers = sum(key.endswith(".weights") for key in made)
    sizes = [made["0.weights"].shape[0], *(made[f"{number}.weights"].shape[1] for number in range(layers))]
    if not 0 <= column < sizes[-1]:
        raise RecipeError(f"head: there is no column {column} of {sizes[-1]}", where=str(weights), fix="count columns from 0")
    how = {"layers": layers, "normalise": normalise, "activation": activation, "output": output, "column": column, "name": name}
    card = {"architecture": how, "sizes": sizes, "name": name, "licence": licence, "source": source, "file": Path(weights).name}
    return Made(made, {**card, "parameters": sum(value.size for value in made.values())})


@head.loader
def load(weights: Weights, card: dict[str, Any]) -> Head:
    """A function of embeddings, for `head_score`."""
    return head_of(weights, card["architecture"])


def _state(path: str) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a file, by name."""
    try:
        if Path(path).suffix not in _TORCH:
            return dict(safetensors.numpy.load_file(path))
        import torch

        found = torch.load(path, map_location="cpu", weights_only=True)
        found = found.get("state_dict", found) if isinstance(found, dict) else found
        return {str(key): np.asarray(value.float().numpy()) for key, value in found.items()}
    except pickle.UnpicklingError as error:
        raise RecipeError("this file holds more than weights, or none", where=path, fix="save its state_dict and give that") from error
    except (
        OSError,
        SafetensorError,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
        EOFError,
        KeyError,
    ) as error:  # TypeError: bfloat16
        raise RecipeError(f"the weights cannot be read: {error}", where=path, fix="give a .safetensors, .pth, .pt or .bin file") from error
