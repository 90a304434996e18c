"""Which language a text is in."""

import polars as pl

from curate.signal import signal
from filters import _language_engines as engines


@signal(version=1, reads=["text"], writes=engines.WRITES, uses=["langdetect", "numba"])
def language(batch: pl.DataFrame, *, engine: str = "sampled", seed: int = 0) -> pl.DataFrame:
    """The most probable of langdetect's 55 languages and its probability, above 0.1; `und` and 0 where it has no answer.

    Naive Bayes over character n-grams (Nakatani, "Language Detection Library for Java", 2010). Codes are ISO 639-1, with zh-cn and zh-tw.
    With engine `sampled` the n-grams it looks at are drawn at random, anew from `seed` for every text, and answers are langdetect's own;
    `all` looks at each of them once, without a seed: faster, and surer of itself. Both read the first 10,000 characters, and an answer
    depends on the text alone. Null text has none. They know no gibberish: a text in no language, or of a few words, still gets one of them.
    """
    return engines.measured(batch, lambda texts: engines.langdetect(texts, engine, seed))
