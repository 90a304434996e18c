"""Which language a text is in."""

import polars as pl

from curate.signal import signal

_NO_ANSWER = "und"  # ISO 639-2 "undetermined"


@signal(version=1, reads=["text"], writes={"code": pl.String, "prob": pl.Float32}, uses=["langdetect", "numba"])
def language(batch: pl.DataFrame, *, engine: str = "sampled", seed: int = 0) -> pl.DataFrame:
    """The most probable of langdetect's 55 languages and its probability, above 0.1; `und` and 0 where it has no answer.

    Naive Bayes over character n-grams (Nakatani, "Language Detection Library for Java", 2010). Codes are ISO 639-1, with zh-cn and zh-tw.
    With engine `sampled` the n-grams it looks at are drawn at random, anew from `seed` for every text, and answers are langdetect's own;
    `all` looks at each of them once, without a seed: faster, and surer of itself. Both read the first 10,000 characters, and an answer
    depends on the text alone. Null text has none. They know no gibberish: a text in no language, or of a few words, still gets one of them.
    """
    from filters._languages import detect, profiles  # loads a compiler, which no plan needs

    texts = batch.select(pl.col("text").drop_nulls().unique())
    numbers, likely = detect(texts["text"], engine, seed)
    codes = pl.Series([*profiles().codes, _NO_ANSWER])
    answers = texts.with_columns(code=codes.gather(numbers), prob=pl.Series(likely, dtype=pl.Float32))
    return batch.select("text").join(answers, on="text", how="left", maintain_order="left").select("code", "prob")
