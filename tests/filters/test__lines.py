import re

import polars as pl

from filters._lines import BREAKS, SPACES, WORD

EVERY = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def test_the_spaces_and_breaks_are_those_of_python() -> None:
    assert "".join(filter(str.isspace, EVERY)) == SPACES
    assert [char for char in EVERY if len(f"a{char}b".splitlines()) == 2] == list(BREAKS)


def test_a_word_is_what_no_space_is_in() -> None:
    found = pl.Series(EVERY).str.contains(f"^{WORD}$")
    assert "".join(char for char, word in zip(EVERY, found, strict=True) if not word) == SPACES
    assert re.fullmatch(WORD, "a\u200bb")
