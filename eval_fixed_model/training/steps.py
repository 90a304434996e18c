"""The steps of every training, whatever it reads: the loop, optimiser, learning rate, determinism, and the digest of what came out."""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn

from curate.digest import digest_of
from curate.errors import CeterisError
from curate.model import digest_of_weights
from eval_fixed_model.loops import MODULES
from eval_fixed_model.scale import Scale
from eval_fixed_model.sources import code
from eval_fixed_model.training.checkpoint import Keep
from eval_fixed_model.training.gang import Gang
from eval_fixed_model.training.gradients import Batch, Objective, accumulate, refuse_to_split
from eval_fixed_model.training.meter import POINTS_OF_CURVE, Meter, flops_a_row
from eval_fixed_model.training.place import Place, kind_of

HERE = Place()


class Feed(Protocol):
    """What is shown at each step. `digest` is of the rows and of their order."""

    @property
    def digest(self) -> str:
        """Equal for equal batches."""

    def batches(self, first: int, share: slice) -> Iterator[Batch]:
        """From step `first` on: of each batch the rows `share`, as tensors on the processor."""


def fit(
    scale: Scale,
    network: nn.Module,
    feed: Feed,
    objective: Objective,
    seed: int,
    *,
    place: Place = HERE,
    keep: Keep | None = None,
    visits: Mapping[int, Callable[[nn.Module], None]] | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Train `network` for the scale's steps, in place and into evaluation mode; the record of loss and speed (`Meter.record`).

    Every process of a gang calls it with the same arguments. On a processor equal arguments give equal bits, also where a training was
    ended and goes on from `keep`. `visits` are called by the first process after so many steps, with the network in evaluation mode; what
    they find out they keep themselves: after a resumption, only those whose step is yet to come are called. `progress` is told the samples
    seen, ten times. Raises CeterisError when the weights diverge, when the batch cannot be shared or split, when a device's memory does not
    hold it, and when the checkpoint is of another training.
    """
    gang = Gang.here()
    share = gang.share(scale.batch)
    rows = share.stop - share.start
    micro = min(place.micro or rows, rows)
    refuse_to_split(network, -(-rows // micro), gang)
    with one_deterministic_thread(place), torch.random.fork_rng(devices=[place.device] if place.on_gpu else []), _room(place, micro):
        wrapped = place.wrapped(network.train(), gang)
        optimiser = optimiser_of(network, scale)
        held = _held(scale, feed, seed, place, gang) if keep else ""
        state = (keep.read(held, place.device) if keep else None) or {"step": 0, "losses": [], "seconds": [], "flops": None}
        first = state["step"]
        if not gang.agree(first):
            raise CeterisError("the processes do not see one checkpoint", fix="keep it in a folder that all nodes share")
        if first:
            network.load_state_dict(state["network"])
            optimiser.load_state_dict(state["optimiser"])
        meter, flops = Meter(place.on_gpu, state["losses"], state["seconds"]), state["flops"]
        for step, batch in zip(range(first, scale.steps), place.moved(feed.batches(first, share)), strict=False):
            if step == 0:
                flops = flops_a_row(network, batch, objective)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(scale, step)
            draw = f"{seed} {step} {gang.rank}"
            loss = accumulate(wrapped, batch, objective, micro, lambda: place.numeric(scale.precision), draw)
            if scale.optimiser.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(network.parameters(), scale.optimiser.clip_norm)
            optimiser.step()
            optimiser.zero_grad()
            if callable(clamp := getattr(network, "clamp", None)):
                clamp()
            meter.note(gang.mean(loss))
            done = step + 1
            if gang.rank == 0 and visits and done in visits:
                visits[done](network.eval())
                network.train()
            if progress and done * POINTS_OF_CURVE % scale.steps < POINTS_OF_CURVE:
                progress(done * scale.batch)
            if keep and gang.rank == 0 and (keep.due(done) or (done == scale.steps and keep.file.is_file())):
                meter.read()
                about = {"step": done, "losses": meter.losses, "seconds": meter.seconds, "flops": flops}
                keep.write(held, {**about, "network": network.state_dict(), "optimiser": optimiser.state_dict()})
        meter.read()
    if not math.isfinite(meter.losses[-1]) or not all(bool(p.isfinite().all()) for p in network.parameters()):
        raise CeterisError(
            f"training diverged at seed {seed}", where=f"scale {scale.name}", fix="look at the arm's rows; the scale is not tuned per arm"
        )
    network.eval()
    peak = place.peak(scale.precision)
    record = meter.record(scale.batch, flops, peak and peak * gang.size)
    return {**record, **place.facts(), "processes": gang.size, "rows at once": micro, "resumed at": first}


@contextmanager
def _room(place: Place, micro: int) -> Iterator[None]:
    """CeterisError for torch's own where memory does not suffice. Nothing is halved by itself: rows at once are a condition of scores."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        said = str(error).partition("\n")[0]
        fix = f"--micro {max(1, micro // 2)} for all trainings, or more --processes that share a batch"
        raise CeterisError(f"{place.device} does not hold {micro} rows at once: {said}", where=place.device, fix=fix) from error


def _held(scale: Scale, feed: Feed, seed: int, place: Place, gang: Gang) -> str:
    """What a checkpoint belongs to: all that decides the bits of the weights."""
    source = code(MODULES[scale.modality])
    numeric = [torch.__version__, kind_of(place.device), place.micro, place.compiled, place.deterministic, gang.size]
    return digest_of([scale.digest, seed, feed.digest, source, *numeric])


def learning_rate(scale: Scale, step: int) -> float:
    """Of the 0-based step: linear warm-up, then `cosine`, half a one that would reach the schedule's last rate (zero, where it names none)
    one step after the last, or `constant_then_decay`, constant and in the last `decay` share of the steps linearly to it, reached there too
    (arXiv 2405.18392)."""
    schedule: Any = scale.schedule
    warm: int = schedule.warmup_steps or max(1, round(schedule.warmup * scale.steps))
    highest: float = scale.optimiser.learning_rate
    if step < warm:
        return highest * (step + 1) / warm
    if schedule.name == "cosine":
        share = 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, scale.steps - warm)))
    else:
        share = min(1.0, (scale.steps - step) / max(1, round(schedule.decay * scale.steps)))
    last: float = schedule.last
    return last + (highest - last) * share


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
def one_deterministic_thread(place: Place = HERE) -> Iterator[None]:
    """One torch thread and only deterministic kernels, inside; as it was, afterwards. Fresh memory is not filled: nothing reads it.

    A GPU has them for most operations; where it has none, torch warns and goes on. Products are of full float32 precision there, too.
    """
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warns, rounded = torch.is_deterministic_algorithms_warn_only_enabled(), torch.backends.cudnn.allow_tf32
    settings: Any = torch.utils.deterministic
    filled = settings.fill_uninitialized_memory
    torch.set_num_threads(1)
    if place.on_gpu:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first product is made; without it cuBLAS may differ
        torch.backends.cudnn.allow_tf32 = False
    torch.use_deterministic_algorithms(place.deterministic, warn_only=place.on_gpu)
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warns)
        torch.backends.cudnn.allow_tf32 = rounded
        settings.fill_uninitialized_memory = filled
