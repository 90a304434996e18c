import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from curate.errors import CeterisError
from eval_fixed_model.tasks._language_model import Bytes, HuggingFace, LanguageModel, from_folder, windows

A = ord("a")


def _by_place(tokens: Tensor) -> Tensor:
    """Logits that favour the byte `a` by its place in what is read: its log-probability tells how many tokens stood before it."""
    logits = torch.zeros(*tokens.shape, 257)
    logits[..., A] = torch.arange(1, tokens.shape[1] + 1).float()
    return logits


def _read_before(nats: np.ndarray) -> list[int]:
    """Of log-probabilities of `a`: how many tokens were read before each."""
    shares = np.exp(nats.astype(np.float64))
    return [round(math.log(256 * share / (1 - share))) for share in shares]


PLACES = LanguageModel(_by_place, Bytes(), context=4, vocabulary=257)


def test_every_token_is_predicted_once_by_windows_side_by_side() -> None:
    found = [(list(read), list(predicted)) for read, predicted in windows(range(11), 1, 4)]
    assert found == [([0, 1, 2, 3], [1, 2, 3, 4]), ([4, 5, 6, 7], [5, 6, 7, 8]), ([6, 7, 8, 9], [9, 10])]
    assert [(list(read), list(predicted)) for read, predicted in windows(range(4), 1, 8)] == [([0, 1, 2], [1, 2, 3])]
    assert [(list(read), list(predicted)) for read, predicted in windows(range(9), 7, 4)] == [([4, 5, 6, 7], [7, 8])]
    assert not [*windows([256], 1, 4)]


def test_a_long_text_is_read_in_windows_and_a_long_prompt_loses_its_beginning() -> None:
    assert _read_before(PLACES.text("a" * 10).nats) == [1, 2, 3, 4, 1, 2, 3, 4, 3, 4]
    assert _read_before(PLACES.text("aa").nats) == [1, 2]
    long, short, longer = PLACES.continuations([("b" * 9, "aa"), ("b", "a"), ("b" * 9, "a" * 6)])
    assert [_read_before(one.nats) for one in (long, short, longer)] == [[3, 4], [1], [1, 2, 3, 4, 3, 4]]
    assert PLACES.text("").nats.shape == (0,)


def test_log_probabilities_are_the_networks_whatever_is_asked_beside(bigram: LanguageModel) -> None:
    table = torch.log_softmax(bigram.network(torch.arange(257)), -1)
    text = "größer"
    path = [256, *text.encode()]
    expected = [float(table[one, then]) for one, then in pairwise(path)]
    alone = bigram.text(text).nats
    assert alone.dtype == np.float32
    assert alone.tolist() == pytest.approx(expected, abs=1e-6)
    for found, asked in zip(bigram.texts(["x" * 50, text, "", "yz"]), ("x" * 50, text, "", "yz"), strict=True):
        assert found.nats.tolist() == pytest.approx(bigram.text(asked).nats.tolist(), abs=1e-6)


def test_spaces_at_a_prompts_end_belong_to_what_continues_it(bigram: LanguageModel) -> None:
    spaced, plain, nothing, blank = bigram.continuations([("ab ", "cd"), ("ab", " cd"), ("", "cd"), (" ", "cd")])
    assert spaced.nats.tolist() == plain.nats.tolist()
    assert len(plain.nats) == 3
    assert nothing.nats.tolist() == bigram.text("cd").nats.tolist()
    assert blank.nats.tolist() == bigram.text(" cd").nats.tolist()
    with pytest.raises(CeterisError, match="empty continuation"):
        bigram.continuations([("ab", "")])


def test_what_the_likeliest_tokens_say_is_greedy_and_ends(parrot) -> None:
    model = parrot("a_cup of")
    said = model.greedy("a", 20, [])
    assert said.text == "_cup of"
    assert math.exp(said.nats) > 0.99
    assert model.greedy("a", 4, []).text == "_cup"
    assert model.greedy("a", 20, ["up", "f"]).text == "_c"
    likely, unlikely = model.continuations([("a", "_cup"), ("a", "_cap")])
    assert (likely.greedy, unlikely.greedy) == (True, False)
    with pytest.raises(CeterisError, match="leave no room"):
        PLACES.greedy("a", 4, [])


def test_a_folder_of_transformers_says_what_its_network_says(llama_folder) -> None:
    model = from_folder(llama_folder())
    assert (model.context, model.vocabulary, model.tokenizer.opening, model.tokenizer.prefix) == (64, 400, (), 0)
    tokens = [0, *model.tokenizer.encode("the cat sat on the mat")]
    with torch.inference_mode():
        table = torch.log_softmax(model.network(torch.tensor([tokens])).logits[0], -1)
    expected = [float(table[place, token]) for place, token in enumerate(tokens[1:])]
    assert model.text("the cat sat on the mat").nats.tolist() == pytest.approx(expected, abs=1e-5)
    assert model.tokenizer.decode(model.tokenizer.encode("größer 漢字")) == "größer 漢字"


def test_kept_keys_and_values_change_no_answer(llama_folder) -> None:
    model = from_folder(llama_folder())
    anew = LanguageModel(model.network, model.tokenizer, model.context, model.vocabulary)
    one, other = (each.greedy("the dog " * 30, 12, ["never said"]) for each in (model, anew))
    assert one.text == other.text
    assert one.nats == pytest.approx(other.nats, abs=1e-3)


def test_endings_of_one_prompt_are_as_likely_together_as_alone(llama_folder) -> None:
    model = from_folder(llama_folder())
    long, longest = "the dog sat on it " * 5, "the dog sat on it " * 12
    assert len(model.tokenizer.encode(long)) + 8 < model.context < len(model.tokenizer.encode(longest))
    pairs = [(prompt, ending) for ending in (" and", " a hat", " Größe of hats", " dogs") for prompt in (long, "the", longest, "x " + long)]
    for pair, together in zip(pairs, model.continuations(pairs), strict=True):
        alone = model.continuations([pair])[0]
        assert together.nats.tolist() == pytest.approx(alone.nats.tolist(), abs=1e-4)
        assert together.greedy == alone.greedy


def test_a_tokenizers_own_opening_stands_before_prompts_not_in_texts(llama_folder) -> None:
    model, plain = from_folder(llama_folder(opening=True)), from_folder(llama_folder())
    assert model.tokenizer.opening == (0,)
    assert model.text("the hat").nats.tolist() == plain.text("the hat").nats.tolist()
    opened, whole = model.continuations([("the", " hat")])[0], model.text("the hat")
    assert opened.nats.tolist() == pytest.approx(whole.nats[-len(opened.nats) :].tolist(), abs=1e-5)
    assert opened.nats.tolist() != pytest.approx(plain.continuations([("the", " hat")])[0].nats.tolist(), abs=1e-3)


def test_what_cannot_be_asked_is_refused(tmp_path: Path, llama_folder) -> None:
    with pytest.raises(CeterisError, match="no Hugging Face model lies here"):
        from_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CeterisError, match="cannot be read"):
        from_folder(tmp_path)

    class Mute:
        bos_token_id = eos_token_id = None

    with pytest.raises(CeterisError, match="no token for where a text begins"):
        HuggingFace(Mute())
