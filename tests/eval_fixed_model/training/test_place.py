import fcntl
from pathlib import Path

import pytest
import torch

from curate.errors import CeterisError
from eval_fixed_model.training.gang import Gang
from eval_fixed_model.training.place import Place, device_of, held, kind_of, peak_of


def test_a_device_is_held_by_one_training_at_a_time(tmp_path: Path) -> None:
    with held(["0", "1"], tmp_path) as first, held(["0", "1"], tmp_path) as second:
        assert [first, second] == [0, 1]
        for path in tmp_path.iterdir():
            with path.open() as file, pytest.raises(BlockingIOError, match="temporarily unavailable"):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with held(["0", "1"], tmp_path) as again:
        assert again == 0
    with pytest.raises(ValueError, match="the training's own"), held(["0"], tmp_path):
        raise ValueError("the training's own")
    with held(["0"], tmp_path) as free:
        assert free == 0


def test_a_kind_that_is_not_here_is_refused() -> None:
    with device_of(kind_of("cpu")) as device:
        assert device == "cpu"
    with pytest.raises(CeterisError, match="no device of the kind"), device_of("cuda-0.1"):
        pass


def test_peaks_are_known_by_name() -> None:
    assert peak_of("NVIDIA A100-SXM4-80GB") == 312e12
    assert peak_of("NVIDIA H100 PCIe") == 756e12
    assert peak_of("NVIDIA H100 80GB HBM3") == 989.5e12
    assert peak_of("NVIDIA A10G") == 70e12
    assert peak_of("NVIDIA L40S") == 362e12
    assert peak_of("Some GPU") is None
    assert Place().peak("bfloat16") is None


def test_bfloat16_is_for_products_only() -> None:
    a = torch.ones(2, 2)
    with Place().numeric("bfloat16"):
        assert (a @ a).dtype == torch.bfloat16
        assert torch.nn.functional.cross_entropy(a @ a, torch.zeros(2, dtype=torch.int64)).dtype == torch.float32
    with Place().numeric("float32"):
        assert (a @ a).dtype == torch.float32


def test_what_a_training_held_is_told() -> None:
    facts = Place().facts()
    assert facts["device"] == kind_of("cpu")
    assert 50 < facts["peak MiB"] < 100_000


def test_a_processor_compiles_nothing() -> None:
    with pytest.raises(CeterisError, match="not compiled for a processor"):
        Place(compiled=True).wrapped(torch.nn.Linear(2, 2), Gang())


def test_a_processor_of_another_kind_trains_nothing() -> None:
    with device_of(kind_of("cpu")) as device:
        assert device == "cpu"
    with pytest.raises(CeterisError, match="these scores are for cpu-OTHER, and this machine is cpu-"), device_of("cpu-OTHER"):
        pass
