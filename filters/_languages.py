"""langdetect's profiles and draws as tables, and the detection over them."""

import functools
import json
import math
import random
from pathlib import Path
from typing import NamedTuple

import langdetect
import numpy as np
import polars as pl
from langdetect.utils.ngram import NGram

from curate.errors import RecipeError, nearest
from filters import _languages_kernel as kernel
from filters._buffers import flat
from filters._languages_kernel import Alphabet, Draws, Floats, Integers

_WORDS = 1 << 15  # more than twice the 14,000 that seven trials of 1,001 draws take at the worst odds, one half
_DIGITS, _LATIN = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KINDS = {kernel.LINK: "-_.?&~;+=/#" + _DIGITS + _LATIN, kernel.LOCAL: "-_." + _DIGITS + _LATIN, kernel.DOMAIN: "-_" + _DIGITS + _LATIN}


class Profiles(NamedTuple):
    """`codes` in name order; `shares` (n-grams, COLUMNS): how frequent each n-gram of `alphabet` is in each language."""

    codes: tuple[str, ...]
    alphabet: Alphabet
    shares: Floats


ENGINES = ("sampled", "all")


def detect(texts: pl.Series, engine: str, seed: int) -> tuple[Integers, Floats]:
    """Each text's most probable language, as its number in `profiles().codes`, and its probability; the number after the last one and 0
    where there are no n-grams or none is above 0.1. No text may be null.

    "sampled": as `langdetect.detect_langs(text[:10_000])[0]` with `DetectorFactory.seed = seed`, profiles in name order, and sums from left
    to right.
    "all": the posterior of the same model, given every n-gram once. Raises RecipeError if `engine` is none of `ENGINES`.
    """
    if engine not in ENGINES:
        raise RecipeError(f"language has no engine {engine}", where="language", fix=nearest(engine, ENGINES))
    _, alphabet, shares = profiles()
    data, offsets = flat(texts)
    if engine == "all":
        return kernel.summed(data, offsets, alphabet, _gains())
    return kernel.sampled(data, offsets, alphabet, shares, _draws(seed))


@functools.cache
def _draws(seed: int) -> Draws:
    """What Python's generator gives for a seed, deviates by Python's own arithmetic: another library's cosine may end in another bit."""
    source = random.Random(seed)
    words = np.array([source.getrandbits(32) for _ in range(_WORDS)], np.uint32)
    uniform = [
        ((high >> 5) * 67108864.0 + (low >> 6)) / 9007199254740992.0 for high, low in zip(words.tolist(), words[1:].tolist(), strict=False)
    ]
    pairs = [(angle * 2.0 * math.pi, math.sqrt(-2.0 * math.log(1.0 - part))) for angle, part in zip(uniform, uniform[2:], strict=False)]
    cosines, sines = (np.array([circle(angle) * radius for angle, radius in pairs]) for circle in (math.cos, math.sin))
    return words, cosines, sines


@functools.cache
def _gains() -> kernel.Shorts:
    """The logarithm of each share over that of an n-gram never seen in the language."""
    logarithms: Floats = np.log1p(profiles().shares * (kernel.BASE / kernel.ALPHA))
    return np.rint(logarithms * kernel.NAT).astype(np.uint16)


@functools.cache
def profiles() -> Profiles:
    """The profiles in name order: langdetect itself takes them as the file system lists them, and sums follow that order.

    N-grams with a character that normalisation never leaves (most of a group of Chinese characters, say) can never be found: not kept.
    """
    folder = Path(langdetect.__file__).parent / "profiles"
    read = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.iterdir()) if "." not in path.name]
    normal = [NGram.normalize(chr(point)) for point in range(1 << 16)]  # no character beyond has a profile, and all stay themselves
    known = sorted(set(normal).intersection(*[{letter for profile in read for gram in profile["freq"] for letter in gram}]) - {" "})
    numbers = {" ": kernel.SPACE} | {letter: number for number, letter in enumerate(known, kernel.SPACE + 1)}
    rows: dict[str, int] = {}
    for profile in read:
        for gram in profile["freq"]:
            if gram not in rows and numbers.keys() >= set(gram):
                rows[gram] = len(rows)
    shares = np.zeros((len(rows), kernel.COLUMNS))
    for column, profile in enumerate(read):
        for gram, count in profile["freq"].items():
            if gram in rows:
                shares[rows[gram], column] = count / profile["n_words"][len(gram) - 1]
    return Profiles(tuple(profile["name"] for profile in read), _alphabet(normal, numbers, rows), shares)


def _alphabet(normal: list[str], numbers: dict[str, int], rows: dict[str, int]) -> Alphabet:
    """The tables of characters and n-grams: `normal` per code point, `numbers` per letter, `rows` per n-gram."""
    letters = np.array([numbers.get(one, kernel.UNKNOWN) for one in normal] + [kernel.UNKNOWN] * (0x110000 - len(normal)), np.uint16)
    letters[[point for point in range(0x110000) if (normal[point] if point < len(normal) else chr(point)).isupper()]] |= kernel.UPPER
    kinds = np.zeros(128, np.uint8)
    for kind, characters in _KINDS.items():
        kinds[[ord(one) for one in characters]] |= kind
    composed = np.zeros((kernel.MARKS, kernel.MARKED), np.uint16)
    for letter in NGram.TO_NORMALIZE_VI_CHARS:
        for mark in NGram.DMARK_CLASS:
            composed[ord(mark) - kernel.MARK, ord(letter)] = ord(NGram.normalize_vi(letter + mark))
    singles, keys = np.full(kernel.UPPER, -1, np.int64), np.zeros(len(rows), np.int64)
    for gram, row in rows.items():
        if len(gram) == 1:
            singles[numbers[gram]] = row
        else:
            keys[row] = functools.reduce(lambda key, letter: key << 11 | numbers[letter], gram, 0)
    return letters, kinds, composed, singles, *kernel.filled(keys)
