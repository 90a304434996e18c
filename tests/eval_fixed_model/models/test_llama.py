from pathlib import Path

import numpy as np
import pytest
import torch

from curate.errors import CeterisError
from eval_fixed_model.cost import cost_of
from eval_fixed_model.models.decoders import build
from eval_fixed_model.models.llama import save
from eval_fixed_model.rows.tokens import ByteTokenizer, tokenizer_file, tokenizer_of
from eval_fixed_model.training.meter import flops_a_row
from eval_fixed_model.training.steps import weights_digest
from eval_fixed_model.training.texts import next_token
from tests.eval_fixed_model.texts import file_scale, sentences, small_scale

transformers = pytest.importorskip("transformers")
TOKENS = torch.arange(64).view(2, 32)
LLAMA = {"name": "llama", "width": 32, "inner": 64, "layers": 2, "heads": 2, "key_value_heads": 2, "tied": True}
TEXTS = ["plain", " two  spaces\r\n\ttab ", "naïve ﬁ 日本語 кириллица 🙂 e\u0301 \x00\x7f\xa0\xad", *sentences(20)]


def test_a_saved_folder_loads_elsewhere_as_it_was(tmp_path: Path) -> None:
    scale = file_scale(tmp_path)
    network = build(scale, 0).eval()
    save(network, tmp_path / "out", tokenizer_of(scale).separator, tokenizer_file(scale))
    there = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", local_files_only=True).eval()
    with torch.inference_mode():
        assert torch.equal(there(input_ids=TOKENS).logits, network(TOKENS))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    ours = tokenizer_of(scale)
    for text in TEXTS:
        numbers = tokenizer.encode(text, add_special_tokens=False)
        if len(text) < 20:  # the file that was brought cuts what is longer
            assert numbers[:5] == ours.encode([text]).numbers.tolist()[:5]
    assert tokenizer.eos_token_id == tokenizer.bos_token_id == there.config.eos_token_id == ours.separator


def test_a_model_of_bytes_brings_a_tokenizer_of_bytes(tmp_path: Path) -> None:
    scale = small_scale(model=LLAMA)
    network = build(scale, 0)
    save(network, tmp_path, ByteTokenizer.separator)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    every = "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x11000)]))
    for text in [*TEXTS, every]:
        numbers = tokenizer.encode(text)
        assert numbers == ByteTokenizer().encode([text]).numbers.tolist()
        assert tokenizer.decode(numbers) == text
    assert tokenizer.eos_token_id == 256
    assert len(tokenizer) == scale.tokens.vocabulary


def test_tied_weights_are_one_and_come_back(tmp_path: Path) -> None:
    network = build(small_scale(model=LLAMA), 0)
    assert network.decoder.lm_head.weight is network.decoder.model.embed_tokens.weight
    save(network, tmp_path, ByteTokenizer.separator)
    there = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    assert weights_digest(there) == weights_digest(network.decoder)


def test_what_is_added_to_the_stream_starts_smaller_the_deeper_the_network() -> None:
    wide = {**LLAMA, "width": 128, "inner": 256, "layers": 8, "tied": False}
    weights = dict(build(small_scale(model=wide), 0).decoder.named_parameters())
    for name, deviation in (("self_attn.o_proj", 0.005), ("mlp.down_proj", 0.005), ("self_attn.q_proj", 0.02), ("mlp.gate_proj", 0.02)):
        assert float(weights[f"model.layers.3.{name}.weight"].detach().std()) == pytest.approx(deviation, rel=0.05)
    assert float(weights["lm_head.weight"].detach().std()) == pytest.approx(0.02, rel=0.05)


def test_seeds_decide_the_weights() -> None:
    scale = small_scale(model=LLAMA)
    digests = [weights_digest(build(scale, seed)) for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_no_token_sees_what_comes_after_it() -> None:
    network = build(small_scale(model=LLAMA), 0).eval()
    other = TOKENS.clone()
    other[:, 20] += 1
    with torch.inference_mode():
        one, two = network(TOKENS), network(other)
    assert np.allclose(one[:, :20], two[:, :20], atol=1e-6)
    assert not torch.allclose(one[:, 20], two[:, 20], atol=1e-4)


def test_without_transformers_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(CeterisError, match=r"pip install 'ceteris\[text\]'"):
        build(small_scale(model=LLAMA), 0)


def test_a_trainings_record_has_the_flops_that_the_formula_says() -> None:
    scale = small_scale(model={**LLAMA, "tied": False, "key_value_heads": 1})
    assert flops_a_row(build(scale, 0).train(), (torch.zeros(4, 33, dtype=torch.int64),), next_token(0.0)) == 3 * cost_of(scale).forward
