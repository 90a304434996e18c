"""Judges of open_clip's own architectures, from random weights: what DataComp's scales train."""

import copy
import json
import math
from typing import Any

import open_clip
import safetensors.torch
import torch
from torch import Tensor, nn

from curate.errors import CeterisError, nearest
from eval_fixed_model.records import Image, OpenClip, Tokens

CONFIG, CHECKPOINT = "open_clip_config.json", "open_clip_model.safetensors"
"""What open_clip finds in a folder (`local-dir:FOLDER`)."""

_RESIZE_MODES = {"squash-bicubic": "squash", "shortest-bicubic-centre": "shortest"}


class OpenClipJudge(nn.Module):
    """Images (n, 3, r, r) uint8 and CLIP's tokens (n, context) to one shared space; `clip` is open_clip's own module."""

    def __init__(self, model: OpenClip, image: Image, tokens: Tokens) -> None:
        """Random weights from torch's current random state, as open_clip draws them.

        Raises CeterisError for an architecture that open_clip does not have or cannot build, that would fetch weights, or whose loss is not
        CLIP's, and for tokens that its text tower does not read.
        """
        super().__init__()
        self.config = architecture(model, image, tokens)
        self.image = image
        kind = open_clip.CustomTextCLIP if self.config.pop("custom_text", False) else open_clip.CLIP
        try:
            self.clip = kind(**self.config)
        except (RuntimeError, ValueError, TypeError, KeyError, AssertionError) as error:
            raise CeterisError(f"open_clip cannot build {model.architecture}: {error}", fix="correct the scale's `model.config`") from error
        self.most = math.log(model.temperature_most)
        for name, values in (("mean", image.mean), ("std", image.std)):
            self.register_buffer(
                name, torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1).expand(3, 1, 1).clone(), persistent=False
            )

    @property
    def logit_scale(self) -> Tensor:
        """The logarithm of the temperature, a parameter."""
        scale: Tensor = self.clip.logit_scale
        return scale

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        """(n, 3, r, r) uint8 to (n, embed), of length one with `normalize`."""
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        features: Tensor = self.clip.encode_image((image.to(torch.float32) / 255 - mean) / std, normalize)
        return features

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        """(n, context) token numbers to (n, embed)."""
        features: Tensor = self.clip.encode_text(text, normalize)
        return features

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised image and text features, and the temperature, as open_clip's losses take them."""
        return self.encode_image(image, True), self.encode_text(text, True), self.logit_scale.exp()

    def clamp(self) -> None:
        """Keep the temperature between 1 and the scale's greatest; called after each step."""
        with torch.no_grad():
            self.clip.logit_scale.clamp_(0, self.most)

    def files(self) -> dict[str, bytes]:
        """Name and bytes of each file of a folder that `open_clip.create_model_and_transforms("local-dir:FOLDER")` loads: these weights,
        and the preprocessing of the scale."""
        kind = {"custom_text": True} if isinstance(self.clip, open_clip.CustomTextCLIP) else {}
        seeing = {name: self.get_buffer(name).flatten().tolist() for name in ("mean", "std")}
        preprocess = {**seeing, "interpolation": "bicubic", "resize_mode": _RESIZE_MODES[self.image.resize]}
        about = {"model_cfg": {**self.config, **kind}, "preprocess_cfg": preprocess}
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.clip.state_dict().items()}
        return {
            CONFIG: (json.dumps(about, indent=2) + "\n").encode(),
            CHECKPOINT: safetensors.torch.save(weights, {"format": "pt"}),
        }


def architecture(model: OpenClip, image: Image, tokens: Tokens) -> dict[str, Any]:
    """The scale's architecture as open_clip's JSON has it, at the scale's resolution and context; CeterisError as `OpenClipJudge` says."""
    found = copy.deepcopy(model.config) or open_clip.get_model_config(model.architecture)
    if found is None:
        near = nearest(model.architecture, open_clip.list_models())
        raise CeterisError(f"open_clip has no architecture {model.architecture}", fix=near)
    if lacking := [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in found]:
        raise CeterisError(f"{model.architecture} has no {lacking[0]}", fix="write `model.config` as open_clip's JSON files are")
    seeing, reading = found["vision_cfg"], found["text_cfg"]
    if "hf_model_name" in reading or seeing.get("timm_model_pretrained"):
        raise CeterisError(f"{model.architecture} begins with weights from elsewhere", fix="name an architecture that begins untrained")
    if "multimodal_cfg" in found or found.get("init_logit_bias") is not None:
        raise CeterisError(f"{model.architecture} is trained by another loss than CLIP's", fix="name an architecture of CLIP's kind")
    if tokens.tokenizer != "clip" or reading.get("vocab_size", 49408) != tokens.vocabulary:
        raise CeterisError(
            f"{model.architecture} reads {reading.get('vocab_size', 49408)} byte pairs, not {tokens.vocabulary} {tokens.tokenizer}",
            fix="write `tokens: {tokenizer: clip, vocabulary: 49408, context: 77}`",
        )
    seeing["image_size"], reading["context_length"] = image.resolution, tokens.context
    return dict(found)
