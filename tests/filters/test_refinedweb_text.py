import polars as pl
import pytest

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


def test_ten_megabytes_are_read() -> None:
    found = refinedweb_text(pl.DataFrame({"text": ["one line\nAbout\n" * 700_000, "x" * 10_000_000]}))
    assert found["removed_words"].to_list() == [1 / 3, 1.0]
