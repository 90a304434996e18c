import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters._lines import BREAKS
from filters._texts import (
    BREAK,
    FIRST_CLASS,
    NEWLINE,
    REST,
    SPACE,
    Lines,
    Pieces,
    Texts,
    any_of,
    chosen,
    lines,
    measured,
    paragraphs,
    read,
    share,
    summed,
)

_TEXTS = st.lists(st.none() | st.text("ab \n\r\v\f\x1c\x1f\x85\u2028\u00a0字🙂", max_size=30), max_size=6)
_LETTER = (r"\p{L}",)


def _series(texts: list[str | None]) -> pl.Series:
    return pl.Series(texts, dtype=pl.String)


def _pieces(texts: Texts, found: Lines | Pieces) -> list[list[str]]:
    every = [texts.data[start:stop].tobytes().decode() for start, stop in zip(found.starts, found.stops, strict=True)]
    return [every[a:b] for a, b in zip(found.firsts[:-1], found.firsts[1:], strict=True)]


def test_a_character_is_of_its_classes_and_its_later_bytes_only_of_space() -> None:
    texts = read(_series([None, "a ß\n", "字\u2028", "🙂\U0001d400\0", ""]), (r"\p{L}", any_of("]^-\\ß🙂")))
    one, two = FIRST_CLASS, FIRST_CLASS << 1
    expected = [one, SPACE, one | two, REST, SPACE | BREAK | NEWLINE]
    expected += [one, REST, REST, SPACE | BREAK, SPACE | REST, SPACE | REST]
    expected += [two, REST, REST, REST, one, REST, REST, REST, 0]
    assert texts.kinds.tolist() == expected + [0] * 8
    assert texts.offsets.tolist() == [0, 0, 5, 11, 20, 20]


def test_every_character_is_classed_as_polars_does() -> None:
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    texts = read(pl.Series(every), (r"\p{L}", r"\p{Uppercase}", any_of(""), r"\w"))
    firsts = texts.kinds[texts.offsets[:-1]]
    assert (firsts & SPACE > 0).tolist() == [char.isspace() for char in every]
    assert (firsts & BREAK > 0).tolist() == [char in BREAKS for char in every]
    assert (firsts & FIRST_CLASS > 0).tolist() == pl.Series(every).str.contains(r"\p{L}").to_list()
    assert (firsts & FIRST_CLASS << 1 > 0).tolist() == pl.Series(every).str.contains(r"\p{Uppercase}").to_list()
    assert not (firsts & FIRST_CLASS << 2).any(), "nothing is of a class without members"
    assert (firsts & FIRST_CLASS << 3 > 0).tolist() == pl.Series(every).str.contains(r"\w").to_list()


@given(_TEXTS)
def test_lines_are_those_of_python(given_texts: list[str | None]) -> None:
    texts, said = read(_series(given_texts), _LETTER), [text or "" for text in given_texts]
    found = lines(texts, BREAK, strip=False)
    assert _pieces(texts, found) == [text.splitlines() for text in said]
    every = [line for text in said for line in text.splitlines()]
    assert found.words.tolist() == [len(line.split()) for line in every]
    assert found.chars.tolist() == [len(line) for line in every]
    assert (found.kinds & FIRST_CLASS > 0).tolist() == [bool(re.search("[ab字]", line)) for line in every]
    stripped = lines(texts, BREAK, strip=True)
    assert _pieces(texts, stripped) == [[line.strip() for line in text.splitlines()] for text in said]
    assert stripped.chars.tolist() == [len(line.strip()) for line in every]
    parted = [text.removesuffix("\n").split("\n") if text else [] for text in said]
    assert _pieces(texts, lines(texts, NEWLINE, strip=False)) == parted


@given(st.lists(st.text("a \n\u2003", max_size=14), max_size=5))
def test_paragraphs_are_parted_by_empty_lines(said: list[str]) -> None:
    texts = read(_series(list(said)), ())
    found = paragraphs(texts, lines(texts, NEWLINE, strip=False))
    assert _pieces(texts, found) == [re.split(r"\n\n+", text.strip()) for text in said]


def test_lines_are_chosen_one_by_one() -> None:
    texts = read(_series(["a\n\nb", "\n", "c"]), ())
    found = lines(texts, NEWLINE, strip=False)
    assert _pieces(texts, chosen(found, found.words > 0)) == [["a", "b"], [], ["c"]]
    assert summed(found.chars, found.firsts).tolist() == [2, 0, 1]


@pytest.mark.parametrize("size", [1 << 20, 9 << 20])
def test_a_long_word_and_a_long_line_are_one(size: int) -> None:
    texts = read(_series(["ß" * size, "x " * size, "\n" * size]), ())
    found = lines(texts, BREAK, strip=True)
    assert [found.words[0], found.words[1], found.words[2]] == [1, size, 0]
    assert [found.chars[0], found.chars[1], found.chars[2]] == [size, 2 * size - 1, 0]
    assert np.diff(found.firsts).tolist() == [1, 1, size]


def test_what_is_measured_in_parts_is_measured_alike() -> None:
    given_texts = _series(["a" * 5_000_000, None, "bb" * 3_000_000, "", "c" * 9_000_000, "d"])

    def sizes(texts: Texts) -> np.ndarray:
        return np.diff(texts.offsets)[:, None]

    assert measured(given_texts, (), sizes, ["size"])["size"].to_list() == [5_000_000, None, 6_000_000, 0, 9_000_000, 1]
    assert measured(given_texts[1:2], (), sizes, ["size"]).rows() == [(None,)]
    assert measured(given_texts[:0], (), sizes, ["size"]).schema == {"size": pl.Int64}


def test_a_share_of_nothing_is_no_share() -> None:
    frame = pl.DataFrame({"part": [1, 0, 0, None], "whole": [4, 2, 0, None]}, schema={"part": pl.UInt32, "whole": pl.UInt32})
    assert frame.select(share("part", "whole")).to_series().to_list() == [0.25, 0.0, None, None]
