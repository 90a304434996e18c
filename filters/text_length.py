"""How long a text is."""

import polars as pl

from curate.signal import signal


@signal(version=1, reads=["text"], writes={"words": pl.UInt32, "chars": pl.UInt32})
def text_length(batch: pl.DataFrame) -> pl.DataFrame:
    r"""Words, as Python's `str.split()` counts them, and characters, in Unicode code points. Null text has neither.

    `\s` of the regular expressions is Unicode White_Space; `str.split` also splits at the separators U+001C to U+001F.
    """
    text = pl.col("text")
    return batch.select(
        words=text.str.count_matches(r"[^\s\x1c-\x1f]+").cast(pl.UInt32),
        chars=text.str.len_chars().cast(pl.UInt32),
    )
