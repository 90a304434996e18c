"""Where tasks run: in this process, in processes beside it, or on Ray. The tasks are the same; only addresses travel."""

import math
import os
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import active_children, get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from curate.errors import CeterisError
from curate.threads import SHARE, share

ATTEMPTS = 3


@dataclass(frozen=True)
class Crashed:
    """A task whose worker died on every attempt: its input is poison. The rest of the run goes on without it."""

    attempts: int
    detail: str


class Executor(Protocol):
    """One `map` for every place. Exceptions that a task raises are bugs or user errors: raised here, never retried."""

    name: str
    workers: int

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """(index of the task, its result or Crashed), as they finish, each index once."""

    def close(self) -> None:
        """Give back what was started."""


class InProcess:
    """One after the other, here: no start-up, easy to debug."""

    name, workers = "in-process", 1

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """(index, result) in order."""
        for index, task in enumerate(tasks):
            yield index, function(task)

    def close(self) -> None:
        """Nothing was started."""


class Processes:
    """`workers` fresh processes of one thread each."""

    name = "processes"

    def __init__(self, workers: int) -> None:
        """Start nothing yet."""
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._others: list[BaseProcess] = []

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._others = active_children()
            pool = ProcessPoolExecutor(self.workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(self.workers,))
            try:
                pool.submit(os.getpid).result()
            except BrokenProcessPool as error:
                raise CeterisError(
                    "worker processes cannot start; what they said is above",
                    where=sys.argv[0],
                    fix='in a script of your own put what it does under `if __name__ == "__main__":`, or give executor=InProcess()',
                ) from error
            self._pool = pool
        return self._pool

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """(index, result or Crashed), as they finish. A dead worker breaks the pool: what was under way is tried again, one at a time.

        Where the caller stops early (an error, Ctrl-C), what is under way is ended at once.
        """
        finished = False
        try:
            yield from self._map(function, tasks)
            finished = True
        finally:
            if not finished:
                for child in active_children():
                    if child not in self._others:
                        child.terminate()
                self.close()

    def _map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        waiting, suspects = list(enumerate(tasks)), list[tuple[int, Any]]()
        running: dict[Future[Any], tuple[int, Any]] = {}
        while waiting or running:
            while waiting and not suspects and len(running) < self.workers:
                index, task = waiting.pop(0)
                running[self._submitted(function, task)] = (index, task)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                index, task = running.pop(future)
                try:
                    yield index, future.result()
                except BrokenProcessPool:
                    suspects.append((index, task))
            if suspects and not running:
                self.close()
                for index, task in suspects:
                    yield index, self._alone(function, task)
                suspects = []

    def _submitted(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        try:
            return self._started().submit(function, task)
        except BrokenProcessPool:  # a worker died after its answer; what else was under way will say so itself
            self.close()
            return self._started().submit(function, task)

    def _alone(self, function: Callable[[Any], Any], task: Any) -> Any:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._started().submit(function, task).result()
            except BrokenProcessPool as error:
                detail = str(error)
                self.close()
        return Crashed(ATTEMPTS, detail)

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _whole(tasks: Sequence[Any]) -> bool:
    return any(getattr(task, "whole_gpu", False) for task in tasks)


def _member(given: dict[str, Any]) -> Any:
    """In a worker of Ray Train."""
    return given["function"](given["task"])


def _begin(workers: int) -> None:
    """In a worker: leave Ctrl-C to the driver, end when the driver is gone, and decode on no more than a share of the cores."""
    os.environ.setdefault(SHARE, str(share() // workers))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


@dataclass
class Ray:
    """Ray Core tasks, one CPU each: `local` starts a private Ray of `workers` CPUs, an address joins a cluster.

    Ray's own retries are off. A task whose worker dies, or that outlives `deadline` seconds (unless it says that it is `endless`), is
    submitted again, at most ATTEMPTS times in all; an attempt that was given up is ended and its answer ignored, so a cut-off node that
    comes back changes nothing.
    """

    address: str = "local"
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    deadline: float = 3600.0
    name: str = "ray"

    def _started(self) -> Any:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if self.address == "local" and "RAY_AUTH_TOKEN_PATH" not in os.environ:
            token = Path(tempfile.mkdtemp(prefix="ceteris-ray-")) / "token"
            token.touch(mode=0o600)
            token.write_text(os.urandom(32).hex(), encoding="ascii")
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
        import ray

        if not ray.is_initialized():
            options: dict[str, Any] = {"address": self.address, "log_to_driver": False, "logging_level": "error"}
            if self.address == "local":
                options |= {"include_dashboard": False, "num_cpus": self.workers}
            try:
                ray.init(**options)
            except (ConnectionError, ray.exceptions.RayError) as error:
                raise CeterisError(
                    f"cannot join Ray at {self.address}: {error}",
                    fix="set RAY_AUTH_MODE and RAY_AUTH_TOKEN_PATH to the cluster's on every node and here, and check the address",
                ) from error
            self.workers = int(ray.cluster_resources().get("CPU", 1))
        return ray

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """(index, result or Crashed), as they finish; at most two tasks per CPU are under way."""
        ray = self._started()
        gpus = self._gpu_each(ray, tasks)
        whole = gpus == 1 and _whole(tasks)  # a process that has begun on one GPU stays on it: of these each has a process of its own
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0, max_calls=int(whole))(function)
        deadline = math.inf if any(getattr(task, "endless", False) for task in tasks) else self.deadline
        attempts = [0] * len(tasks)
        waiting = list(range(len(tasks)))[::-1]
        running: dict[Any, tuple[int, float | None]] = {}
        died = (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.ObjectLostError,
            ray.exceptions.OutOfMemoryError,
        )
        try:
            while waiting or running:
                while waiting and len(running) < 2 * self.workers:
                    index = waiting.pop()
                    attempts[index] += 1
                    running[remote.remote(tasks[index])] = (index, None)
                lost: list[tuple[int, str]] = []
                for reference in ray.wait(list(running), num_returns=1, timeout=1.0)[0]:
                    index, _ = running.pop(reference)
                    try:
                        result = ray.get(reference)
                    except died as error:
                        lost.append((index, str(error)))
                    except ray.exceptions.RayTaskError as error:
                        raise error.cause if isinstance(error.cause, CeterisError) else error from error
                    else:
                        yield index, result
                for index, detail in [*lost, *self._overdue(ray, running, deadline)]:
                    if attempts[index] < ATTEMPTS:
                        waiting.append(index)
                    else:
                        yield index, Crashed(ATTEMPTS, detail)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def together(self, function: Callable[[Any], Any], task: Any, size: int, folder: Path, gpu: bool = False) -> Any:
        """`function(task)` in `size` processes at once, on any nodes, that Ray Train has joined for torch.distributed; what the first
        returns. Each has a CPU, or a GPU as its only one. `folder`, which all nodes share, is for what Ray Train writes. An exception in
        one ends them all and is raised here."""
        self._started()
        try:
            from ray.train import RunConfig, ScalingConfig, TrainingFailedError
            from ray.train.torch import TorchTrainer
        except ImportError as error:
            raise CeterisError(f"Ray Train is not complete: {error}", fix="pip install 'ceteris[cluster]'") from error
        trainer = TorchTrainer(
            _member,
            train_loop_config={"function": function, "task": task},
            scaling_config=ScalingConfig(num_workers=size, use_gpu=gpu),
            run_config=RunConfig(name=uuid.uuid4().hex, storage_path=str(folder)),
        )
        try:
            return trainer.fit().return_value
        except TrainingFailedError as error:
            failures = getattr(error, "worker_failures", {})
            raise next((one for one in failures.values() if isinstance(one, CeterisError)), error) from error

    def _gpu_each(self, ray: Any, tasks: Sequence[Any]) -> float:
        """The share of a GPU that each task asks for, so that as many run as there are CPUs, or a whole one where tasks say `whole_gpu`.
        Without one Ray shows a task no GPU."""
        if not any(getattr(task, "gpu", False) for task in tasks):
            return 0.0
        gpus = ray.cluster_resources().get("GPU", 0.0)
        if not gpus:
            raise CeterisError("the plan is for a GPU and Ray has none", where=self.address, fix="add GPU nodes, or set device: cpu")
        return 1.0 if _whole(tasks) else max(int(min(gpus / self.workers, 1.0) * 1000) / 1000, 0.001)

    def _overdue(self, ray: Any, running: dict[Any, tuple[int, float | None]], deadline: float) -> list[tuple[int, str]]:
        """End the tasks that outlived the deadline. Clocks start for the oldest `workers` tasks only: the others wait for a CPU."""
        now, ended = time.monotonic(), []
        for reference, (index, since) in list(running.items())[: self.workers]:
            if since is None:
                running[reference] = (index, now)
            elif now - since > deadline:
                ray.cancel(reference, force=True)
                del running[reference]
                ended.append((index, f"no answer after {deadline:g} s"))
        return ended

    def close(self) -> None:
        """Leave the cluster; end it if it is our own."""
        import ray

        ray.shutdown()
