"""Any image-text model of open_clip: published weights by their tag, or a checkpoint of one's own."""

import functools
import json
import logging
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError

from curate.errors import CeterisError, RecipeError, nearest
from curate.model import Made, Weights, model
from filters._matcher import Matcher, Pixels
from filters._short_texts import texts_of

if TYPE_CHECKING:
    from torch import Tensor

CHARACTERS_AT_MOST = 2048
"""Only so many leading characters of a text are tokenised: far more than fill a context, and tokenisers are slow on long words."""

# What open_clip and torch raise on files that are no checkpoints, on checkpoints of another architecture, and on impossible architectures.
_MISFIT = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, AssertionError, OSError, EOFError, StopIteration, SafetensorError)


@model(version=1, files=("weights", "config"))
def open_clip(*, name: str, weights: str | None = None, config: str | None = None, random_seed: int | None = None) -> Made:
    """Freeze open_clip's model `name` (Ilharco et al., OpenCLIP, doi 10.5281/zenodo.5143773; Radford et al., arXiv 2103.00020).

    `weights` is a tag that open_clip knows for the architecture, downloaded from its hub and kept in open_clip's cache, or a checkpoint
    file (.pt, .pth, .bin read as weights only, or .safetensors). `config` is a JSON file like open_clip's own, for an architecture that it
    does not ship; `name` is then yours to choose. `random_seed`, instead of weights, gives an untrained model, for tests.
    The card holds the preprocessing that belongs to the weights. Raises RecipeError for what is unknown or does not fit together, and
    CeterisError if a tag cannot be downloaded.
    """
    import torch

    from filters._torch import steady

    if (weights is None) == (random_seed is None):
        raise RecipeError(
            "open_clip needs either weights or a random_seed", where=name, fix="add `weights:` with a tag or a checkpoint file"
        )
    architecture = _architecture(name, config)
    with steady(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_seed or 0)
        made = _built(architecture)[0] if weights is None else _pretrained(name, architecture, weights)
    state = {key: tensor.detach().cpu().numpy() for key, tensor in made.state_dict().items()}
    preprocess = {key: made.visual.preprocess_cfg[key] for key in ("mean", "std", "interpolation", "resize_mode")}
    source = "random weights" if weights is None else weights if _is_file(weights) else _published(name, weights)
    card = {
        "architecture": {**architecture, "preprocess": preprocess},
        "source": source,
        "parameters": sum(p.numel() for p in made.parameters()),
        "licence": "none: untrained" if weights is None else f"not stated by open_clip; see {source}",
    }
    return Made(state, card)


@open_clip.loader
def load(weights: Weights, card: dict[str, Any]) -> Matcher:
    """The frozen model with its own preprocessing and tokeniser; a Hugging Face tokeniser must be in its cache, or within reach."""
    import torch

    with torch.random.fork_rng(devices=[]):
        made, transform = _built(card["architecture"])
    *shaping, _, normalize = transform.transforms  # the last two make floats of one image; here that is done for a batch
    tokenizer = _tokenizer(card["architecture"])
    made.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in weights.items()})
    made.eval().requires_grad_(False)

    def pixels(image: Image.Image) -> Pixels:
        for step in shaping:
            image = step(image)
        return np.asarray(image)

    def scaled(batch: "Tensor") -> "Tensor":
        mean, std = constants(batch.device)
        return batch.permute(0, 3, 1, 2).to(torch.float32).div_(255).sub_(mean).div_(std)

    @functools.cache
    def constants(device: "torch.device") -> "list[Tensor]":
        return [torch.tensor(values, device=device).view(-1, 1, 1) for values in (normalize.mean, normalize.std)]

    def tokenize(texts: list[str]) -> "Tensor":
        tokens: Tensor = tokenizer([text[:CHARACTERS_AT_MOST] for text in texts])
        return tokens

    seeing = {key: made.visual.preprocess_cfg[key] for key in ("size", "interpolation", "resize_mode", "fill_color")}
    shape = (*(seeing["size"] if isinstance(seeing["size"], tuple | list) else (seeing["size"],) * 2), 3)
    return Matcher(made, shape, seeing, pixels, scaled, tokenize, *texts_of(made))


def _architecture(name: str, config: str | None) -> dict[str, Any]:
    """{name, config}: config is None where open_clip ships the architecture."""
    import open_clip as library

    if config is None:
        if name not in library.list_models():
            raise RecipeError(f"open_clip has no architecture {name}", where=name, fix=nearest(name, library.list_models()))
        return {"name": name, "config": None}
    try:
        found = json.loads(Path(config).read_text(encoding="utf-8"))
        missing = [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in found]
    except (OSError, ValueError, TypeError) as error:
        raise RecipeError(f"the architecture cannot be read: {error}", where=config, fix="give a JSON file like open_clip's own") from error
    if missing:
        raise RecipeError(f"the architecture lacks {missing[0]}", where=config, fix="give a JSON file like open_clip's own")
    return {"name": name, "config": found}


def _built(architecture: dict[str, Any]) -> tuple[Any, Any]:
    """The model, untrained, and its preprocessing."""
    import open_clip as library

    stated = {f"image_{key}": value for key, value in architecture.get("preprocess", {}).items()}
    with _named(architecture) as name, _quiet():
        try:
            made, _, transform = library.create_model_and_transforms(name, load_weights=False, pretrained_text=False, **stated)
        except _MISFIT as error:
            fix = "compare the architecture with open_clip's own"
            raise RecipeError(f"open_clip cannot build {architecture['name']}: {error}", where=architecture["name"], fix=fix) from error
    return made, transform


def _tokenizer(architecture: dict[str, Any]) -> Any:
    import open_clip as library

    with _named(architecture) as name:
        return library.get_tokenizer(name)


def _pretrained(name: str, architecture: dict[str, Any], weights: str) -> Any:
    """The model with its weights, through open_clip's own loading code."""
    import open_clip as library

    if _is_file(weights):
        made = _built(architecture)[0]
        try:
            library.load_checkpoint(made, weights)
        except pickle.UnpicklingError as error:
            raise RecipeError(
                "this file holds more than weights, or none", where=weights, fix="save its state_dict and give that"
            ) from error
        except _MISFIT as error:
            fix = "name the architecture that it was trained as"
            raise RecipeError(f"this is no checkpoint of {name}: {error}", where=weights, fix=fix) from error
        return made
    tags = library.list_pretrained_tags_by_model(name)
    if weights not in tags:
        fix = nearest(weights, tags) if tags else "give the path of a checkpoint file"
        raise RecipeError(f"there are no weights {weights} of {name}: neither a tag nor a file", where=name, fix=fix)
    activation = library.get_pretrained_cfg(name, weights).get("quick_gelu", False)
    if activation != (library.get_model_config(name) or {}).get("quick_gelu", False):
        other = f"{name}-quickgelu" if activation else name.removesuffix("-quickgelu")
        raise RecipeError(f"{weights} was trained with another activation than {name} has", where=name, fix=f"name: {other}")
    try:
        with _quiet():
            return library.create_model_and_transforms(name, pretrained=weights)[0]
    except (RuntimeError, OSError) as error:
        raise CeterisError(
            f"the weights could not be fetched: {error}", where=f"{name} {weights}", fix="connect once, or give a local checkpoint file"
        ) from error


def _is_file(weights: str) -> bool:
    return Path(weights).is_file()


def _published(name: str, tag: str) -> str:
    import open_clip as library

    found = library.get_pretrained_cfg(name, tag)
    return f"{name} {tag}, {found.get('hf_hub') or found.get('url')}"


@contextmanager
def _named(architecture: dict[str, Any]) -> Iterator[str]:
    """The name by which open_clip finds an architecture: a folder of its own for one that it does not ship."""
    if architecture["config"] is None:
        yield architecture["name"]
        return
    with tempfile.TemporaryDirectory() as folder:
        described = {"model_cfg": architecture["config"], "preprocess_cfg": {}}
        (Path(folder) / "open_clip_config.json").write_text(json.dumps(described), encoding="utf-8")
        yield f"local-dir:{folder}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without open_clip's warning that a model has no weights yet; the setting found is restored."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)
