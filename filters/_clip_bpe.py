"""How many tokens CLIP's byte-pair encoding makes of a text: open_clip's vocabulary, counted by a compiled kernel."""

import functools
import gzip
import html
from importlib.metadata import distribution

import ftfy
import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from filters._buffers import Bytes, Offsets, flat
from filters._compiled import Number, kernel

Symbols = npt.NDArray[np.int32]
Counts = npt.NDArray[np.uint32]
Slots = npt.NDArray[np.uint64]

_MERGES = 49_152 - 256 - 2  # of the file's lines after the first, those that OpenAI's tokenizer takes
_BYTES = 512  # symbols before the first merge: each byte, and each byte that ends a word
_SLOTS = 1 << 17  # more than twice the merges
_NONE = 1 << 30
_LETTER, _NUMBER, _SPACE, _OTHER = 1, 2, 3, 4
_PLAIN = r"^[\t\n\r -%'-~]*$"  # nothing that ftfy would repair, and no entity
_SCRAMBLE = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
_START, _END = 15, 13  # bytes of the two names that are tokens by themselves
_WHOLE = ("<start_of_text>", "<end_of_text>", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


def clip_tokens(texts: pl.Series) -> pl.Series:
    """UInt32: how many tokens open_clip's `SimpleTokenizer().encode` gives, without its start and end; null where null.

    Texts are cleaned as it does: ftfy's repairs, HTML entities twice, white space, lower case.
    """
    plain = texts.str.contains(_PLAIN)
    odd = texts.filter(~plain)
    cleaned = texts.str.to_lowercase().scatter((~plain).arg_true(), pl.Series([_cleaned(text) for text in odd], dtype=pl.String))
    data, offsets = flat(cleaned)
    kinds, symbols, slots = _vocabulary()
    found = pl.Series(_counted(data, offsets, kinds, symbols, slots, _names()), dtype=pl.UInt32)
    return pl.select(pl.when(texts.is_not_null()).then(found)).to_series()


def _cleaned(text: str) -> str:
    """As open_clip's `get_clean_fn("lower")`, whose module would load torch."""
    repaired = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(repaired.split()).lower()


def _names() -> tuple[Bytes, ...]:
    return tuple(np.frombuffer(name.encode(), np.uint8) for name in _WHOLE)


@functools.cache
def _vocabulary() -> tuple[Bytes, Symbols, Slots]:
    """Per code point its kind; per byte its symbol; and the hash table of merges, `(pair + 1) << 32 | rank` or 0."""
    every = "".join(chr(code) if not 0xD800 <= code < 0xE000 else "\0" for code in range(0x110000))
    kinds = np.full(0x110000, _OTHER, np.uint8)
    for kind, pattern in ((_LETTER, r"\p{L}+"), (_NUMBER, r"\p{N}+"), (_SPACE, r"\s+")):
        for found in regex.finditer(pattern, every):
            kinds[found.start() : found.end()] = kind
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    order = printed + [byte for byte in range(256) if byte not in printed]
    symbols = np.zeros(256, np.int32)
    symbols[order] = np.arange(256)
    letters = [chr(byte) for byte in printed] + [chr(256 + place) for place in range(256 - len(printed))]
    numbers = {letter: number for number, letter in enumerate([*letters, *[f"{letter}</w>" for letter in letters]])}
    path = distribution("open_clip_torch").locate_file("open_clip/bpe_simple_vocab_16e6.txt.gz")
    with gzip.open(str(path), "rt", encoding="utf-8") as lines:
        merges = [line.split() for line in lines.read().split("\n")[1 : 1 + _MERGES]]
    pairs = np.zeros(_MERGES, np.uint64)
    for rank, (left, right) in enumerate(merges):
        pairs[rank] = numbers[left] << 16 | numbers[right]
        numbers[left + right] = _BYTES + rank
    return kinds, symbols, _filled(pairs)


@kernel
def _filled(pairs: Slots) -> Slots:
    slots = np.zeros(_SLOTS, np.uint64)
    for rank in range(pairs.size):
        place = _place(pairs[rank])
        while slots[place]:
            place = (place + 1) & (_SLOTS - 1)
        slots[place] = (pairs[rank] + np.uint64(1)) << np.uint64(32) | np.uint64(rank)
    return slots


@kernel
def _place(pair: np.uint64) -> np.int64:
    return np.int64((pair * _SCRAMBLE) >> np.uint64(47))  # as many bits as `_SLOTS` has


@kernel
def _rank(left: Number, right: Number, slots: Slots) -> Number:
    """When the pair was merged, or `_NONE`."""
    pair = np.uint64(left) << np.uint64(16) | np.uint64(right)
    place = _place(pair)
    while slots[place]:
        if slots[place] >> np.uint64(32) == pair + np.uint64(1):
            return np.int64(slots[place] & np.uint64(0xFFFFFFFF))
        place = (place + 1) & (_SLOTS - 1)
    return _NONE


@kernel
def _counted(data: Bytes, offsets: Offsets, kinds: Bytes, symbols: Symbols, slots: Slots, names: tuple[Bytes, ...]) -> Counts:
    """Tokens of each text; `offsets` (texts + 1) into UTF-8 `data`."""
    counts = np.zeros(offsets.size - 1, np.uint32)
    word, ranks = np.empty(64, np.int32), np.empty(64, np.int32)
    for text in range(offsets.size - 1):
        at, end, count = offsets[text], offsets[text + 1], 0
        while at < end:
            point, size = _decoded(data, at)
            kind, stop = kinds[point], at + size
            if kind == _SPACE:
                at = stop
                continue
            whole = _whole(data, at, end, names) if data[at] == ord("<") or data[at] == ord("'") else 0
            if whole:
                stop = at + whole
            elif kind != _NUMBER:
                while stop < end:
                    point, size = _decoded(data, stop)
                    if kinds[point] != kind:
                        break
                    stop += size
            if stop - at > word.size:
                word, ranks = np.empty(2 * (stop - at), np.int32), np.empty(2 * (stop - at), np.int32)
            count += 1 if whole in (_START, _END) else _merged(data[at:stop], symbols, slots, word, ranks)
            at = stop
        counts[text] = count
    return counts


@kernel
def _decoded(data: Bytes, at: Number) -> tuple[Number, int]:
    """The code point at a place of UTF-8, and its bytes."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | (data[at + 1] & 0x3F), 2
    if first < 0xF0:
        return (first & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (data[at + 2] & 0x3F), 3
    high = (first & 0x07) << 18 | (np.int64(data[at + 1]) & 0x3F) << 12
    return high | (np.int64(data[at + 2]) & 0x3F) << 6 | (data[at + 3] & 0x3F), 4


@kernel
def _whole(data: Bytes, at: Number, end: Number, names: tuple[Bytes, ...]) -> Number:
    """How many bytes of the first fitting name stand here, or 0. The long s is an s in another case."""
    for name in names:
        place = at
        for letter in name:
            if place < end and data[place] == letter:
                place += 1
            elif letter == ord("s") and place + 1 < end and data[place] == 0xC5 and data[place + 1] == 0xBF:
                place += 2
            else:
                place = -1
                break
        if place > at:
            return place - at
    return 0


@kernel
def _merged(token: Bytes, symbols: Symbols, slots: Slots, word: Symbols, ranks: Symbols) -> int:
    """How many symbols are left of a token when no pair can be merged any more; all pairs of the lowest rank merge at once.

    `word` and `ranks` (of each symbol with the next one) are room for at least as many numbers as `token` has bytes.
    """
    size = token.size
    for i in range(size):
        word[i] = symbols[token[i]]
    word[size - 1] += 256
    for i in range(size - 1):
        ranks[i] = _rank(word[i], word[i + 1], slots)
    while size > 1:
        best = ranks[: size - 1].min()
        if best == _NONE:
            break
        i, left, new = 0, 0, False
        while i < size:
            merges = i < size - 1 and ranks[i] == best
            symbol = _BYTES + best if merges else word[i]
            if left and (merges or new):
                ranks[left - 1] = _rank(word[left - 1], symbol, slots)
            elif left:
                ranks[left - 1] = ranks[i - 1]
            word[left] = symbol
            i += 2 if merges else 1
            left, new = left + 1, merges
        size = left
    return size
