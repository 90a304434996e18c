import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.text_length import text_length


@pytest.mark.parametrize(
    ("text", "words", "chars"),
    [
        ("two words", 2, 9),
        ("", 0, 0),
        (" \t\n", 0, 3),
        ("a\x1cb", 2, 3),
        ("a\u00a0b\u3000c", 3, 5),
        ("nul\0byte", 1, 8),
        ("日本語のテキスト", 1, 8),
        ("e\u0301", 1, 2),
        ("🙂🙂", 1, 2),
        (None, None, None),
    ],
)
def test_words_and_code_points(text: str | None, words: int | None, chars: int | None) -> None:
    assert text_length(pl.DataFrame({"text": pl.Series([text], dtype=pl.String)})).row(0) == (words, chars, None)


@given(st.text())
def test_words_are_those_of_str_split(text: str) -> None:
    assert text_length(pl.DataFrame({"text": [text]})).row(0) == (len(text.split()), len(text), None)


def test_ten_megabytes_are_counted() -> None:
    texts = ["ab " * 3_500_000, "x" * 10_000_000, "\0" * 10_000_000]
    assert text_length(pl.DataFrame({"text": texts})).rows() == [
        (3_500_000, 10_500_000, None),
        (1, 10_000_000, None),
        (1, 10_000_000, None),
    ]


def test_every_character_parts_words_as_str_split_says_and_is_one() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(characters), 200_000):
        texts = [f"a{character}b {character}" for character in characters[start : start + 200_000]]
        found = text_length(pl.DataFrame({"text": texts}))
        assert found["words"].to_list() == [len(text.split()) for text in texts]
        assert found["chars"].to_list() == [len(text) for text in texts]


def test_words_end_with_their_row_and_a_cut_batch_counts_the_same() -> None:
    rows = pl.DataFrame({"text": ["one two", "three", None, "", " ", "四\u3000五", "six "] * 9})
    whole = text_length(rows)
    assert whole["words"].to_list() == [2, 1, None, 0, 0, 2, 1] * 9
    assert text_length(rows[5:40]).equals(whole[5:40])
