"""Which language a text is in."""

import polars as pl

from curate.signal import signal
from filters._languages import detect

CHARACTERS_AT_MOST = 10_000
"""Only so many leading characters of a text are looked at: langdetect's own limit, applied here before its searches for addresses."""

_NO_ANSWER = ("und", 0.0)  # ISO 639-2 "undetermined"


@signal(version=1, reads=["text"], writes={"code": pl.String, "prob": pl.Float32}, uses=["langdetect"])
def language(batch: pl.DataFrame, *, seed: int = 0) -> pl.DataFrame:
    """The most probable of langdetect's 55 languages and its probability, above 0.1; `und` and 0 where it has no answer.

    Naive Bayes over character n-grams (Nakatani, "Language Detection Library for Java", 2010). Codes are ISO 639-1, with zh-cn and zh-tw.
    The n-grams it looks at are drawn at random, anew from `seed` for every text: an answer depends on the text alone. Null text has none.
    It knows no gibberish: a text in no language, or of a few words, still gets one of them.
    """
    texts = batch["text"].unique().drop_nulls().to_list()
    found = detect([text[:CHARACTERS_AT_MOST] for text in texts], seed)
    answers = dict(zip(texts, found, strict=True))
    rows = [(None, None) if text is None else answers[text] or _NO_ANSWER for text in batch["text"].to_list()]
    return pl.DataFrame(rows, schema={"code": pl.String, "prob": pl.Float32}, orient="row")
