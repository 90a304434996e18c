"""Texts that share most of their wording: documents copied with small changes."""

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import xxhash
from datasketch import MinHash

from curate.digest import row_hash
from curate.errors import RecipeError
from curate.grouping import grouping
from curate.signal import signal
from filters._links import Indices, Similarities, Words, distinct_pairs, equal_pairs, together, verified

_Hashes = npt.NDArray[np.uint32]

# Scripts without spaces between words: there every character counts as a word.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[{_UNSPACED}]|[\w--[{_UNSPACED}]]+"
_BYTES_AT_ONCE = 1 << 22
_SHINGLES_AT_ONCE = 1 << 15  # as uint32 they stay in the processor's cache while every permutation passes over them
_COMPARED_AT_ONCE = 1 << 20
_PERMUTATION_SEED = 1  # datasketch's default


@signal(
    version=1,
    reads=["text"],
    writes={"key": pl.Binary, "signature": pl.Binary, "shingles": pl.Binary},
    uses=["datasketch", "xxhash", "polars"],
)
def sketch(batch: pl.DataFrame, *, words: int = 5, permutations: int = 128) -> pl.DataFrame:
    """A text's set of word n-grams (shingles) as hashes, and its MinHash signature (Broder, "On the resemblance of documents", 1997).

    Words are runs of letters, digits and `_`, lower-cased; in scripts without spaces, single characters. A text of fewer than `words`
    words is one shingle; a text without words has no sketch. `shingles`: the distinct 32-bit hashes, ascending, little-endian uint32: two
    different shingles of texts of n shingles meet by chance in n / 2^32 of cases. `signature`: `permutations` little-endian uint32, those
    of datasketch's MinHash with scheme "affine32" and seed 1 over these hashes. `key`: hash of `shingles`.
    """
    parts = [_sketched(part, words, permutations) for part in _parts(batch["text"])]
    return pl.concat(parts) if parts else pl.DataFrame(schema={"key": pl.Binary, "signature": pl.Binary, "shingles": pl.Binary})


def links(known: pl.DataFrame, new: pl.DataFrame, *, bands: int = 16, rows: int = 8, floor: float = 0.6) -> pl.DataFrame:
    """Pairs that agree in all `rows` values of one of `bands` bands of their signatures, with the Jaccard similarity of their shingles.

    A pair of similarity s is found with probability 1 - (1 - s^rows)^bands (Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets",
    3.4.2): at 16 x 8, 94.7% at .8, 99.99% at .9, 6.1% at .5. Similarity is counted on the shingles, not estimated from the signatures.
    Raises RecipeError if the signatures have fewer than bands x rows values.
    """
    texts, fresh = together(known, new)
    signatures = _unpacked(texts["signature"]).reshape(texts.height, -1) if texts.height else np.empty((0, bands * rows), np.uint32)
    if signatures.shape[1] < bands * rows:
        raise RecipeError(
            f"{bands} bands of {rows} rows need {bands * rows} permutations; the signatures have {signatures.shape[1]}",
            where="near_duplicate_text",
            fix=f"set `permutations: {bands * rows}`, or fewer bands or rows",
        )
    flat, sizes = _unpacked(texts["shingles"]), texts["shingles"].bin.size().to_numpy().astype(np.int64) // 4
    starts = np.cumsum(sizes) - sizes
    parts = []
    for band in range(bands):
        values = _mixed(signatures[:, band * rows : (band + 1) * rows])
        for i, j in equal_pairs(values, values[fresh]):
            comparable = np.minimum(sizes[i], sizes[fresh[j]]) >= floor * np.maximum(sizes[i], sizes[fresh[j]])  # bounds the similarity
            parts.append((i[comparable], fresh[j[comparable]]))
    pairs = distinct_pairs(parts, texts.height)
    return verified(texts, pairs, lambda i, j: _jaccard(flat, starts, sizes, i, j), floor, at_once=1 << 16)


near_duplicate_text = grouping("near_duplicate_text", version=1, sketch=sketch, links=links, threshold=0.8)


def _parts(texts: pl.Series) -> Iterator[pl.Series]:
    """Consecutive rows of about `_BYTES_AT_ONCE` bytes: words take several times the memory of their text."""
    total = texts.str.len_bytes().fill_null(0).cum_sum().to_numpy()
    start = 0
    while start < len(texts):
        before = int(total[start - 1]) if start else 0
        stop = max(int(np.searchsorted(total, before + _BYTES_AT_ONCE, "right")), start + 1)
        yield texts[start:stop]
        start = stop


def _sketched(texts: pl.Series, words: int, permutations: int) -> pl.DataFrame:
    shingles, sizes = _shingles(texts, words)
    signatures = _signatures(shingles, sizes[sizes > 0], permutations).astype("<u4")
    data, stops = shingles.astype("<u4").tobytes(), np.cumsum(sizes) * 4
    packed = [data[stop - 4 * size : stop] or None for stop, size in zip(stops.tolist(), sizes.tolist(), strict=True)]
    signed = iter(signatures)
    return pl.DataFrame(
        {
            "key": [None if one is None else row_hash([one]) for one in packed],
            "signature": [None if one is None else next(signed).tobytes() for one in packed],
            "shingles": packed,
        },
        schema={"key": pl.Binary, "signature": pl.Binary, "shingles": pl.Binary},
    )


def _shingles(texts: pl.Series, words: int) -> tuple[_Hashes, Indices]:
    """The distinct shingle hashes of every text, ascending, one text after the other, and how many each has."""
    lists = texts.str.to_lowercase().str.extract_all(_WORD)
    counts = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    coded = pa.chunked_array(lists.filter(pl.Series(counts > 0)).explode().to_arrow()).combine_chunks().dictionary_encode()
    vocabulary = np.array([xxhash.xxh64_intdigest(word.encode()) for word in coded.dictionary.to_pylist()], np.uint64)
    hashed = vocabulary[coded.indices.to_numpy()] if len(vocabulary) else vocabulary
    spans = np.where(counts > words, counts - words + 1, np.minimum(counts, 1))  # how many shingles, repetitions included
    owner = np.repeat(np.arange(len(counts), dtype=np.int64), spans)
    at = np.arange(owner.size) - np.repeat(np.cumsum(spans) - spans, spans) + np.repeat(np.cumsum(counts) - counts, spans)
    length = np.minimum(counts, words)[owner]
    mixed = np.zeros(owner.size, np.uint64)
    for place in range(words):
        # A short text's one shingle is filled up with zeros, which no word hashes to but by chance.
        word = np.where(place < length, hashed[np.minimum(at + place, hashed.size - 1)], np.uint64(0))
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + word
    codes = np.sort(owner.astype(np.uint64) << np.uint64(32) | _fmix64(mixed) >> np.uint64(32))
    codes = codes[np.concatenate([[True], codes[1:] != codes[:-1]])] if codes.size else codes
    sizes = np.bincount((codes >> np.uint64(32)).astype(np.int64), minlength=len(counts))
    return (codes & np.uint64(0xFFFFFFFF)).astype(np.uint32), sizes.astype(np.int64)


def _signatures(shingles: _Hashes, sizes: Indices, permutations: int) -> _Hashes:
    """(n, permutations) minima of a h + b mod 2^32 over the mixed hashes h of each of n non-empty sets: datasketch's "affine32"."""
    a, b = _permutations(permutations)
    mixed, signatures = _fmix32(shingles), np.empty((sizes.size, permutations), np.uint32)
    starts = np.cumsum(sizes) - sizes
    first = 0
    while first < sizes.size:
        last = max(int(np.searchsorted(starts, starts[first] + _SHINGLES_AT_ONCE, "left")), first + 1)
        part = mixed[starts[first] : starts[last - 1] + sizes[last - 1]]
        edges = starts[first:last] - starts[first]
        for column in range(permutations):
            signatures[first:last, column] = np.minimum.reduceat(part * a[column] + b[column], edges)
        first = last
    return signatures


@functools.cache
def _permutations(count: int) -> tuple[_Hashes, _Hashes]:
    a, b = MinHash(num_perm=count, seed=_PERMUTATION_SEED, scheme="affine32").permutations
    return np.asarray(a, np.uint32), np.asarray(b, np.uint32)


def _fmix32(x: _Hashes) -> _Hashes:
    """MurmurHash3's 32-bit finaliser (Appleby), as datasketch applies it before the permutations."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def _fmix64(x: Words) -> Words:
    """MurmurHash3's 64-bit finaliser."""
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


def _mixed(band: _Hashes) -> Words:
    """One 64-bit value for each row of a band; rows that differ meet by chance once in 2^64, and are then verified apart."""
    value = np.zeros(len(band), np.uint64)
    for column in band.T:
        value = _fmix64((value ^ column) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1))
    return value


def _unpacked(column: pl.Series) -> _Hashes:
    return np.frombuffer(b"".join(column), "<u4").astype(np.uint32, copy=False)


def _jaccard(flat: _Hashes, starts: Indices, sizes: Indices, i: Indices, j: Indices) -> Similarities:
    """|A and B| / |A or B| of the sets numbered i and j, cut so that about a million hashes are compared at a time."""
    similarity = np.empty(i.size, np.float32)
    work = np.cumsum(sizes[i] + sizes[j])
    first = 0
    while first < i.size:
        done = int(work[first - 1]) if first else 0
        last = max(int(np.searchsorted(work, done + _COMPARED_AT_ONCE, "right")), first + 1)
        one, other = (_numbered(flat, starts[k], sizes[k]) for k in (i[first:last], j[first:last]))
        place = np.searchsorted(one, other)
        common = other[one[np.minimum(place, one.size - 1)] == other] >> np.uint64(32)
        shared = np.bincount(common.astype(np.int64), minlength=last - first)
        similarity[first:last] = shared / (sizes[i[first:last]] + sizes[j[first:last]] - shared)
        first = last
    return similarity


def _numbered(flat: _Hashes, starts: Indices, sizes: Indices) -> Words:
    """The hashes of several sets, each above the number of its set, so that they ascend throughout."""
    number = np.repeat(np.arange(sizes.size, dtype=np.int64), sizes)
    at = np.arange(number.size) - np.repeat(np.cumsum(sizes) - sizes, sizes) + starts[number]
    codes: Words = number.astype(np.uint64) << np.uint64(32) | flat[at]
    return codes
