import random

import numpy as np
import polars as pl
import pytest

from curate.errors import RecipeError
from filters.passage_counts import load, passage_counts

TEXTS = [
    "Home | About\nA fine story about a dog.\n\nAll rights reserved",
    "home, about!\nAnother story, of a cat.\n---\nALL RIGHTS RESERVED.",
    None,
    "",
    "A fine story about a dog.\nA fine story about a dog.\nThe end",
    "Only here",
    "All rights reserved",
]


def _frames(texts: list[str | None], size: int) -> list[pl.DataFrame]:
    return [pl.DataFrame({"text": pl.Series(texts[i : i + size], dtype=pl.String)}) for i in range(0, len(texts), size)]


def test_lines_of_two_documents_or_more_are_counted_once_in_each() -> None:
    made = passage_counts(_frames(TEXTS, 3))
    assert sorted(made.weights["counts"].tolist()) == [2, 2, 3]  # the menu, the story, the notice
    assert {name: made.card[name] for name in ("documents", "passages", "distinct", "recurring")} == {
        "documents": 6,
        "passages": 11,
        "distinct": 6,
        "recurring": 3,
    }
    assert load(made.weights, made.card).unit == "line"


def test_paragraphs_are_parted_by_lines_without_a_word() -> None:
    made = passage_counts(_frames(TEXTS, 10), unit="paragraph")
    assert made.weights["counts"].tolist() == [3]
    assert made.card["passages"] == 7


def test_the_same_rows_give_the_same_model_in_any_order_and_any_pieces() -> None:
    draw = random.Random(3)
    lines = [f"line number {n} of many" for n in range(300)]
    texts: list[str | None] = ["\n".join(draw.choices(lines, k=draw.randint(1, 20))) for _ in range(400)]
    once = passage_counts(_frames(texts, 400))
    draw.shuffle(texts)
    again = passage_counts(_frames(texts, 37))
    assert once.card == again.card
    assert all(np.array_equal(once.weights[name], again.weights[name]) for name in ("hashes", "counts", "owners"))
    assert once.card["recurring"] > 250


def test_another_unit_is_refused() -> None:
    with pytest.raises(RecipeError, match="there is no unit 'word' of text") as raised:
        passage_counts([], unit="word")
    assert raised.value.fix == "one of: line, paragraph"
