import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.refinedweb_text import refinedweb_text

_LINES = ("upper_case_lines", "numeric_lines", "counter_lines", "single_word_lines", "boilerplate_lines", "edited_lines")


def _of(text: str | None) -> dict[str, object]:
    return refinedweb_text(pl.DataFrame({"text": pl.Series([text], dtype=pl.String)})).row(0, named=True)


def test_a_page_by_hand() -> None:
    found = _of(
        "BUY NOW today\n"  # 6 of 13 characters: kept
        "BUY NOW ok\n"  # 6 of 10
        "2024\n"
        "3.5K Likes!\n"
        "1,204 views\n"
        "About\n"
        "\n"
        "Read more...\n"  # nothing else
        "A story begins here. Read more...\n"  # loses two of six words
        "3 items in cart\n"  # loses three of four
        "Sign-in to write an answer\n"  # loses one of five
        "This line is too long to be looked into for the words Read more...\n"
        "And this one says that you can read more later\n"
    )
    assert [found[name] for name in _LINES] == [1, 1, 2, 1, 1, 3]
    assert found["lines"] == 12
    assert found["words"] == 3 + 3 + 1 + 2 + 2 + 1 + 2 + 6 + 4 + 5 + 14 + 10
    assert found["removed_words"] == (3 + 1 + 2 + 2 + 1 + 2 + 2 + 3 + 1) / 53


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("AB", "upper_case_lines"),
        ("Ab", "single_word_lines"),
        ("ΑΒΓΔ αβ", "upper_case_lines"),
        ("ΑΒΓ αβ", None),  # 3 of 6 is not more than half
        ("٣٤", "numeric_lines"),
        ("12 34", None),
        ("12 likes", "counter_lines"),
        ("(12m downloads)", "counter_lines"),
        ("12 likes or so", None),
        ("read more...", "boilerplate_lines"),
        ("Items in cart", "boilerplate_lines"),
        ("Sign-in", "single_word_lines"),
    ],
)
def test_the_first_reason_counts(line: str, reason: str | None) -> None:
    found = _of(line)
    assert [name for name in _LINES if found[name]] == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("text", "words", "removed"),
    [
        (None, None, None),
        ("", 0, None),
        (" \n ", 0, None),
        ("one", 1, 1.0),
        ("one two", 2, 0.0),
        ("- -", 0, None),
        ("\0", 0, None),
        ("a\0 b", 2, 0.0),
        ("日本語のテキストです。", 1, 1.0),
    ],
)
def test_the_edges(text: str | None, words: int | None, removed: float | None) -> None:
    found = _of(text)
    assert (found["words"], found["removed_words"], found["error"]) == (words, removed, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("5\u212a li\u212aes", "counter_lines"),
        ("٣.1 \u3000\u017fhares…", "counter_lines"),
        ("12\x1clikes", None),  # a separator is no white space to regular expressions
        ("12likes it", None),
        ("x 12 likes", None),
        ("12 likes2", None),
        ("\u00a0ITEM\u017f in cart", "boilerplate_lines"),
        ("\u2003Read more...", "boilerplate_lines"),
        ("\u017fign-in\u3000", "single_word_lines"),
        ("sign-in read more...", "boilerplate_lines"),
        ("itemitems in carts in cart", "edited_lines"),
        ("one read more... items in cart", "edited_lines"),
        ("one two read more ...", None),
        ("𝐀𝐁 𝐀", "upper_case_lines"),
        ("Ⅷ Ⅷ", "upper_case_lines"),
        ("𝟐𝟎𝟐𝟒", "numeric_lines"),
        ("²³", "single_word_lines"),
    ],
)
def test_lines_of_many_scripts(line: str, reason: str | None) -> None:
    found = _of(line)
    assert [name for name in _LINES if found[name]] == ([reason] if reason else [])


_PARTS = [
    "Aa ", "BB", "7", "1.2k", "likes", " views", "ITEMS IN CART", " items in cart", "read more...", " Read more...", "Sign-in ",
    "sign-in", " ", "\n", "\n", "a b c ", "字", "\u3000", "-", "E", "é",
]  # fmt: skip
_NOUNS = "likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers"


def _plainly(text: str) -> tuple[object, ...]:
    counts, every, left_words = dict.fromkeys(("lines", *_LINES), 0), 0, 0
    for line in text.split("\n"):
        solid = [word for word in line.split() if any(map(str.isalnum, word))]
        every += len(solid)
        edited = line
        if len(line.split()) <= 10:
            for phrase in (r"(?i)\s?items in cart", r"(?i)\s?read more\.\.\.$", r"(?i)^sign-in\s?"):
                edited = re.sub(phrase, "", edited)
        asked = {
            "upper_case_lines": 2 * sum(map(str.isupper, line)) > len(line),
            "numeric_lines": line.isdecimal(),
            "counter_lines": re.search(rf"(?i)^\W*\d[\d.,]*[kmb]?\s+(?:{_NOUNS})\W*$", line) is not None,
            "single_word_lines": len(line.split()) < 2,
            "boilerplate_lines": not edited.strip(),
        }
        if not line.strip():
            continue
        counts["lines"] += 1
        reason = next((name for name, holds in asked.items() if holds), "edited_lines" if edited != line else None)
        if reason:
            counts[reason] += 1
        if reason in ("edited_lines", None):
            left_words += sum(any(map(str.isalnum, word)) for word in edited.split())
    return (every, *counts.values(), (every - left_words) / every if every else None, None)


@given(st.lists(st.lists(st.sampled_from(_PARTS), max_size=25), max_size=4))
def test_every_line_as_a_plain_reading_has_it(texts: list[list[str]]) -> None:
    joined = ["".join(parts) for parts in texts]
    rows = refinedweb_text(pl.DataFrame({"text": pl.Series(joined, dtype=pl.String)})).rows()
    assert rows == [_plainly(text) for text in joined]


def test_ten_megabytes_are_read() -> None:
    found = refinedweb_text(pl.DataFrame({"text": ["one line\nAbout\n" * 700_000, "x" * 10_000_000]}))
    assert found["removed_words"].to_list() == [1 / 3, 1.0]
