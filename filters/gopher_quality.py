"""Whether a text is made of words and sentences: what Gopher's quality rules look at."""

import polars as pl

from curate.signal import signal

_SHARES = ("mean_length", "hashes", "ellipses", "alphabetic", "bullet_lines", "ellipsis_lines")


@signal(
    version=1,
    reads=["text"],
    writes={"words": pl.UInt32, **dict.fromkeys(_SHARES, pl.Float64), "stop_words": pl.UInt32, "stop_word_uses": pl.UInt32},
    uses=["numba", "polars"],
)
def gopher_quality(batch: pl.DataFrame, *, bullets: str = "•-", blank_lines: bool = True, spaced_ellipsis: bool = False) -> pl.DataFrame:
    """Counts and shares of words and lines (Rae et al., "Scaling Language Models", arXiv 2112.11446, appendix A.1.1, Quality Filtering).

    - `words`: words with a letter or digit. `mean_length`: their mean length in code points, attached punctuation included.
    - `hashes`, `ellipses`: how often `#`, and `...` or `…`, occurs per word. `alphabetic`: share of words with a letter.
    - `bullet_lines`: share of lines that start with one of `bullets`, `ellipsis_lines`: that end in an ellipsis, white space aside.
    - `stop_words`: how many of the, be, to, of, and, that, have, with occur, in any case; `stop_word_uses`: how often, together.

    Words are those of `str.split`, and every word counts but for the first two columns. Lines are those of `str.splitlines`;
    `blank_lines=False` leaves out those of white space. `spaced_ellipsis`: `. . .` is one too. No word: no share of words; no line: none of
    lines. The paper names neither tokenizer nor bullets. The defaults follow datatrove, which splits punctuation from words and knows
    stop words in lower case only; `bullets="●•*-"`, `blank_lines=False`, `spaced_ellipsis=True` is DCLM. Of a text in a script without
    spaces, whole sentences count as words.
    """
    from filters._texts import any_of, measured, share  # numba takes its time to import, and planning needs none of it
    from filters._words import QUALITY, quality

    classes = [r"\p{L}", r"[\p{L}\p{N}]", any_of(bullets), any_of("#.…")]
    counts = measured(batch["text"], classes, lambda texts: quality(texts, blank_lines, spaced_ellipsis), QUALITY)
    return counts.select(
        words=pl.col("solid").cast(pl.UInt32),
        mean_length=share("characters", "solid"),
        hashes=share("hashes", "words"),
        ellipses=share("ellipses", "words"),
        alphabetic=share("alphabetic", "words"),
        bullet_lines=share("bulleted", "lines"),
        ellipsis_lines=share("trailing", "lines"),
        stop_words=pl.col("stop_words").cast(pl.UInt32),
        stop_word_uses=pl.col("stop_word_uses").cast(pl.UInt32),
    )
