from pathlib import Path

import pytest
import torch

from curate.errors import CeterisError
from eval_fixed_model.judge_folder import open_judge, write_judge
from eval_fixed_model.models.decoders import build
from eval_fixed_model.text import language_model
from tests.eval_fixed_model.texts import small_scale

LLAMA = {"name": "llama", "width": 16, "inner": 32, "layers": 1, "heads": 2, "key_value_heads": 1, "tied": False}
TEXT = "the cat sat on the mat, größer"


@pytest.mark.parametrize("model", ["byte_ngrams", "llama"])
def test_a_judge_that_was_written_says_the_same(model: str, tmp_path: Path) -> None:
    scale = small_scale(model=LLAMA) if model == "llama" else small_scale()
    network = build(scale, 3).eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(0)), alpha=0.3)
    write_judge(network, scale, tmp_path / "judge")
    before, after = language_model(network, scale), open_judge(tmp_path / "judge")
    assert (after.context, after.vocabulary, after.cached) == (32, 257, model == "llama")
    assert (tmp_path / "judge" / "config.json").exists() == (model == "llama")
    assert after.text(TEXT).nats.tolist() == pytest.approx(before.text(TEXT).nats.tolist(), abs=1e-5)
    pair = [("the cat", " sat")]
    assert after.continuations(pair)[0].nats.tolist() == pytest.approx(before.continuations(pair)[0].nats.tolist(), abs=1e-5)
    assert after.greedy("the", 8, []).text == before.greedy("the", 8, []).text


def test_what_is_there_stays_and_what_is_damaged_is_refused(tmp_path: Path) -> None:
    scale = small_scale()
    network = build(scale, 0)
    write_judge(network, scale, tmp_path / "judge")
    with pytest.raises(CeterisError, match="not empty"):
        write_judge(network, scale, tmp_path / "judge")
    assert {path.name for path in tmp_path.iterdir()} == {"judge"}
    (tmp_path / "judge" / "weights.safetensors").write_bytes(b"none")
    with pytest.raises(CeterisError, match="not of this scale's model"):
        open_judge(tmp_path / "judge")
    with pytest.raises(CeterisError, match="no Hugging Face model lies here"):
        open_judge(tmp_path)
