"""The contract of the engines, over every one of them that is installed."""

import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from curate.errors import CeterisError
from filters import _language_engines as engines
from filters import fasttext
from filters.language import language
from filters.language_agreement import language_agreement
from filters.language_fasttext import language_fasttext
from filters.language_py3langid import language_py3langid

SENTENCES = {
    "en": "The weather was fine and the children were playing behind the house.",
    "de": "Das Wetter war schön und die Kinder spielten hinter dem Haus.",
    "zh": "天气很好",
    "no": "barna lekte, været var fint, og huset lå stille",
}
SILENT = ["", " ", "12345 67.89", "\0", "!?", "🙂"]
Measure = Callable[..., pl.DataFrame]


@pytest.fixture(scope="module")
def tiny(fasttext_file: Path, frozen: Callable[..., str]) -> str:
    """The digest of the small fastText model, at hand."""
    pytest.importorskip("fasttext", reason="needs the extra `languages`: fasttext-predict")
    return frozen(fasttext.fasttext, file=str(fasttext_file))


@pytest.fixture(params=["sampled", "all", "py3langid", "fasttext"])
def measure(request: pytest.FixtureRequest) -> Measure:
    """An engine as a recipe uses it."""
    if request.param == "py3langid":
        pytest.importorskip("py3langid", reason="needs the extra `languages`: py3langid")
        return language_py3langid
    if request.param == "fasttext":
        digest = request.getfixturevalue("tiny")
        return lambda rows: language_fasttext(rows, model=digest)
    return lambda rows: language(rows, engine=request.param)


def _of(measure: Measure, texts: list[str | None]) -> list[tuple[object, ...]]:
    return measure(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})).rows()


def test_every_engine_knows_plain_sentences(measure: Measure) -> None:
    found = _of(measure, list(SENTENCES.values()))
    assert [str(code).removesuffix("-cn") for code, _, _ in found] == list(SENTENCES)
    assert all(0.3 < prob <= 1.0 for _, prob, _ in found)


def test_no_letters_no_answer_and_no_text_no_value(measure: Measure) -> None:
    assert _of(measure, [*SILENT, None]) == [("und", 0.0, None)] * len(SILENT) + [(None, None, None)]


def test_repeated_texts_are_asked_once_and_answered_each_time(measure: Measure) -> None:
    texts = [*SENTENCES.values(), None, "", SENTENCES["de"], SENTENCES["en"]]
    once = dict(zip(texts, _of(measure, texts), strict=True))
    assert _of(measure, texts[::-1] * 2) == [once[text] for text in texts[::-1] * 2]


def test_py3langid_says_what_the_package_says() -> None:
    langid = pytest.importorskip("py3langid.langid", reason="needs the extra `languages`: py3langid")
    package = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    texts = [*SENTENCES.values(), "radio", "Schnelle braune Füchse\nund ein Hund", "una casa blanca"]
    said = [({"nb": "no"}.get(code, code), prob) for code, prob in map(package.classify, texts)]
    expected = [(code, pytest.approx(prob, abs=1e-4)) if prob >= engines.LEAST else ("und", 0.0) for code, prob in said]
    assert [(code, prob) for code, prob, _ in _of(language_py3langid, texts)] == expected
    assert ("und", 0.0) in expected


def test_fasttext_reads_all_lines_and_answers_nothing_for_unknown_words(tiny: str) -> None:
    texts = ["the house\nand the weather", "the house das haus", "Quux frobnicate"]
    found = _of(lambda rows: language_fasttext(rows, model=tiny), texts)
    assert found[0][0] == "en"
    assert found[0][1] == pytest.approx(0.999, abs=1e-4)
    assert found[1][1] == pytest.approx(0.4911, abs=1e-3)  # e^4 / (2 e^4 + 2)
    assert found[2] == ("und", 0.0, None)


def test_two_engines_agree_on_one_code_and_the_smaller_probability(tiny: str) -> None:
    texts = ["the children", "das wetter und the house", "天气很好", "", None, "kinder"]
    rows = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
    one, two, both = language(rows), language_fasttext(rows, model=tiny), _agreed(rows, second=tiny)
    assert one["code"][2] == "zh-cn"
    assert both["same"].to_list() == [
        None if text is None else a.removesuffix("-cn") == b for text, a, b in zip(texts, one["code"], two["code"], strict=True)
    ]
    assert both["same"].to_list()[2:5] == [True, True, None]
    assert both["prob"].to_list() == [
        None if text is None else min(a, b) for text, a, b in zip(texts, one["prob"], two["prob"], strict=True)
    ]
    assert both["code"].to_list()[2:5] == ["zh", "und", None]


def test_engines_that_differ_give_no_code(tiny: str) -> None:
    rows = pl.DataFrame({"text": ["weather spielten kinder das"]})
    assert _agreed(rows, first="all", second=tiny).row(0)[:2] == ("de", True)
    other = pl.DataFrame({"text": ["il fait beau et the children"]})
    assert _agreed(other, first="all", second=tiny).row(0)[:2] == ("und", False)


def _agreed(rows: pl.DataFrame, **parameters: str) -> pl.DataFrame:
    return language_agreement(rows, **parameters)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    engines._identifier.cache_clear()
    with pytest.raises(CeterisError, match="py3langid is not installed") as raised:
        engines.py3langid(pl.Series(["some words"]))
    assert raised.value.fix == "pip install 'ceteris[languages]'"
