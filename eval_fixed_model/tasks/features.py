"""Features of items and what they answer, through open_clip's interface: any network with these three parts can be judged."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import polars as pl
import torch
from torch import Tensor

from eval_fixed_model.records import Tokens
from eval_fixed_model.rows.images import TokenNumbers, tokenise
from eval_fixed_model.tasks.answers import ANSWERS
from eval_fixed_model.tasks.picture_items import Items, Pictures

BATCH = 250
TEXTS = 1024


class Judge(Protocol):
    """An image-text network in open_clip's interface, in evaluation mode. Its logit_scale lies where it computes."""

    @property
    def logit_scale(self) -> Tensor:
        """The logarithm of the temperature."""

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        """Images to features."""

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        """Token numbers to features."""


def image_features(network: Judge, images: Pictures) -> Tensor:
    """(n, embed), of length one, where the network computes; `BATCH` images at a time are read."""
    device = network.logit_scale.device
    return torch.cat([network.encode_image(torch.from_numpy(images[i : i + BATCH]).to(device), True) for i in range(0, len(images), BATCH)])


def text_features(network: Judge, texts: Sequence[str], tokens: Tokens) -> Tensor:
    """(n, embed), of length one, where the network computes."""
    device = network.logit_scale.device
    parts = [token_tensor(tokenise(texts[i : i + TEXTS], tokens)).to(device) for i in range(0, len(texts), TEXTS)]
    return torch.cat([network.encode_text(part, True) for part in parts])


def token_tensor(tokens: TokenNumbers) -> Tensor:
    """Word numbers as torch indexes them."""
    return torch.from_numpy(tokens.astype(np.int64))


def parts(count: int, choices: int) -> Iterator[slice]:
    """Rows of a (count, choices) matrix, a few million numbers at a time."""
    size = max(1, (1 << 22) // choices)
    return (slice(start, start + size) for start in range(0, count, size))


def answers(
    items: Items, logits: Tensor, right: Tensor, which: Tensor | None = None, *, direction: str = "", variant: str = ""
) -> pl.DataFrame:
    """`ANSWERS` of (n, choices) logits, row i about item which[i] (of all items in order where not given).

    `right`: (n,) the number of the right choice, or (n, choices) whether each is right. The rank is the best right one's; a choice that is
    as likely as it stands before it, and is then the chosen one. Where several are right, `nats` is of any of them.
    """
    several = right.ndim == 2
    allowed = right if several else torch.zeros_like(logits, dtype=torch.bool).scatter_(1, right[:, None], True)
    own = logits.masked_fill(~allowed, -torch.inf)
    others = logits.masked_fill(allowed, -torch.inf)
    best = own.max(1, keepdim=True).values
    rank = 1 + (~(others < best) & ~allowed).sum(1)
    sure = torch.softmax(logits, 1).max(1).values
    nats = torch.logsumexp(own, 1) - torch.logsumexp(logits, 1)
    chosen = torch.where(rank == 1, own.argmax(1), others.argmax(1))
    place = np.arange(len(items.numbers)) if which is None else which.numpy()
    nothing = pl.Series([None] * len(place), dtype=pl.Int32)
    made = {
        "item": items.numbers[place],
        "task": items.task,
        "group": np.array(items.groups)[place] if items.groups else pl.Series([None] * len(place), dtype=pl.String),
        "variant": variant,
        "direction": direction,
        "rank": rank.cpu().numpy(),
        "label": nothing if several else right.cpu().numpy(),
        "answer": nothing if several else chosen.cpu().numpy(),
        "sure": sure.cpu().numpy(),
        "nats": nats.cpu().numpy(),
        "bytes": nothing,
    }
    return pl.DataFrame(made, schema=ANSWERS)
