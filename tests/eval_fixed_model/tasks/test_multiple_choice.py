import numpy as np
import pytest

from eval_fixed_model.tasks.multiple_choice import choice_nats, chosen, multiple_choice

CHOICES = [["of tea", "of té", "x"], ["be", "see"]]


def test_a_choice_is_as_likely_as_its_text_after_the_prompt_and_a_space(bigram, items) -> None:
    asked = items("multiple_choice", text=["a cup", "to"], choices=CHOICES, label=[0, 1], prompt=["I said: {text}", None])
    first, second = choice_nats(bigram, asked)
    pairs = [("I said: a cup", " of tea"), ("I said: a cup", " of té"), ("I said: a cup", " x")]
    assert first.tolist() == pytest.approx([float(one.nats.sum(dtype="f8")) for one in bigram.continuations(pairs)])
    assert len(second) == 2


def test_the_likeliest_is_given_by_its_sum_or_by_its_bytes(items) -> None:
    asked = items("multiple_choice", text=["a", "b"], choices=[["ab", "é", "xyzu"], ["ab", "cd", "ef"]], label=[2, 1], group=["law", "art"])
    nats = [np.array([-2.0, -1.9, -3.0]), np.array([-1.0, -3.0, -2.0])]
    answers = chosen(asked, nats, "sum")
    assert answers["answer"].to_list() == [1, 0]
    assert answers["rank"].to_list() == [3, 3]
    shares = np.exp([-2.0, -1.9, -3.0]) / np.exp([-2.0, -1.9, -3.0]).sum()
    assert answers["sure"][0] == pytest.approx(shares[1])
    assert answers["nats"][0] == pytest.approx(np.log(shares[2]))
    per_byte = chosen(asked, nats, "per byte")
    assert per_byte["answer"].to_list() == [2, 0]
    assert per_byte["rank"].to_list() == [1, 3]
    assert per_byte["sure"][0] == pytest.approx(shares[2])
    assert per_byte["group"].to_list() == ["law", "art"]
    assert per_byte["label"].to_list() == [2, 1]


def test_a_tie_is_not_right(items) -> None:
    asked = items("multiple_choice", text=["a"], choices=[["ab", "cd", "ef"]], label=[0])
    answers = chosen(asked, [np.array([-1.0, -1.0, -2.0])], "sum")
    assert (answers["rank"][0], answers["answer"][0]) == (2, 1)


def test_a_network_that_knows_the_answer_is_right(parrot, items) -> None:
    asked = items("multiple_choice", text=["a"], choices=[["cap", "cup", "cop"]], label=[1])
    answers = multiple_choice(parrot("a cup"), asked)
    assert answers["rank"].to_list() == [1]
    assert answers["sure"][0] > 0.99
