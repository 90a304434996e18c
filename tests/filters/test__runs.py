import random
import re
import unicodedata

import numpy as np
import polars as pl
import pytest

from filters import _runs

WORDS = ["a", "cat", "Sat", "on", "THE", "mat", "straße", "été", "naïve", "огонь", "x1", "snake_case", "internationalisation", "日"]
GAPS = [" ", "  ", ", ", "... ", "\t", " - ", "!? "]


def _written(draw: random.Random, least: int, most: int) -> str:
    return "".join(draw.choice(WORDS) + draw.choice(GAPS) for _ in range(draw.randint(least, most)))


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"日|[^\W日]+", unicodedata.normalize("NFC", text).lower()))


@pytest.fixture(scope="module")
def texts() -> list[str | None]:
    """2,500 texts of lines and paragraphs, many of them repeated, in more than one slice; some without a word."""
    draw = random.Random(7)
    lines = [_written(draw, 1, 6) for _ in range(60)] + ["", "", " -- ", "\t"]
    made: list[str | None] = ["\n".join(draw.choices(lines, k=draw.randint(1, 8))) for _ in range(2490)]
    return [*made[:1000], None, "", "\n", "\n\n\n", "no newline", "e\u0301te\u0301", *made[1000:], "last\n", "LAST", None, "日日\n日 日"]


@pytest.mark.parametrize("paragraphs", [False, True])
def test_passages_are_the_runs_of_words_between_breaks(texts: list[str | None], paragraphs: bool) -> None:
    found = _runs.passages(pl.Series(texts), paragraphs)
    known: dict[tuple[str, ...], int] = {}
    for i, text in enumerate(texts):
        parts: list[tuple[tuple[str, ...], int]] = []
        fresh = True
        for line in unicodedata.normalize("NFC", text or "").split("\n"):
            if not _words(line):
                fresh = True
            elif paragraphs and not fresh:
                parts[-1] = (parts[-1][0] + _words(line), parts[-1][1] + len(line))
            else:
                parts.append((_words(line), len(line)))
                fresh = False
        here = slice(found.firsts[i], found.firsts[i + 1])
        assert found.chars[here].tolist() == [length for _, length in parts]
        hashes = found.hashes[here].tolist()
        assert [known.setdefault(words, value) for (words, _), value in zip(parts, hashes, strict=True)] == hashes
    assert len(set(known.values())) == len(known) > 50


def test_a_document_is_its_words_in_order(texts: list[str | None]) -> None:
    found = _runs.passages(pl.Series(texts), False)
    known: dict[tuple[str, ...], int] = {}
    assert [
        known.setdefault(_words(text or ""), value) for text, value in zip(texts, found.texts.tolist(), strict=True)
    ] == found.texts.tolist()
    assert len(set(known.values())) == len(known) > 2000


@pytest.mark.parametrize(("n", "least"), [(3, 3), (5, 2), (2, 1)])
def test_known_grams_are_found_at_every_place_and_no_others(texts: list[str | None], n: int, least: int) -> None:
    draw = random.Random(n)
    items = [_written(draw, 0, 9) for _ in range(200)]
    hashes, owners, sizes = _runs.grams(pl.Series(items), n, least)
    grams = [
        (_words(item)[at : at + n], i)
        for i, item in enumerate(items)
        if len(_words(item)) >= least
        for at in range(max(len(_words(item)) - n, 0) + 1)
    ]
    assert owners.tolist() == [i for _, i in grams]
    assert sizes.tolist() == [len(_words(item)) for item in items]
    by_hash = dict(zip(hashes.tolist(), (gram for gram, _ in grams), strict=True))
    assert len(by_hash) == len({gram for gram, _ in grams})
    known = _runs.index(np.unique(hashes), np.unique(np.minimum(sizes[sizes >= least], n)))
    rows, places, words = _runs.found(pl.Series(texts), known)
    assert words.tolist() == [len(_words(text or "")) for text in texts]
    expected = sorted(
        (i, _words(text)[at : at + length])
        for i, text in enumerate(texts)
        for length in known.lengths.tolist()
        for at in range(len(_words(text or "")) - length + 1)
        if text and _words(text)[at : at + length] in set(by_hash.values())
    )
    assert sorted((row, by_hash[int(known.hashes[place])]) for row, place in zip(rows.tolist(), places.tolist(), strict=True)) == expected
    assert len(expected) > 2000


def test_no_texts_and_no_items_are_nothing() -> None:
    nothing = pl.Series([], dtype=pl.String)
    assert [part.size for part in _runs.passages(nothing, False)] == [0, 0, 1, 0]
    hashes, _, sizes = _runs.grams(nothing, 13, 8)
    empty = _runs.index(hashes, sizes)
    rows, places, words = _runs.found(pl.Series(["some words here", None]), empty)
    assert (rows.size, places.size, words.tolist()) == (0, 0, [3, 0])
