"""langdetect's detection for many texts at once: the same profiles, draws and arithmetic, in step across texts."""

import functools
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import langdetect
import numpy as np
import numpy.typing as npt
from langdetect.detector import Detector
from langdetect.detector_factory import DetectorFactory

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_TRIALS = 7  # this and the next: Detector.__init__ of langdetect 1.0.9
_PROBABLE, _SURE, _STEPS_AT_MOST = Detector.PROB_THRESHOLD, Detector.CONV_THRESHOLD, Detector.ITERATION_LIMIT
_UPDATES = 5  # draws between two looks at how sure it is
_STREAM = 1 << 16  # four times what seven trials of 1,001 draws take, half of which may be refused
_TEXTS_AT_ONCE = 2048  # 4 MB of probabilities and n-gram shares at a time


class _Profiles(NamedTuple):
    """`factory` knows which n-grams there are, `rows` their row in `shares` (n-grams, languages): how frequent each is in a language."""

    factory: Any
    rows: dict[str, int]
    shares: Floats


def detect(texts: Sequence[str], seed: int) -> list[tuple[str, float] | None]:
    """Each text's most probable language and its probability; None where there are no n-grams or none is above 0.1.

    As `langdetect.detect_langs(text)[0]` with `DetectorFactory.seed = seed`, profiles in name order, and sums from left to right.
    """
    grams = [_grams(text) for text in texts]
    answers: list[tuple[str, float] | None] = [None] * len(texts)
    there = [i for i, found in enumerate(grams) if found]
    for start in range(0, len(there), _TEXTS_AT_ONCE):
        part = there[start : start + _TEXTS_AT_ONCE]
        probabilities = _probabilities([grams[i] for i in part], seed)
        best = probabilities.argmax(axis=1)
        for i, language, likely in zip(part, best.tolist(), probabilities.max(axis=1).tolist(), strict=True):
            if likely > _PROBABLE:
                answers[i] = (_profiles().factory.langlist[language], likely)
    return answers


def _grams(text: str) -> list[int]:
    """The rows of the text's known n-grams, in order, found and cleaned by langdetect."""
    detector = _profiles().factory.create()
    detector.append(text)
    detector.cleaning_text()
    rows = _profiles().rows
    return [rows[gram] for gram in detector._extract_ngrams()]


def _probabilities(grams: list[list[int]], seed: int) -> Floats:
    """(texts, languages): the mean over the trials. Every text reads the seed's one stream of random words at its own place."""
    words, shares = _words(seed), _profiles().shares
    counts = np.array([len(one) for one in grams], np.int64)
    flat, starts = np.concatenate([np.array(one, np.int64) for one in grams]), np.cumsum(counts) - counts
    unused = np.array([32 - len(one).bit_length() for one in grams], np.uint32)
    place, spare = np.zeros(len(grams), np.int64), np.zeros(len(grams))
    mean = np.zeros((len(grams), shares.shape[1]))
    for trial in range(_TRIALS):
        if trial % 2 == 0:  # Gaussian numbers come in pairs
            deviate, spare = (np.array(one) for one in zip(*[_gauss(seed, at) for at in place.tolist()], strict=True))
            place += 4
        else:
            deviate = spare
        weight = (Detector.ALPHA_DEFAULT + deviate * Detector.ALPHA_WIDTH) / Detector.BASE_FREQ
        probability = np.full(mean.shape, 1.0 / shares.shape[1])
        active = np.arange(len(grams))
        for draws in (1, *[_UPDATES] * (_STEPS_AT_MOST // _UPDATES)):
            drawn = flat[starts[active, None] + _choices(words, place, active, counts, unused, draws)]
            now, alpha = probability[active], weight[active, None]
            for rows in drawn.T:
                now *= alpha + shares[rows]
            now /= np.cumsum(now, axis=1)[:, -1:]
            probability[active] = now
            active = active[now.max(axis=1) <= _SURE]
            if not active.size:
                break
        mean += probability / _TRIALS
    return mean


def _choices(
    words: npt.NDArray[np.uint32], place: Integers, active: Integers, counts: Integers, unused: npt.NDArray[np.uint32], draws: int
) -> Integers:
    """(active texts, draws) n-gram numbers as `random.choice` draws them: a word's upper bits, too large ones passed over."""
    width, enough = 4 * draws, False
    while not enough:
        values = words[place[active, None] + np.arange(width)] >> unused[active, None]
        fits = values < counts[active, None]
        number = fits.cumsum(axis=1)
        enough = bool((number[:, -1] >= draws).all())
        width *= 2
    place[active] += (number < draws).sum(axis=1) + 1
    chosen: Integers = values[fits & (number <= draws)].reshape(-1, draws).astype(np.int64)
    return chosen


@functools.cache
def _words(seed: int) -> npt.NDArray[np.uint32]:
    """The 32-bit words that Python's generator (Mersenne Twister) gives for a seed."""
    source = random.Random(seed)
    return np.array([source.getrandbits(32) for _ in range(_STREAM)], np.uint32)


@functools.cache
def _gauss(seed: int, place: int) -> tuple[float, float]:
    """The pair of normal deviates that `random.gauss` makes of the four words from `place` on."""
    a, b, c, d = _words(seed)[place : place + 4].tolist()
    angle, radius = (((high >> 5) * 67108864.0 + (low >> 6)) / 9007199254740992.0 for high, low in ((a, b), (c, d)))
    angle, radius = angle * 2.0 * math.pi, math.sqrt(-2.0 * math.log(1.0 - radius))
    return math.cos(angle) * radius, math.sin(angle) * radius


@functools.cache
def _profiles() -> _Profiles:
    """The profiles in name order: langdetect itself takes them as the file system lists them, and sums follow that order."""
    folder = Path(langdetect.__file__).parent / "profiles"
    factory = DetectorFactory()
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if "." not in path.name])
    shares = np.array(list(factory.word_lang_prob_map.values()))
    rows = {gram: row for row, gram in enumerate(factory.word_lang_prob_map)}
    factory.word_lang_prob_map = rows  # it now says which n-grams there are, and nothing else is asked of it
    return _Profiles(factory, rows, shares)
