"""open_clip's models: built untrained, from a tag or from a checkpoint; as a `Matcher`; and as the folder that open_clip loads."""

import functools
import json
import logging
import pickle
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy
from PIL import Image
from safetensors import SafetensorError

from curate.errors import CeterisError, RecipeError, nearest
from curate.model import Weights
from filters._matcher import Matcher, Pixels
from filters._short_texts import texts_of

if TYPE_CHECKING:
    from torch import Tensor

CHARACTERS_AT_MOST = 2048
"""Only so many leading characters of a text are tokenised: far more than fill a context, and tokenisers are slow on long words."""
CONFIG, CHECKPOINT = "open_clip_config.json", "open_clip_model.safetensors"
"""What open_clip finds in a folder."""

# What open_clip and torch raise on files that are no checkpoints, on checkpoints of another architecture, and on impossible architectures.
_MISFIT = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, AssertionError, OSError, EOFError, StopIteration, SafetensorError)

_SEEING = ("mean", "std", "interpolation", "resize_mode")


def started(name: str, config: str | None, weights: str | None, seed: int) -> tuple[Any, dict[str, Any], str, str]:
    """The model; what describes it, as a card's `architecture`; where its weights come from; and their licence.

    `weights` is a tag or a checkpoint file; None: random ones by `seed`. torch's own random numbers are drawn from. Raises RecipeError and
    CeterisError as `open_clip` says.
    """
    import torch

    described = _architecture(name, config)
    torch.manual_seed(seed)
    made = _built(described) if weights is None else _pretrained(name, described, weights)
    preprocess = {key: made.visual.preprocess_cfg[key] for key in _SEEING}
    source = "random weights" if weights is None else weights if _is_file(weights) else _published(name, weights)
    licence = "none: untrained" if weights is None else f"not stated by open_clip; see {source}"
    return made, {**described, "preprocess": preprocess}, source, licence


def thawed(described: dict[str, Any], weights: Weights) -> Any:
    """The model of this card's `architecture` with these weights."""
    import torch

    with torch.random.fork_rng(devices=[]):
        made = _built(described)
    made.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in weights.items()})
    return made


def matcher(made: Any, described: dict[str, Any]) -> Matcher:
    """A model with its own preprocessing and tokeniser."""
    import torch
    from open_clip.transform import PreprocessCfg, image_transform_v2

    transform = image_transform_v2(PreprocessCfg(**made.visual.preprocess_cfg), is_train=False)
    *shaping, _, normalize = transform.transforms  # the last two make floats of one image; here that is done for a batch
    tokenizer = _tokenizer(described)

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


def folder_of(described: Mapping[str, Any], weights: Weights) -> dict[str, bytes]:
    """Name and bytes of each file of a folder that `open_clip.create_model_and_transforms("local-dir:FOLDER")` loads: the same features.

    Raises CeterisError for a model of another kind.
    """
    import open_clip as library

    if "preprocess" not in described:
        raise CeterisError("this model is none of open_clip's architectures", fix="train it with `architecture:` one of open_clip's")
    config = described["config"] or library.get_model_config(described["name"])
    about = {"model_cfg": config, "preprocess_cfg": described["preprocess"]}
    return {
        CONFIG: (json.dumps(about, indent=2) + "\n").encode(),
        CHECKPOINT: safetensors.numpy.save({key: np.asarray(value, order="C") for key, value in weights.items()}, {"format": "pt"}),
    }


def _architecture(name: str, config: str | None) -> dict[str, Any]:
    """{name, config}: config is None where open_clip ships the architecture."""
    import open_clip as library

    if config is None:
        if name not in library.list_models():
            raise RecipeError(f"open_clip has no architecture {name}", where=name, fix=nearest(name, library.list_models()))
        return {"name": name, "config": None}
    try:
        whole = json.loads(Path(config).read_text(encoding="utf-8"))
        found = whole.get("model_cfg", whole)  # as open_clip's hub folders, and our exports, have it
        missing = [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in found]
    except (OSError, ValueError, TypeError) as error:
        raise RecipeError(f"the architecture cannot be read: {error}", where=config, fix="give a JSON file like open_clip's own") from error
    if missing:
        raise RecipeError(f"the architecture lacks {missing[0]}", where=config, fix="give a JSON file like open_clip's own")
    seeing = {key: whole.get("preprocess_cfg", {})[key] for key in _SEEING if key in whole.get("preprocess_cfg", {})}
    return {"name": name, "config": found, **({"preprocess": seeing} if seeing else {})}


def _built(described: dict[str, Any]) -> Any:
    """The model, untrained."""
    import open_clip as library

    stated = {f"image_{key}": value for key, value in described.get("preprocess", {}).items()}
    with _named(described) as name, _quiet():
        try:
            return library.create_model_and_transforms(name, load_weights=False, pretrained_text=False, **stated)[0]
        except _MISFIT as error:
            fix = "compare the architecture with open_clip's own"
            raise RecipeError(f"open_clip cannot build {described['name']}: {error}", where=described["name"], fix=fix) from error


def _tokenizer(described: dict[str, Any]) -> Any:
    import open_clip as library

    with _named(described) as name:
        return library.get_tokenizer(name)


def _pretrained(name: str, described: dict[str, Any], weights: str) -> Any:
    """The model with its weights, through open_clip's own loading code."""
    import open_clip as library

    if _is_file(weights):
        made = _built(described)
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
def _named(described: dict[str, Any]) -> Iterator[str]:
    """The name by which open_clip finds an architecture: a folder of its own for one that it does not ship."""
    if described["config"] is None:
        yield described["name"]
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / CONFIG).write_text(json.dumps({"model_cfg": described["config"], "preprocess_cfg": {}}), encoding="utf-8")
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
