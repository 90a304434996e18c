"""Language engines behind one contract: of every text a code and a probability, `und` and 0 where an engine has no answer."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from curate.errors import CeterisError
from curate.model import loaded

NO_ANSWER = "und"  # ISO 639-2 "undetermined"
LEAST = 0.1  # langdetect's own floor, for every engine
WRITES = {"code": pl.String, "prob": pl.Float32}

_ONE_CODE = {"zh-cn": "zh", "zh-tw": "zh", "nb": "no"}
_LABEL = "__label__"

Engine = Callable[[pl.Series], pl.DataFrame]
"""n texts, none null, to {code: String, prob: Float32} of n rows."""


def measured(batch: pl.DataFrame, engine: Engine) -> pl.DataFrame:
    """What an engine says of the column `text`, asked once for each distinct text; null where there is no text."""
    texts = batch.select(pl.col("text").drop_nulls().unique())
    return batch.select("text").join(texts.hstack(engine(texts["text"])), on="text", how="left", maintain_order="left").drop("text")


def engine(name: str, seed: int) -> Engine:
    """`sampled` (which uses the seed), `all`, `py3langid`, or that of the `fasttext` model with this digest."""
    if name == "py3langid":
        return py3langid
    built_in = name in ("sampled", "all")
    return functools.partial(langdetect, engine=name, seed=seed) if built_in else functools.partial(fasttext, model=name)


def langdetect(texts: pl.Series, engine: str, seed: int) -> pl.DataFrame:
    """langdetect's profiles, compiled; its own codes."""
    from filters._languages import detect, profiles  # loads a compiler, which no plan needs

    numbers, likely = detect(texts, engine, seed)
    return pl.DataFrame({"code": pl.Series([*profiles().codes, NO_ANSWER]).gather(numbers), "prob": likely}, schema=WRITES)


def py3langid(texts: pl.Series) -> pl.DataFrame:
    """The package py3langid's answers, codes made one."""
    return _answers(texts, _identifier().classify)


def fasttext(texts: pl.Series, model: str) -> pl.DataFrame:
    """The first label of a fastText classifier, without its prefix; codes made one. `model` is the digest of a `fasttext` model."""
    predict = loaded(model).predict

    def first(text: str) -> tuple[str, float]:
        labels, likely = predict(text.replace("\n", " "), k=1, threshold=LEAST)
        return (labels[0].removeprefix(_LABEL), min(float(likely[0]), 1.0)) if labels else (NO_ANSWER, 0.0)

    return _answers(texts, first)


def one_code() -> pl.Expr:
    """The column `code` with one code for what engines name at different depth: `zh` of zh-cn and zh-tw, `no` of nb (but nn stays)."""
    return pl.col("code").replace(_ONE_CODE)


def _answers(texts: pl.Series, answer: Callable[[str], tuple[str, float]]) -> pl.DataFrame:
    """Engines of others answer digits and blanks with the language they know best: texts without a letter are not shown to them."""
    spoken = texts.str.contains(r"\p{L}").to_list()
    found = [answer(text) if letters else (NO_ANSWER, 0.0) for text, letters in zip(texts, spoken, strict=True)]
    frame = pl.DataFrame(found, schema=WRITES, orient="row").with_columns(one_code())
    return frame.with_columns(prob=pl.when(pl.col("code") == NO_ANSWER).then(0.0).otherwise("prob").cast(pl.Float32))


@functools.cache
def _identifier() -> Any:
    """py3langid's identifier, summing in double precision: its single-precision sums differ in the last bits between processors."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise CeterisError("the package py3langid is not installed", fix="pip install 'ceteris[languages]'") from error
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=LEAST)
    identifier.nb_ptc = identifier.nb_ptc.astype(np.float64)
    return identifier
