"""A small image-text network trained on trusted pairs, to score others: a data filtering network (Fang et al., arXiv 2309.17425)."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import row_hash
from curate.errors import PoolError
from curate.model import Made, Weights, model
from filters._image import ImageError, decode
from filters._matcher import Matcher, whole
from filters._torch import steady

if TYPE_CHECKING:
    from torch import Tensor

    from filters._tower import Towers

PAIRS_AT_LEAST = 64
_HELD_OUT_OF_TEN = 1


@model(version=1, reads=["image", "text"], rows=["trusted"])
def filter_network(
    rows: pl.DataFrame,
    *,
    seed: int = 0,
    samples: int = 25_600,
    resolution: int = 32,
    width: int = 16,
    embed: int = 128,
    batch: int = 64,
    rate: float = 3e-3,
    decay: float = 0.1,
    roll: int = 2,
) -> Made:
    """Train both towers contrastively on `samples` pairs drawn without replacement, epoch by epoch, from nine tenths of `rows`.

    AdamW (betas .9, .98), 10% warm-up then cosine, gradient norm clipped at 1, images rolled by up to `roll` pixels; one thread and
    deterministic kernels, so the same rows and seed give bit-identical weights on one device kind. The card holds, for the tenth kept
    aside by hash of its images: image-to-text retrieval R@1, its chance level, and the AUC of matched against shuffled pairs.
    Raises PoolError if fewer than 64 pairs can be read.
    """
    import torch

    from filters._tower import Towers

    images, texts, aside, unreadable = _trusted(rows, resolution)
    learn, test = np.flatnonzero(~aside), np.flatnonzero(aside)
    if learn.size < max(PAIRS_AT_LEAST, batch):
        raise PoolError(
            f"a filter network needs at least {max(PAIRS_AT_LEAST, batch)} readable trusted pairs; there are {learn.size}",
            fix="give it more trusted rows",
        )
    with steady(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        towers = Towers(resolution, width, embed)
        loss = _train(towers, images[learn], texts[learn], samples, batch, rate, decay, roll)
        towers.eval()
        held_out = _quality(towers, images[test], texts[test])
    weights = {
        name: tensor.detach().numpy().astype(np.float32) for name, tensor in towers.state_dict().items() if tensor.is_floating_point()
    }
    card = {
        "architecture": {"towers": "filter_network", "resolution": resolution, "width": width, "embed": embed},
        "training": {"seed": seed, "samples": samples, "batch": batch, "rate": rate, "decay": decay, "roll": roll, "last_loss": loss},
        "rows": {"given": rows.height, "unreadable": unreadable, "trained_on": int(learn.size), "held_out": int(test.size)},
        "held_out": held_out,
        "parameters": sum(p.numel() for p in towers.parameters()),
        "licence": "that of the trusted rows it was trained on",
    }
    return Made(weights, card)


@filter_network.loader
def load(weights: Weights, card: dict[str, Any]) -> Matcher:
    """The frozen towers with their own preprocessing and tokeniser."""
    import torch

    from filters._tower import Towers, pixels_of, scaled, tokenize

    shape = card["architecture"]
    towers = Towers(shape["resolution"], shape["width"], shape["embed"])
    state = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
    counters = {name: tensor for name, tensor in towers.state_dict().items() if not tensor.is_floating_point()}
    towers.load_state_dict({**state, **counters})
    towers.eval().requires_grad_(False)

    side = shape["resolution"]
    seeing = {"squeezed": side}
    return Matcher(towers, (3, side, side), seeing, lambda image: pixels_of(image, side), scaled, tokenize, whole, towers.encode_text)


def _trusted(rows: pl.DataFrame, resolution: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.bool_], int]:
    """Pixels, word numbers and whether a pair is held out, of the readable pairs; and how many were not readable."""
    from filters._tower import pixels_of, tokenize

    images, texts, aside = [], [], []
    for image, text in zip(rows["image"], rows["text"], strict=True):
        if image is None or text is None:
            continue
        try:
            images.append(pixels_of(decode(image), resolution))
        except ImageError:
            continue
        texts.append(text)
        aside.append(row_hash([b"held out", image])[0] % 10 < _HELD_OUT_OF_TEN)
    pixels = np.stack(images) if images else np.empty((0, 3, resolution, resolution), np.uint8)
    return pixels, tokenize(texts).numpy(), np.array(aside, dtype=bool), rows.height - len(texts)


def _train(
    towers: "Towers",
    images: npt.NDArray[np.uint8],
    texts: npt.NDArray[np.int64],
    samples: int,
    batch: int,
    rate: float,
    decay: float,
    roll: int,
) -> float:
    import torch
    import torch.nn.functional as F

    from filters._tower import TEMPERATURE_AT_MOST, scaled

    pixels, words = torch.from_numpy(images), torch.from_numpy(texts)
    steps = max(samples // batch, 1)
    order = _order(len(images), steps * batch).reshape(steps, batch)
    matrices = [p for p in towers.parameters() if p.ndim >= 2]
    others = [p for p in towers.parameters() if p.ndim < 2]  # norms and the temperature are not decayed
    groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warm_cosine(step, steps))
    target = torch.arange(batch)
    towers.train()
    loss = torch.zeros(())
    for rows in order:
        image = towers.encode_image(_rolled(scaled(pixels[rows]), roll), normalize=True)
        text = towers.encode_text(words[rows], normalize=True)
        logits = towers.logit_scale.exp() * image @ text.T
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(towers.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            towers.logit_scale.clamp_(max=float(np.log(TEMPERATURE_AT_MOST)))
    return float(loss.detach())


def _order(rows: int, count: int) -> "Tensor":
    import torch

    epochs = -(-count // rows)
    return torch.cat([torch.randperm(rows) for _ in range(epochs)])[:count]


def _warm_cosine(step: int, steps: int) -> float:
    """The share of the full rate at `step`: linear over the first tenth, then half a cosine."""
    warm = max(steps // 10, 1)
    return (step + 1) / warm if step < warm else 0.5 * (1.0 + float(np.cos(np.pi * (step - warm) / max(steps - warm, 1))))


def _rolled(images: "Tensor", most: int) -> "Tensor":
    """Each image rolled by its own random whole number of pixels, -most .. most, in both directions."""
    import torch

    count, _, height, width = images.shape
    y = (torch.arange(height) + torch.randint(-most, most + 1, (count, 1))) % height
    x = (torch.arange(width) + torch.randint(-most, most + 1, (count, 1))) % width
    return images[torch.arange(count)[:, None, None], :, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)


def _quality(towers: "Towers", images: npt.NDArray[np.uint8], texts: npt.NDArray[np.int64]) -> dict[str, Any]:
    """R@1 and matched-against-shuffled AUC of held-out pairs; nulls when there are fewer than two."""
    import torch

    from filters._tower import scaled

    if len(images) < 2:
        return {"pairs": len(images), "image_to_text_r1": None, "chance_r1": None, "auc_matched_vs_shuffled": None}
    with torch.inference_mode():
        image = towers.encode_image(scaled(torch.from_numpy(images)), normalize=True)
        scores = (image @ towers.encode_text(torch.from_numpy(texts), normalize=True).T).numpy()
    matched, shuffled = np.diag(scores), scores[np.arange(len(scores)), np.roll(np.arange(len(scores)), 1)]
    above, level = (matched[:, None] > shuffled).mean(), (matched[:, None] == shuffled).mean()
    best = scores.argmax(axis=1)
    same_words = (texts[best] == texts).all(axis=1)  # an equal caption is a right answer
    return {
        "pairs": len(images),
        "image_to_text_r1": round(float(same_words.mean()), 4),
        "chance_r1": round(float((texts[:, None] == texts).all(axis=2).mean()), 4),
        "auc_matched_vs_shuffled": round(float(above + level / 2), 4),
    }
