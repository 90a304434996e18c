"""How much of a page RefinedWeb's line-wise corrections would take away."""

import polars as pl

from curate.signal import signal
from filters._lines import SPACES, WORD, counted, pieces, share

_SOLID = r"[\p{L}\p{N}][^\s\x1c-\x1f]*"  # the rest of a word from its first letter or digit on: once in each word that has any
_NOUNS = "likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers"
_COUNTER = rf"(?i)^\W*\d[\d.,]*[kmb]?\s+(?:{_NOUNS})\W*$"
_BOILERPLATE = (r"(?i)\s?items in cart", r"(?i)\s?read more\.\.\.$", r"(?i)^sign-in\s?")
_REMOVED = ("upper_case", "numeric", "counter", "single_word", "boilerplate")
_SHORT = 10  # words: only lines as short as this are searched for boilerplate
_COUNTS = ("words", "lines", *(f"{reason}_lines" for reason in _REMOVED), "edited_lines")


@signal(version=1, reads=["text"], writes={**dict.fromkeys(_COUNTS, pl.UInt32), "removed_words": pl.Float64})
def refinedweb_text(batch: pl.DataFrame) -> pl.DataFrame:
    r"""Lines to remove or edit (Penedo et al., "The RefinedWeb Dataset", arXiv 2306.01116, appendix G.2, Line-wise corrections).

    The text itself stays as it is. `words`: words of `str.split` with a letter or digit; `lines`: those parted by `\n` that are not white
    space. A line goes for the first reason that holds: more than half of its characters are upper case (`upper_case_lines`); all are
    digits (`numeric_lines`); it is a counter such as "3 likes" (`counter_lines`); it has one word (`single_word_lines`); or, of at most 10
    words, nothing else than "items in cart" anywhere, "Read more..." at its end or "Sign-in" at its beginning (`boilerplate_lines`).
    From `edited_lines` such a phrase would be taken out. `removed_words`: share of `words` in all of this; null if there are none.

    The paper gives examples only; phrases, counters and the share of one half are DCLM's, which counts words by Unicode's rules.
    """
    text = batch["text"]
    found = pieces(text, "\n", "line").filter(pl.col("line").str.strip_chars(SPACES) != "")
    line = pl.col("line")
    edited = line
    for phrase in _BOILERPLATE:
        edited = edited.str.replace_all(phrase, "")
    short = line.str.count_matches(WORD) <= _SHORT
    marked = found.with_columns(left=pl.when(short).then(edited).otherwise(line))
    asked = {
        "upper_case": line.str.count_matches(r"\p{Uppercase}") * 2 > line.str.len_chars(),
        "numeric": line.str.contains(r"^\p{Nd}+$"),
        "counter": line.str.contains(_COUNTER),
        "single_word": line.str.count_matches(WORD) < 2,
        "boilerplate": pl.col("left").str.strip_chars(SPACES) == "",
    }
    removed = pl.coalesce(pl.when(holds).then(pl.lit(reason)) for reason, holds in asked.items())
    kept = pl.col("removed").is_null()
    sums = (
        marked.with_columns(removed=removed)
        .group_by("row")
        .agg(
            words=line.str.count_matches(_SOLID).sum(),
            lines=pl.len(),
            **{f"{reason}_lines": pl.col("removed").eq_missing(pl.lit(reason)).sum() for reason in _REMOVED},
            edited_lines=(kept & (pl.col("left") != line)).sum(),
            left=pl.col("left").filter(kept).str.count_matches(_SOLID).sum(),
        )
        .with_columns(pl.col(_COUNTS).cast(pl.UInt32))
    )
    return counted(text, sums).select(*_COUNTS, removed_words=share(pl.col("words") - pl.col("left"), "words"))
