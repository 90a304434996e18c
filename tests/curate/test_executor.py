import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import curate
from curate.errors import CeterisError, RecipeError
from curate.executor import ATTEMPTS, Crashed, InProcess, Ray

ROOT = str(Path(curate.__file__).parents[1])
WORKERS = '''
"""What spawned workers run: importable, because it is a file."""
import os, signal, sys, threading, time
from pathlib import Path
from curate.errors import RecipeError
from curate.executor import Crashed, Processes

def task(asked):
    kind, number, folder = asked
    if kind == "poison" or (kind == "once" and not (Path(folder) / str(number)).exists()):
        (Path(folder) / str(number)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "bug":
        raise ValueError("a bug")
    if kind == "user":
        raise RecipeError("wrong", where="recipe:1:2", fix="right")
    if kind == "last":
        threading.Timer(0.05, os._exit, (0,)).start()
    return number * 10

if __name__ == "__main__":
    executor = Processes(2)
    assert list(executor.map(task, [])) == []
    kinds = ["good", "poison", "good", "once", "good"]
    found = list(executor.map(task, [(kind, n, sys.argv[1]) for n, kind in enumerate(kinds)]))
    assert sorted(index for index, _ in found) == list(range(5)), found
    for index, result in found:
        if kinds[index] == "poison":
            assert isinstance(result, Crashed) and result.attempts == 3 and result.detail, result
        else:
            assert result == index * 10, (index, result)
    for kind, error in (("bug", ValueError), ("user", RecipeError)):
        try:
            list(executor.map(task, [("good", 1, ""), (kind, 2, ""), ("good", 3, "")]))
        except error as raised:
            assert kind == "bug" or (raised.what, raised.where, raised.fix) == ("wrong", "recipe:1:2", "right")
        else:
            raise AssertionError(kind)
    for _ in range(2):  # workers that die after their answer, between one map and the next
        assert sorted(executor.map(task, [("last", n, "") for n in range(4)])) == [(n, n * 10) for n in range(4)]
        time.sleep(0.2)
    executor.close()
    executor.close()
    print("done")
'''


def test_processes_survive_whatever_their_tasks_do(tmp_path):
    (tmp_path / "workers.py").write_text(WORKERS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, tmp_path / "workers.py", tmp_path],
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("done\n"), done.stderr


def test_in_process_is_in_order_and_raises_at_the_first_bug():
    done = []

    def task(number):
        if number == 2:
            raise ValueError("a bug")
        return number * 10

    with pytest.raises(ValueError, match="a bug"):
        done.extend(InProcess().map(task, range(4)))
    assert done == [(0, 0), (1, 10)]


@pytest.mark.ray
def test_ray_gives_every_answer_once(ray_of_two):
    assert sorted(ray_of_two.map(lambda number: number * 10, list(range(20)))) == [(n, n * 10) for n in range(20)]
    assert list(ray_of_two.map(lambda number: number, [])) == []


@pytest.mark.ray
def test_ray_tries_a_killed_task_again_but_not_for_ever(ray_of_two, tmp_path):
    folder = str(tmp_path)

    def task(number):
        with open(f"{folder}/{number}", "a") as file:
            file.write("x")
        if number == 1 or (number == 2 and os.path.getsize(f"{folder}/2") == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return number * 10

    found = dict(ray_of_two.map(task, [0, 1, 2, 3]))
    assert isinstance(found.pop(1), Crashed)
    assert found == {0: 0, 2: 20, 3: 30}
    assert [os.path.getsize(tmp_path / str(n)) for n in range(4)] == [1, ATTEMPTS, 2, 1]


@pytest.mark.ray
def test_ray_raises_bugs_and_user_errors_as_they_are_at_once(ray_of_two, tmp_path):
    folder = str(tmp_path)

    def bug(number):
        with open(f"{folder}/{number}", "a") as file:
            file.write("x")
        raise ValueError("a bug")

    def wrong(number):
        raise RecipeError("wrong", where="recipe:1:2", fix="right")

    with pytest.raises(ValueError, match="a bug"):
        list(ray_of_two.map(bug, [0]))
    assert os.path.getsize(tmp_path / "0") == 1
    with pytest.raises(RecipeError, match="recipe:1:2: wrong") as raised:
        list(ray_of_two.map(wrong, [0]))
    assert raised.value.fix == "right"


@pytest.mark.ray
def test_a_task_that_outlives_the_deadline_is_tried_again_and_then_given_up(ray_of_two, tmp_path):
    folder = str(tmp_path)

    def task(number):
        with open(f"{folder}/{number}", "a") as file:
            file.write("x")
        while number == 0 or (number == 1 and os.path.getsize(f"{folder}/1") == 1):
            time.sleep(0.1)
        return number * 10

    found = dict(replace(ray_of_two, deadline=0.5).map(task, [0, 1, 2, 3, 4, 5]))
    given_up = found.pop(0)
    assert isinstance(given_up, Crashed)
    assert given_up.attempts == ATTEMPTS
    assert given_up.detail == "no answer after 0.5 s"
    assert found == {n: n * 10 for n in range(1, 6)}
    assert os.path.getsize(tmp_path / "0") == ATTEMPTS

    class Training(int):
        """It takes as long as it takes."""

        endless = True

    slow = replace(ray_of_two, deadline=0.5).map(lambda number: time.sleep(1.5) or number, [Training(7)])
    assert list(slow) == [(0, 7)]
    # Its workers are free again.
    assert sorted(ray_of_two.map(lambda number: number, [0, 1, 2])) == [(0, 0), (1, 1), (2, 2)]


def test_crashes_and_errors_cross_process_borders_whole():
    assert pickle.loads(pickle.dumps(Crashed(3, "detail"))) == Crashed(3, "detail")
    error = pickle.loads(pickle.dumps(CeterisError("what", where="where", fix="fix")))
    assert (type(error), str(error)) == (CeterisError, "where: what\n  fix: fix")


@dataclass
class OnGpu:
    """A task planned for a GPU."""

    gpu: bool = True


@pytest.mark.ray
def test_ray_without_a_gpu_says_so_instead_of_waiting_for_one(ray_of_two):
    if ray_of_two._started().cluster_resources().get("GPU"):
        pytest.skip("this Ray has a GPU")
    with pytest.raises(CeterisError, match="Ray has none") as caught:
        list(ray_of_two.map(lambda task: task, [OnGpu()]))
    assert caught.value.fix == "add GPU nodes, or set device: cpu"


class Cluster:
    """What Ray says of eight GPUs."""

    @staticmethod
    def cluster_resources() -> dict[str, float]:
        return {"CPU": 128.0, "GPU": 8.0}


def test_tasks_share_gpus_unless_each_asks_for_a_whole_one() -> None:
    class OnWholeGpu(OnGpu):
        whole_gpu = True

    executor = Ray("somewhere", 128)
    assert executor._gpu_each(Cluster, [OnGpu()]) == 0.062
    assert executor._gpu_each(Cluster, [OnWholeGpu()]) == 1
    assert executor._gpu_each(Cluster, [object()]) == 0
