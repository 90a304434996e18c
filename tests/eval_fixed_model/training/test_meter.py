import pytest
import torch
from torch import Tensor, nn

from eval_fixed_model.training.gang import Gang
from eval_fixed_model.training.gradients import Objective
from eval_fixed_model.training.images import contrastive
from eval_fixed_model.training.meter import Meter, flops_a_row
from tests.eval_fixed_model.trainings import pairs, tiny_vit


def test_the_record_is_of_all_attempts() -> None:
    meter = Meter(False, [4.0] * 50, [0.5] * 50)
    for _ in range(50):
        meter.note(torch.tensor(2.0))
    meter.losses[99] = 3.0
    meter.seconds[:] = [0.5] * 90 + [1.0] * 10
    record = meter.record(64, 10.0, 1e4)
    assert record["loss"] == [4.0] * 5 + [2.0] * 4 + [2.1]
    assert record["step seconds"] == {"5%": 0.5, "50%": 0.5, "95%": 1.0, "99%": 1.0}
    assert record["samples a second"] == 128
    assert record["utilisation"] == pytest.approx(128 * 10 / 1e4)
    assert meter.record(64, None, 1e4)["utilisation"] is None


def test_products_count_twice_and_backward_twice_as_much() -> None:
    network = nn.Sequential(nn.Linear(10, 20, bias=False), nn.Linear(20, 5, bias=False))
    objective = Objective(lambda network, rows: (network(rows),))
    forward = 2 * (10 * 20 + 20 * 5)
    assert flops_a_row(network, (torch.ones(7, 10),), objective) == forward + 2 * forward - 2 * 10 * 20, "rows need no gradient"
    assert all(one.grad is None for one in network.parameters())


def test_a_model_that_looks_at_numbers_is_not_counted() -> None:
    class Looking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, rows: Tensor) -> Tensor:
            return rows[rows.sum(1) > 0] * self.weight

    objective = Objective(lambda network, rows: (network(rows),))
    assert flops_a_row(Looking(), (torch.ones(2, 3),), objective) is None
    images, tokens = pairs()
    assert (flops_a_row(tiny_vit(), (images.float(), tokens), contrastive(Gang())) or 0) > 1e5
