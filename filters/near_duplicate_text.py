"""Texts that share most of their wording: documents copied with small changes."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.grouping import grouping
from curate.signal import signal
from curate.sketches import Sketches
from filters._characters import tables

_FORMS = ("NFC", "NFD", "NFKC", "NFKD", "")
_WRITES = {"key": pl.Binary, "signature": pl.Binary, "shingles": pl.Binary}


@signal(version=2, reads=["text"], writes=_WRITES, uses=["datasketch", "numba", "numpy", "polars"])
def sketch(
    batch: pl.DataFrame,
    *,
    words: int = 5,
    characters: int = 5,
    permutations: int = 128,
    case: bool = False,
    punctuation: bool = False,
    unicode: str = "NFC",
    exact: bool = False,
) -> pl.DataFrame:
    """A text's MinHash signature (Broder, "On the resemblance of documents", 1997) over its word n-grams (shingles).

    Words are runs of letters, digits, marks and `_`; with `punctuation`, runs of anything but white space. Unless `case` counts, they
    are folded character by character. In scripts without spaces between words every character is one; a text made mostly of those has
    shingles of `characters`, any other of `words`. Texts are first brought into the normal form `unicode` (NFC, NFD, NFKC, NFKD; "": as
    they are). A text too short for one shingle has no sketch and stands alone.

    `key`: 16 bytes, a hash of the words in order. `signature`: `permutations` little-endian uint32, those of datasketch's MinHash with
    scheme "affine32" and seed 1 over the 32-bit hashes of the shingles. `shingles`: null, or, if `exact`, those hashes, distinct and
    ascending, little-endian uint32: two different shingles of texts of n meet by chance in n / 2^32 of cases.
    Raises RecipeError if a length is below 1 or the normal form unknown.
    """
    from filters import _minhash  # numba takes its time to import, and planning needs none of it

    if min(words, characters, permutations) < 1 or unicode not in _FORMS:
        raise RecipeError(
            f"words: {words}, characters: {characters}, permutations: {permutations}, unicode: {unicode!r} cannot be",
            where="near_duplicate_text",
            fix=f"give lengths of at least 1, and one of the normal forms {', '.join(_FORMS[:-1])} or ''",
        )
    how = (tables(case, punctuation, unicode), (case, punctuation), (words, characters), _minhash.permutations(permutations), exact)
    found, changing = _minhash.sketched(batch["text"], *how, any_form=not unicode)
    if not changing.size:
        return found
    normal = batch["text"].gather(changing).str.normalize(unicode)  # type: ignore[arg-type]
    again, _ = _minhash.sketched(normal, *how, any_form=True)
    place = np.arange(found.height)
    place[changing] = found.height + np.arange(changing.size)
    return pl.concat([found, again])[place]


def links(sketches: Sketches, *, bands: int = 16, rows: int = 8, floor: float = 0.6) -> Iterator[pl.DataFrame]:
    """Pairs that agree in all `rows` values of one of `bands` bands of their signatures, and their Jaccard similarity.

    See `recall` for how many are found. The similarity is that of the shingles where the sketch holds them (`exact`), else estimated as
    the share of equal values in the signatures, with standard deviation sqrt(s (1 - s) / permutations): .035 at .8. Signatures stay where
    they are: memory holds 4 bytes a text for some bands at a time, and the sketches of some candidates.
    Raises RecipeError if the signatures have fewer than bands x rows values.
    """
    from filters import _banding

    return _banding.linked(sketches, bands, rows, floor)


def recall(similarities: Sequence[float], *, bands: int = 16, rows: int = 8) -> list[float]:
    """The probability 1 - (1 - s^rows)^bands that `links` finds a pair, for every Jaccard similarity s in [0, 1].

    Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", 3.4.2. At 16 bands of 8: .061 at .5, .614 at .7, .947 at .8, .9998 at .9.
    """
    return [1 - (1 - similarity**rows) ** bands for similarity in similarities]


near_duplicate_text = grouping("near_duplicate_text", version=3, sketch=sketch, links=links, threshold=0.7, recall=recall)
