"""A trained judge as a folder: Hugging Face's where its layout is Llama's, open_clip's where its architecture is, else weights beside the
scale they are of."""

import shutil
import uuid
from pathlib import Path

import torch
from ruamel.yaml import YAML
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from curate.errors import CeterisError
from eval_fixed_model.models.decoders import build
from eval_fixed_model.models.llama import LlamaModel, save
from eval_fixed_model.models.open_clip import OpenClipJudge
from eval_fixed_model.rows.tokens import tokenizer_file, tokenizer_of
from eval_fixed_model.scale import Scale, TextScale, load_scale
from eval_fixed_model.tasks._language_model import LanguageModel, from_folder
from eval_fixed_model.text import language_model

_SCALE, _WEIGHTS = "scale.yaml", "weights.safetensors"


def write_judge(network: nn.Module, scale: Scale, folder: Path) -> None:
    """Write a trained network into a new folder, by one rename. A Llama loads in transformers, an architecture of open_clip's there
    (`local-dir:FOLDER`), both unchanged; a byte model with `open_judge`.

    Raises CeterisError where the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CeterisError("the place for the judge is not empty", where=str(folder), fix="name a new folder")
    attempt = folder.absolute().parent / f".{folder.name}.{uuid.uuid4().hex}"
    attempt.mkdir(parents=True)
    try:
        if isinstance(network, LlamaModel) and isinstance(scale, TextScale):
            own = None if scale.tokens.tokenizer == "bytes" else tokenizer_file(scale)
            save(network, attempt, tokenizer_of(scale).separator, own)
        elif isinstance(network, OpenClipJudge):
            for name, data in network.files().items():
                (attempt / name).write_bytes(data)
        else:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}, attempt / _WEIGHTS)
        record = scale.model_dump(mode="json", exclude={"name"})
        with (attempt / _SCALE).open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump({scale.name: record}, file)
        if folder.exists():
            folder.rmdir()
        attempt.rename(folder)
    except SafetensorError as error:
        raise CeterisError(
            f"the weights cannot be written: {error}", where=str(attempt), fix="free space there, or name another"
        ) from error
    finally:
        shutil.rmtree(attempt, ignore_errors=True)  # where it was renamed there is none


def open_judge(folder: Path, device: str = "cpu") -> LanguageModel:
    """What `write_judge` wrote, or any causal model of transformers with its tokenizer. Raises CeterisError where it is neither, and
    for a device that is not here."""
    if not folder.is_dir():
        fix = "name the folder of an exported judge (`curate eval --judges OUT`: OUT/ARM/seed-N) or of a Hugging Face causal model"
        raise CeterisError("there is no such folder", where=str(folder), fix=fix)
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise CeterisError(
            f"there is no device {device} here: {error}", where=str(folder), fix="leave it out, or name one that is"
        ) from error
    if (folder / "config.json").is_file() or not (folder / _SCALE).is_file():
        return from_folder(folder, device)
    scale = load_scale(folder / _SCALE)
    if not isinstance(scale, TextScale):
        raise CeterisError("this judge is not of texts", where=str(folder), fix="name a folder of a text scale's judge")
    network = build(scale, scale.seeds.first)
    try:
        network.load_state_dict(load_file(folder / _WEIGHTS))
    except (SafetensorError, RuntimeError, FileNotFoundError) as error:
        raise CeterisError(f"the weights are not of this scale's model: {error}", where=str(folder), fix="write the judge again") from error
    return language_model(network.to(device).eval(), scale)
