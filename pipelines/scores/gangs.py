"""How trainings are shared: each by one process, many at a time; or by several processes that compute parts of its batches."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing.spawn import ProcessExitedException

from curate.errors import CeterisError
from curate.executor import ATTEMPTS, Crashed, Executor, Ray
from eval_fixed_model.cost import Device, cost_of, fit
from eval_fixed_model.scale import Scale
from eval_fixed_model.score import Job
from eval_fixed_model.training.gang import Gang, together
from eval_fixed_model.training.place import devices_of, kind_of


@dataclass(frozen=True)
class Sharing:
    """The kind of device that trains, the processes that share a batch, and the rows each of them computes at once (None: its share)."""

    device: str
    processes: int
    micro: int | None


def sharing(scale: Scale, device: str, processes: int = 1, micro: int | None = None) -> Sharing:
    """As asked; on GPUs without `micro`, as many rows at once as the estimate of memory (`cost.fit`) lets their memory hold.

    CeterisError where the processes cannot share a batch evenly, and where by the estimate a GPU does not hold one row.
    """
    share = Gang(0, processes).share(scale.batch).stop
    if micro is None and device.startswith("cuda"):
        micro = held(scale, processes, _smallest(device))
    return Sharing(device, processes, micro if micro and micro < share else None)


def _smallest(kind: str) -> Device:
    """Of the GPUs of a kind that are here, by memory."""
    numbers = [number for number in range(torch.cuda.device_count()) if kind_of(f"cuda:{number}") == kind]
    least = min((torch.cuda.get_device_properties(number) for number in numbers), key=lambda one: one.total_memory)
    return Device(least.name, least.total_memory, None, 1)


def held(scale: Scale, processes: int, device: Device) -> int:
    """The most rows of its share of a batch that each process computes at once on such a device. CeterisError where it holds not one."""
    laid = fit(cost_of(scale), replace(device, here=processes))
    if laid.examples is None:
        what = f"by the estimate a training needs {laid.needed / 1e9:,.1f} GB of {device.name}, which has {device.memory / 1e9:,.1f}"
        raise CeterisError(what, where=f"scale {scale.name}", fix="more --processes; or --micro 1, if you doubt the estimate")
    return laid.examples


def results(train: Callable[[Job], Any], jobs: Sequence[Job], executor: Executor) -> Iterator[tuple[int, Any]]:
    """(index, what `train` makes of it, or Crashed), as they finish. A training of several processes has the machine for itself, or those
    that Ray Train finds for it; begun again where one of them was killed."""
    if not any(job.processes > 1 for job in jobs):
        yield from executor.map(train, jobs)
        return
    for index, job in enumerate(jobs):
        yield index, _by_gang(train, job, executor)


def _by_gang(train: Callable[[Job], Any], job: Job, executor: Executor) -> Any:
    job.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=job.out.parent, prefix=".gang-") as folder:
        if isinstance(executor, Ray):
            return executor.together(train, job, job.processes, Path(folder), job.gpu)
        with devices_of(job.device, job.processes) as devices:
            for _ in range(ATTEMPTS):
                try:
                    return together(train, job, job.processes, Path(folder), devices)
                except ProcessExitedException as error:
                    detail = str(error)
    return Crashed(ATTEMPTS, detail)
