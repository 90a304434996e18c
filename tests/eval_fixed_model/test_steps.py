from types import SimpleNamespace

import pytest
import torch

from eval_fixed_model.models.judges import build
from eval_fixed_model.records import Schedule
from eval_fixed_model.scale import load_scale
from eval_fixed_model.steps import learning_rate, one_deterministic_thread, optimiser_of


def test_only_matrices_and_kernels_decay() -> None:
    scale = load_scale("tiny-image-text")
    network = build(scale, 0)
    optimiser = optimiser_of(network, scale)
    decayed, others = optimiser.param_groups
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in others["params"]} == {0, 1}
    assert len(decayed["params"]) + len(others["params"]) == len(list(network.parameters()))
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0)
    for group in optimiser.param_groups:
        assert (group["lr"], group["betas"], group["eps"]) == (0.003, (0.9, 0.98), 1e-8)


def test_the_rate_warms_up_and_decays() -> None:
    scale = load_scale("tiny-image-text")
    rates = [learning_rate(scale, step) for step in range(scale.steps)]
    assert scale.steps == 800
    assert rates[0] == pytest.approx(0.003 / 80)
    assert max(rates) == rates[79] == rates[80] == 0.003
    assert rates[80:] == sorted(rates[80:], reverse=True)
    assert 0 < rates[-1] < 1e-7
    assert rates[440] == pytest.approx(0.0015)


def test_a_constant_rate_decays_in_the_last_share() -> None:
    schedule = Schedule(name="constant_then_decay", warmup=0.1, decay=0.25)
    scale = SimpleNamespace(schedule=schedule, steps=100, optimiser=SimpleNamespace(learning_rate=2.0))
    rates = [learning_rate(scale, step) for step in range(101)]
    assert rates[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert set(rates[10:76]) == {2.0}
    assert rates[75:] == pytest.approx([2.0 * (100 - step) / 25 for step in range(75, 101)])


def test_the_callers_threads_come_back() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with one_deterministic_thread():
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (1, True)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
