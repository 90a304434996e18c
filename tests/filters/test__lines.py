import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from filters._lines import SPACES, counted, lines, pieces, repeated, share, words

_TEXTS = st.lists(st.none() | st.text("ab \n\r\v\f\x1c\x1f\x85\u2028\u00a0字", max_size=12), max_size=6)


def _by_row(frame: pl.DataFrame, count: int) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in range(count)]
    for row, item in frame.rows():
        found[row].append(item)
    return found


def test_the_spaces_are_those_of_python() -> None:
    assert "".join(chr(code) for code in range(0x110000) if chr(code).isspace()) == SPACES


@given(_TEXTS)
def test_words_lines_and_pieces_are_those_of_python(texts: list[str | None]) -> None:
    given_texts = pl.Series(texts, dtype=pl.String)
    assert _by_row(words(given_texts), len(texts)) == [(text or "").split() for text in texts]
    assert _by_row(lines(given_texts), len(texts)) == [(text or "").splitlines() for text in texts]
    assert _by_row(pieces(given_texts, "\n", "line"), len(texts)) == [[] if text is None else text.split("\n") for text in texts]


def test_what_stood_before_in_the_same_row_is_repeated() -> None:
    found = pl.DataFrame({"row": [0, 0, 0, 1, 1], "word": ["a", "b", "a", "a", "a"]})
    assert found.select(repeated("word")).to_series().to_list() == [False, False, True, False, True]


def test_rows_in_which_nothing_was_found_count_zero_and_null_rows_nothing() -> None:
    found = pl.DataFrame({"row": pl.Series([3, 0], dtype=pl.UInt32), "n": [7, 5], "yes": [True, False]})
    assert counted(pl.Series(["a", "", None, "b"]), found).rows() == [(5, False), (0, False), (None, None), (7, True)]


def test_a_share_of_nothing_is_no_share() -> None:
    frame = pl.DataFrame({"part": [1, 0, 0, None], "whole": [4, 2, 0, None]}, schema={"part": pl.UInt32, "whole": pl.UInt32})
    assert frame.select(share("part", "whole")).to_series().to_list() == [0.25, 0.0, None, None]
