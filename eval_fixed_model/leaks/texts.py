"""Leaked items: evaluation texts that a pool contains, so that scores can be given with and without them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from eval_fixed_model.loops import Split
from eval_fixed_model.rows.documents import Documents
from eval_fixed_model.rows.tokens import ByteTokenizer, Encoded, tokenizer_of
from eval_fixed_model.scale import TextScale
from eval_fixed_model.tasks.text_items import read_items, texts_to_find

LENGTHS = (13, 8)
"""Words of an n-gram: the second is for items that have fewer than the first (GPT-3, arXiv 2005.14165, appendix C; PaLM, 2204.02311)."""

THRESHOLD = 0.5
"""The greatest distance of a find. Passages that documentation of different things has alike are the reason that one n-gram is none."""

CHUNK = 1 << 21
"""Bytes of documents that are searched at once."""

SCHEMA = {"item": pl.UInt32, "row": pl.Int64, "distance": pl.Float32}

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

_BASE, _MIX = 0x9E3779B97F4A7C15, np.uint64(0xBF58476D1CE4E5B9)  # odd; the second is a multiplier of SplitMix64
_OUTSIDE, _INSIDE, _ALONE = 0, 1, 2


def leaked_pairs(rows: Documents, scale: TextScale, split: Split = "test") -> pl.DataFrame:
    """Every find: `item` (its row in the evaluation Parquet), `row` (position in `rows`), `distance`.

    The distance is 1 minus the share of the item's n-grams of words that the document has. Words are runs of letters and digits without the
    case of ASCII; a character of scripts that part no words is one. An item of fewer than 8 words is never found: anybody may have written
    it. A question is sought with its right choice or answer. Memory: the items' n-grams, and a few megabytes of documents.
    """
    wanted = texts_to_find(read_items(scale).filter(split=split))
    known = [_Known(wanted, length, below) for length, below in zip(LENGTHS, (None, LENGTHS[0]), strict=True)]
    found = [pl.DataFrame(schema=SCHEMA)]
    for first, encoded in _chunks(rows, scale):
        words, owners = _words(encoded)
        found += [one.found(words, owners, first) for one in known if len(one.grams)]
    return pl.concat(found).sort("item", "row")


def leaked_items(rows: Documents, scale: TextScale, split: Split = "test") -> frozenset[int]:
    """Numbers of the split's items (rows of the evaluation Parquet) whose text occurs in `rows`."""
    return frozenset(leaked_pairs(rows, scale, split)["item"].to_list())


class _Known:
    """The n-grams, of one length, of items that have `length` words and, where it is given, fewer than `below`."""

    def __init__(self, wanted: pl.DataFrame, length: int, below: int | None) -> None:
        words, owners = _words(ByteTokenizer().encode(wanted["text"].to_list()))
        counts = np.bincount(owners, minlength=len(wanted))
        grams, of = _grams(words, owners, length)
        mine = counts[of] < below if below else np.ones(len(of), bool)
        pairs = pl.DataFrame({"gram": grams[mine], "item": wanted["item"].to_numpy()[of[mine]]}).unique()
        self.length = length
        self.grams = np.unique(pairs["gram"].to_numpy())
        self._sizes = pairs.group_by("item").agg(size=pl.len())
        self._pairs = pairs

    def found(self, words: Hashes, owners: Numbers, first: int) -> pl.DataFrame:
        """`SCHEMA` of finds in documents of which the first is the `first` of all."""
        grams, of = _grams(words, owners, self.length)
        places = np.minimum(np.searchsorted(self.grams, grams), len(self.grams) - 1)
        hit = self.grams[places] == grams
        met = pl.DataFrame({"gram": grams[hit], "row": of[hit] + first}).unique().join(self._pairs, on="gram")
        shared = met.group_by("item", "row").agg(shared=pl.len()).join(self._sizes, on="item")
        distances = shared.with_columns(distance=1 - pl.col("shared") / pl.col("size")).filter(pl.col("distance") <= THRESHOLD)
        return distances.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


def _chunks(rows: Documents, scale: TextScale) -> Iterator[tuple[int, Encoded]]:
    """(number of the first document, texts as bytes), so many that they have `CHUNK` tokens, one at least."""
    tokenizer, first = tokenizer_of(scale), 0
    while first < len(rows.uids):
        last = max(first + 1, int(np.searchsorted(rows.offsets, rows.offsets[first] + CHUNK, "right")) - 1)
        cuts = np.asarray(rows.offsets[first : last + 1])
        yield first, tokenizer.utf8(Encoded(np.asarray(rows.tokens[cuts[0] : cuts[-1]]), cuts - cuts[0]))
        first = last


def _words(encoded: Encoded) -> tuple[Hashes, Numbers]:
    """A hash of each word of all texts, in order, and the number of its text."""
    data, offsets = _LOWER[encoded.numbers], encoded.offsets
    if not len(data):
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    kinds = _KINDS[data]
    symbol = data == 0xE2  # U+2000 to U+2FFF: its two other bytes are no letters, either
    kinds[1:][symbol[:-1]] = _OUTSIDE
    kinds[2:][symbol[:-2]] = _OUTSIDE
    opens = np.zeros(len(data) + 1, bool)
    opens[offsets] = True
    inside = kinds != _OUTSIDE
    before = np.concatenate([[False], inside[:-1]])
    starts = np.flatnonzero(inside & (~before | opens[:-1] | (kinds == _ALONE)))
    after = np.concatenate([~inside[1:] | opens[1:-1] | (kinds[1:] == _ALONE), [True]])
    stops = np.flatnonzero(inside & after) + 1
    powers, inverses = _powers(_BASE, len(data) + 1), _powers(pow(_BASE, -1, 1 << 64), len(data) + 1)
    sums = np.concatenate(
        [np.zeros(1, np.uint64), np.cumsum((data.astype(np.uint64) + np.uint64(1)) * _MIX * powers[:-1], dtype=np.uint64)]
    )
    hashes = (sums[stops] - sums[starts]) * inverses[starts]
    return hashes ^ (hashes >> np.uint64(32)), np.searchsorted(offsets, starts, "right") - 1


def _grams(words: Hashes, owners: Numbers, length: int) -> tuple[Hashes, Numbers]:
    """A hash of every run of `length` words inside a text, and the number of that text."""
    count = len(words) - length + 1
    if count <= 0:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    hashes = np.zeros(count, np.uint64)
    for place in range(length):
        hashes = (hashes ^ words[place : place + count]) * _MIX
        hashes ^= hashes >> np.uint64(29)
    whole = owners[:count] == owners[length - 1 :]
    return hashes[whole], owners[:count][whole]


def _powers(base: int, count: int) -> Hashes:
    """base^0, base^1, ... modulo 2^64."""
    made = np.full(count, base, np.uint64)
    made[0] = 1
    return np.multiply.accumulate(made)


def _tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Of each byte its lower case, and what it is: in no word, in one, or the first of a character that is a word."""
    lower, kinds = np.arange(256, dtype=np.uint8), np.full(256, _OUTSIDE, np.uint8)
    lower[0x41:0x5B] += 0x20
    for first, last in ((0x30, 0x39), (0x61, 0x7A), (0x80, 0xFF)):
        kinds[first : last + 1] = _INSIDE
    kinds[[*range(0xE3, 0xEE), *range(0xF0, 0xF5)]] = _ALONE  # U+3000 to U+DFFF, and above U+FFFF
    kinds[0xE2] = _OUTSIDE
    return lower, kinds


_LOWER, _KINDS = _tables()
