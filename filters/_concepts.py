"""What a list of concepts is to a signal: entries, and the rule by which they stand in a caption."""

import string
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from filters._buffers import Bytes, Offsets

if TYPE_CHECKING:
    from filters._phrases import Phrases

BOUNDS = ("space", "script")
_BLANK, _WRAPPED = b"\t\n\r", b",.;:?!`"
_WITHOUT_SPACES = {
    0x0E00: 0x0EFF,  # Thai, Lao
    0x0F00: 0x109F,  # Tibetan, Burmese
    0x1780: 0x17FF,  # Khmer
    0x2E80: 0x2FDF,  # radicals
    0x2FF0: 0x2FFF,  # how ideographs are put together
    0x3400: 0x4DBF,
    0x4E00: 0x9FFF,
    0xF900: 0xFAFF,
    0x20000: 0x2A6DF,
    0x2A700: 0x2EBEF,
}
_PUNCTUATION = "，。、；：？！“”‘’（）【】《》〈〉「」『』～—" + string.punctuation
SCRIPTS = {**{ord(mark): ord(mark) for mark in _PUNCTUATION}, **_WITHOUT_SPACES}
"""Code points, first to last, beside which MetaCLIP 2 asks for no space; punctuation among them."""


class Concepts:
    """The `entries` of a list, and its `bounds`."""

    def __init__(self, entries: pl.Series, bounds: str) -> None:
        """Nothing is indexed before it is looked for."""
        self.entries, self.bounds = entries, bounds

    def __len__(self) -> int:
        """How many entries."""
        return len(self.entries)

    @cached_property
    def _known(self) -> "Phrases":
        from filters._phrases import phrases  # loads a compiler, which no plan needs

        entry, no_space = pl.col("entry"), f"[{''.join(_in_class(first, last) for first, last in SCRIPTS.items())}]"
        before, after = pl.lit(" "), pl.lit(" ")
        if self.bounds == "script":
            before = pl.when(entry.str.contains(f"^{no_space}")).then(pl.lit("")).otherwise(before)
            after = pl.when(entry.str.contains(f"{no_space}$")).then(pl.lit("")).otherwise(after)
        bounded = self.entries.to_frame("entry").select(before + entry + after).to_series()
        return phrases(bounded, SCRIPTS if self.bounds == "script" else None)

    def found(self, texts: pl.Series) -> tuple[Offsets, npt.NDArray[np.uint32]]:
        """`firsts` (n + 1,), and the numbers of the entries that stand in each of n texts, ascending, each once; in null texts none."""
        from filters._phrases import found, spaced, table

        return found(*spaced(texts, table(_BLANK, _WRAPPED)), self._known)


def texts_of(data: Bytes, offsets: Offsets) -> pl.Series:
    """Texts from their bytes, one after the other, and where each begins and ends."""
    column = pa.Array.from_buffers(pa.large_string(), offsets.size - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    return pl.Series("entries", column, dtype=pl.String)


def _in_class(first: int, last: int) -> str:
    return rf"\x{{{first:x}}}-\x{{{last:x}}}"
