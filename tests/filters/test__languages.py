import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from itertools import accumulate
from json import loads
from pathlib import Path

import polars as pl
import pytest
from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
from langdetect.lang_detect_exception import LangDetectException

from curate.errors import RecipeError
from filters._languages import ENGINES, detect, profiles
from filters._languages_kernel import CHARACTERS_AT_MOST

PROFILES = sorted(path for path in Path(PROFILES_DIRECTORY).iterdir() if "." not in path.name)
SPOKEN = """the house garden und das Haus ist schön la maison est belle el perro come casa rossa
хорошая погода дом 天気がよくて 날씨가 좋아서 天气很好 RADIO Taxi hotel mango data 12 a i o e"""
PIECES = [
    *("http://", "https://", "httphttps://", "http", "https", "s", "://", "/", "?", "#", "x" * 70, "y" * 256, "z" * 2080),
    *("@", "@@", ".", "-", "_", "a@b.c", "me@example.org", " ", "\n", "\0", "~", "1"),
    *("A\u0300", "a\u0301", "ê\u0303", "Ơ\u0323", "\u0300", "\u0302", "\u0323", "Ợ", "ễ"),  # Vietnamese, as letters and marks
    *("ABC", "Ab", "ÀB", "ẞ", "İ", "ß", "\U00010400\U00010401", "\U0001d400b", "\u01c5"),  # capitals
    *("я", "中", "佼", "佽", "あ", "ア", "ㄅ", "한", "ی", "ș", "ț", "\u00a0", "«", "\u200b", "🙂", "é", "a", "Z"),
]


@pytest.fixture(scope="module")
def factory() -> DetectorFactory:
    """langdetect itself, its profiles in name order."""
    made = DetectorFactory()
    made.load_json_profile([path.read_text(encoding="utf-8") for path in PROFILES])
    return made


def _spoken(seed: int) -> Iterator[str]:
    """A few words, and many."""
    rng, words = random.Random(seed), SPOKEN.split()
    for count in range(1, 60):
        yield " ".join(rng.choices(words, k=count))


def _babble(seed: int) -> Iterator[str]:
    """Captions and documents in every language, as its profile would have them: each character drawn by the two before it."""
    rng = random.Random(seed)
    for path in PROFILES:
        after: dict[str, list[tuple[str, int]]] = {}
        for gram, count in loads(path.read_text(encoding="utf-8"))["freq"].items():
            if len(gram) == 3:
                after.setdefault(gram[:2], []).append((gram[2], count))
        starts = [pair for pair in after if pair[0] == " "] or list(after)
        tables = {pair: ([letter for letter, _ in next_], list(accumulate(n for _, n in next_))) for pair, next_ in after.items()}
        for size in [*rng.choices(range(5, 60), k=20), 2_000, 4_000]:
            text = ""
            while len(text) < size:
                letters, weights = tables[text[-2:]] if text[-2:] in tables else (starts, list(range(1, len(starts) + 1)))
                text += rng.choices(letters, cum_weights=weights)[0]
            yield text


def _documentation(seed: int) -> Iterator[str]:
    """What the installed packages say of themselves, with their URLs and addresses: whole, and a thousand lines."""
    whole = sorted({one.read_text("METADATA") or "" for one in distributions()})
    yield from whole
    lines = sorted({line for text in whole for line in text.splitlines()})
    yield from random.Random(seed).sample(lines, min(1000, len(lines)))


def _pieces(seed: int) -> Iterator[str]:
    """What the patterns for URLs, addresses, marks and capitals could stumble over."""
    rng = random.Random(seed)
    for _ in range(1000):
        yield "".join(rng.choices(PIECES, k=rng.randrange(1, 25)))


def _edges(seed: int) -> Iterator[str]:
    yield from ("", " ", "12 34", "\0", "a" * 3000, "RADIO", "http://a.example/b me@example.org")
    for size in (CHARACTERS_AT_MOST - 40, CHARACTERS_AT_MOST - 10, CHARACTERS_AT_MOST):  # cut before, in and after the address
        yield "é" * size + " someone@example.org hello there"
    yield "é" * CHARACTERS_AT_MOST + "中" * CHARACTERS_AT_MOST


def _reference(factory: DetectorFactory, text: str) -> tuple[str, float] | None:
    detector = factory.create()
    detector.append(text[:CHARACTERS_AT_MOST])
    try:
        found = detector.get_probabilities()
    except LangDetectException:
        return None
    return (found[0].lang, found[0].prob) if found else None


def _answers(texts: list[str], engine: str = "sampled", seed: int = 0) -> list[tuple[str, float] | None]:
    codes = profiles().codes
    numbers, likely = detect(pl.Series(texts, dtype=pl.String), engine, seed)
    return [(codes[number], prob) if number < len(codes) else None for number, prob in zip(numbers.tolist(), likely.tolist(), strict=True)]


@pytest.mark.parametrize(
    ("kind", "seed"), [(_edges, 0), (_spoken, 0), (_spoken, 12345), (_babble, 0), (_documentation, 0), (_pieces, 0), (_pieces, 7)]
)
def test_answers_are_langdetects_own_to_the_last_bit(kind: Callable[[int], Iterator[str]], seed: int, factory: DetectorFactory) -> None:
    texts = list(kind(seed))
    factory.set_seed(seed)
    for text, found in zip(texts, _answers(texts, seed=seed), strict=True):
        expected = _reference(factory, text)
        if expected is None or sys.version_info < (3, 12):
            assert found == expected, text
        else:  # Python's sum() compensates rounding from 3.12 on
            assert found is not None
            assert (found[0], found[1]) == (expected[0], pytest.approx(expected[1], abs=1e-9)), text


def _posterior(factory: DetectorFactory, text: str) -> tuple[str, float] | None:
    """Naive Bayes over all the n-grams that langdetect finds, with logarithms to three digits."""
    detector = factory.create()
    detector.append(text[:CHARACTERS_AT_MOST])
    detector.cleaning_text()
    grams = detector._extract_ngrams()
    if not grams:
        return None
    weight = detector.ALPHA_DEFAULT / detector.BASE_FREQ
    sums = [0] * len(factory.langlist)
    for gram, times in Counter(grams).items():
        for i, share in enumerate(factory.word_lang_prob_map[gram]):
            sums[i] += times * round(2048 * math.log1p(share / weight))
    best = max(sums)
    likely = 1 / sum(math.exp((one - best) / 2048) for one in sums)
    return (factory.langlist[sums.index(best)], likely) if likely > 0.1 else None


@pytest.mark.parametrize("kind", [_edges, _spoken, _babble, _pieces])
def test_with_all_n_grams_an_answer_is_the_posterior(kind: Callable[[int], Iterator[str]], factory: DetectorFactory) -> None:
    texts = list(kind(3))
    for text, found in zip(texts, _answers(texts, "all"), strict=True):
        expected = _posterior(factory, text)
        assert (found is None) == (expected is None), text
        if found and expected:
            assert (found[0], found[1]) == (expected[0], pytest.approx(expected[1], abs=1e-12)), text


def test_both_engines_answer_documents_alike() -> None:
    documents = [text for text in _babble(0) if len(text) >= 2_000]
    sampled, summed = ([found and found[0] for found in _answers(documents, engine)] for engine in ENGINES)
    assert len(documents) == 110
    assert sampled == summed


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"no engine al\n  fix: did you mean all"):
        _answers(["text"], "al")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_language_is_answered(engine: str) -> None:
    assert {found[0] for found in _answers(list(_babble(0)), engine) if found} == {path.name for path in PROFILES} == set(profiles().codes)


@pytest.mark.parametrize("engine", ENGINES)
def test_texts_are_found_wherever_they_lie_in_a_column(engine: str) -> None:
    texts = [*_spoken(0), "", *_pieces(1)]
    column = pl.concat([pl.Series(texts[:100]), pl.Series(texts[100:])], rechunk=False)
    codes = [number for text in texts[40:300] for number in detect(pl.Series([text]), engine, 0)[0].tolist()]
    assert detect(column.slice(40, 260), engine, 0)[0].tolist() == codes


@pytest.mark.parametrize("engine", ENGINES)
def test_no_texts_have_no_answers(engine: str) -> None:
    assert _answers([], engine) == []
