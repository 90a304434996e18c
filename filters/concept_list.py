"""A list of concepts that captions are matched against, such as MetaCLIP's metadata."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from curate.errors import RecipeError
from curate.model import Made, Weights, model
from filters._buffers import flat
from filters._concepts import BOUNDS, Concepts, texts_of


@model(version=1, files=("file",))
def concept_list(*, file: str, bounds: str = "space") -> Made:
    """Read entries from `file`: a JSON list of texts, or a text file with one on each line. Their order numbers them, from 0.

    `bounds`: "space", an entry stands in a caption between spaces, after those that MetaCLIP puts round punctuation (Xu et al., arXiv
    2309.16671, `substr_matching.py`); or "script", as MetaCLIP 2 has it (arXiv 2507.22062), the same but where an entry begins or ends with
    punctuation or a character of a script that is written without spaces (Han, Thai, Lao, Burmese, Khmer, Tibetan; no kana). Upper and
    lower case differ. The licence of the list stays its own: MetaCLIP's is for non-commercial use. Memory: some 100 bytes an entry.
    Raises RecipeError for a file that cannot be read, no entries, an empty entry, or other bounds.
    """
    if bounds not in BOUNDS:
        raise RecipeError(f"entries have no bounds {bounds!r}", where="concept_list", fix=f"one of: {', '.join(BOUNDS)}")
    entries = _entries(Path(file))
    data, offsets = flat(entries)
    weights: Weights = {"data": data, "offsets": offsets}
    return Made(weights, {"architecture": {"bounds": bounds, "entries": len(entries)}, "licence": "that of the list"})


@concept_list.loader
def load(weights: Weights, card: dict[str, Any]) -> Concepts:
    """The entries, for `concepts`, and for reports."""
    return Concepts(texts_of(weights["data"], weights["offsets"]), card["architecture"]["bounds"])


def _entries(path: Path) -> pl.Series:
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
        found = json.loads(text) if text.lstrip()[:1] == "[" else lines
        for one in found:
            str(one).encode()  # JSON can hold halves of characters
    except (OSError, ValueError, RecursionError) as error:
        raise RecipeError(
            f"the list cannot be read: {error}", where=str(path), fix="give a JSON list, or one entry on each line"
        ) from error
    other = next((number for number, one in enumerate(found) if not isinstance(one, str) or not one), None)
    if other is not None or not found:
        place = "" if other is None else f"line {other + 1}" if found is lines else f"entry {other}"
        what = f"{place} is {json.dumps(found[other])[:40]}, not a text" if other is not None else "the list has no entries"
        raise RecipeError(what, where=str(path), fix="give a JSON list of texts, or one entry on each line")
    return pl.Series("entries", found, dtype=pl.String)
