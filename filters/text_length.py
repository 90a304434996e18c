"""How long a text is."""

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.signal import signal
from filters._buffers import Bytes, Offsets, flat

Mask = npt.NDArray[np.bool_]
LEADS = (0xC2, 0xE1)  # of two bytes, and the first of three that begin three
LOWEST = np.array([(1 << 8 * count) - 1 for count in range(8)], np.uint64)


@signal(version=1, reads=["text"], writes={"words": pl.UInt32, "chars": pl.UInt32})
def text_length(batch: pl.DataFrame) -> pl.DataFrame:
    """Words, as Python's `str.split()` counts them, and characters, in Unicode code points. Null text has neither."""
    texts = batch["text"]
    words, chars = counted(*flat(texts))
    made = pl.DataFrame({"words": words, "chars": chars})
    return made if not texts.null_count() else made.select(pl.when(texts.is_not_null()).then(pl.all()))


def counted(data: Bytes, offsets: Offsets) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Words and characters of n texts in UTF-8, given as their bytes and n + 1 offsets."""
    first = int(offsets[0])
    data, offsets = data[first : int(offsets[-1])], offsets - first
    inside = ~spaces(data)
    begins = inside.copy()
    begins[1:] &= ~inside[:-1]
    edges = offsets[:-1][np.diff(offsets) > 0]
    begins[edges] = inside[edges]  # a word does not reach over two texts
    characters = data.view(np.int8) >= -64  # all bytes but those that continue a character
    return _within(begins, offsets), _within(characters, offsets)


def spaces(data: Bytes) -> Mask:
    """Which bytes belong to white space as `str.split` knows it: Unicode's White_Space, and the separators U+001C to U+001F."""
    found: Mask = (data - np.uint8(9) < 5) | (data - np.uint8(28) < 5)
    if data.max(initial=0) < 0xC2:
        return found
    leads = np.flatnonzero((data == LEADS[0]) | (data - np.uint8(LEADS[1]) < 3))
    second, third = (np.take(data, leads + step, mode="clip") for step in (1, 2))
    lead = data[leads]
    two = (lead == 0xC2) & ((second == 0x85) | (second == 0xA0))  # U+0085, U+00A0
    three = (lead == 0xE1) & (second == 0x9A) & (third == 0x80)  # U+1680
    general = (
        (third - np.uint8(0x80) < 11) | (third == 0xA8) | (third == 0xA9) | (third == 0xAF)
    )  # U+2000 to U+200A, U+2028, U+2029, U+202F
    three |= (lead == 0xE2) & (((second == 0x80) & general) | ((second == 0x81) & (third == 0x9F)))  # and U+205F
    three |= (lead == 0xE3) & (second == 0x80) & (third == 0x80)  # U+3000
    for places, length in ((leads[two], 2), (leads[three], 3)):
        for step in range(length):
            found[places + step] = True
    return found


def _within(marks: Mask, offsets: Offsets) -> npt.NDArray[np.uint32]:
    """How many are marked between each two offsets, counted eight bytes at a time."""
    padded = np.zeros(marks.size // 8 * 8 + 8, np.uint8)
    padded[: marks.size] = marks
    eights = padded.view("<u8")
    before = np.zeros(eights.size + 1, np.uint32)
    np.cumsum(_sums(eights), dtype=np.uint32, out=before[1:])
    place = offsets >> 3
    reached: npt.NDArray[np.uint32] = before[place] + _sums(eights[place] & LOWEST[offsets & 7]).astype(np.uint32)
    return reached[1:] - reached[:-1]


def _sums(eights: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The sum of the eight bytes, each 0 or 1, of every number."""
    return (eights * np.uint64(0x0101010101010101)) >> np.uint64(56)
