from pathlib import Path

import pytest
import torch

from curate.errors import CeterisError, RecipeError
from filters._torch import device_kind, placed, steady


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_everything_is_for_the_processor_and_cuda_is_refused() -> None:
    assert device_kind("auto") == device_kind("cpu") == ""
    assert placed("cpu-x86_64-AVX2").type == "cpu"
    with pytest.raises(RecipeError, match="torch sees no GPU here"):
        device_kind("cuda")
    with pytest.raises(CeterisError, match=r"the plan is for cuda-9.0; this worker has no GPU"):
        placed(device_kind("cuda-9.0"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_with_a_gpu_its_kind_is_told_and_another_is_refused() -> None:
    kind = device_kind("auto")
    assert kind == device_kind("cuda") == "cuda-{}.{}".format(*torch.cuda.get_device_capability())
    assert device_kind("cpu") == ""
    assert placed(kind).type == "cuda"
    with pytest.raises(CeterisError, match=r"the plan is for cuda-1.0; this worker has cuda-"):
        placed("cuda-1.0")


def test_other_devices_are_unknown() -> None:
    with pytest.raises(RecipeError, match="there is no device tpu"):
        device_kind("tpu")


def test_planning_imports_no_torch_where_no_driver_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda _, __: iter(()))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert device_kind("auto") == ""


def test_what_was_set_is_found_again_also_after_an_error() -> None:
    before = torch.get_num_threads(), torch.utils.deterministic.fill_uninitialized_memory
    with steady():
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 1
    with pytest.raises(KeyError, match="x"), steady():
        raise KeyError("x")
    assert (torch.get_num_threads(), torch.utils.deterministic.fill_uninitialized_memory) == before
    assert not torch.are_deterministic_algorithms_enabled()
