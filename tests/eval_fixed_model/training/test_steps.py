from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from curate.errors import CeterisError
from eval_fixed_model.models.judges import build
from eval_fixed_model.records import Schedule
from eval_fixed_model.scale import load_scale
from eval_fixed_model.training.gang import Gang
from eval_fixed_model.training.images import Exact, contrastive, train
from eval_fixed_model.training.place import Place
from eval_fixed_model.training.steps import _room, fit, learning_rate, one_deterministic_thread, optimiser_of, weights_digest
from tests.eval_fixed_model.trainings import Asked, tiny_vit


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


def test_a_gpus_leniency_outlasts_a_training_within() -> None:
    """What is asked of a network after its training runs under the same rules: on a GPU, to warn where nothing deterministic is there."""
    rounded = torch.backends.cudnn.allow_tf32
    with one_deterministic_thread(Place("cuda:0")):
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        with one_deterministic_thread(Place("cuda:0")):
            pass
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.backends.cudnn.allow_tf32
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert torch.backends.cudnn.allow_tf32 == rounded


def test_memory_that_does_not_suffice_names_the_option() -> None:
    with pytest.raises(CeterisError, match="does not hold 64 rows at once: out of memory") as caught, _room(Place("cuda:1"), 64):
        raise torch.OutOfMemoryError("out of memory\nmore words")
    assert "--micro 32" in caught.value.fix


def test_visits_see_the_network_of_their_step_and_change_nothing(ten_steps: Asked) -> None:
    scale, rows = ten_steps.opened()
    seen: dict[int, str] = {}

    def visit(step: int, network: nn.Module) -> None:
        assert not network.training
        torch.rand(3)
        seen[step] = weights_digest(network)

    visits = {step: partial(visit, step) for step in (4, 8, 10)}
    visited, record = train(scale, rows, np.arange(100), 0, visits=visits)
    alone, _ = train(scale, rows, np.arange(100), 0)
    assert list(seen) == [4, 8, 10]
    assert len(set(seen.values())) == 3
    assert seen[10] == weights_digest(visited) == weights_digest(alone)
    assert record["FLOPs a sample"] > 1e5
    assert record["utilisation"] is None
    assert record["samples a second"] == pytest.approx(64 / record["step seconds"]["50%"], rel=1e-2)


def test_a_training_leaves_the_random_state_as_it_was(ten_steps: Asked) -> None:
    scale, rows = ten_steps.opened()
    before = torch.get_rng_state()
    train(scale, rows, np.arange(100), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_bfloat16_learns_nearly_the_same(ten_steps: Asked) -> None:
    scale, rows = ten_steps.opened()
    found = {}
    for precision in ("float32", "bfloat16"):
        held, network = scale.model_copy(update={"precision": precision}), tiny_vit()
        feed = Exact(scale, rows, np.arange(100), 0)
        found[precision] = fit(held, network, feed, contrastive(Gang()), 0, place=Place(micro=20))["loss"]
        assert {one.dtype for one in network.parameters()} == {torch.float32}
    assert found["bfloat16"] != found["float32"]
    assert found["bfloat16"] == pytest.approx(found["float32"], abs=0.05)


def test_weights_that_are_no_numbers_stop_the_training(ten_steps: Asked) -> None:
    scale, rows = ten_steps.opened()
    steep = scale.model_copy(update={"optimiser": scale.optimiser.model_copy(update={"learning_rate": 1e38, "weight_decay": 1e3})})
    with pytest.raises(CeterisError, match="training diverged at seed 0"):
        fit(steep, tiny_vit(), Exact(scale, rows, np.arange(100), 0), contrastive(Gang()), 0)
