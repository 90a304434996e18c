"""What each character is to the tokeniser, as tables: from the Unicode data of polars, so that one library decides everywhere."""

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

LIMIT = 0x20000  # above it only ideographs (planes 2 and 3), which are told by their number
LENGTH, WORD, ALONE, UNSTABLE = 7, 8, 16, 32

# Scripts written without spaces between words: ideographs and syllables, and the complex-context scripts (class SA) of UAX #14.
UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\u30fc\uff70"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Ahom}"
)


class Characters(NamedTuple):
    """For every code point below LIMIT.

    `folded`, uint32: the UTF-8 bytes of the character as it counts, the first lowest. `kinds`, uint8: their number (bits of LENGTH), and
    WORD: belongs to a word; ALONE: is a word by itself; UNSTABLE: its text may change under the normal form.
    """

    folded: npt.NDArray[np.uint32]
    kinds: npt.NDArray[np.uint8]


@functools.cache
def tables(case: bool, punctuation: bool, form: str) -> Characters:
    """The tables for texts in which `case` and `punctuation` count as content or not, in the Unicode normal `form` ("": any).

    Case is folded character by character, to upper and then to lower case, so that all forms of sigma are one; a character whose other
    case is several characters stays as it is.
    """
    every = pl.Series([chr(code) if not 0xD800 <= code < 0xE000 else "\0" for code in range(LIMIT)])
    counted = every if case else _lowered(every)
    word = every.str.contains(r"^[^\s\x00-\x1f]" if punctuation else r"^\w")
    alone = word & every.str.contains(f"^[{UNSPACED}]") & every.str.contains(r"^\w")
    unstable = _unstable(every, form) if form else np.zeros(LIMIT, bool)
    lengths = counted.str.len_bytes().to_numpy()
    data = np.frombuffer("".join(counted).encode(), np.uint8)
    starts = np.cumsum(lengths) - lengths
    folded = np.zeros(LIMIT, np.uint32)
    for place in range(4):
        longer = lengths > place
        folded[longer] |= data[starts[longer] + place].astype(np.uint32) << np.uint32(8 * place)
    kinds = lengths | WORD * word.to_numpy() | ALONE * alone.to_numpy() | UNSTABLE * unstable
    return Characters(folded, kinds.astype(np.uint8))


def _lowered(every: pl.Series) -> pl.Series:
    upper = every.str.to_uppercase()
    lower = upper.zip_with(upper.str.len_chars() == 1, every).str.to_lowercase()
    return lower.zip_with(lower.str.len_chars() == 1, every)


def _unstable(every: pl.Series, form: str) -> npt.NDArray[np.bool_]:
    """Characters that change by themselves, or can change with those before them: marks, and the later letters of Hangul syllables.

    A text without any is its own normal form (UAX #15, quick check).
    """
    alone = every.str.normalize(form) != every  # type: ignore[arg-type]
    return (alone | every.str.contains(r"^[\p{M}\u1160-\u11ff]")).to_numpy()
