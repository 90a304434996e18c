"""Which language a text is in, by another engine: py3langid."""

import polars as pl

from curate.signal import signal
from filters import _language_engines as engines


@signal(version=1, reads=["text"], writes=engines.WRITES, uses=["py3langid"])
def language_py3langid(batch: pl.DataFrame) -> pl.DataFrame:
    """As `language`, by py3langid: naive Bayes over byte n-grams chosen to differ between languages and not between domains (Lui and
    Baldwin, "langid.py", 2012; the package's own model, BSD licence), the surest of the three on captions.

    Codes are ISO 639-1, as those of `language` but `zh` for zh-cn and zh-tw, and `no` for nb. `und` and 0 below 0.1 and without a letter.
    It is a filter of its own and not an engine of `language`, since it has other parameters (none) and another licence and package to
    record. Needs `pip install 'ceteris[languages]'`.
    """
    return engines.measured(batch, engines.py3langid)
