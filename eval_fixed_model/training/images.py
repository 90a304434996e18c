"""One training on images and texts: the scale's model on the given rows, from the seed's weights, for the scale's samples seen."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from open_clip import ClipLoss
from torch import Tensor, nn

from curate.errors import CeterisError
from eval_fixed_model.models.judges import build
from eval_fixed_model.rows.arrays import digest
from eval_fixed_model.rows.augmentation import augmented
from eval_fixed_model.rows.images import Rows
from eval_fixed_model.rows.order import batches, repeats
from eval_fixed_model.rows.stream import Stream
from eval_fixed_model.rows.survey import Survey
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.training.checkpoint import Keep
from eval_fixed_model.training.gang import Gang
from eval_fixed_model.training.gradients import Batch, Objective
from eval_fixed_model.training.place import Place
from eval_fixed_model.training.steps import HERE, fit


def train(
    scale: ImageTextScale,
    rows: Rows | Survey,
    members: npt.NDArray[np.int64],
    seed: int,
    progress: Callable[[int], None] | None = None,
    *,
    place: Place = HERE,
    keep: Keep | None = None,
    visits: Mapping[int, Callable[[nn.Module], None]] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Train on `members` (positions in `rows`; one listed k times is k copies), bit-identical for equal arguments on a processor. Rows of
    a survey are read where they lie, in the blocked order.

    Returns the network in evaluation mode and its record: samples, distinct rows, copies, `repeats` (times shown -> rows), seconds, and
    what `steps.fit` says of loss and speed; the other arguments are its own. Raises CeterisError when the weights diverge.
    """
    began = time.perf_counter()
    feed = Stream(scale, rows, members, seed) if isinstance(rows, Survey) else Exact(scale, rows, members, seed)
    network = build(scale, seed)
    told = fit(scale, network, feed, contrastive(Gang.here()), seed, place=place, keep=keep, visits=visits, progress=progress)
    return network, {"samples": scale.samples_seen, **feed.shown(), **told, "seconds": round(time.perf_counter() - began, 3)}


class Exact:
    """Rows by the hash of seed, epoch, uid and copy, all of them at hand."""

    def __init__(self, scale: ImageTextScale, rows: Rows, members: npt.NDArray[np.int64], seed: int) -> None:
        """The order of the whole training: 16 bytes a showing."""
        if rows.scale_digest != scale.digest:
            raise CeterisError(
                f"the rows were materialised for another scale than {scale.name}", fix="materialise them again for this scale"
            )
        if scale.order != "exact":
            raise CeterisError(
                f"scale {scale.name} shows rows in {scale.order} order, which is not that of rows all at hand",
                fix="give a survey of them, or a scale with `order: exact`",
            )
        self._scale, self._rows = scale, rows
        self._distinct, self._copies = np.unique(members, return_counts=True)
        self._order = batches(rows.uids[self._distinct], self._copies, seed, scale.samples_seen, scale.batch)

    @property
    def digest(self) -> str:
        """Of the rows; the order follows from them and the seed."""
        return digest(self._rows.uids[self._distinct], self._copies)

    def batches(self, first: int, share: slice) -> Iterator[Batch]:
        """Images (n, 3, r, r) uint8, augmented as their draws say, and tokens (n, context)."""
        for step in range(first, self._scale.steps):
            shown = self._distinct[self._order.rows[step, share]]
            images = augmented(self._rows.images[shown], self._order.draws[step, share], self._scale.augmentation)
            yield torch.from_numpy(images), torch.from_numpy(self._rows.tokens[shown].astype(np.int64))

    def shown(self) -> dict[str, Any]:
        """For the record: distinct rows, copies, and how often rows are shown."""
        times = {str(times): count for times, count in repeats(self._order, len(self._distinct)).items()}
        return {"rows": len(self._distinct), "copies": int(self._copies.sum()), "repeats": times}


def contrastive(gang: Gang) -> Objective:
    """CLIP's loss (arXiv 2103.00020) over the whole batch: each row of this process's share against the features of all processes, through
    which gradients flow back (open_clip's ClipLoss). In float32 at least."""
    loss = ClipLoss(local_loss=True, gather_with_grad=True, cache_labels=True, rank=gang.rank, world_size=gang.size)

    def whole(*outputs: Tensor) -> Tensor:
        made: Tensor = loss(*(part.float() if part.dtype in (torch.bfloat16, torch.float16) else part for part in outputs))
        return made

    def outputs(network: nn.Module, images: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
        made: tuple[Tensor, ...] = network(images, tokens)
        return made

    return Objective(outputs, whole)
