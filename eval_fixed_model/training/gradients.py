"""The gradients of one batch, whole, however many pieces and processes compute it."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from curate.errors import CeterisError
from eval_fixed_model.training.gang import Gang

Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class Objective:
    """What is minimised.

    `outputs(network, *rows)` gives tensors: either one number, the mean over these rows of a loss that each row has by itself (`whole` is
    None), or one line for each row, and numbers that belong to none; `whole(*outputs)` is then the loss of this process's share of the
    batch, whose mean over all processes is the loss of the batch.
    """

    outputs: Callable[..., tuple[Tensor, ...]]
    whole: Callable[..., Tensor] | None = None


def refuse_to_split(network: nn.Module, pieces: int, gang: Gang) -> None:
    """CeterisError where a batch is to be computed in pieces, or by several processes, by a network whose rows see each other."""
    if pieces == 1 and gang.size == 1:
        return
    norms = [name for name, module in network.named_modules() if isinstance(module, _BatchNorm)]
    if norms:
        raise CeterisError(
            f"the network takes statistics over the whole batch ({norms[0]}), which {pieces} pieces in {gang.size} processes do not see",
            fix="train it in one process with the batch in one piece",
        )


def accumulate(
    network: nn.Module, batch: Batch, objective: Objective, micro: int, numeric: Callable[[], AbstractContextManager[Any]], draw: str
) -> Tensor:
    """Add the gradients of this process's share of a batch to the parameters; its loss, detached.

    At most `micro` rows are computed at once with what backward needs of them. Where the loss is of the whole batch, the outputs of all
    pieces are made first, without gradients; the loss and its gradients by these outputs follow; then each piece is made again and goes
    backward from those (GradCache, arXiv 2101.06983). So the gradients are those of one piece, but for rounding. Processes exchange
    gradients once, with the last piece. `numeric` is the precision to compute in; `draw` seeds what the network draws, the same in both
    passes.
    """
    pieces = [batch] if len(batch[0]) <= micro else list(zip(*(torch.split(part, micro) for part in batch), strict=True))
    if objective.whole is None:
        return _mean(network, pieces, objective, numeric, draw)
    if len(pieces) == 1:
        _seeded(draw, 0)
        with numeric():
            outputs = objective.outputs(network, *batch)
        loss = objective.whole(*outputs)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()
    leaves = [leaf.requires_grad_() for leaf in _outputs(network, pieces, objective, numeric, draw)]
    loss = objective.whole(*leaves)
    loss.backward()  # type: ignore[no-untyped-call]
    start = 0
    for number, last, piece in _numbered(pieces):
        stop = start + len(piece[0])
        _seeded(draw, number)
        with _alone(network, not last):
            with numeric():
                outputs = objective.outputs(network, *piece)
            along = [
                (made * (leaf.grad[start:stop] if leaf.ndim else leaf.grad)).sum()
                for made, leaf in zip(outputs, leaves, strict=True)
                if leaf.grad is not None and (leaf.ndim or last)
            ]
            torch.stack([part.to(loss.dtype) for part in along]).sum().backward()  # type: ignore[no-untyped-call]
        start = stop
    return loss.detach()


def _mean(
    network: nn.Module, pieces: list[Batch], objective: Objective, numeric: Callable[[], AbstractContextManager[Any]], draw: str
) -> Tensor:
    rows, total = sum(len(piece[0]) for piece in pieces), torch.zeros(())
    for number, last, piece in _numbered(pieces):
        _seeded(draw, number)
        with _alone(network, not last):
            with numeric():
                (loss,) = objective.outputs(network, *piece)
            share = loss * (len(piece[0]) / rows)
            share.backward()  # type: ignore[no-untyped-call]
        total = share.detach() + total.to(share)
    return total


def _outputs(
    network: nn.Module, pieces: list[Batch], objective: Objective, numeric: Callable[[], AbstractContextManager[Any]], draw: str
) -> list[Tensor]:
    """Of all rows, without gradients; what belongs to no row is the last piece's."""
    made = []
    with torch.no_grad():
        for number, _, piece in _numbered(pieces):
            _seeded(draw, number)
            with numeric():
                made.append(objective.outputs(network, *piece))
    return [torch.cat(parts) if parts[0].ndim else parts[-1].clone() for parts in zip(*made, strict=True)]


def _numbered(pieces: list[Batch]) -> Iterator[tuple[int, bool, Batch]]:
    """(number, whether it is the last, piece)."""
    return ((number, number == len(pieces) - 1, piece) for number, piece in enumerate(pieces))


def _alone(network: nn.Module, alone: bool) -> AbstractContextManager[Any]:
    """Without exchanging gradients."""
    return network.no_sync() if alone and isinstance(network, DistributedDataParallel) else nullcontext()


def _seeded(draw: str, piece: int) -> None:
    word = int.from_bytes(hashlib.sha256(f"{draw} {piece}".encode()).digest()[:8], "big") >> 1
    torch.default_generator.manual_seed(word)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed(word)
