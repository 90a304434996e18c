"""Where a training computes: a processor, or a GPU that is free; and what is known of it."""

import contextlib
import fcntl
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from curate.errors import CeterisError
from eval_fixed_model.training.gang import Gang

# Dense bfloat16 TFLOP/s with float32 sums, by what the name holds, the first that fits: NVIDIA's data sheets of each.
_PEAKS = {
    "GH200": 989.5, "H200": 989.5, "H100 PCIe": 756.0, "H100 NVL": 835.5, "H100": 989.5, "GB200": 2500.0, "B200": 2250.0, "A100": 312.0,
    "A800": 312.0, "L40S": 362.0, "L40": 181.0, "L4": 121.0, "A10G": 70.0, "A10": 125.0, "A40": 149.7, "RTX 4090": 165.2, "RTX 3090": 71.0,
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """`device` as torch names it, the most rows of a batch that go through the network at once (None: all of a process's share), whether
    torch compiles the network, and whether kernels are those that give equal bits for equal arguments, as far as a GPU has them. None of
    it is part of a scale: it is to change a training by rounding only. CeterisError for a network compiled for a processor."""

    device: str = "cpu"
    micro: int | None = None
    compiled: bool = False
    deterministic: bool = True

    @property
    def on_gpu(self) -> bool:
        """Whether the device is one of CUDA's."""
        return self.device.startswith("cuda")

    def numeric(self, precision: str) -> AbstractContextManager[Any]:
        """What forward runs in: bfloat16 where a matrix product stands it, or float32 throughout."""
        return torch.autocast(self.device.partition(":")[0], torch.bfloat16) if precision == "bfloat16" else nullcontext()

    def wrapped(self, network: nn.Module, gang: Gang) -> nn.Module:
        """The network on the device, compiled if so, with gradients averaged over the gang. Weights and names stay those of `network`."""
        network.to(self.device)
        if self.compiled and not self.on_gpu:  # torch 2.15 gives the tiny decoder another loss, by .005 of 5.5, not by rounding
            raise CeterisError("networks are not compiled for a processor", fix="leave `compiled` out")
        if self.compiled:
            network.compile()
        if gang.size == 1:
            return network
        ids = [torch.device(self.device)] if self.on_gpu else None
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # its successor does something else with weights
            return DistributedDataParallel(network, device_ids=ids, broadcast_buffers=False, gradient_as_bucket_view=True)

    def moved(self, batches: Iterator[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
        """The batches on the device. To a GPU one goes while the one before is computed: from pinned memory, on a stream of its own."""
        if not self.on_gpu:
            yield from batches
            return
        side = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        waiting: tuple[Tensor, ...] | None = None
        for batch in batches:
            with torch.cuda.stream(side):
                coming = tuple(part.pin_memory().to(self.device, non_blocking=True) for part in batch)
            if waiting is not None:
                yield waiting
            torch.cuda.current_stream(self.device).wait_stream(side)
            for part in coming:
                part.record_stream(torch.cuda.current_stream(self.device))
            waiting = coming
        if waiting is not None:
            yield waiting

    def facts(self) -> dict[str, Any]:
        """`device`: its name; `peak MiB`: the most memory held so far, on the GPU by tensors, else by this process."""
        if self.on_gpu:
            return {"device": torch.cuda.get_device_name(self.device), "peak MiB": torch.cuda.max_memory_allocated(self.device) >> 20}
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"device": kind_of(self.device), "peak MiB": held >> (20 if sys.platform == "darwin" else 10)}

    def peak(self, precision: str) -> float | None:
        """FLOP/s that its data sheet promises in bfloat16; None where that is unknown, and for other precisions."""
        if not self.on_gpu or precision != "bfloat16":
            return None
        return peak_of(torch.cuda.get_device_name(self.device))


def peak_of(name: str) -> float | None:
    """Dense bfloat16 FLOP/s of a GPU by its name; None where no data sheet is known."""
    return next((tera * 1e12 for part, tera in _PEAKS.items() if part in name), None)


def kind_of(device: str) -> str:
    """What computes, as far as it may change floats: a GPU's compute capability, or the processor's vectors as PyTorch sees them."""
    if device.startswith("cuda"):
        major, minor = torch.cuda.get_device_capability(device)
        return f"cuda-{major}.{minor}"
    return f"cpu-{torch.backends.cpu.get_cpu_capability()}"


@contextmanager
def device_of(kind: str) -> Iterator[str]:
    """A device of this kind for one training, for as long as it is held: "cpu", or a GPU that no other training on this machine holds,
    which is CUDA's current one meanwhile: clocks, random numbers and pinned memory are the current one's unless told otherwise.
    CeterisError where this machine is of another kind.

    Where Ray or CUDA_VISIBLE_DEVICES shows a process some GPUs, it chooses among these. Waits until one is free; what a process held is
    free when the process ends, however it ends. In a gang it is the one that the process was given (CUDA's current one).
    """
    if kind.startswith("cpu"):
        if kind not in ("cpu", here := kind_of("cpu")):
            raise CeterisError(f"these scores are for {kind}, and this machine is {here}", fix="train on machines of one kind")
        yield "cpu"
        return
    if Gang.here().size > 1:
        yield f"cuda:{torch.cuda.current_device()}"
        return
    with _free(kind) as device, torch.cuda.device(device):
        yield device


@contextmanager
def _free(kind: str) -> Iterator[str]:
    """A GPU of this kind that no other training holds."""
    seen = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    numbers = [number for number in range(torch.cuda.device_count()) if kind_of(f"cuda:{number}") == kind]
    with held([seen[number] if seen else str(number) for number in numbers], Path(tempfile.gettempdir())) as place:
        yield f"cuda:{numbers[place]}"


@contextmanager
def devices_of(kind: str, count: int) -> Iterator[list[str]]:
    """So many of them for the processes of one training; none where processors train. CeterisError where this machine has fewer.

    One gang collects at a time, since two that each hold a part of what is there would wait for each other.
    """
    if kind.startswith("cpu"):
        yield []
        return
    here = sum(kind_of(f"cuda:{number}") == kind for number in range(torch.cuda.device_count()))
    if here < count:
        raise CeterisError(f"{count} processes want a GPU each, and {here} are here", fix="start as many, or join a cluster: --ray ADDRESS")
    with contextlib.ExitStack() as devices:
        with held(["gang"], Path(tempfile.gettempdir())):
            found = [devices.enter_context(_free(kind)) for _ in range(count)]
        yield found


@contextmanager
def held(names: Sequence[str], folder: Path) -> Iterator[int]:
    """The place in `names` of one that no other process holds, locked by a file in `folder` while inside."""
    if not names:
        raise CeterisError("no device of the kind that these scores are for is here", fix="train where there is one")
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((folder / f"ceteris-{os.getuid()}-gpu-{name.replace('/', '_')}.lock").open("w")) for name in names]
        while (place := next((place for place, file in enumerate(files) if _locked(file)), None)) is None:
            time.sleep(0.2)
        yield place


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
