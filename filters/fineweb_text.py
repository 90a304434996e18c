"""Whether a page reads as running text: what FineWeb's own rules look at."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from curate.signal import signal

if TYPE_CHECKING:
    from filters._texts import Counts, Texts

_END_MARKS = (".", "'", '"', "!", "?")
_WORDS_OF_A_LINE = 3  # C4's, in FineWeb's pipeline
_SHARES = ("punctuated_lines", "short_lines", "duplicate_line_chars", "newlines_per_word")


@signal(version=1, reads=["text"], writes={"lines": pl.UInt32, **dict.fromkeys(_SHARES, pl.Float64)}, uses=["numba", "polars"])
def fineweb_text(batch: pl.DataFrame, *, short: int = 30, cleaned: bool = False) -> pl.DataFrame:
    r"""Shares of lines (Penedo et al., "The FineWeb Datasets", arXiv 2406.17557, section 3.6).

    Lines are parted by `\n`; those of white space do not count.
    - `punctuated_lines`: share of `lines` that end in one of . ' " ! ?; `short_lines`: of at most `short` code points.
    - `duplicate_line_chars`: code points of lines that stood before in the text, over those of the text without newlines.
    - `newlines_per_word`: newlines, also of blank lines, over words of `str.split`.

    `cleaned`: of the text that C4's line rules leave, the one on punctuation aside, which is what FineWeb's pipeline looks at; the row
    keeps its text. A text without lines has no shares. Datatrove counts spaCy's words, which are more; since FineWeb was made it takes the
    sentence marks of every script, without quotes, for the five above, and leaves blank lines out.
    """
    from filters._c4_lines import CLASSES  # numba takes its time to import, and planning needs none of it
    from filters._texts import measured, share

    names = ("lines", "punctuated", "short", "later_chars", "chars", "newlines", "words")
    counts = measured(batch["text"], CLASSES if cleaned else (), lambda texts: _counted(texts, short, cleaned), names)
    return counts.select(
        pl.col("lines").cast(pl.UInt32),
        punctuated_lines=share("punctuated", "lines"),
        short_lines=share("short", "lines"),
        duplicate_line_chars=pl.when(pl.col("lines") > 0).then(share("later_chars", "chars")),
        newlines_per_word=share("newlines", "words"),
    )


def _counted(texts: "Texts", short: int, cleaned: bool) -> "Counts":
    from filters._c4_lines import c4_cleaned
    from filters._texts import NEWLINE, chosen, lines, summed
    from filters._words import repeated

    looked_at = c4_cleaned(texts, _WORDS_OF_A_LINE, punctuation=False) if cleaned else texts
    found = lines(looked_at, NEWLINE, strip=False)
    said = found.words > 0
    marked = np.isin(looked_at.data[found.stops - 1], [ord(mark) for mark in _END_MARKS])
    ends = looked_at.offsets[1:] - 1
    unended = (looked_at.offsets[:-1] <= ends) & (looked_at.kinds[ends] & NEWLINE == 0)
    columns = [
        summed(said, found.firsts),
        summed(said & marked, found.firsts),
        summed(said & (found.chars <= short), found.firsts),
        repeated(looked_at, chosen(found, said))[:, 1],
        summed(found.chars, found.firsts),
        np.diff(found.firsts) - unended,
        summed(found.words, found.firsts),
    ]
    return np.column_stack(columns)
