"""Contrastive training of an image-text model on pairs, and how well it tells held-out pairs apart.

Imports torch, so it is itself imported late.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from curate.threads import share
from filters._image import ImageError, decode
from filters._matcher import Matcher, Pixels

TEMPERATURE_AT_MOST = 100.0  # Radford et al., arXiv 2103.00020, 2.5
HELD_PIXELS = 1 << 30
"""Pixels are kept in memory up to so many bytes; beyond, each batch is decoded when its turn comes."""
TESTED_AT_MOST = 10_000
_AHEAD, _CHUNK = 3, 16  # batches decoded ahead; images that a thread takes at a time
_EVERY = 10.0

Numbers = npt.NDArray[np.int64]
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of image and text features, (n, width) each, and the factor on their products."""


class Pairs:
    """Readable pairs as a model takes them: `tokens` (n, context), and pixels, held where they are few, else decoded when asked for.

    Encoded images stay in memory, as they came; pixels take at most `held` bytes, or those of `_AHEAD` + 1 batches.
    """

    def __init__(self, matcher: Matcher, images: Sequence[bytes | None], texts: Sequence[str | None], held: int = HELD_PIXELS) -> None:
        """Decode every image once, to know which can be read; `given` are their places among those given."""
        size, keep = int(np.prod(matcher.shape)), []
        kept: list[Pixels] = []
        self.matcher, self.pixels = matcher, None
        there = [place for place, (image, text) in enumerate(zip(images, texts, strict=True)) if image is not None and text is not None]
        holding = size * len(there) <= held
        with ThreadPoolExecutor(share()) as pool:
            for start in range(0, len(there), _CHUNK * 64):
                some = there[start : start + _CHUNK * 64]
                for place, pixels in zip(some, pool.map(self._read, [images[place] or b"" for place in some]), strict=True):
                    if pixels is not None:
                        keep.append(place)
                        kept += [pixels] if holding else []
        self.given = np.array(keep, np.int64)
        self.images = [images[place] or b"" for place in keep]
        if holding:
            self.pixels = torch.from_numpy(np.stack(kept) if kept else np.empty((0, *matcher.shape), np.uint8))
        spoken = [texts[place] or "" for place in keep]
        self.tokens = torch.cat([matcher.tokenize(spoken[start : start + 4096]) for start in range(0, max(len(spoken), 1), 4096)])

    def _read(self, image: bytes) -> Pixels | None:
        try:
            return np.array(self.matcher.pixels(decode(image)))
        except ImageError:
            return None

    def batches(self, order: Sequence[Numbers]) -> Iterator[tuple[Numbers, Tensor]]:
        """(places, pixels (n, *shape)) of each batch in turn, the next ones being decoded meanwhile."""
        if self.pixels is not None:
            for rows in order:
                yield rows, self.pixels[torch.from_numpy(rows)]
            return
        waiting: deque[tuple[Numbers, Future[Tensor]]] = deque()
        with ThreadPoolExecutor(share()) as pool, ThreadPoolExecutor(_AHEAD) as stacking:
            for rows in order:
                waiting.append((rows, stacking.submit(self._stacked, rows, pool)))
                if len(waiting) > _AHEAD:
                    before, found = waiting.popleft()
                    yield before, found.result()
            for before, found in waiting:
                yield before, found.result()

    def _stacked(self, rows: Numbers, pool: ThreadPoolExecutor) -> Tensor:
        found = pool.map(lambda row: self.matcher.pixels(decode(self.images[row])), rows.tolist())
        return torch.from_numpy(np.stack(list(found)))


@dataclass(frozen=True)
class Course:
    """How to train: `samples` pairs in steps of `batch`, at most `at_once` of them through the model at a time."""

    samples: int
    batch: int
    at_once: int
    rate: float
    decay: float
    epsilon: float
    roll: int

    @property
    def steps(self) -> int:
        """How often weights change."""
        return max(self.samples // self.batch, 1)


def train(matcher: Matcher, pairs: Pairs, learn: Numbers, course: Course, place: torch.device, name: str, criterion: Loss) -> float:
    """Train on the pairs `learn`, drawn without replacement epoch by epoch; returns the last loss.

    AdamW (betas .9, .98; norms, biases and temperature not decayed), a tenth of the steps warm-up then a cosine, gradient norm at most 1,
    temperature at most 100; images rolled by up to `roll` pixels. torch's own random numbers are drawn from. On a GPU under bfloat16
    autocast. What stands where goes to stderr every ten seconds.
    """
    model = matcher.model.to(place)
    order = learn[_order(len(learn), course.steps * course.batch).numpy()].reshape(course.steps, course.batch)
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": course.decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=course.rate, betas=(0.9, 0.98), eps=course.epsilon)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warm_cosine(step, course.steps))
    loss, said = torch.zeros(()), _Said(name, course.steps)
    model.train()
    for step, (rows, pixels) in enumerate(pairs.batches(list(order))):
        images = _rolled(matcher.scaled(pixels.to(place)), course.roll)
        tokens = pairs.tokens[torch.from_numpy(rows)].to(place)
        optimizer.zero_grad(set_to_none=True)
        loss = _backward(model, images, tokens, criterion, course.at_once or course.batch, place)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=float(np.log(TEMPERATURE_AT_MOST)))
        said(step + 1)
    return float(loss.detach())


def _backward(model: Any, images: Tensor, tokens: Tensor, criterion: Loss, at_once: int, place: torch.device) -> Tensor:
    """The loss of the whole batch; its gradients are in the weights. In parts of `at_once`: first the features alone, the loss's gradient
    by them, then each part again with that gradient (Gao et al., arXiv 2101.06983): the same gradients, but for layers that see a batch.
    """
    parts = list(zip(torch.split(images, at_once), torch.split(tokens, at_once), strict=True))
    if len(parts) == 1:
        loss: Tensor = criterion(*_features(model, images, tokens, place), model.logit_scale.exp())
        torch.autograd.backward(loss)
        return loss
    with torch.no_grad():
        made = [_features(model, *part, place) for part in parts]
    image, text = (torch.cat(side).requires_grad_() for side in zip(*made, strict=True))
    whole: Tensor = criterion(image, text, model.logit_scale.exp())
    torch.autograd.backward(whole)
    assert image.grad is not None
    assert text.grad is not None
    for part, by_image, by_text in zip(parts, torch.split(image.grad, at_once), torch.split(text.grad, at_once), strict=True):
        torch.autograd.backward(_features(model, *part, place), (by_image, by_text))
    return whole


def _features(model: Any, images: Tensor, tokens: Tensor, place: torch.device) -> tuple[Tensor, Tensor]:
    """Of unit length, in float32."""
    with _precision(place):
        image, text = model.encode_image(images, normalize=True), model.encode_text(tokens, normalize=True)
    return image.to(torch.float32), text.to(torch.float32)


def _precision(place: torch.device) -> AbstractContextManager[object]:
    return torch.autocast("cuda", torch.bfloat16) if place.type == "cuda" else nullcontext()


def symmetric_loss(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    """open_clip's ClipLoss with one product for both directions in place of two: half the work, other last bits."""
    logits, target = scale * image @ text.T, torch.arange(len(image), device=image.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def _order(rows: int, count: int) -> Tensor:
    epochs = -(-count // rows)
    return torch.cat([torch.randperm(rows) for _ in range(epochs)])[:count]


def _warm_cosine(step: int, steps: int) -> float:
    """The share of the full rate at `step`: linear over the first tenth, then half a cosine."""
    warm = max(steps // 10, 1)
    return (step + 1) / warm if step < warm else 0.5 * (1.0 + float(np.cos(np.pi * (step - warm) / max(steps - warm, 1))))


def _rolled(images: Tensor, most: int) -> Tensor:
    """Each image rolled by its own random whole number of pixels, -most .. most, in both directions."""
    count, _, height, width = images.shape
    y = (torch.arange(height) + torch.randint(-most, most + 1, (count, 1))) % height
    x = (torch.arange(width) + torch.randint(-most, most + 1, (count, 1))) % width
    return images[torch.arange(count)[:, None, None], :, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)


def quality(matcher: Matcher, pairs: Pairs, test: Numbers, place: torch.device) -> dict[str, Any]:
    """R@1 and matched-against-shuffled AUC of held-out pairs, the first 10,000; nulls when there are fewer than two."""
    test = test[:TESTED_AT_MOST]
    if len(test) < 2:
        return {"pairs": len(test), "image_to_text_r1": None, "chance_r1": None, "auc_matched_vs_shuffled": None}
    matcher.model.eval()
    batches = [test[start : start + 256] for start in range(0, len(test), 256)]
    made = []
    with torch.inference_mode():
        for rows, pixels in pairs.batches(batches):
            tokens = pairs.tokens[torch.from_numpy(rows)].to(place)
            made.append([side.cpu() for side in _features(matcher.model, matcher.scaled(pixels.to(place)), tokens, place)])
        image, text = (torch.cat(side) for side in zip(*made, strict=True))
        scores = (image @ text.T).numpy()
    said = np.unique(pairs.tokens[torch.from_numpy(test)].numpy(), axis=0, return_inverse=True)[1].ravel()
    matched, shuffled = np.diag(scores), np.sort(scores[np.arange(len(scores)), np.roll(np.arange(len(scores)), 1)])
    above = (np.searchsorted(shuffled, matched, "left") + np.searchsorted(shuffled, matched, "right")) / 2
    return {
        "pairs": len(test),
        "image_to_text_r1": round(float((said[scores.argmax(axis=1)] == said).mean()), 4),  # an equal caption is a right answer
        "chance_r1": round(float((np.bincount(said) ** 2).sum() / len(said) ** 2), 4),
        "auc_matched_vs_shuffled": round(float((above / len(shuffled)).mean()), 4),
    }


class _Said:
    """A line every ten seconds: the engine makes models in workers, where nothing else tells how far they are."""

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.steps, self.began, self.last = name, steps, time.monotonic(), time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self.last >= _EVERY:
            self.last, rate = now, done / (now - self.began)
            left = (self.steps - done) / rate
            sys.stderr.write(f"training {self.name}: {done:,} of {self.steps:,} steps, {rate:.2g}/s, {left:,.0f} s left\n")
