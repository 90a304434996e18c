"""The processes of one training: which of them this one is, its share of every batch, and how they are started on one machine."""

import datetime
import os
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import ProcessException, start_processes

from curate.errors import CeterisError
from curate.threads import SHARE
from curate.threads import share as threads

PATIENCE = datetime.timedelta(minutes=30)
"""How long a process waits for the others; after that it ends with an error, and what started it starts all of them again."""


@dataclass(frozen=True)
class Gang:
    """`size` processes with a copy of the weights each, of which this is number `rank`. Every one computes its share of every batch."""

    rank: int = 0
    size: int = 1

    @staticmethod
    def here() -> "Gang":
        """The one that this process is in, by torch's default group; one of its own where there is none."""
        if dist.is_available() and dist.is_initialized():
            return Gang(dist.get_rank(), dist.get_world_size())
        return Gang()

    def share(self, batch: int) -> slice:
        """Which rows of a batch are this process's. Raises CeterisError where they cannot be shared evenly."""
        if batch % self.size:
            raise CeterisError(f"a batch of {batch} cannot be shared by {self.size} processes", fix="start as many as divide it")
        each = batch // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def mean(self, value: Tensor) -> Tensor:
        """Over all processes."""
        if self.size > 1:
            dist.all_reduce(value)
            value /= self.size
        return value

    def agree(self, value: int) -> bool:
        """Whether all of them say the same number."""
        if self.size == 1:
            return True
        said: list[Any] = [None] * self.size
        dist.all_gather_object(said, value)
        return len(set(said)) == 1


def together(function: Callable[[Any], Any], task: Any, size: int, folder: Path, devices: Sequence[str] = ()) -> Any:
    """`function(task)` in `size` fresh processes of this machine that form a gang; what the first of them returns.

    They meet at a file in `folder`, over NCCL where `devices` are GPUs (process i sees number i as its current one) and Gloo where none is
    given. What they hand back is pickled in a folder that only this user reads. When one fails the others are ended; its CeterisError is
    raised here, anything else as torch's ProcessRaisedException.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".gang-") as place:
        meet = Path(place)
        try:
            start_processes(_member, args=(function, task, size, meet, tuple(devices)), nprocs=size, start_method="spawn")  # type: ignore[no-untyped-call]
        except ProcessException:
            if (meet / "error").is_file():
                raise pickle.loads((meet / "error").read_bytes()) from None
            raise
        return pickle.loads((meet / "result").read_bytes())


@contextmanager
def joined(rank: int, size: int, meet: Path, device: str | None = None) -> Iterator[None]:
    """This process as number `rank` of `size` that meet in the folder `meet`."""
    if device is not None:
        torch.cuda.set_device(device)
    backend = "gloo" if device is None else "nccl"
    dist.init_process_group(backend, init_method=f"file://{meet / 'store'}", rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _member(rank: int, function: Callable[[Any], Any], task: Any, size: int, meet: Path, devices: tuple[str, ...]) -> None:
    os.environ[SHARE] = str(max(1, threads() // size))
    warnings.filterwarnings("ignore", r"torch\.distributed\.nn", FutureWarning)  # that open_clip's loss calls it, once a process
    try:
        with joined(rank, size, meet, devices[rank] if devices else None):
            result = function(task)
    except CeterisError as error:
        (meet / f"error-{rank}").write_bytes(pickle.dumps(error))
        (meet / f"error-{rank}").replace(meet / "error")
        raise
    if rank == 0:
        (meet / "result").write_bytes(pickle.dumps(result))
