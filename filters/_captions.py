"""What the counts of a pool's captions are to a signal."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

WHOLE = np.uint64(1)
"""The last bit of the hash of a whole caption; a word's has none."""
_ANY_LENGTH = 1 << 40


class CaptionCounts(NamedTuple):
    """`hashes`, ascending, of words and whole captions that stand in two captions or more; `counts`, in how many; `weights`, how specific
    each word is, from 0 for the commonest to 1 for one that stands nowhere else.
    """

    hashes: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.uint32]
    weights: npt.NDArray[np.float64]

    def places(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Where each of these is, -1 for what stands in one caption or none."""
        if not self.hashes.size:
            return np.full(hashes.size, -1, np.int64)
        place = np.minimum(np.searchsorted(self.hashes, hashes), self.hashes.size - 1)
        return np.where(self.hashes[place] == hashes, place, -1)


Hashed = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.uint64], npt.NDArray[np.int64]]


def hashed(texts: pl.Series) -> Hashed:
    """The hashes of all words and the text of each; the hashes of the texts that have a word, as wholes, and which these are."""
    from filters._runs import grams  # loads a compiler, which no plan needs

    words, rows, _ = grams(texts, 1, 1)
    wholes, texts_with, _ = grams(texts, _ANY_LENGTH, 1)
    return words & ~WHOLE, rows, wholes | WHOLE, texts_with
