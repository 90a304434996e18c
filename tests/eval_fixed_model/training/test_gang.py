from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from curate.errors import CeterisError
from eval_fixed_model.training.gang import Gang, together
from tests.eval_fixed_model.trainings import Asked, of_a_gang


def test_a_batch_is_shared_without_rest() -> None:
    assert [Gang(rank, 3).share(12) for rank in range(3)] == [slice(0, 4), slice(4, 8), slice(8, 12)]
    with pytest.raises(CeterisError, match="a batch of 12 cannot be shared by 5 processes"):
        Gang(0, 5).share(12)


def test_a_function_runs_in_every_process(tmp_path: Path) -> None:
    assert together(Gang(0, 2).share, 12, 2, tmp_path) == slice(0, 6)
    with pytest.raises(CeterisError, match="a batch of 3 cannot be shared by 2 processes"):
        together(Gang(0, 2).share, 3, 1, tmp_path)
    assert list(tmp_path.iterdir()) == []


def agree(alone: dict[str, Any], gang: dict[str, Any]) -> None:
    for name in ("pairs", "documents"):
        assert gang[f"loss of {name}"] == pytest.approx(alone[f"loss of {name}"], rel=1e-12)
        for key, gradient in alone[f"gradients of {name}"].items():
            assert float((gang[f"gradients of {name}"][key] - gradient).norm()) <= 1e-9 * float(gradient.norm()), key
        (one, weights), (other, others) = alone[f"training on {name}"], gang[f"training on {name}"]
        assert other["loss"] == pytest.approx(one["loss"], abs=1e-4)
        assert one["loss"][-1] < one["loss"][0] - 0.1
        assert (one["processes"], other["processes"]) == (1, 2)
        assert all(np.allclose(others[key], value, atol=1e-3) for key, value in weights.items())


def test_two_processes_train_what_one_does(ten_steps: Asked, ended_and_joined: Path) -> None:
    agree(of_a_gang(ten_steps), torch.load(ended_and_joined / "found.pt", weights_only=False))
