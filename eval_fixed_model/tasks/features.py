"""Features of items and what they answer, through open_clip's interface: any network with these three parts can be judged."""

from typing import Protocol

import numpy as np
import polars as pl
import torch
from torch import Tensor

from eval_fixed_model.rows import Bytes, TokenNumbers
from eval_fixed_model.tasks.answers import ANSWERS
from eval_fixed_model.tasks.items import Items

BATCH = 250


class Judge(Protocol):
    """An image-text network in open_clip's interface, in evaluation mode."""

    @property
    def logit_scale(self) -> Tensor:
        """The logarithm of the temperature."""

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        """Images to features."""

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        """Token numbers to features."""


def image_features(network: Judge, images: Bytes) -> Tensor:
    """(n, embed), of length one."""
    return torch.cat([network.encode_image(torch.from_numpy(images[i : i + BATCH]), True) for i in range(0, len(images), BATCH)])


def text_features(network: Judge, tokens: TokenNumbers) -> Tensor:
    """(n, embed), of length one."""
    return network.encode_text(token_tensor(tokens), True)


def token_tensor(tokens: TokenNumbers) -> Tensor:
    """Word numbers as torch indexes them."""
    return torch.from_numpy(tokens.astype(np.int64))


def answers(items: Items, direction: str, logits: Tensor, right: Tensor) -> pl.DataFrame:
    """`ANSWERS` of (n, choices) logits whose row i is right at column right[i]. A tie with the right answer is not right."""
    own = logits.gather(1, right[:, None])
    ahead = (logits >= own).sum(1)  # itself too, so that the first has rank 1
    sure, chosen = torch.softmax(logits, 1).max(1)
    nats = torch.log_softmax(logits, 1).gather(1, right[:, None]).squeeze(1)
    count = len(items.numbers)
    made = {
        "item": items.numbers,
        "task": items.task,
        "group": pl.Series([None] * count, dtype=pl.String),
        "variant": "",
        "direction": direction,
        "rank": ahead.numpy(),
        "label": right.numpy(),
        "answer": chosen.numpy(),
        "sure": sure.numpy(),
        "nats": nats.numpy(),
        "bytes": pl.Series([None] * count, dtype=pl.UInt32),
    }
    return pl.DataFrame(made, schema=ANSWERS)
