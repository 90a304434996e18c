"""One training: the scale's model on the given rows, from the seed's weights, for the scale's samples seen. Read it top to bottom."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from open_clip import ClipLoss

from curate.errors import CeterisError
from eval_fixed_model.models import build
from eval_fixed_model.models.tiny_conv_bag import TinyConvBag
from eval_fixed_model.order import batches, repeats
from eval_fixed_model.rows import Bytes, Rows
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.steps import learning_rate, one_deterministic_thread, optimiser_of

POINTS_OF_CURVE = 10


def train(
    scale: ImageTextScale, rows: Rows, members: npt.NDArray[np.int64], seed: int, progress: Callable[[int], None] | None = None
) -> tuple[TinyConvBag, dict[str, Any]]:
    """Train on `members` (positions in `rows`; one listed k times is k copies), one thread, bit-identical for equal arguments.

    Returns the network in evaluation mode and its record: samples, distinct rows, copies, `repeats` (times shown -> rows), the mean `loss`
    of each tenth, and seconds. `progress` is told the samples seen so far, ten times. Raises CeterisError when the weights diverge.
    """
    if rows.scale_digest != scale.digest:
        raise CeterisError(f"the rows were materialised for another scale than {scale.name}", fix="materialise them again for this scale")
    began = time.perf_counter()
    distinct, multiplicity = np.unique(members, return_counts=True)
    order = batches(rows.uids[distinct], multiplicity, seed, scale.samples_seen, scale.batch)
    losses: list[float] = []
    with one_deterministic_thread():
        network = build(scale, seed).train()
        loss_of = ClipLoss(cache_labels=True)
        optimiser = optimiser_of(network, scale)
        for step in range(scale.steps):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(scale, step)
            shown = distinct[order.rows[step]]
            images = torch.from_numpy(rolled(rows.images[shown], order.draws[step], scale.augmentation.roll))
            loss = loss_of(*network(images, torch.from_numpy(rows.tokens[shown].astype(np.int64))))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), scale.optimiser.clip_norm)
            optimiser.step()
            network.clamp()
            losses.append(float(loss.detach()))
            if progress and (step + 1) * POINTS_OF_CURVE % scale.steps < POINTS_OF_CURVE:
                progress((step + 1) * scale.batch)
    if not math.isfinite(losses[-1]) or not all(bool(p.isfinite().all()) for p in network.parameters()):
        raise CeterisError(
            f"training diverged at seed {seed}", where=f"scale {scale.name}", fix="look at the arm's rows; the scale is not tuned per arm"
        )
    record = {
        "samples": scale.samples_seen,
        "rows": len(distinct),
        "copies": int(multiplicity.sum()),
        "repeats": {str(times): count for times, count in repeats(order, len(distinct)).items()},
        "loss": [round(float(np.mean(part)), 4) for part in np.array_split(losses, POINTS_OF_CURVE)],
        "seconds": round(time.perf_counter() - began, 3),
    }
    return network.eval(), record


def rolled(images: Bytes, draws: npt.NDArray[np.uint64], most: int) -> Bytes:
    """Images (n, 3, r, r), each rolled by -most..most pixels in both directions, as its draw says."""
    if most == 0:
        return np.ascontiguousarray(images)
    span = np.uint64(2 * most + 1)
    down, right = (draws % span).astype(np.int64), (draws // span % span).astype(np.int64)
    wrapped = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)), mode="wrap")
    windows = np.lib.stride_tricks.sliding_window_view(wrapped, images.shape[2:], axis=(2, 3))
    return np.ascontiguousarray(windows[np.arange(len(images)), :, down, right])
