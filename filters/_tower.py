"""The filter network's two towers: a small residual convolution net, and the mean of hashed-word embeddings.

Imports torch, so it is itself imported late.
"""

import itertools
import re

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
import xxhash
from PIL import Image
from torch import Tensor, nn

VOCABULARY = 4096
CONTEXT = 16
TEMPERATURE_AT_MOST = 100.0
_WORD = re.compile(r"\w+")


class Residual(nn.Module):
    """Two 3 x 3 convolutions, the first of stride 2, around a 1 x 1 shortcut of stride 2."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        """Batch normalisation follows every convolution."""
        super().__init__()
        self.one = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)
        self.one_norm = nn.BatchNorm2d(channels_out)
        self.two = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.two_norm = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1, stride=2, bias=False)
        self.shortcut_norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, s, s) to (n, out, s/2, s/2)."""
        inner = self.two_norm(self.two(F.relu(self.one_norm(self.one(x)))))
        return F.relu(inner + self.shortcut_norm(self.shortcut(x)))


class Towers(nn.Module):
    """Image and text encoders into one space, speaking open_clip's interface: encode_image, encode_text, logit_scale."""

    def __init__(self, resolution: int, width: int, embed: int) -> None:
        """Channels are width, 2 width, 4 width; `resolution` is divisible by 8."""
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.stages = nn.Sequential(Residual(width, 2 * width), Residual(2 * width, 4 * width))
        self.image_out = nn.Linear(4 * width * (resolution // 8) ** 2, embed, bias=False)
        self.image_norm = nn.BatchNorm1d(embed)
        self.words = nn.Embedding(VOCABULARY, embed, padding_idx=0)
        self.text_norm = nn.LayerNorm(embed)
        self.text_out = nn.Linear(embed, embed, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(float(np.log(10.0))))
        nn.init.normal_(self.words.weight, std=0.02)

    def encode_image(self, images: Tensor, normalize: bool = False) -> Tensor:
        """(n, 3, resolution, resolution) in [-1, 1] to (n, embed)."""
        x = self.stages(F.relu(self.stem_norm(self.stem(images))))
        features: Tensor = self.image_norm(self.image_out(x.flatten(1)))
        return F.normalize(features, dim=-1) if normalize else features

    def encode_text(self, tokens: Tensor, normalize: bool = False) -> Tensor:
        """(n, 16) word numbers, 0 where there is none, to (n, embed); a text without words is all zeros before the norm."""
        there = (tokens != 0).unsqueeze(-1).to(torch.float32)
        mean = (self.words(tokens) * there).sum(1) / there.sum(1).clamp(min=1.0)
        features: Tensor = self.text_out(self.text_norm(mean))
        return F.normalize(features, dim=-1) if normalize else features


def words_of(text: str) -> list[int]:
    """The first 16 words of a text, lower-cased, each hashed to 1 .. 4095."""
    found = itertools.islice(_WORD.finditer(text), CONTEXT)
    return [xxhash.xxh32_intdigest(word[0].lower().encode()) % (VOCABULARY - 1) + 1 for word in found]


def tokenize(texts: list[str]) -> Tensor:
    """(n, 16) word numbers, padded with 0."""
    known = {text: words_of(text) for text in set(texts)}
    rows = [known[text] for text in texts]
    return torch.tensor([row + [0] * (CONTEXT - len(row)) for row in rows], dtype=torch.int64).reshape(len(texts), CONTEXT)


def pixels_of(image: Image.Image, resolution: int) -> npt.NDArray[np.uint8]:
    """The image squeezed to (3, resolution, resolution) bytes, reduced by area."""
    if image.size != (resolution, resolution):
        image = image.resize((resolution, resolution), Image.Resampling.BOX)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def scaled(pixels: Tensor) -> Tensor:
    """Bytes to floats in [-1, 1]."""
    return pixels.to(torch.float32) / 127.5 - 1.0
