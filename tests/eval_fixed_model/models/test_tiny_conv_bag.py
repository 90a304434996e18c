import math

import pytest
import torch

from eval_fixed_model.models.judges import build
from eval_fixed_model.models.tiny_conv_bag import TinyConvBag
from eval_fixed_model.scale import load_scale

SCALE = load_scale("tiny-image-text")


@pytest.fixture(scope="module")
def network() -> TinyConvBag:
    return build(SCALE, 0).eval()


def test_the_judge_is_as_small_as_the_scale_says(network: TinyConvBag) -> None:
    assert 740_000 < sum(p.numel() for p in network.parameters()) < 755_000


def test_it_speaks_open_clips_interface(network: TinyConvBag) -> None:
    images, texts = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8), torch.randint(1, 4096, (7, 16))
    image, text = network.encode_image(images, normalize=True), network.encode_text(texts, normalize=True)
    assert image.shape == (5, 128)
    assert text.shape == (7, 128)
    assert torch.allclose(image.norm(dim=1), torch.ones(5))
    assert torch.allclose(text.norm(dim=1), torch.ones(7))
    assert float(network.logit_scale.exp().detach()) == pytest.approx(10)


def test_the_text_is_a_bag_of_the_words_that_are_there(network: TinyConvBag) -> None:
    words = torch.tensor([[5, 9, 0, 0], [9, 5, 0, 0], [5, 9, 5, 9], [5, 9, 9, 0]])
    one, swapped, twice, more = network.encode_text(words)
    assert torch.allclose(one, swapped, atol=1e-6)
    assert torch.allclose(one, twice, atol=1e-6)
    assert not torch.allclose(one, more, atol=1e-3)


def test_no_words_have_finite_features(network: TinyConvBag) -> None:
    assert network.encode_text(torch.zeros(2, 16, dtype=torch.int64), normalize=True).isfinite().all()


def test_weights_follow_the_seed_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, same, other = (build(SCALE, seed).stem.weight for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_temperature_stays_in_its_bounds() -> None:
    network = build(SCALE, 0)
    for value, bound in ((9.0, math.log(100)), (-3.0, 0.0)):
        torch.nn.init.constant_(network.logit_scale, value)
        network.clamp()
        assert float(network.logit_scale.detach()) == pytest.approx(bound)
