from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from filters._buffers import flat
from filters._phrases import found, phrases, places, spaced, table

WORDS = st.lists(st.sampled_from(["a", "b", "c", "ab"]), max_size=12).map(" ".join)


def _of(texts: list[str | None], known: list[str], way: object = found) -> list[list[str]]:
    index = phrases(" " + pl.Series(known, dtype=pl.String) + " ")
    firsts, numbers = way(*spaced(pl.Series(texts, dtype=pl.String), table()), index)  # type: ignore[operator]
    return [[known[number] for number in numbers[a:b]] for a, b in pairwise(firsts)]


def test_bytes_become_spaces_and_get_spaces_round_them() -> None:
    data, offsets = spaced(pl.Series(["a,b\tc", None, "", "é"]), table(b"\t", b","))
    made = [bytes(data[a:b]).decode() for a, b in pairwise(offsets)]
    assert made == [" a , b c ", "  ", "  ", " é "]


def test_a_null_that_still_has_its_bytes_is_empty() -> None:
    masked = pl.DataFrame({"text": ["a" * 20, "b"]}).select(pl.when(pl.Series([False, True])).then("text")).to_series()
    for column in (masked, masked.cast(pl.Binary)):
        data, offsets = flat(column)
        assert offsets.tolist() == [0, 0, 1]
        assert bytes(data[:1]) == b"b"


def test_a_slice_of_a_column_is_searched_alone() -> None:
    index = phrases(pl.Series([" b "]))
    firsts, _ = found(*spaced(pl.Series(["b", "a", "b b", "b"]).slice(1, 2), table()), index)
    assert firsts.tolist() == [0, 0, 1]


def test_equal_phrases_are_all_found_and_nothing_is_found_over_the_edge_of_a_text() -> None:
    assert _of(["a b", "b a"], ["b", "a b", "b b", "b", "a  b"]) == [["b", "a b", "b"], ["b", "b"]]
    assert _of([], ["a"]) == []


@given(st.lists(WORDS, max_size=4), st.lists(WORDS.filter(bool), min_size=1, max_size=6, unique=True))
def test_places_are_the_longest_from_left_to_right(texts: list[str], known: list[str]) -> None:
    split = sorted((one.split() for one in known), key=len, reverse=True)
    expected = []
    for text in texts:
        words, at, met = text.split(), 0, []
        while at < len(words):
            one = next((one for one in split if words[at : at + len(one)] == one), None)
            met += [" ".join(one)] if one else []
            at += len(one) if one else 1
        expected.append(met)
    assert _of(list(texts), known, places) == expected


def test_phrases_as_long_as_texts_and_many_matches_are_kept() -> None:
    text = " ".join(["ab"] * 5000)
    index = phrases(" " + pl.Series(["ab", text]) + " ")
    apart = spaced(pl.Series([text, "ab ab"]), table())
    assert found(*apart, index)[1].tolist() == [0, 1, 0]
    firsts, numbers = places(*apart, index)
    assert (firsts.tolist(), numbers.tolist()) == ([0, 1, 3], [1, 0, 0])
    assert np.bincount(places(*spaced(pl.Series([text]), table()), phrases(pl.Series([" ab "])))[1]).tolist() == [5000]
