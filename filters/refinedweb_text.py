"""How much of a page RefinedWeb's line-wise corrections would take away."""

import polars as pl

from curate.signal import signal

_REMOVED = ("upper_case", "numeric", "counter", "single_word", "boilerplate")
_COUNTS = ("words", "lines", *(f"{reason}_lines" for reason in _REMOVED), "edited_lines")


@signal(version=1, reads=["text"], writes={**dict.fromkeys(_COUNTS, pl.UInt32), "removed_words": pl.Float64}, uses=["numba", "polars"])
def refinedweb_text(batch: pl.DataFrame) -> pl.DataFrame:
    r"""Lines to remove or edit (Penedo et al., "The RefinedWeb Dataset", arXiv 2306.01116, appendix G.2, Line-wise corrections).

    The text itself stays as it is. `words`: words of `str.split` with a letter or digit; `lines`: those parted by `\n` that are not white
    space. A line goes for the first reason that holds: more than half of its characters are upper case (`upper_case_lines`); all are
    digits (`numeric_lines`); it is a counter such as "3 likes" (`counter_lines`); it has one word (`single_word_lines`); or, of at most 10
    words, nothing else than "items in cart" anywhere, "Read more..." at its end or "Sign-in" at its beginning (`boilerplate_lines`).
    From `edited_lines` such a phrase would be taken out. `removed_words`: share of `words` in all of this; null if there are none.

    The paper gives examples only; phrases, counters and the share of one half are DCLM's, which counts words by Unicode's rules.
    """
    from filters._corrections import CLASSES, corrected  # numba takes its time to import, and planning needs none of it
    from filters._texts import measured, share

    counts = measured(batch["text"], CLASSES, corrected, (*_COUNTS, "left"))
    return counts.select(pl.col(_COUNTS).cast(pl.UInt32), removed_words=share(pl.col("words") - pl.col("left"), "words"))
