import re

import pytest
import torch

from eval_fixed_model.models.byte_ngrams import ByteNgramModel
from eval_fixed_model.models.decoders import build
from eval_fixed_model.records import ByteNgrams
from eval_fixed_model.scale import TextScale, load_scale
from tests.eval_fixed_model.texts import sentences, small_scale

TEXT = "The cat's hat, the CAT sat. Naïve 日本 cats; the catalogue of the cat "


def _model(**changes: object) -> ByteNgramModel:
    scale = small_scale(model__rows=1 << 20, model__width=2, model__inner=2, tokens__context=128, tokens_seen=20 * 4 * 128)
    return ByteNgramModel(scale.model.model_copy(update=changes), scale.tokens)


def _numbers(text: str) -> torch.Tensor:
    return torch.tensor([list(text.encode())])


def test_the_shipped_judge_is_of_the_size_it_is_said_to_be() -> None:
    scale = load_scale("tiny-text")
    assert isinstance(scale, TextScale)
    assert isinstance(scale.model, ByteNgrams)
    network = build(scale, 0)
    tables = network.table.weight.numel()
    assert tables == scale.model.rows * scale.model.width
    assert sum(p.numel() for p in network.parameters()) - tables < 100_000


def test_no_token_sees_what_comes_after_it() -> None:
    network = build(small_scale(tokens__context=64, tokens_seen=20 * 4 * 64), 0).eval()
    for p in network.parameters():  # what adds nothing at first is to add something
        torch.nn.init.normal_(p, std=0.3)
    tokens = _numbers(TEXT)[:, :64]
    with torch.inference_mode():
        whole = network(tokens)
        for place in range(1, 64):
            other = tokens.clone()
            other[0, place] = (other[0, place] + 3) % 256
            changed = network(other)
            assert torch.allclose(changed[0, :place], whole[0, :place], atol=1e-5)
            assert not torch.allclose(changed[0, place], whole[0, place], atol=1e-3)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_equal_ngrams_have_equal_places_and_others_have_others(order: int) -> None:
    text = " ".join(sentences(4)).encode()[:128]
    places = _model(orders=(order,), words=0).places(_numbers(text.decode()))[0, :, 0].tolist()
    padded = [None] * (order - 1) + list(text)
    grams = [tuple(padded[end : end + order]) for end in range(len(text))]
    assert len(set(zip(grams, places, strict=True))) == len(set(grams)) == len(set(places))


@pytest.mark.parametrize("words", [1, 2])
def test_words_have_places_by_their_letters_and_what_is_before_them(words: int) -> None:
    data = TEXT.encode()
    places = _model(orders=(), words=words).places(_numbers(TEXT))[0, :, -1].tolist()
    keys = []
    for end in range(1, len(data) + 1):
        before, byte, word = re.fullmatch(rb"(.*?)([^a-zA-Z\x80-\xff]?)([a-zA-Z\x80-\xff]*)", data[:end], re.DOTALL).groups()
        last = re.search(rb"[a-zA-Z\x80-\xff]*$", before)[0].lower() if words == 2 else b""
        keys.append((byte, word.lower(), last))
    assert len(set(zip(keys, places, strict=True))) == len(set(keys)) == len(set(places))
    assert len(set(keys)) < len(keys)


def test_features_share_one_table_without_sharing_places() -> None:
    places = _model(orders=(1, 2, 3), words=2).places(_numbers(TEXT))[0]
    assert places.shape[1] == 5
    assert 0 <= int(places.min()) <= int(places.max()) < 1 << 20
    for one in range(5):
        for other in range(one):
            assert not set(places[1:, one].tolist()) & set(places[1:, other].tolist())


def test_equal_seeds_give_equal_weights_and_leave_the_callers_draws() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, two, other = (build(small_scale(), seed).table.weight for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
