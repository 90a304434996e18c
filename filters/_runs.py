"""Runs of words, hashed to 64 bits: the lines and paragraphs of texts, and their n-grams. Integers only: every machine computes the same.

Words are those of `near_duplicate_text`: runs of letters, digits, marks and `_`, case folded, in NFC; an ideograph is a word.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters import _minhash
from filters._buffers import Bytes, Offsets, flat
from filters._characters import tables
from filters._compiled import kernel

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]

_PLACE, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)  # odd; the second is a multiplier of SplitMix64
_NEWLINE = 10
_TEXTS_AT_ONCE = 1024  # so that their words' hashes stay small beside them
_CASE, _PUNCTUATION, _ANY_FORM = False, False, True


class Passages(NamedTuple):
    """The units of n texts: their `hashes` and `chars`; `firsts` (n + 1,), where each text's begin; `texts` (n,), hashes of their words."""

    hashes: Hashes
    chars: Counts
    firsts: Offsets
    texts: Hashes


class Index(NamedTuple):
    """Known n-grams: `hashes` (m,), ascending; `lengths`, how many words they may have; `sieve`, bits by the last bits of each hash."""

    hashes: Hashes
    lengths: Counts
    sieve: Bytes


def passages(texts: pl.Series, paragraphs: bool) -> Passages:
    r"""Every line (parted by `\n`) that has a word, or every paragraph: lines that have words, up to one that has none. Null has none."""
    found = [Passages(np.empty(0, np.uint64), np.empty(0, np.int64), np.zeros(1, np.int64), np.empty(0, np.uint64))]
    for data, offsets in _slices(texts):
        starts, stops, chars, lines = _lines(data, offsets)
        words, firsts = _words(data, starts, stops)
        made = Passages(*_units(words, firsts, chars, lines, paragraphs))
        found.append(made._replace(firsts=made.firsts[1:] + found[-1].firsts[-1]))
    return Passages(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def grams(texts: pl.Series, n: int, least: int) -> tuple[Hashes, Counts, Counts]:
    """The hashes of every text's n-grams; those of shorter texts, of at least `least` words, whole; the text of each; all texts' words."""
    hashes, owners, sizes = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start, (data, offsets) in zip(range(0, len(texts), _TEXTS_AT_ONCE), _slices(texts), strict=True):
        words, firsts = _words(data, offsets[:-1], offsets[1:])
        found, text = _grams(words, firsts, n, least)
        hashes.append(found)
        owners.append(text + start)
        sizes.append(np.diff(firsts))
    return np.concatenate(hashes), np.concatenate(owners), np.concatenate(sizes)


def index(hashes: Hashes, lengths: Counts) -> Index:
    """An index of ascending distinct hashes; sixteen bits of sieve or more for each, so that of other n-grams 1 in 16 is looked up."""
    size = 1 << max(16, (16 * hashes.size - 1).bit_length())
    bits = np.zeros(size, np.bool_)
    bits[(hashes & np.uint64(size - 1)).astype(np.int64)] = True
    return Index(hashes, np.sort(lengths), np.packbits(bits, bitorder="little"))


def found(texts: pl.Series, known: Index) -> tuple[Counts, Counts, Counts]:
    """Every place where a text has a known n-gram: the text, and the place in `known.hashes`, in order; and all texts' words."""
    rows, grams, sizes = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start, (data, offsets) in zip(range(0, len(texts), _TEXTS_AT_ONCE), _slices(texts), strict=True):
        words, firsts = _words(data, offsets[:-1], offsets[1:])
        text, gram = _found(words, firsts, *known)
        rows.append(text + start)
        grams.append(gram)
        sizes.append(np.diff(firsts))
    return np.concatenate(rows), np.concatenate(grams), np.concatenate(sizes)


def _slices(texts: pl.Series) -> Iterator[tuple[Bytes, Offsets]]:
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        yield flat(_normal(texts.slice(start, _TEXTS_AT_ONCE)))


def _normal(texts: pl.Series) -> pl.Series:
    """In NFC, as most texts are."""
    others = np.flatnonzero(_minhash.changing(*flat(texts), tables(_CASE, _PUNCTUATION, "NFC").kinds))
    place = np.arange(len(texts))
    place[others] = len(texts) + np.arange(others.size)
    return pl.concat([texts, texts.gather(others).str.normalize("NFC")])[place] if others.size else texts


def _words(data: Bytes, starts: Offsets, stops: Offsets) -> tuple[Hashes, Offsets]:
    counts = tables(_CASE, _PUNCTUATION, "")
    return _minhash.word_hashes(data, starts, stops, (counts.folded, counts.kinds), (_CASE, _PUNCTUATION, _ANY_FORM))


@kernel
def _mixed(x: np.uint64) -> np.uint64:
    x = (x ^ (x >> np.uint64(32))) * _MIX
    return x ^ (x >> np.uint64(29))


@kernel
def _lines(data: Bytes, offsets: Offsets) -> tuple[Offsets, Offsets, Counts, Offsets]:
    """Where lines start and stop, their characters, and where each text's lines begin. A text has one line more than newlines."""
    count = offsets.size - 1
    for i in range(offsets[0], offsets[-1]):
        count += data[i] == _NEWLINE
    starts, stops, chars = np.empty(count, np.int64), np.empty(count, np.int64), np.zeros(count, np.int64)
    firsts, line = np.empty(offsets.size, np.int64), 0
    for text in range(offsets.size - 1):
        firsts[text], starts[line] = line, offsets[text]
        for i in range(offsets[text], offsets[text + 1]):
            if data[i] == _NEWLINE:
                stops[line] = i
                line += 1
                starts[line] = i + 1
            else:
                chars[line] += (data[i] & 0xC0) != 0x80  # not a later byte of a character
        stops[line] = offsets[text + 1]
        line += 1
    firsts[offsets.size - 1] = line
    return starts, stops, chars, firsts


@kernel
def _units(words: Hashes, begins: Offsets, chars: Counts, lines: Offsets, paragraphs: bool) -> tuple[Hashes, Counts, Offsets, Hashes]:
    count = lines.size - 1
    hashes, lengths = np.empty(chars.size, np.uint64), np.empty(chars.size, np.int64)
    firsts, texts, unit = np.zeros(count + 1, np.int64), np.empty(count, np.uint64), 0
    for text in range(count):
        whole, run, length = np.uint64(0), np.uint64(0), 0
        for line in range(lines[text], lines[text + 1]):
            for j in range(begins[line], begins[line + 1]):
                whole = _mixed(whole * _PLACE + words[j])
                run = _mixed(run * _PLACE + words[j])
            spoken = begins[line + 1] > begins[line]
            if spoken:
                length += chars[line]
            last = line + 1 == lines[text + 1]
            if length and (last or not paragraphs or not spoken):
                hashes[unit], lengths[unit] = run, length
                unit += 1
                run, length = np.uint64(0), 0
        firsts[text + 1], texts[text] = unit, whole
    return hashes[:unit], lengths[:unit], firsts, texts


@kernel
def _grams(words: Hashes, firsts: Offsets, n: int, least: int) -> tuple[Hashes, Counts]:
    hashes, texts, total = np.empty(words.size, np.uint64), np.empty(words.size, np.int64), 0
    for text in range(firsts.size - 1):
        begin, end = firsts[text], firsts[text + 1]
        length = min(n, end - begin)
        if length < least:
            continue
        for i in range(begin, end - length + 1):
            run = np.uint64(length)
            for j in range(i, i + length):
                run = run * _PLACE + words[j]
            hashes[total], texts[total] = _mixed(run), text
            total += 1
    return hashes[:total], texts[:total]


@kernel
def _found(words: Hashes, firsts: Offsets, known: Hashes, lengths: Counts, sieve: Bytes) -> tuple[Counts, Counts]:
    """Rolling: the run from the next word on is the run before, times the place, plus the next word, minus the one that leaves."""
    room, total = 1024, 0
    texts, grams = np.empty(room, np.int64), np.empty(room, np.int64)
    bits = np.uint64(8 * sieve.size - 1)
    for length in lengths:
        power = np.uint64(1)
        for _ in range(length):
            power *= _PLACE
        lead = np.uint64(length) * power  # every run begins with its length
        for text in range(firsts.size - 1):
            begin, end = firsts[text], firsts[text + 1]
            if end - begin < length:
                continue
            run = np.uint64(0)
            for j in range(begin, begin + length - 1):
                run = run * _PLACE + words[j]
            for j in range(begin + length - 1, end):
                run = run * _PLACE + words[j]
                if j >= begin + length:
                    run -= words[j - length] * power
                gram = _mixed(run + lead)
                bit = gram & bits
                if not sieve[bit >> np.uint64(3)] >> (bit & np.uint64(7)) & np.uint64(1):
                    continue
                place = np.searchsorted(known, gram)
                if place == known.size or known[place] != gram:
                    continue
                if total == room:
                    room *= 2
                    more_texts, more_grams = np.empty(room, np.int64), np.empty(room, np.int64)
                    more_texts[:total], more_grams[:total] = texts, grams
                    texts, grams = more_texts, more_grams
                texts[total], grams[total] = text, place
                total += 1
    return texts[:total], grams[:total]
