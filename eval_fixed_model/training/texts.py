"""One training on text: the scale's decoder on packed documents, from the seed's weights, for the scale's tokens. Read it top to bottom."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from curate.allocation import keep as keep_memory
from curate.errors import CeterisError
from eval_fixed_model.models.decoders import build
from eval_fixed_model.rows.arrays import digest
from eval_fixed_model.rows.documents import Documents
from eval_fixed_model.rows.packing import Packed
from eval_fixed_model.rows.tokens import tokenizer_of
from eval_fixed_model.scale import TextScale
from eval_fixed_model.training.checkpoint import Keep
from eval_fixed_model.training.gradients import Batch, Objective
from eval_fixed_model.training.place import Place
from eval_fixed_model.training.steps import HERE, fit

GRADIENT = 32 << 20
"""Bytes of an array whose memory is kept from step to step: else the system clears a table's gradient each time, a fifth of a tiny step."""


def train(
    scale: TextScale,
    rows: Documents,
    members: npt.NDArray[np.int64],
    seed: int,
    progress: Callable[[int], None] | None = None,
    *,
    place: Place = HERE,
    keep: Keep | None = None,
    visits: Mapping[int, Callable[[nn.Module], None]] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Train on `members` (positions in `rows`; one listed k times is k copies), bit-identical for equal arguments on a processor.

    Returns the network in evaluation mode and its record: `samples` (sequences), `tokens`, distinct rows, copies, `repeats` (times a
    document was begun -> documents), `distinct tokens` (of text, each place of a document once), seconds, and what `steps.fit` says of
    loss (nats a token) and speed; the other arguments are its own. Raises CeterisError when the weights diverge.
    """
    if rows.scale_digest != scale.digest:
        raise CeterisError(f"the documents were made for another scale than {scale.name}", fix="materialise them again for this scale")
    began = time.perf_counter()
    keep_memory(GRADIENT)
    feed = Sequences(scale, rows, members, seed)
    network = build(scale, seed)
    told = fit(scale, network, feed, next_token(scale.optimiser.z_loss), seed, place=place, keep=keep, visits=visits, progress=progress)
    samples = scale.steps * scale.batch
    record = {"samples": samples, "tokens": scale.tokens_seen, **feed.shown(), **told}
    return network, {**record, "seconds": round(time.perf_counter() - began, 3)}


class Sequences:
    """Batches of `context` tokens and the one after them, in packed order."""

    def __init__(self, scale: TextScale, rows: Documents, members: npt.NDArray[np.int64], seed: int) -> None:
        """See `Packed`."""
        self._scale = scale
        self._packed = Packed(rows, members, seed, tokenizer_of(scale).separator)

    @property
    def digest(self) -> str:
        """Of the rows; the order follows from them and the seed."""
        packed = self._packed
        return digest(packed.documents.uids[packed.distinct], packed.multiplicity)

    def batches(self, first: int, share: slice) -> Iterator[Batch]:
        """Tokens (n, context + 1)."""
        count, context = share.stop - share.start, self._scale.tokens.context
        for step in range(first, self._scale.steps):
            yield (torch.from_numpy(self._packed.sequences(step * self._scale.batch + share.start, count, context)),)

    def shown(self) -> dict[str, Any]:
        """For the record."""
        seen = self._packed.shown(self._scale.tokens_seen)
        rows, copies = len(self._packed.distinct), int(self._packed.multiplicity.sum())
        times = {str(times): count for times, count in seen.repeats.items()}
        return {"rows": rows, "copies": copies, "repeats": times, "distinct tokens": seen.distinct}


def next_token(z_loss: float) -> Objective:
    """Cross-entropy of every token after those before it in its sequence, in float32, plus `z_loss` times the mean square of the logits'
    log-sum-exp (arXiv 2204.02311, section 5)."""

    def outputs(network: nn.Module, sequences: Tensor) -> tuple[Tensor, ...]:
        logits = network(sequences[:, :-1]).flatten(0, 1).float()
        loss = F.cross_entropy(logits, sequences[:, 1:].flatten())
        return (loss + z_loss * logits.logsumexp(-1).square().mean() if z_loss else loss,)

    return Objective(outputs)
