"""What a training costs: counts against the networks as they are built, and how a batch lies on a device."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eval_fixed_model import cost
from eval_fixed_model.cost import Device, cost_of, fit, seconds, seconds_here
from eval_fixed_model.image_text import build
from eval_fixed_model.records import Llama
from eval_fixed_model.scale import ImageTextScale, TextScale, load_scale, of_modality
from eval_fixed_model.training.place import peak_of

GB = 10**9
WIDTH, INNER, CONTEXT, WORDS = 64, 160, 32, 300


def _decoder(layers: int, key_value_heads: int = 2) -> TextScale:
    """A published scale with a decoder of two narrow heads and few words."""
    scale = of_modality(load_scale("dclm-400m-1x"), TextScale)
    model = Llama(name="llama", width=WIDTH, inner=INNER, layers=layers, heads=2, key_value_heads=key_value_heads, tied=False)
    tokens = scale.tokens.model_copy(update={"vocabulary": WORDS, "context": CONTEXT})
    optimiser = scale.optimiser.model_copy(update={"z_loss": 0.0})
    tasks = {name: scale.tasks[name] for name in scale.headline.tasks}
    return TextScale.model_validate(
        {**scale.model_dump(), "tasks": tasks, "model": model, "tokens": tokens, "optimiser": optimiser, "tokens_seen": 512 * CONTEXT}
    )


def _device(memory: int, here: int = 1) -> Device:
    return Device("a GPU", memory, 1e15, here)


def test_the_tiny_judge_is_counted_as_it_is_built() -> None:
    scale = of_modality(load_scale("tiny-image-text"), ImageTextScale)
    network, found = build(scale, 0), cost_of(scale)
    assert found.size == sum(weights.numel() for weights in network.parameters())
    assert found.parameters["words"] == 4096 * 128
    # By hand, multiply-accumulates: 3 x 3 kernels at 16, 8 and 4 pixels, 1 x 1 ones beside them, two products into 128 dimensions.
    stem, first, second = 256 * 27 * 16, 64 * (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32), 16 * (9 * 32 * 64 + 9 * 64 * 64 + 32 * 64)
    assert found.forward == pytest.approx(2 * (stem + first + second + 64 * 16 * 128 + 128 * 128), rel=0.02)
    assert (found.training, found.macs) == (3 * found.forward * 51200, found.forward * 51200 // 2)
    assert (found.seen, found.state) == (51200, 16 * found.size)


@pytest.mark.parametrize("key_value_heads", [1, 2])
def test_a_decoders_formula_is_what_pytorch_counts(key_value_heads: int) -> None:
    """Of transformers' own network, operator by operator."""
    scale = _decoder(3, key_value_heads)
    parameters, forward, _ = cost._counted(cost._judge(scale))
    found = cost_of(scale)
    assert found.forward == forward
    assert found.size == sum(parameters.values())


def test_a_decoders_formula_saves_what_autograd_saves() -> None:
    """A layer more, so that what does not grow with layers drops out: the formula, and the mask that only processors need."""
    fewer, more = _decoder(2), _decoder(3)
    counted = cost._counted(cost._judge(more))[2] - cost._counted(cost._judge(fewer))[2]
    formula = cost_of(more).saved - cost_of(fewer).saved
    mask = 2 * CONTEXT * CONTEXT
    assert counted == pytest.approx(formula + mask, rel=0.01)


def test_what_autograd_saves_is_what_a_real_step_saves() -> None:
    """Without content and with it: the same judge on the same number of rows."""
    scale = of_modality(load_scale("tiny-image-text"), ImageTextScale)
    network, held = build(scale, 0).train(), {}
    for rows in (16, 32):
        with cost._kept() as kept:
            cost._loss(network, cost._examples(scale, rows))
            own = {weights.untyped_storage()._cdata for weights in network.parameters()}
            held[rows] = sum(tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in own)
    assert cost_of(scale).saved == pytest.approx((held[32] - held[16]) / 16, rel=0.01)


@pytest.mark.parametrize("memory", [16 * GB, 24 * GB, 80 * GB, 141 * GB])
def test_the_most_rows_that_fit(memory: int) -> None:
    found = cost_of(load_scale("dclm-400m-1x"))
    laid = fit(found, _device(memory))
    assert laid.examples is not None
    assert laid.accumulation is not None
    assert laid.examples * laid.accumulation == found.batch
    assert laid.needed == found.state + laid.examples * found.saved <= cost.ROOM * memory
    assert found.state + 2 * laid.examples * found.saved > cost.ROOM * memory
    assert not laid.again  # a decoder's loss is of each row by itself


def test_what_does_not_fit_says_how_much_it_needs() -> None:
    found = cost_of(load_scale("dclm-7b-1x"))
    laid = fit(found, _device(80 * GB, here=8))
    assert (laid.examples, laid.accumulation) == (None, None)
    assert laid.needed == found.state + found.saved > 80 * GB


def test_devices_share_a_batch_evenly() -> None:
    found = cost_of(load_scale("dclm-400m-1x"))
    assert [fit(found, _device(80 * GB, here)).devices for here in (1, 3, 8, 0)] == [1, 2, 8, 8]


def test_time_falls_with_devices_and_grows_where_features_are_made_twice() -> None:
    text = cost_of(load_scale("dclm-400m-1x"))
    one, eight = (seconds(text, _device(80 * GB, here)) for here in (1, 8))
    assert one == pytest.approx(text.training / (0.4 * 1e15))
    assert eight == pytest.approx(one / 8)
    assert seconds(text, Device("unheard of", 80 * GB, None, 1)) is None
    assert seconds(cost_of(load_scale("tiny-image-text")), _device(80 * GB)) is None


def test_this_processor_is_measured_where_that_is_quick() -> None:
    spent, real = seconds_here(load_scale("tiny-image-text"))
    assert real
    assert spent / 800 > 1e-4  # a step of 64 images through five convolutions, on whatever machine
    least, real = seconds_here(load_scale("dclm-7b-1x"))
    assert not real
    assert least > 1000 * spent


def test_every_device_of_comparison_has_a_peak() -> None:
    assert all(peak_of(name) for name in cost.REFERENCES)
    assert [device.here for device in cost.devices() if device.name in cost.REFERENCES] == [0] * sum(
        device.name in cost.REFERENCES for device in cost.devices()
    )


def test_the_callers_random_state_is_left_alone(write_scale: Callable[..., Path], tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    scale = load_scale(write_scale(tmp_path / "other.yaml", batch=32))
    assert (cost_of(scale).batch, cost_of(scale).steps) == (32, 1600)
    seconds_here(scale)
    assert torch.equal(torch.random.get_rng_state(), before)
