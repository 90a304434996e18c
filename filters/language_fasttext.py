"""Which language a text is in, by a fastText model such as lid.176."""

import polars as pl

from curate.signal import ModelRef, signal
from filters import _language_engines as engines


@signal(version=1, reads=["text"], writes=engines.WRITES, uses=["fasttext-predict"])
def language_fasttext(batch: pl.DataFrame, *, model: ModelRef) -> pl.DataFrame:
    """As `language`, by the `fasttext` model given (Joulin et al., "Bag of Tricks for Efficient Text Classification", arXiv 1607.01759).

    Codes are the model's labels without `__label__`, but `zh` for zh-cn and zh-tw, and `no` for nb. The whole text is read as one line.
    `und` and 0 where no label reaches 0.1 and where there is no letter. It is a filter of its own because only it needs a model.
    Needs `pip install 'ceteris[languages]'`.
    """
    return engines.measured(batch, lambda texts: engines.fasttext(texts, model))
