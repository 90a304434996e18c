import pytest
import torch
from torch import Tensor, nn

from curate.errors import CeterisError
from eval_fixed_model.models.judges import build
from eval_fixed_model.scale import load_scale
from eval_fixed_model.training.gang import Gang
from eval_fixed_model.training.gradients import Objective, refuse_to_split
from eval_fixed_model.training.images import contrastive
from tests.eval_fixed_model.trainings import Documents, decoder, gradients, next_token, pairs, tiny_vit


@pytest.mark.parametrize("micro", [1, 5, 11])
def test_pieces_have_the_gradients_of_the_whole_batch(micro: int) -> None:
    for network, batch, objective in (
        (tiny_vit().double(), pairs(), contrastive(Gang())),
        (decoder().double(), next(Documents(12).batches(0, slice(None))), next_token()),
    ):
        whole, expected = gradients(network, batch, objective, 12)
        loss, found = gradients(network, batch, objective, micro)
        assert float(loss) == pytest.approx(float(whole), rel=1e-12)
        assert found.keys() == expected.keys() == dict(network.named_parameters()).keys()
        for name, gradient in expected.items():
            assert float((found[name] - gradient).norm()) <= 1e-9 * float(gradient.norm()), name


def test_the_gradients_are_of_the_written_loss() -> None:
    network, (images, tokens) = tiny_vit().double(), pairs()
    image, text, scale = network(images, tokens)
    logits, own = scale * image @ text.T, torch.arange(len(images))
    loss = (nn.functional.cross_entropy(logits, own) + nn.functional.cross_entropy(logits.T, own)) / 2
    expected = torch.autograd.grad(loss, network.clip.logit_scale)[0]
    said, found = gradients(network, (images, tokens), contrastive(Gang()), 4)
    assert float(said) == pytest.approx(float(loss.detach()), rel=1e-12)
    assert float(found["clip.logit_scale"]) == pytest.approx(float(expected), rel=1e-9)


def test_both_passes_draw_alike() -> None:
    drawn: list[Tensor] = []

    class Drawing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, rows: Tensor) -> tuple[Tensor]:
            drawn.append(torch.rand(len(rows)))
            return (rows * self.weight * drawn[-1][:, None],)

    objective = Objective(lambda network, rows: network(rows), lambda rows: rows.square().sum())
    gradients(Drawing(), (torch.ones(6, 3),), objective, 2)
    first, second = drawn[:3], drawn[3:]
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1])


def test_batch_statistics_cannot_be_split() -> None:
    network = build(load_scale("tiny-image-text"), 0)
    refuse_to_split(network, 1, Gang())
    for pieces, gang in ((2, Gang()), (1, Gang(0, 2))):
        with pytest.raises(CeterisError, match=r"statistics over the whole batch \(stem_norm\)"):
            refuse_to_split(network, pieces, gang)
    refuse_to_split(tiny_vit(), 4, Gang(0, 2))
