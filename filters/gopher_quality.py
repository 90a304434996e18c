"""Whether a text is made of words and sentences: what Gopher's quality rules look at."""

import polars as pl

from curate.signal import signal
from filters._lines import SPACES, counted, lines, share, words

_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
_ELLIPSES = ("...", "…")
_SPACED = ". . ."
_SHARES = ("mean_length", "hashes", "ellipses", "alphabetic", "bullet_lines", "ellipsis_lines")


@signal(
    version=1,
    reads=["text"],
    writes={"words": pl.UInt32, **dict.fromkeys(_SHARES, pl.Float64), "stop_words": pl.UInt32, "stop_word_uses": pl.UInt32},
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
    text = batch["text"]
    ellipses = [*_ELLIPSES, _SPACED] if spaced_ellipsis else list(_ELLIPSES)
    marks = sum((pl.col("text").str.count_matches(mark, literal=True) for mark in ellipses), pl.lit(0, pl.UInt32))
    symbols = batch.select(hashes=pl.col("text").str.count_matches("#", literal=True), ellipses=marks)
    return pl.concat([_in_words(text), symbols, _in_lines(text, bullets, ellipses, blank_lines)], how="horizontal").select(
        words="solid",
        mean_length=share("characters", "solid"),
        hashes=share("hashes", "words"),
        ellipses=share("ellipses", "words"),
        alphabetic=share("alphabetic", "words"),
        bullet_lines=share("bulleted", "lines"),
        ellipsis_lines=share("trailing", "lines"),
        stop_words="stop_words",
        stop_word_uses="stop_word_uses",
    )


def _in_words(text: pl.Series) -> pl.DataFrame:
    stop = pl.col("lower").is_in(_STOP_WORDS)
    solid = pl.col("word").str.contains(r"[\p{L}\p{N}]")
    found = (
        words(text)
        .with_columns(lower=pl.col("word").str.to_lowercase(), solid=solid, size=pl.col("word").str.len_chars())
        .group_by("row")
        .agg(
            words=pl.len(),
            solid=pl.col("solid").sum(),
            characters=pl.col("size").filter("solid").sum(),
            alphabetic=pl.col("word").str.contains(r"\p{L}").sum(),
            stop_words=pl.col("lower").filter(stop).n_unique(),
            stop_word_uses=stop.sum(),
        )
    )
    return counted(text, found)


def _in_lines(text: pl.Series, bullets: str, ellipses: list[str], blank_lines: bool) -> pl.DataFrame:
    stripped = lines(text).with_columns(pl.col("line").str.strip_chars(SPACES))
    counts = stripped if blank_lines else stripped.filter(pl.col("line") != "")
    found = counts.group_by("row").agg(
        lines=pl.len(),
        bulleted=pl.col("line").str.head(1).is_in(list(bullets)).sum(),
        trailing=pl.any_horizontal(pl.col("line").str.ends_with(mark) for mark in ellipses).sum(),
    )
    return counted(text, found)
