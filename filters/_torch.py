"""torch, imported late, on one thread and with deterministic kernels only; and the device it works on."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import CeterisError, RecipeError

if TYPE_CHECKING:
    import torch


@contextmanager
def steady(strict: bool = True) -> Iterator[None]:
    """Within it torch uses one thread, so that sums have one order, and deterministic kernels: it refuses others, or, where not `strict`,
    warns of them (on a GPU it has none for sums of whole numbers, which have one answer in any order).

    The settings found are restored: they belong to the process, not to a filter.
    """
    import torch

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only, fill = torch.is_deterministic_algorithms_warn_only_enabled(), torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=not strict)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a pass over memory for each tensor
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def device_kind(device: str) -> str:
    """The kind of device that a signal's `device` parameter means here: "" for the processor, or `cuda-` and a compute capability.

    auto: a GPU where torch sees one; cpu; cuda: a GPU must be there; `cuda-9.0`: where this machine only plans, and workers have one.
    torch is imported only where the machine may have a GPU. Raises RecipeError.
    """
    if device.startswith("cuda-"):
        return device
    if device not in ("auto", "cpu", "cuda"):
        raise RecipeError(f"there is no device {device}", where="device", fix="auto, cpu, cuda, or cuda-MAJOR.MINOR of the workers")
    drivers = (*Path("/dev").glob("nvidia*"), *Path("/dev").glob("dxg"))
    if device == "cpu" or (device == "auto" and sys.platform == "linux" and not drivers):
        return ""
    import torch

    if torch.cuda.is_available():
        return "cuda-{}.{}".format(*torch.cuda.get_device_capability())
    if device == "cuda":
        raise RecipeError("torch sees no GPU here", where="device: cuda", fix="device: auto, or cuda-9.0 where workers have an H100")
    return ""


def placed(kind: str) -> "torch.device":
    """The device of this kind in this process. Raises CeterisError where it is not what was planned: its last bits would be others."""
    import torch

    if not kind.startswith("cuda"):
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may sum in any order, and torch refuses
    found = device_kind("auto")
    if found != kind:
        fix = "run where every worker has that GPU, or name the workers' own as `device`"
        raise CeterisError(f"the plan is for {kind}; this worker has {found or 'no GPU'}", fix=fix)
    return torch.device("cuda")
