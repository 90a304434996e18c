"""The lines of pages as C4's cleaning reads them, and which of them it takes away."""

import polars as pl

from filters._lines import SPACES, WORD, lines, words

REMOVED = ("long_word", "unpunctuated", "short", "javascript", "policy")
"""Why a line goes, in the order in which it is asked."""

_CITATION = r"\[\d*\]|\[edit\]|\[citation needed\]"
_END_MARKS = (".", "?", "!", '"')
_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_LONGEST_WORD = 1000  # code points


def c4_lines(texts: pl.Series, fewest_words: int, punctuation: bool) -> pl.DataFrame:
    """{row, line, removed, lorem_ipsum, curly_bracket}: every line, stripped and without citations; the first of `REMOVED` that holds, else
    null; whether a line that got as far as the question says lorem ipsum or has an opening curly bracket, which discards the page.

    Raffel et al., JMLR 21 (2020) 140, section 2.2, in the order of TensorFlow Datasets' c4_utils.clean_page and of datatrove.
    """
    found = lines(texts).with_columns(pl.col("line").str.strip_chars(SPACES))
    found = found.with_columns(long_word=_with_a_long_word(found["line"]), words=pl.col("line").str.count_matches(WORD))
    found = found.with_columns(pl.col("line").str.replace_all(_CITATION, ""))
    ended = pl.any_horizontal(pl.col("line").str.ends_with(mark) for mark in _END_MARKS) & ~pl.col("line").str.ends_with("...")
    lower = pl.col("line").str.to_lowercase()
    asked = {
        "long_word": pl.col("long_word"),
        "unpunctuated": ~ended if punctuation else pl.lit(False),
        "short": pl.col("words") < fewest_words,
        "javascript": lower.str.contains("javascript", literal=True),
        "policy": pl.any_horizontal(lower.str.contains(phrase, literal=True) for phrase in _POLICY),
    }
    removed = pl.coalesce(pl.when(holds).then(pl.lit(reason)) for reason, holds in asked.items())
    late = pl.col("removed").is_null() | (pl.col("removed") == "policy")
    # A line removed for javascript was asked about lorem ipsum before, not about brackets after; one removed for its policy about both.
    return found.with_columns(removed=removed).select(
        "row",
        "line",
        "removed",
        lorem_ipsum=(late | (pl.col("removed") == "javascript")) & lower.str.contains("lorem ipsum", literal=True),
        curly_bracket=late & pl.col("line").str.contains("{", literal=True),
    )


def c4_cleaned(texts: pl.Series, fewest_words: int, punctuation: bool) -> pl.Series:
    """What C4's cleaning leaves of each text: the kept lines, joined by newlines; empty if none is kept, null if null."""
    kept = c4_lines(texts, fewest_words, punctuation).filter(pl.col("removed").is_null())
    joined = kept.group_by("row").agg(pl.col("line").str.join("\n").str.strip_chars(SPACES))
    whole = pl.DataFrame({"row": pl.int_range(len(texts), dtype=pl.UInt32, eager=True), "there": texts.is_not_null()})
    left = whole.join(joined, on="row", how="left", maintain_order="left")
    return left.select(pl.when("there").then(pl.col("line").fill_null(""))).to_series()


def _with_a_long_word(found: pl.Series) -> pl.Series:
    """Whether a line has a word of more than `_LONGEST_WORD` code points: only lines of more are looked into."""
    long = found.str.len_chars() > _LONGEST_WORD
    numbers = long.arg_true()
    there = words(found.filter(long)).filter(pl.col("word").str.len_chars() > _LONGEST_WORD)["row"].unique()
    return pl.int_range(len(found), dtype=pl.UInt32, eager=True).is_in(numbers.gather(there).implode())
