"""Which language a text is in."""

import functools
from pathlib import Path

import langdetect
import polars as pl
from langdetect.detector_factory import DetectorFactory
from langdetect.lang_detect_exception import LangDetectException

from curate.signal import signal

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
    answers = {text: (None, None) if text is None else _answer(text, seed) for text in batch["text"].unique().to_list()}
    rows = [answers[text] for text in batch["text"].to_list()]
    return pl.DataFrame(rows, schema={"code": pl.String, "prob": pl.Float32}, orient="row")


def _answer(text: str, seed: int) -> tuple[str, float]:
    detector = _factory().create()
    detector.seed = seed
    detector.append(text[:CHARACTERS_AT_MOST])
    try:
        found = detector.get_probabilities()
    except LangDetectException:  # no letters
        return _NO_ANSWER
    return (found[0].lang, found[0].prob) if found else _NO_ANSWER


@functools.cache
def _factory() -> DetectorFactory:
    """The profiles in name order: langdetect itself takes them as the file system lists them, and sums follow that order."""
    folder = Path(langdetect.__file__).parent / "profiles"
    factory = DetectorFactory()
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if "." not in path.name])
    return factory
