"""Whether a page reads as running text: what FineWeb's own rules look at."""

import polars as pl

from curate.signal import signal
from filters._c4_lines import c4_cleaned
from filters._lines import SPACES, WORD, counted, pieces, repeated, share

_END_MARKS = (".", "'", '"', "!", "?")
_WORDS_OF_A_LINE = 3  # C4's, in FineWeb's pipeline
_SHARES = ("punctuated_lines", "short_lines", "duplicate_line_chars", "newlines_per_word")


@signal(version=1, reads=["text"], writes={"lines": pl.UInt32, **dict.fromkeys(_SHARES, pl.Float64)})
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
    text = c4_cleaned(batch["text"], _WORDS_OF_A_LINE, punctuation=False) if cleaned else batch["text"]
    found = pieces(text, "\n", "line").filter(pl.col("line").str.strip_chars(SPACES) != "")
    marked = found.select(
        "row",
        punctuated=pl.any_horizontal(pl.col("line").str.ends_with(mark) for mark in _END_MARKS),
        later=repeated("line"),
        chars=pl.col("line").str.len_chars(),
    )
    sums = marked.group_by("row").agg(
        lines=pl.len(),
        punctuated=pl.col("punctuated").sum(),
        short=(pl.col("chars") <= short).sum(),
        later_chars=pl.col("chars").filter("later").sum(),
    )
    whole = (
        text.alias("text")
        .to_frame()
        .select(
            words=pl.col("text").str.count_matches(WORD),
            newlines=pl.col("text").str.count_matches("\n", literal=True),
            chars=pl.col("text").str.len_chars() - pl.col("text").str.count_matches("\n", literal=True),
        )
    )
    return pl.concat([counted(text, sums), whole], how="horizontal").select(
        "lines",
        punctuated_lines=share("punctuated", "lines"),
        short_lines=share("short", "lines"),
        duplicate_line_chars=pl.when(pl.col("lines") > 0).then(share("later_chars", "chars")),
        newlines_per_word=share("newlines", "words"),
    )
