"""What C4's cleaning would leave of a page, line by line."""

import polars as pl

from curate.signal import signal

_REMOVED = ("long_word", "unpunctuated", "short", "javascript", "policy")
_COUNTS = ("lines", "kept_lines", "kept_words", "kept_chars", "sentences", *(f"{reason}_lines" for reason in _REMOVED))


@signal(
    version=1,
    reads=["text"],
    writes={**dict.fromkeys(_COUNTS, pl.UInt32), "lorem_ipsum": pl.Boolean, "curly_bracket": pl.Boolean},
    uses=["numba", "polars"],
)
def c4_text(batch: pl.DataFrame, *, words: int = 3, punctuation: bool = True) -> pl.DataFrame:
    """Lines kept and removed (Raffel et al., "Exploring the Limits of Transfer Learning", JMLR 21 (2020) 140, section 2.2).

    The text itself stays as it is: these columns say what would be left. `lines` (of `str.splitlines`, stripped, blank ones too) are
    `kept_lines` and those removed, each for the first reason that holds: `long_word_lines` have a word of more than 1,000 code points;
    `unpunctuated_lines` do not end in one of . ? ! " or end in ... (asked unless `punctuation=False`); `short_lines` have fewer than
    `words` words; `javascript_lines` say javascript, `policy_lines` a phrase on cookies, privacy or terms of use, in any case.
    Wikipedia's citation marks are taken out before the second question; a line's words are those it had with them, as in datatrove.
    - `kept_words`, `kept_chars`: words of `str.split`, and code points, newlines between lines included, of what is kept.
    - `sentences`: per kept line one, and one more wherever . ! ? or … and closing quotes or brackets stand before white space: a simpler
      count than NLTK's Punkt, of which it finds more after abbreviations.
    - `lorem_ipsum`, `curly_bracket`: whether a line has it that is not removed before that question, as in the published code (for the
      second also not for javascript); the paper says anywhere on the page.

    The paper and datatrove ask for 3 words and 5 sentences; the code that made C4 (TensorFlow Datasets) for 5 and 3.
    """
    from filters._c4_lines import CLASSES, c4_counts  # numba takes its time to import, and planning needs none of it
    from filters._texts import measured

    names = (*_COUNTS, "lorem_ipsum", "curly_bracket")
    counts = measured(batch["text"], CLASSES, lambda texts: c4_counts(texts, words, punctuation), names)
    return counts.select(pl.col(_COUNTS).cast(pl.UInt32), pl.col("lorem_ipsum", "curly_bracket") > 0)
