"""The judge of the tiny scales: a small residual convolutional image tower and a mean of token embeddings."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eval_fixed_model.records import Image, Tokens
from eval_fixed_model.records import TinyConvBag as Architecture


class Residual(nn.Module):
    """Two 3x3 convolutions beside a 1x1 one, halving height and width."""

    def __init__(self, inside: int, outside: int) -> None:
        """From `inside` to `outside` channels."""
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outside)
        self.second = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outside)
        self.skip = nn.Conv2d(inside, outside, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inside, r, r) to (n, outside, r/2, r/2)."""
        inner = F.relu(self.first_norm(self.first(x)), inplace=True)
        return F.relu(self.second_norm(self.second(inner)) + self.skip(x), inplace=True)


class TinyConvBag(nn.Module):
    """Images (n, 3, r, r) uint8 and tokens (n, context) to one shared space of `embed` dimensions."""

    def __init__(self, model: Architecture, image: Image, tokens: Tokens) -> None:
        """Random weights from torch's current random state."""
        super().__init__()
        stem, middle, last = model.channels
        self.mean: Any = image.mean
        self.std: Any = image.std
        self.most = math.log(model.temperature_most)
        self.stem = nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(stem)
        self.stages = nn.Sequential(Residual(stem, middle), Residual(middle, last))
        side = -(-image.resolution // 8)
        self.image_out = nn.Linear(last * side * side, model.embed, bias=False)
        self.image_norm = nn.BatchNorm1d(model.embed)
        self.words = nn.Embedding(tokens.vocabulary, model.token_width)
        self.text_norm = nn.LayerNorm(model.token_width)
        self.text_out = nn.Linear(model.token_width, model.embed)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(model.temperature_first)))

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        """(n, 3, r, r) uint8 to (n, embed), of length one with `normalize`."""
        x = ((image.to(torch.float32) / 255 - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        x = self.stages(F.relu(self.stem_norm(self.stem(x)), inplace=True))
        features: Tensor = self.image_norm(self.image_out(x.flatten(1)))
        return F.normalize(features, dim=-1) if normalize else features

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        """(n, context) word numbers to (n, embed): the mean over the words that are there, zeros where there is none."""
        numbers = text.to(torch.int64)
        there = (numbers > 0).unsqueeze(-1)
        mean = (self.words(numbers) * there).sum(1) / there.sum(1).clamp(min=1)
        features: Tensor = self.text_out(self.text_norm(mean))
        return F.normalize(features, dim=-1) if normalize else features

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised image and text features, and the temperature, as open_clip's losses take them."""
        return self.encode_image(image, True), self.encode_text(text, True), self.logit_scale.exp()

    def clamp(self) -> None:
        """Keep the temperature between 1 and the scale's greatest; called after each step."""
        with torch.no_grad():
            self.logit_scale.clamp_(0, self.most)
