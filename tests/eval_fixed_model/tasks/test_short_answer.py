import math

import pytest

from eval_fixed_model.tasks.short_answer import same_answer, short_answer


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("17", "17"),
        (" $1,017.50 ", "1017.5"),
        ("17%", "17"),
        ("1000", "1,000"),
        ("$1,000", "1000"),
        ("3,4,5", "3, 4, 5"),
        ("red; Blue", "Red;blue"),
        ("100, 200", "100,200"),
        ("$5, 6%", "5, 6"),
        ("Saint  Petersburg.", "saint petersburg"),
        ("sea-gull", "seagull"),
        ("e.g.", "eg"),
        ("inf", "inf"),
    ],
)
def test_answers_that_are_the_same(given: str, right: str) -> None:
    assert same_answer(given, right)


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("seventeen", "17"),
        ("17.01", "17"),
        ("1 000", "1000"),
        ("4, 3", "3, 4"),
        ("3, 4", "3, 4, 5"),
        ("a.b, c", "ab, c"),
        ("infinity", "inf"),
        ("some words", "inf"),
        ("1_7", "17"),
        ("12", "1, 2"),
        ("", "17"),
    ],
)
def test_answers_that_are_not(given: str, right: str) -> None:
    assert not same_answer(given, right)


def test_what_is_said_up_to_the_lines_end_is_compared(parrot, items) -> None:
    asked = items("short_answer", text=["Q", "Q"], choices=[["Seven", "7"], ["nine"]], group=["1", "2"], prompt=["{text}:"] * 2)
    answers = short_answer(parrot(": 7\nx"), asked, 10)
    assert answers["rank"].to_list() == [1, 2]
    assert answers["answer"].to_list() == [0, -1]
    assert answers["sure"].to_list() == pytest.approx([1, 1], abs=0.01)
    assert answers["group"].to_list() == ["1", "2"]
    assert answers["nats"][0] < -20 + math.log(1)  # what is right is `Seven` first, which is not what it would say
    assert short_answer(parrot(": 7\nx"), asked, 1)["rank"].to_list() == [2, 2]  # a space is all that it has time for
