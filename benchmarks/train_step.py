# ruff: noqa: T201  a benchmark prints
"""The image-text loop beside others, in one process, turn by turn: `python -m benchmarks.train_step [--part processor | gpu]`.

processor  tiny-image-text, one thread, beside a bare loop: every batch, augmented, lies in memory as tensors before its first step. From
           equal weights and on equal batches, so weights must be equal to the bit. Times are of the processor; the ratio is the median
           over rounds. Ours looks rows up, augments, measures itself and can be resumed. Goal: at most 1.1 times the bare loop.
gpu        ViT-B-32 at datacomp-small's batch in bfloat16, beside open_clip's own trainer (`open_clip_train.train.train_one_epoch`), each
           plain and compiled, ours also without deterministic kernels. Step times are medians between CUDA events; utilisation is of the
           model's FLOPs (forward and backward, each once) and the peak of the data sheet. Goal: at least the best of open_clip's.
           `--device cpu --batch 8` runs the same code slowly, to see that it runs.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip import ClipLoss
from torch import Tensor, nn

from benchmarks._machine import machine
from curate.digest import words_of
from eval_fixed_model.models.judges import build
from eval_fixed_model.rows.augmentation import augmented
from eval_fixed_model.rows.images import Rows
from eval_fixed_model.rows.order import batches
from eval_fixed_model.scale import ImageTextScale, load_scale
from eval_fixed_model.training.gang import Gang
from eval_fixed_model.training.images import contrastive, train
from eval_fixed_model.training.meter import Meter, flops_a_row
from eval_fixed_model.training.place import Place
from eval_fixed_model.training.steps import fit, learning_rate, one_deterministic_thread, optimiser_of, weights_digest

RING = 4  # batches that a GPU is shown again and again
WARM = 5  # steps that are not counted


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("processor", "gpu"), default="gpu" if torch.cuda.is_available() else "processor")
    parser.add_argument("--steps", type=int, help="200 on a processor, 40 on a GPU")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--batch", type=int, default=4096)
    given = parser.parse_args()
    print(json.dumps(machine()))
    if given.part == "processor":
        _processor(given.steps or 200, given.rounds)
    else:
        _gpu(given.steps or 40, given.batch, given.device)


def _processor(steps: int, rounds: int) -> None:
    shipped = load_scale("tiny-image-text")
    assert isinstance(shipped, ImageTextScale)
    scale = shipped.model_copy(update={"samples_seen": steps * shipped.batch})
    with tempfile.TemporaryDirectory() as folder:
        rows = _rows(scale, Path(folder), 3000)
        found = [(_ours(scale, rows), _bare(scale, rows)) for _ in range(rounds + 1)][1:]  # the first warms up
    for place, what in enumerate(("whole training, processor ms a step", "median step, wall ms")):
        ours, bare = (statistics.median(one[side][place] for one in found) for side in (0, 1))
        each = [one[0][place] / one[1][place] for one in found]
        print(f"{what}: ours {ours:.2f}, bare {bare:.2f}; ratio {statistics.median(each):.3f} (rounds {min(each):.3f} to {max(each):.3f})")
    print("equal weights:", len({one[side][2] for one in found for side in (0, 1)}) == 1)


def _rows(scale: ImageTextScale, folder: Path, count: int) -> Rows:
    """Noise, mapped from files as rows are."""
    import polars as pl

    rng, side = np.random.default_rng(0), scale.image.resolution
    np.save(folder / "images.npy", rng.integers(0, 256, (count, 3, side, side), np.uint8))
    np.save(folder / "tokens.npy", rng.integers(1, scale.tokens.vocabulary, (count, scale.tokens.context)).astype(np.uint16))
    images, tokens = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "tokens"))
    return Rows(scale.digest, images, tokens, words_of([rng.bytes(16) for _ in range(count)]), pl.DataFrame())


def _ours(scale: ImageTextScale, rows: Rows) -> tuple[float, float, str]:
    began = time.process_time()
    network, record = train(scale, rows, np.arange(len(rows.uids)), 0)
    return (time.process_time() - began) / scale.steps * 1e3, record["step seconds"]["50%"] * 1e3, weights_digest(network)


def _bare(scale: ImageTextScale, rows: Rows) -> tuple[float, float, str]:
    order = batches(rows.uids, np.ones(len(rows.uids), np.int64), 0, scale.samples_seen, scale.batch)
    every = [
        (torch.from_numpy(augmented(rows.images[shown], draws, scale.augmentation)), torch.from_numpy(rows.tokens[shown].astype(np.int64)))
        for shown, draws in zip(order.rows, order.draws, strict=True)
    ]
    rates = [learning_rate(scale, step) for step in range(scale.steps)]
    began, seconds = time.process_time(), []
    with one_deterministic_thread():
        network: Any = build(scale, 0).train()
        optimiser, loss_of = optimiser_of(network, scale), ClipLoss(cache_labels=True)
        for batch, rate in zip(every, rates, strict=True):
            start = time.perf_counter()
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = loss_of(*network(*batch))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), scale.optimiser.clip_norm or float("inf"))
            optimiser.step()
            network.clamp()
            loss.item()
            seconds.append(time.perf_counter() - start)
    return (time.process_time() - began) / scale.steps * 1e3, statistics.median(seconds) * 1e3, weights_digest(network)


class _Ring:
    """A few batches of noise, again and again."""

    digest = "ring"

    def __init__(self, scale: ImageTextScale) -> None:
        draw, side = torch.Generator().manual_seed(0), scale.image.resolution
        images = torch.randint(0, 256, (RING, scale.batch, 3, side, side), generator=draw, dtype=torch.uint8)
        tokens = torch.randint(1, 40_000, (RING, scale.batch, scale.tokens.context), generator=draw)
        tokens[:, :, -1] = scale.tokens.vocabulary - 1  # the end of a text, which open_clip looks for
        self.every = [(image, text) for image, text in zip(images, tokens, strict=True)]

    def batches(self, first: int, share: slice) -> Iterator[tuple[Tensor, ...]]:
        """Never ends."""
        step = first
        while True:
            yield tuple(part[share] for part in self.every[step % RING])
            step += 1


def _gpu(steps: int, batch: int, device: str) -> None:
    shipped = load_scale("datacomp-small")
    assert isinstance(shipped, ImageTextScale)
    scale = shipped.model_copy(update={"samples_seen": (steps + WARM) * batch, "batch": batch})
    ring = _Ring(scale)
    flops = flops_a_row(build(scale, 0), ring.every[0], contrastive(Gang()))
    peak = Place(device).peak(scale.precision)
    on_gpu = device.startswith("cuda")
    engines: dict[str, Callable[[], list[float]]] = {"ours": lambda: _ours_on(scale, ring, Place(device))}
    engines["open_clip"] = lambda: _open_clip_on(scale, ring, device, False)
    if on_gpu:
        engines["ours, compiled"] = lambda: _ours_on(scale, ring, Place(device, compiled=True))
        engines["ours, not deterministic"] = lambda: _ours_on(scale, ring, Place(device, deterministic=False))
        engines["ours, compiled, not deterministic"] = lambda: _ours_on(scale, ring, Place(device, compiled=True, deterministic=False))
        engines["ours, in pieces of a quarter"] = lambda: _ours_on(scale, ring, Place(device, micro=batch // 4))
        engines["open_clip, compiled"] = lambda: _open_clip_on(scale, ring, device, True)
        print(torch.cuda.get_device_name(device))
    print(f"batch {batch}, FLOPs a pair {flops}, peak {peak}")
    rates: dict[str, float] = {}
    for name, engine in engines.items():
        median = statistics.median(engine()[WARM:])
        rates[name] = batch / median
        used = "unknown" if flops is None or peak is None else f"{rates[name] * flops / peak:.3f}"
        print(f"{name}: {median * 1e3:.1f} ms a step, {rates[name]:.0f} pairs a second, utilisation {used}", flush=True)
        if on_gpu:
            torch.cuda.empty_cache()
    best = {side: max(rate for name, rate in rates.items() if name.startswith(side)) for side in ("ours", "open_clip")}
    print(f"best of ours over best of open_clip: {best['ours'] / best['open_clip']:.3f}")


def _ours_on(scale: ImageTextScale, ring: _Ring, place: Place) -> list[float]:
    seconds: list[float] = []
    kept = Meter.read

    def read(meter: Meter) -> None:
        kept(meter)
        seconds[:] = meter.seconds

    Meter.read = read  # type: ignore[method-assign]
    try:
        fit(scale, build(scale, 0), ring, contrastive(Gang()), 0, place=place)
    finally:
        Meter.read = kept  # type: ignore[method-assign]
    return seconds


class _Clocked:
    """open_clip's data: pinned float images, already normalised, as its loader gives them; the clock is read as each batch is taken."""

    def __init__(self, scale: ImageTextScale, ring: _Ring, device: str) -> None:
        mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (scale.image.mean, scale.image.std))
        pinned: Callable[[Tensor], Tensor] = Tensor.pin_memory if device.startswith("cuda") else Tensor.contiguous
        self.every = [(pinned((images / 255 - mean) / std), pinned(tokens)) for images, tokens in ring.every]
        self.num_batches, self.num_samples = scale.steps, scale.samples_seen
        self.dataloader, self.meter = self, Meter(device.startswith("cuda"), [], [])

    def set_epoch(self, _: int) -> None:
        """There is one."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(self.num_batches):
            yield self.every[step % RING]
            self.meter.note(torch.zeros(()))


def _open_clip_on(scale: ImageTextScale, ring: _Ring, device: str, compiled: bool) -> list[float]:
    from open_clip_train.train import train_one_epoch

    data = _Clocked(scale, ring, device)
    network: Any = open_clip.create_model("ViT-B-32", device=device, output_dict=True)
    optimiser = optimiser_of(network, scale)
    args = SimpleNamespace(
        device=device, precision="amp_bf16", distill=False, accum_freq=1, skip_scheduler=False, horovod=False, grad_clip_norm=None,
        log_every_n_steps=100, world_size=1, batch_size=scale.batch, wandb=False, rank=0, local_rank=0, log_local=False, distributed=False,
    )  # fmt: skip

    def schedule(step: int) -> None:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(scale, step)

    model: nn.Module = torch.compile(network) if compiled else network
    with contextlib.redirect_stderr(None):
        train_one_epoch(model, {"train": data}, ClipLoss(cache_labels=True), 0, optimiser, None, schedule, None, args)
    data.meter.read()
    return data.meter.seconds


if __name__ == "__main__":
    main()
