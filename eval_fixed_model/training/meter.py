"""What a training's record says of its loss and its speed."""

import copy
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from eval_fixed_model.training.gradients import Batch, Objective

POINTS_OF_CURVE = 10
_UNREAD = 64  # losses stay on a GPU for so many steps, because to read one is to wait for it


class Meter:
    """Losses and seconds of every step. On a GPU clocks are its own, since the process runs ahead of it."""

    def __init__(self, on_gpu: bool, losses: list[float], seconds: list[float]) -> None:
        """Go on from what earlier attempts at the same training have noted."""
        self.losses, self.seconds = losses, seconds
        self._on_gpu = on_gpu
        self._waiting: list[tuple[Tensor, Any]] = []
        self._before = self._now()

    def note(self, loss: Tensor) -> None:
        """A step has ended with this loss."""
        self._waiting.append((loss, self._now()))
        if not self._on_gpu or len(self._waiting) >= _UNREAD:
            self.read()

    def read(self) -> None:
        """Everything noted, as numbers."""
        for loss, now in self._waiting:
            self.losses.append(float(loss))
            self.seconds.append(self._before.elapsed_time(now) / 1000 if self._on_gpu else now - self._before)
            self._before = now
        self._waiting.clear()

    def _now(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def record(self, rows: int, flops: float | None, peak: float | None) -> dict[str, Any]:
        """`loss`: the mean of each tenth. `samples a second`: `rows` a step over the median step. `step seconds`: its 5th, 50th, 95th and
        99th percentile. `FLOPs a sample`: of the model's forward and backward pass, each made once; `utilisation`: what a step does of
        them, of what all devices together promise, `peak` FLOP/s (arXiv 2204.02311, appendix B)."""
        self.read()
        quantiles = np.quantile(self.seconds, (0.05, 0.5, 0.95, 0.99))
        rate = float(rows / quantiles[1])
        return {
            "loss": [round(float(np.mean(part)), 4) for part in np.array_split(self.losses, POINTS_OF_CURVE) if len(part)],
            "samples a second": round(rate, 2),
            "step seconds": {name: round(float(value), 6) for name, value in zip(("5%", "50%", "95%", "99%"), quantiles, strict=True)},
            "FLOPs a sample": flops,
            "utilisation": None if flops is None or peak is None else round(rate * flops / peak, 4),
        }


def flops_a_row(network: nn.Module, batch: Batch, objective: Objective) -> float | None:
    """FLOPs of forward and backward for a row of a batch of this shape, the loss over all rows left out. None where torch cannot tell.

    Counted without computing: weights and rows are on torch's `meta` device, which has shapes and no numbers.
    """
    known: dict[int, Any] = {id(one): nn.Parameter(one.detach().to("meta")) for one in network.parameters()}
    known |= {id(one): one.detach().to("meta") for one in network.buffers()}
    try:
        with FlopCounterMode(display=False) as counter:
            outputs = objective.outputs(copy.deepcopy(network, known), *(part.to("meta") for part in batch))
            torch.stack([part.float().sum() for part in outputs]).sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError:  # an operation whose shape follows from numbers
        return None
    return float(counter.get_total_flops() / len(batch[0]))
