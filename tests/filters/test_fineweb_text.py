import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.fineweb_text import fineweb_text

_NAMES = ("lines", "punctuated_lines", "short_lines", "duplicate_line_chars", "newlines_per_word")


def _of(text: str | None, **parameters: object) -> tuple[object, ...]:
    return fineweb_text(pl.DataFrame({"text": pl.Series([text], dtype=pl.String)}), **parameters).row(0)


def test_a_page_by_hand() -> None:
    long = "A line of more than thirty characters stands here"
    text = f"Short one.\n\n{long}\nShort one.\nIt's he said 'no'\n{long}?"
    # Five lines that are not blank, of 10, 49, 10, 17 and 50 characters; one stood before; 5 newlines, 2 + 9 + 2 + 4 + 9 words.
    assert _of(text) == (5, 4 / 5, 3 / 5, 10 / 136, 5 / 26, None)
    assert _of(text, short=10)[2] == 2 / 5
    assert _of(text, short=9)[2] == 0.0


def test_cleaned_is_what_the_line_rules_of_c4_leave() -> None:
    text = "Home\nA line of three\nWe use cookies for all.\nThis[1] is a whole sentence.\nA line of three"
    left = "A line of three\nThis is a whole sentence.\nA line of three"
    assert _of(text, cleaned=True) == _of(left) == (3, 1 / 3, 1.0, 15 / 55, 2 / 13, None)
    assert _of("Home", cleaned=True) == (0, None, None, None, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (None, None, None, None, None)),
        ("", (0, None, None, None, None)),
        (" \n ", (0, None, None, None, None)),
        ("one", (1, 0.0, 1.0, 0.0, 0.0)),
        ("\0", (1, 0.0, 1.0, 0.0, 0.0)),
        ("日本語のテキストです。", (1, 0.0, 1.0, 0.0, 0.0)),
        ("a.\u2028b\x85c\r.", (1, 1.0, 1.0, 0.0, 0.0)),
        ("🙂" * 31 + "\n" + "🙂" * 30, (2, 0.0, 1 / 2, 0.0, 1 / 2)),
        ("\u3000\n\u2028\n\x1f", (0, None, None, None, None)),
        ("\n\na\n\n", (1, 0.0, 1.0, 0.0, 4.0)),
        ("a.\r\na.\r\n", (2, 0.0, 1.0, 3 / 6, 2 / 2)),  # a line ends at the newline: the return belongs to it
    ],
)
def test_the_edges(text: str | None, expected: tuple[object, ...]) -> None:
    assert _of(text) == (*expected, None)


@given(st.lists(st.none() | st.text("ab.'?!\" \n字", max_size=40), max_size=5))
def test_every_text_as_a_plain_reading_has_it(texts: list[str | None]) -> None:
    rows = fineweb_text(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), short=3).rows()
    for text, row in zip(texts, rows, strict=True):
        if text is None:
            assert set(row) == {None}
            continue
        lines, words = [line for line in text.split("\n") if line.strip()], text.split()
        later = [line for place, line in enumerate(lines) if line in lines[:place]]
        assert row == (
            len(lines),
            sum(line[-1] in ".'\"!?" for line in lines) / len(lines) if lines else None,
            sum(len(line) <= 3 for line in lines) / len(lines) if lines else None,
            sum(map(len, later)) / len(text.replace("\n", "")) if lines else None,
            text.count("\n") / len(words) if words else None,
            None,
        )


def test_ten_megabytes_are_read() -> None:
    texts = ["one line.\n" * 1_000_000, "x" * 10_000_000]
    assert fineweb_text(pl.DataFrame({"text": texts})).select(_NAMES).rows() == [
        (1_000_000, 1.0, 1.0, 999_999 / 1_000_000, 0.5),
        (1, 0.0, 0.0, 0.0, 0.0),
    ]
