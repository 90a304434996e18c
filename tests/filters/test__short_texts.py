from typing import Any

import numpy as np
import open_clip as library
import pytest
import torch

from filters._matcher import whole
from filters._short_texts import texts_of

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
TEXTS = ["", "a red fox", "word " * 14, "word " * 15, "word " * 30, "word " * 31, "word " * 300]


def _model(custom: bool = False, **text: Any) -> Any:
    torch.manual_seed(0)
    made = (library.CustomTextCLIP if custom else library.CLIP)(embed_dim=24, vision_cfg=VISION, text_cfg={**TEXT, **text})
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize("custom", [False, True])
@pytest.mark.parametrize("pool", [{}, {"pool_type": "eos", "eos_id": 49407}])
def test_short_texts_have_the_features_of_the_whole_context(custom: bool, pool: dict[str, Any]) -> None:
    model = _model(custom, **pool)
    lengths, encode = texts_of(model)
    tokens = library.SimpleTokenizer()(TEXTS)
    found = lengths(tokens)
    assert found.tolist() == [16, 16, 16, 32, 32, 77, 77]
    before = {name: tensor.clone() for name, tensor in [*model.named_parameters(), *model.named_buffers()]}
    with torch.inference_mode():
        expected = model.encode_text(tokens, normalize=True)
        short = torch.cat([encode(row[None, :length]) for row, length in zip(tokens, found.tolist(), strict=True)])
    assert torch.allclose(torch.nn.functional.normalize(short, dim=-1), expected, atol=1e-6)
    assert all(torch.equal(tensor, before[name]) for name, tensor in [*model.named_parameters(), *model.named_buffers()])


@pytest.mark.parametrize(
    "text",
    [{"no_causal_mask": True}, {"pool_type": "last"}, {"embed_cls": True}],
    ids=lambda text: next(iter(text)),
)
def test_towers_that_see_what_follows_get_the_whole_context(text: dict[str, Any]) -> None:
    model = _model(custom=True, **text)
    lengths, encode = texts_of(model)
    assert lengths is whole
    assert encode == model.encode_text
    assert np.array_equal(lengths(torch.zeros((3, 77))), [77, 77, 77])
