"""How much of a text is said more than once: lines, paragraphs, runs of words."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curate.signal import signal
from filters._lines import SPACES, counted, pieces, repeated, share, words

_Integers = npt.NDArray[np.int64]

_TOP, _DUPLICATED = (2, 3, 4), (5, 6, 7, 8, 9, 10)
_SHARES = ("duplicate_lines", "duplicate_line_chars", "duplicate_paragraphs", "duplicate_paragraph_chars")
_GRAMS = (*(f"top_{n}_gram" for n in _TOP), *(f"duplicate_{n}_grams" for n in _DUPLICATED))
_BYTES_AT_ONCE = 1 << 24


@signal(version=1, reads=["text"], writes=dict.fromkeys((*_SHARES, *_GRAMS), pl.Float64), uses=["numpy"])
def gopher_repetition(batch: pl.DataFrame) -> pl.DataFrame:
    r"""Shares of repeated text (Rae et al., "Scaling Language Models", arXiv 2112.11446, appendix A.1.1, Repetition Removal, Table A1).

    - `duplicate_lines`, `duplicate_paragraphs`: share of the lines (parted by `\n+`) and paragraphs (`\n\n+`) that stood before in the
      text; `duplicate_line_chars`, `duplicate_paragraph_chars`: their code points over the text's.
    - `top_N_gram`, N 2 to 4: occurrences of the commonest run of N words times its length, over the text's code points. Of equally common
      ones the first counts, also if it occurs once; occurrences may overlap, so it can exceed 1.
    - `duplicate_N_grams`, N 5 to 10: code points of the words of runs that stood before, over the text's. Read from left to right, a run
      of N words that was met is counted and stepped over, so that no word counts twice; one that was not is remembered, and reading goes
      on one word later.

    Words are those of `str.split`; 0 if there are fewer than N; an empty text has no shares. The definitions are datatrove's, which splits
    punctuation from words. The paper names neither a tokenizer nor whether the first occurrence counts: DCLM counts it too, and divides by
    the characters of words and lines alone, so the same thresholds are stricter there.
    """
    parts = [_measured(part) for part in _parts(batch["text"])]
    return pl.concat(parts) if parts else pl.DataFrame(schema=dict.fromkeys((*_SHARES, *_GRAMS), pl.Float64))


def _parts(texts: pl.Series) -> Iterator[pl.Series]:
    """Consecutive rows of about `_BYTES_AT_ONCE` bytes."""
    total = texts.str.len_bytes().fill_null(0).cast(pl.Int64).cum_sum().to_numpy()
    start = 0
    while start < len(texts):
        before = total[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(total, before + _BYTES_AT_ONCE, side="right")))
        yield texts[start:end]
        start = end


def _measured(text: pl.Series) -> pl.DataFrame:
    size = text.str.len_chars().alias("size").to_frame()
    lines = _repeats(text, pieces(text.str.replace_all(r"\n{2,}", "\n"), "\n", "line"))
    stripped = text.str.strip_chars(SPACES).str.replace_all(r"\n{3,}", "\n\n")
    paragraphs = _repeats(text, pieces(stripped, "\n\n", "paragraph"))
    some = pl.when(pl.col("size") > 0)
    return pl.concat([size, lines, paragraphs, _grams(text)], how="horizontal").select(
        duplicate_lines=some.then(share("later_line", "line")),
        duplicate_line_chars=share("later_line_chars", "size"),
        duplicate_paragraphs=some.then(share("later_paragraph", "paragraph")),
        duplicate_paragraph_chars=share("later_paragraph_chars", "size"),
        **{name: share(name, "size") for name in _GRAMS},
    )


def _repeats(text: pl.Series, found: pl.DataFrame) -> pl.DataFrame:
    """Of each text: how many pieces, how many of them stood before, and the code points of those."""
    name = found.columns[1]
    marked = found.select("row", later=repeated(name), chars=pl.col(name).str.len_chars())
    sums = marked.group_by("row").agg(
        pl.len().alias(name),
        pl.col("later").sum().alias(f"later_{name}"),
        pl.col("chars").filter("later").sum().alias(f"later_{name}_chars"),
    )
    return counted(text, sums)


def _grams(text: pl.Series) -> pl.DataFrame:
    """The code points that each of `_GRAMS` counts, of each text."""
    found = words(text)
    row = found["row"].to_numpy().astype(np.int64)
    ends = np.concatenate([np.zeros(1, np.int64), found["word"].str.len_chars().cast(pl.Int64).cum_sum().to_numpy()])
    first = np.flatnonzero(np.diff(row, prepend=-1))  # where each text that has words begins
    result: dict[str, _Integers] = {}
    for n, place, gram, count in _repeated_runs(row, _numbered(found["word"])):
        if n in _TOP:
            result[f"top_{n}_gram"] = _top(n, row, ends, first, place, count, len(text))
        if n in _DUPLICATED:
            later = _stepped_over(n, place, gram)
            result[f"duplicate_{n}_grams"] = _sums(row[later], ends[later + n] - ends[later], len(text))
    return pl.DataFrame({name: result[name] for name in _GRAMS}, schema=dict.fromkeys(_GRAMS, pl.Int64))


def _numbered(found: pl.Series) -> _Integers:
    """Equal words have equal numbers."""
    indices = pa.array(found.to_arrow()).cast(pa.large_string()).dictionary_encode().indices
    return np.asarray(indices.to_numpy(), np.int64)


def _repeated_runs(row: _Integers, word: _Integers) -> Iterator[tuple[int, _Integers, _Integers, _Integers]]:
    """For n from 1: the places where runs of n words begin that occur again in the same text, each run's number, how often it occurs.

    Only where the runs of n - 1 words at a place and at the next one both occur again can the run of n words.
    """
    many = int(word.max(initial=0)) + 1
    known = np.full(len(word) + 1, -1, np.int64)  # by place: the number of the repeated run of n - 1 words, else -1
    known[:-1] = row
    for n in range(1, max(_DUPLICATED) + 1):
        place = np.flatnonzero(known[:-1] >= 0) if n == 1 else np.flatnonzero((known[:-1] >= 0) & (known[1:] >= 0))
        place = place[place + n <= len(word)]
        place = place[row[place] == row[place + n - 1]]
        _, number, count = np.unique(known[place] * many + word[place + n - 1], return_inverse=True, return_counts=True)
        again = count[number] > 1
        place, number = place[again], number[again]
        known = np.full(len(word) + 1, -1, np.int64)
        known[place] = number
        yield n, place, number, count[number]


def _top(n: int, row: _Integers, ends: _Integers, first: _Integers, place: _Integers, count: _Integers, rows: int) -> _Integers:
    """Code points, the spaces between words included, of the commonest run of n words times its occurrences, by text."""
    most = np.ones(rows, np.int64)
    np.maximum.at(most, row[place], count)
    start = np.full(rows, -1, np.int64)
    once = first[first + n <= len(row)]
    once = once[row[once] == row[once + n - 1]]
    start[row[once]] = once  # where nothing is repeated, the text's first run
    best = place[count == most[row[place]]][::-1]
    start[row[best]] = best  # the last written is the first in the text
    there = start >= 0
    length = np.zeros(rows, np.int64)
    length[there] = ends[start[there] + n] - ends[start[there]] + n - 1
    return length * most


def _stepped_over(n: int, place: _Integers, gram: _Integers) -> _Integers:
    """Of the places (ascending) of repeated runs: those where reading from left to right meets one again. Runs of two texts differ."""
    met: set[int] = set()
    later: list[int] = []
    free = 0
    for at, run in zip(place.tolist(), gram.tolist(), strict=True):
        if at >= free:
            if run in met:
                later.append(at)
                free = at + n
            else:
                met.add(run)
    return np.array(later, np.int64)


def _sums(row: _Integers, values: _Integers, rows: int) -> _Integers:
    total = np.zeros(rows, np.int64)
    np.add.at(total, row, values)
    return total
