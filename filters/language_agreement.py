"""Whether two language engines agree: their errors differ, so what both say is surer than either."""

from typing import Literal

import polars as pl

from curate.signal import ModelRef, signal
from filters import _language_engines as engines

_WRITES = {"code": pl.String, "same": pl.Boolean, "prob": pl.Float32}
_USES = ["langdetect", "numba", "py3langid", "fasttext-predict"]
_Engine = Literal["sampled", "all", "py3langid"] | ModelRef


@signal(version=1, reads=["text"], writes=_WRITES, uses=_USES)
def language_agreement(batch: pl.DataFrame, *, first: _Engine = "sampled", second: _Engine = "py3langid", seed: int = 0) -> pl.DataFrame:
    """The code that both engines give, `und` where they differ; whether they give the same; and the smaller of their probabilities.

    Engines: `sampled` and `all` as of `language`, `py3langid` as of `language_py3langid`, or a `fasttext` model of the recipe. Codes are
    compared after zh-cn and zh-tw became `zh`, and nb became `no`. Two without an answer are the same, at probability 0.
    Needs `pip install 'ceteris[languages]'`.
    """
    pair = [engines.engine(name, seed) for name in (first, second)]

    def both(texts: pl.Series) -> pl.DataFrame:
        one, two = (found(texts).with_columns(engines.one_code()) for found in pair)
        same = one["code"] == two["code"]
        code = one["code"].set(~same, engines.NO_ANSWER)
        return pl.DataFrame({"code": code, "same": same, "prob": pl.select(pl.min_horizontal(one["prob"], two["prob"])).to_series()})

    return engines.measured(batch, both)
