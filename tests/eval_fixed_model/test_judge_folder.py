from pathlib import Path

import pytest
import torch

from curate.errors import CeterisError
from eval_fixed_model.judge_folder import open_judge, write_judge
from eval_fixed_model.models.decoders import build
from eval_fixed_model.models.judges import build as build_pairs
from eval_fixed_model.scale import ImageTextScale, load_scale
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
    (tmp_path / "judge" / "weights.safetensors").unlink()
    with pytest.raises(CeterisError, match="not of this scale's model"):
        open_judge(tmp_path / "judge")


def test_a_judge_of_pictures_is_not_asked_texts(tmp_path: Path) -> None:
    config = {
        "embed_dim": 8,
        "vision_cfg": {"layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
        "text_cfg": {"width": 16, "heads": 2, "layers": 1},
    }
    shipped = load_scale("datacomp-debug").model_dump(mode="json")
    model = {"name": "open_clip", "architecture": "tiny", "config": config, "temperature_most": 100}
    scale = ImageTextScale.model_validate({**shipped, "model": model, "image": {**shipped["image"], "resolution": 32}})
    write_judge(build_pairs(scale, 0), scale, tmp_path / "judge")
    with pytest.raises(CeterisError, match="this judge is not of texts"):
        open_judge(tmp_path / "judge")
    with pytest.raises(CeterisError, match="no device abacus here"):
        open_judge(tmp_path / "judge", "abacus")
