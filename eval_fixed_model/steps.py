"""What the steps of every training share, whatever it reads: optimiser, learning rate, determinism, and the digest of what came out."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from curate.model import digest_of_weights
from eval_fixed_model.scale import Scale


def learning_rate(scale: Scale, step: int) -> float:
    """Of the 0-based step: linear warm-up, then `cosine`, half a one that would reach the schedule's last rate (zero, where it names none)
    one step after the last, or `constant_then_decay`, constant and in the last `decay` share of the steps linearly to it, reached there too
    (arXiv 2405.18392)."""
    schedule: Any = scale.schedule
    warm = schedule.warmup_steps or max(1, round(schedule.warmup * scale.steps))
    highest: float = scale.optimiser.learning_rate
    if step < warm:
        return highest * (step + 1) / warm
    if schedule.name == "cosine":
        share = 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, scale.steps - warm)))
    else:
        share = min(1.0, (scale.steps - step) / max(1, round(schedule.decay * scale.steps)))
    rate: float = schedule.last + (highest - schedule.last) * share
    return rate


def optimiser_of(network: nn.Module, scale: Scale) -> torch.optim.AdamW:
    """The scale's AdamW, fused, over matrices and kernels, which decay, and everything else, which does not."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    numbers = scale.optimiser
    groups = [{"params": matrices, "weight_decay": numbers.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=numbers.learning_rate, betas=(numbers.beta1, numbers.beta2), eps=numbers.epsilon, fused=True)


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of what the weights are: equal for bit-identical networks."""
    return digest_of_weights({name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()})


@contextmanager
def one_deterministic_thread() -> Iterator[None]:
    """One torch thread and only deterministic kernels, inside; as it was, afterwards. Fresh memory is not filled: nothing reads it."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    settings: Any = torch.utils.deterministic
    filled = settings.fill_uninitialized_memory
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        settings.fill_uninitialized_memory = filled
