import random
import sys
from pathlib import Path

import pytest
from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
from langdetect.lang_detect_exception import LangDetectException

from filters._languages import detect

SPOKEN = """the house garden und das Haus ist schön la maison est belle el perro come casa rossa
хорошая погода дом 天気がよくて 날씨가 좋아서 天气很好 RADIO Taxi hotel mango data 12 a i o e"""
WORDS = SPOKEN.split()


@pytest.fixture(scope="module")
def factory() -> DetectorFactory:
    """langdetect itself, its profiles in name order."""
    made = DetectorFactory()
    files = sorted(path for path in Path(PROFILES_DIRECTORY).iterdir() if "." not in path.name)
    made.load_json_profile([path.read_text(encoding="utf-8") for path in files])
    return made


def _reference(factory: DetectorFactory, text: str) -> tuple[str, float] | None:
    detector = factory.create()
    detector.append(text)
    try:
        found = detector.get_probabilities()
    except LangDetectException:
        return None
    return (found[0].lang, found[0].prob) if found else None


@pytest.mark.parametrize("seed", [0, 12345])
def test_answers_are_langdetects_own_to_the_last_bit(seed: int, factory: DetectorFactory) -> None:
    rng = random.Random(seed)
    texts = [
        "",
        "12 34",
        "\0",
        "a" * 3000,
        "RADIO",
        "http://a.example/b me@example.org",
        *(" ".join(rng.choices(WORDS, k=n)) for n in range(1, 60)),
    ]
    factory.set_seed(seed)
    for text, found in zip(texts, detect(texts, seed), strict=True):
        expected = _reference(factory, text)
        if expected is None or sys.version_info < (3, 12):
            assert found == expected
        else:  # Python's sum() compensates rounding from 3.12 on
            assert found is not None
            assert (found[0], found[1]) == (expected[0], pytest.approx(expected[1], abs=1e-9))


def test_more_texts_than_are_taken_at_once_are_answered_alike() -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=2)) for _ in range(60)]
    many = [texts[i % 60] for i in range(2100)]
    alone = [detect([text], 0)[0] for text in texts]
    assert detect(many, 0) == [alone[i % 60] for i in range(2100)]


def test_no_texts_have_no_answers() -> None:
    assert detect([], 0) == []
