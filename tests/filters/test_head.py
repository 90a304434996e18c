import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as torch_file
from torch import nn

from curate.errors import RecipeError
from curate.model import Made
from filters.head import head, load

ABOUT = {"name": "mine", "licence": "MIT", "source": "https://example.org/head"}


def _laion() -> nn.ModuleDict:
    """The layers of the second aesthetic predictor, as it is published: linear ones, and dropout between them."""
    torch.manual_seed(0)
    sizes = (768, 1024, 128, 64, 16, 1)
    dense = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    layers = nn.Sequential(dense[0], nn.Dropout(0.2), dense[1], nn.Dropout(0.2), dense[2], nn.Dropout(0.1), dense[3], dense[4])
    return nn.ModuleDict({"layers": layers.eval()})


def _embeddings(width: int = 768) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(20, width)).astype(np.float32)


def _scores(made: Made, embeddings: np.ndarray) -> np.ndarray:
    scores: np.ndarray = load(made.weights, json.loads(json.dumps(made.card)))(embeddings)
    return scores


def test_the_second_aesthetic_predictor_loads_from_its_own_file_and_scores_as_it_does(tmp_path: Path) -> None:
    model, embeddings = _laion(), _embeddings()
    torch.save(model.state_dict(), tmp_path / "sac+logos+ava1-l14-linearMSE.pth")
    made = head(weights=str(tmp_path / "sac+logos+ava1-l14-linearMSE.pth"), **ABOUT)
    assert made.card["sizes"] == [768, 1024, 128, 64, 16, 1]
    assert {key: made.card[key] for key in ABOUT} == ABOUT
    unit = torch.nn.functional.normalize(torch.from_numpy(embeddings), dim=-1)
    with torch.inference_mode():
        expected = model["layers"](unit)[:, 0].numpy()
    assert np.allclose(_scores(made, embeddings), expected, atol=1e-5)
    assert np.allclose(_scores(made, 7 * embeddings), expected, atol=1e-5), "only the direction counts"


def test_a_linear_head_is_one_layer_from_either_form_of_file(tmp_path: Path) -> None:
    torch.manual_seed(3)
    layer, embeddings = nn.Linear(768, 1), _embeddings()
    torch.save(layer.state_dict(), tmp_path / "linear.pth")
    save_file({name: tensor.detach().numpy() for name, tensor in layer.state_dict().items()}, tmp_path / "linear.safetensors")
    one, other = (head(weights=str(tmp_path / f"linear.{form}"), normalise=False, **ABOUT) for form in ("pth", "safetensors"))
    with torch.inference_mode():
        expected = layer(torch.from_numpy(embeddings))[:, 0].numpy()
    assert np.allclose(_scores(one, embeddings), expected, atol=1e-4)
    assert np.array_equal(_scores(one, embeddings), _scores(other, embeddings))


@pytest.mark.parametrize(
    ("activation", "output", "column"), [("relu", "sigmoid", 0), ("gelu", "softmax", 2), ("none", "softmax", 1), ("gelu", "none", 2)]
)
def test_keras_layers_with_a_normalisation_in_front(activation: str, output: str, column: int, tmp_path: Path) -> None:
    rng, embeddings = np.random.default_rng(2), _embeddings(8)
    kernels = [rng.normal(size=size).astype(np.float32) for size in ((8, 6), (6, 5), (5, 3))]
    biases = [rng.normal(size=size).astype(np.float32) for size in (6, 5, 3)]
    mean, variance = rng.normal(size=(1, 8)).astype(np.float32), rng.uniform(0.5, 2, size=(1, 8)).astype(np.float32)
    state = {"normalization/mean": mean, "normalization/variance": variance, "normalization/count": np.zeros((), np.int64)}
    for number, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        layer = f"dense_{number}" if number else "dense"
        state |= {f"{layer}/kernel:0": kernel, f"{layer}/bias:0": bias}
    save_file(state, tmp_path / "keras.safetensors")
    how: dict[str, Any] = {"activation": activation, "output": output, "column": column}
    made = head(weights=str(tmp_path / "keras.safetensors"), normalise=False, **how, **ABOUT)
    active: dict[str, Any] = {"none": lambda x: x, "relu": torch.relu, "gelu": lambda x: nn.functional.gelu(x, approximate="tanh")}
    final: dict[str, Any] = {"none": lambda x: x, "sigmoid": torch.sigmoid, "softmax": lambda x: torch.softmax(x, dim=1)}
    x = torch.from_numpy((embeddings - mean) / np.sqrt(variance))
    for number, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        x = x @ torch.from_numpy(kernel) + torch.from_numpy(bias)
        x = active[activation](x) if number < 2 else final[output](x)
    assert np.allclose(_scores(made, embeddings), x[:, column].numpy(), atol=1e-5)


class _Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("was-run"),))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"conv.weight": np.zeros((2, 2, 3), np.float32)}, "is of no dense layer"),
        ({"running_mean": np.zeros(3, np.float32)}, "is of no dense layer"),
        ({"0.weight": np.zeros((4, 8), np.float32), "1.weight": np.zeros((2, 5), np.float32)}, "takes 5 numbers"),
        ({"0.weight": np.zeros((4, 8), np.float32), "0.bias": np.zeros(3, np.float32)}, "3 are added"),
        ({"0.weight": np.zeros((4, 8), np.float32), "n.mean": np.zeros(8, np.float32)}, "half a normalisation"),
        ({"0.kernel": np.zeros((4, 1), np.float32), **{f"n.{n}": np.ones(1, np.float32) for n in ("mean", "variance")}}, "1 come"),
        ({f"{name}.weight": np.eye(8, dtype=np.float32) for name in ("fc1", "out")}, "do not tell the order"),
        ({"0.weight": np.zeros((4, 8), np.float32), "other.bias": np.zeros(4, np.float32)}, "other.bias .* is of no dense layer"),
    ],
)
def test_what_is_no_head_is_refused(state: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(RecipeError, match=message):
        head(weights=str(tmp_path / "odd.safetensors"), **ABOUT)


def test_files_that_would_run_code_or_are_missing_or_unnamed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": _Harmful()}, tmp_path / "harmful.pth")
    (tmp_path / "page.safetensors").write_bytes(b"<html>")
    save_file({"weight": np.zeros((2, 4), np.float32)}, tmp_path / "fine.safetensors")
    torch_file({"weight": torch.zeros(2, 4, dtype=torch.bfloat16)}, tmp_path / "half.safetensors")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"weights": "half.safetensors"}, "cannot be read: .*bfloat16"),
        ({"weights": "harmful.pth"}, "more than weights"),
        ({"weights": "page.safetensors"}, "cannot be read"),
        ({"weights": "gone.safetensors"}, "cannot be read"),
        ({"weights": "fine.safetensors", "licence": " "}, "licence must say something"),
        ({"weights": "fine.safetensors", "activation": "selu"}, "no activation selu"),
        ({"weights": "fine.safetensors", "column": 2}, "no column 2 of 2"),
    ]
    for how, message in cases:
        with pytest.raises(RecipeError, match=message):
            head(**{**ABOUT, **how})
    assert not (tmp_path / "was-run").exists()
