"""The words whose first synset is one of a list: WordNet's index and its rules of inflection, turned round.

A word is looked up as itself, and as what the exceptions list or the detachment of an ending makes of it, as a noun, then as a verb,
adjective and adverb: its first synset is the first sense of the first form that is there. So the words that have one of some synsets
first can be listed, and a text need only be searched for those.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import RecipeError

if TYPE_CHECKING:
    from filters._phrases import Phrases

_FIX = "give the folder with WordNet's index.noun, noun.exc and so on for verb, adj and adv (`dict` of WordNet 3.0)"
_ENDINGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        *(("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z")),
        *(("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y")),
    ),
    "verb": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}
"""What WordNet detaches, and what it puts there, in its order (morphy(7WN)), and parts of speech in theirs. "ves" is of NLTK's list."""


class Entities:
    """`words`: those whose first synset is one of the list; `synsets`: the number of each's in the list; `ids`: the list."""

    def __init__(self, words: pl.Series, synsets: npt.NDArray[np.uint32], ids: pl.Series) -> None:
        """Nothing is indexed before it is looked for."""
        self.words, self.synsets, self.ids = words, synsets, ids

    @property
    def entries(self) -> pl.Series:
        """What `entries` of evidence number."""
        return self.ids

    @cached_property
    def _known(self) -> "Phrases":
        from filters._phrases import phrases  # loads a compiler, which no plan needs

        return phrases(" " + self.words + " ")

    def found(self, texts: pl.Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
        """`firsts` (n + 1,), and the synset (its number in the list) of each word that has one there, from left to right."""
        from filters._phrases import places, spaced, table

        lower = texts.str.to_lowercase().str.replace_all(r"[\s\x1c-\x1f]", " ")
        firsts, numbers = places(*spaced(lower, table()), self._known)
        return firsts, self.synsets[numbers]


def resolved(folder: Path, offsets: Mapping[int, int], times: int) -> dict[str, int]:
    """Every word (lower case) whose first synset is at one of `offsets` of its file, whatever its part of speech, and what stands there;
    of words from which more than one ending must be detached, those up to `times`.
    """
    senses = {part: dict(_index(folder / f"index.{part}")) for part in _ENDINGS}
    odd = {part: {words[0]: words[1:] for words in _lines(folder / f"{part}.exc")} for part in _ENDINGS}
    possible: set[str] = set()
    for part in _ENDINGS:
        words = {lemma for lemma, sense in senses[part].items() if sense in offsets}
        possible |= words | {word for word, forms in odd[part].items() if not words.isdisjoint(forms)}
        for _ in range(times):
            words = {word for lemma in words for word in _inflected(lemma, part)}
            possible |= words
    found = {}
    for word in sorted(possible):
        forms = ((part, form) for part in _ENDINGS for form in _forms(word, part, odd[part], times))
        first = next((senses[part][form] for part, form in forms if form in senses[part]), None)
        if first is not None and first in offsets:
            found[word] = offsets[first]
    return found


def _forms(word: str, part: str, odd: Mapping[str, list[str]], times: int) -> Iterator[str]:
    """What a word may be an inflection of, itself first; where one ending is not enough, the next is detached."""
    yield word
    if word in odd:
        yield from odd[word]
        return
    forms = [word]
    for _ in range(times):
        forms = [form[: -len(old)] + new for form in forms for old, new in _ENDINGS[part] if form.endswith(old)]
        yield from forms


def _inflected(lemma: str, part: str) -> Iterator[str]:
    """Every word of which one detachment makes it."""
    yield from (lemma[: len(lemma) - len(new)] + old for old, new in _ENDINGS[part] if lemma.endswith(new))


def _index(path: Path) -> Iterator[tuple[str, int]]:
    """Each lemma and the offset of its first sense: `lemma pos senses pointers [pointer...] senses tagged offset...` (wndb(5WN))."""
    for words in _lines(path):
        try:
            yield words[0], int(words[6 + int(words[3])])
        except (ValueError, IndexError) as error:
            raise RecipeError(f"this is no line of WordNet's index: {' '.join(words)[:60]}", where=str(path), fix=_FIX) from error


def _lines(path: Path) -> Iterator[list[str]]:
    """The words of each line but those of the licence, which begin with a space."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RecipeError(f"WordNet cannot be read: {error}", where=str(path), fix=_FIX) from error
    yield from (line.split() for line in text.split("\n") if line.strip() and not line.startswith(" "))
