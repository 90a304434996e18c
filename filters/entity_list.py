"""The words that name one of a list of WordNet synsets, such as ImageNet-21k's classes."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import Made, Weights, model
from filters._buffers import flat
from filters._concepts import texts_of
from filters._entities import Entities, resolved


@model(version=1, files=("wordnet", "ids"))
def entity_list(*, wordnet: str, ids: str, times: int = 3) -> Made:
    """Every word whose first WordNet synset is in `ids`, as DataComp's text-based filter looks words up (arXiv 2304.14108, section 5; its
    `baselines/apply_filter.py`, with NLTK's `wordnet.synsets(word)[0]`): lower-cased, as noun, verb, adjective and adverb in this order.

    `wordnet` is a folder with WordNet's database files (index.* and *.exc of version 3.0, which NLTK's `wordnet` and ImageNet's ids are
    of); `ids` a file with an id on each line, a letter and an offset: `n02084071`. As there, only the offset counts: a verb whose first
    synset has the offset of a noun of the list is met too.

    `times`: how many endings are detached, one after the other, until a word is found. NLTK up to 3.8, which DataComp used, goes on to the
    end ("misuseses" needs two); from 3.9 on it detaches one. Raises RecipeError for files that cannot be read or are of another kind.
    """
    listed = _ids(Path(ids))
    words = resolved(Path(wordnet), {int(one[1:]): number for number, one in reversed(list(enumerate(listed)))}, times)
    if not words:
        what = "no word of this WordNet has a first synset in the list"
        raise RecipeError(what, where=ids, fix="offsets differ between releases of WordNet: take the one that the ids are of")
    (data, offsets), (named, ends) = flat(pl.Series(list(words))), flat(pl.Series(listed))
    weights: Weights = {"data": data, "offsets": offsets, "synsets": np.array(list(words.values()), np.uint32), "ids": named, "ends": ends}
    card = {"architecture": {"words": len(words), "ids": len(listed)}, "without_words": len(listed) - len(set(words.values()))}
    return Made(weights, {**card, "licence": "WordNet's, and that of the list"})


@entity_list.loader
def load(weights: Weights, card: dict[str, Any]) -> Entities:  # noqa: ARG001  every loader is given the card
    """The words, for `caption_entities`."""
    return Entities(texts_of(weights["data"], weights["offsets"]), weights["synsets"], texts_of(weights["ids"], weights["ends"]))


def _ids(path: Path) -> list[str]:
    try:
        found = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise RecipeError(f"the list of ids cannot be read: {error}", where=str(path), fix="give a file with an id on each line") from error
    other = next((one for one in found if not re.fullmatch(r"[a-z]\d{1,8}", one)), None)
    if other is not None or not found:
        what = "the list of ids is empty" if other is None else f"{other[:40]!r} is no synset's id"
        raise RecipeError(what, where=str(path), fix="give a file with ids such as n02084071, one on each line")
    return found
