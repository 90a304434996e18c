import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import reduce
from curate.digest import h, words_of
from curate.mix import Mix
from curate.reduce import Cut, candidates, cut_of, kept_by, last_within, nth_smallest, order_key, order_keys, value_of
from curate.rule import OnePer, Random, Top
from curate.store import Store

CLASSES = pl.Enum(["open", "closed", "unknown"])
VALUES = {
    pl.Float64: [-math.inf, -1e300, -1.5, -5e-324, 0.0, 5e-324, 1.5, 1e300, math.inf],
    pl.Float32: [-math.inf, -1.5, 0.0, 1.0000001192092896, 3.0e38, math.inf],
    pl.Int8: [-128, -1, 0, 127],
    pl.Int64: [-(2**63), -1, 0, 1, 2**63 - 1],
    pl.UInt32: [0, 1, 2**32 - 1],
    pl.UInt64: [0, 1, 2**63, 2**64 - 1],
    pl.Boolean: [False, True],
    CLASSES: ["open", "closed", "unknown"],
}


@pytest.mark.parametrize(("dtype", "values"), VALUES.items(), ids=str)
@pytest.mark.parametrize("ascending", [True, False])
def test_keys_sort_as_values_do_and_null_is_last(dtype, values, ascending):
    best_first = values if ascending else values[::-1]
    keys = order_key(pl.Series([*best_first, None], dtype=dtype), ascending).tolist()
    assert keys[:-1] == sorted(set(keys[:-1]))
    assert keys[-1] == 2**64 - 1


@given(st.lists(st.floats(allow_nan=False) | st.integers(-5, 5).map(float), max_size=20), st.booleans())
def test_keys_of_floats_are_their_order_and_lead_back_to_them(values, ascending):
    keys = order_key(pl.Series(values, dtype=pl.Float64), ascending).tolist()
    assert sorted(values, reverse=not ascending) == [value for _, value in sorted(zip(keys, values, strict=True), key=lambda pair: pair[0])]
    assert [value_of(key, pl.Float64(), ascending) for key in keys] == values


@given(st.integers(-(2**53), 2**53), st.booleans())
def test_a_cut_in_whole_numbers_reads_as_written(value, ascending):
    for dtype in (pl.Int64(), *([pl.UInt64()] if value >= 0 else [])):
        (key,) = order_key(pl.Series([value], dtype=dtype), ascending).tolist()
        assert value_of(key, dtype, ascending) == value


DAYS = ["", "1999", "2021-02-03", "2021-02-03T10:00:00Z", "2021-02-03T10:00:01.000001+00:00", "é", "語"]


@pytest.mark.parametrize("ascending", [True, False])
def test_keys_of_texts_sort_by_their_first_bytes_and_null_is_last(ascending):
    best_first = DAYS if ascending else DAYS[::-1]
    keys = order_keys(pl.Series([*best_first, None, "2" * 32, "2" * 33]), ascending)
    rows = list(zip(*[key.tolist() for key in keys], strict=True))
    assert rows[:-3] == sorted(set(rows[:-3]))
    assert rows[-3] == (2**64 - 1,) * 4
    assert rows[-1] == rows[-2]


def test_days_and_times_are_ordered(tmp_path):
    days = pl.Series(["1969-07-20", "2024-01-01"]).str.to_date()
    for values in (days, days.cast(pl.Datetime("us"))):
        first, second = order_keys(values, ascending=True)[0].tolist()
        assert first < second


def test_negative_zero_is_zero():
    for ascending in (True, False):
        assert len(set(order_key(pl.Series([0.0, -0.0]), ascending).tolist())) == 1


WORD = st.integers(0, 3) | st.integers(2**64 - 4, 2**64 - 1) | st.integers(0, 2**64 - 1)


@given(st.lists(st.lists(st.tuples(WORD, WORD, WORD), max_size=8), min_size=1, max_size=4), st.data())
def test_the_nth_smallest_is_found_by_histograms_too(pieces, data):
    every = sorted(row for piece in pieces for row in piece)
    if not every:
        return
    n = data.draw(st.integers(1, len(every)))
    schema = dict.fromkeys(("k0", "tie0", "tie1"), pl.UInt64)
    before = reduce.IN_MEMORY
    for in_memory in (0, 1, 3, before):
        reduce.IN_MEMORY = in_memory
        try:
            found = nth_smallest(lambda: (pl.DataFrame(piece, schema=schema, orient="row") for piece in pieces), n, len(every))
        finally:
            reduce.IN_MEMORY = before
        assert found == every[n - 1]


@given(
    st.lists(st.lists(st.tuples(WORD, WORD, WORD, st.integers(0, 5)), max_size=8), min_size=1, max_size=4),
    st.integers(0, 60) | st.sampled_from([2**63 - 1, 2**64, 10**20]),
)
def test_the_last_row_within_a_budget_is_found_by_histograms_too(pieces, budget):
    every = sorted({row[:3]: row for piece in pieces for row in piece}.values())
    pieces = [[row for row in dict.fromkeys(piece) if row in every] for piece in pieces]
    there = set()
    for piece in pieces:
        piece[:] = [row for row in piece if row not in there]
        there |= set(piece)
    kept = max(n for n in range(len(every) + 1) if sum(row[3] for row in every[:n]) <= budget)
    schema = dict.fromkeys(("k0", "tie0", "tie1", "amount"), pl.UInt64)
    before = reduce.IN_MEMORY
    for in_memory in (0, 1, 3, before):
        reduce.IN_MEMORY = in_memory
        try:
            last = last_within(lambda: (pl.DataFrame(piece, schema=schema, orient="row") for piece in pieces), budget, len(every))
        finally:
            reduce.IN_MEMORY = before
        assert [row for row in every if last is not None and row[:3] <= last] == every[:kept]


UIDS = words_of(bytes([n]) * 16 for n in range(40))
SCORES = [None if n % 7 == 0 else round(math.sin(n), 1) for n in range(40)]


def gathered(store, rule, scores=SCORES):
    """What three pieces hand in for a rule, null rows having left: the parts, the rows, their uids and evidence."""
    there = np.array([n for n, score in enumerate(scores) if score is not None], np.int64)
    evidence = pl.DataFrame({"a.score": pl.Series([scores[n] for n in there], dtype=pl.Float64)})
    frame = candidates(rule, evidence, UIDS[there], there)
    parts = [store.put_frame("tmp/x", "c", frame[start:stop]) for start, stop in ((0, 11), (11, 11), (11, len(there)))]
    return parts, there, UIDS[there], evidence


def kept_rows(store, rule, scores=SCORES):
    parts, rows, uids, evidence = gathered(store, rule, scores)
    cut = cut_of(rule, pl.Float64() if isinstance(rule, Top) else None, parts, store)
    kept = rows[kept_by(cut, rule, evidence, uids, rows, store)].tolist()
    assert (cut.entering, cut.kept) == (len(rows), len(kept))
    return cut, kept


@pytest.fixture
def store(tmp_path):
    return Store.open(f"memory:{tmp_path}")


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("size", [Fraction(0), Fraction(1, 3), Fraction(29, 100), Fraction(1), 0, 1, 17, 1000])
@pytest.mark.parametrize("ties", [True, False])
def test_top_keeps_the_first_n_of_the_rows_with_a_value(store, ascending, size, ties):
    counted = isinstance(size, int)
    rule = Top("a.score", ascending, None if counted else size, size if counted else None, ties)
    cut, kept = kept_rows(store, rule)
    tie = h("tie", 0, UIDS)
    rows = [n for n, score in enumerate(SCORES) if score is not None]
    ranked = sorted(rows, key=lambda n: (SCORES[n] if ascending else -SCORES[n], *tie[n].tolist()))
    n = min(size, len(rows)) if counted else math.floor(size * len(rows))
    expected = ranked[:n]
    if n and ties:
        expected = [row for row in ranked if (SCORES[row] <= SCORES[ranked[n - 1]]) == ascending or SCORES[row] == SCORES[ranked[n - 1]]]
    assert kept == sorted(expected)
    assert cut.value == (SCORES[ranked[n - 1]] if n else None)


def test_all_equal_values_are_cut_by_hashed_uid_or_all_kept(store):
    equal = [0.5] * 40
    assert len(kept_rows(store, Top("a.score", False, Fraction(1, 4), None, False), equal)[1]) == 10
    assert len(kept_rows(store, Top("a.score", False, Fraction(1, 4), None, True), equal)[1]) == 40


def test_random_keeps_the_rows_of_smallest_hash_whatever_their_values(store):
    smaller, larger, other = (kept_rows(store, Random(None, n, seed), [0.0] * 40)[1] for n, seed in ((10, 1), (20, 1), (10, 2)))
    assert len(smaller) == 10
    assert set(smaller) < set(larger)
    assert smaller != other
    draw = h("random", 1, UIDS)
    assert smaller == sorted(sorted(range(40), key=lambda n: draw[n].tolist())[:10])


@pytest.mark.parametrize("rule", [Top("a.score", False, Fraction(1), None, True), Random(Fraction(1), None, 0)])
def test_no_candidates_keep_nothing(store, rule):
    cut, kept = kept_rows(store, rule, [None] * 40)
    assert (cut, kept) == (Cut(0, 0), [])
    assert cut_of(rule, pl.Float64(), [], store) == Cut(0, 0)


def test_dropped_rows_are_read_once_for_all_pieces(tmp_path, monkeypatch):
    store = Store.open(tmp_path)
    part = store.put_frame("decisions/x", "survivors", pl.DataFrame({"row": [3, 4, 9]}, schema={"row": pl.UInt64}))
    reads = []
    monkeypatch.setattr(Store, "frame", lambda self, *given, read=Store.frame, **more: reads.append(1) or read(self, *given, **more))
    cut, rule = Cut(12, 9, survivors=part), OnePer("g", (), "direct")
    pieces = [np.arange(0, 4), np.arange(4, 4), np.arange(4, 10), np.array([0, 9, 11])]
    kept = [kept_by(cut, rule, pl.DataFrame(), UIDS[: len(rows)], rows, store).tolist() for rows in pieces]
    assert kept == [[True, True, True, False], [], [False, True, True, True, True, False], [True, False, True]]
    assert len(reads) == 1


def test_a_mix_says_which_of_its_sources_no_row_has(store):
    rule = Mix("pool.source", (("boks", Fraction(1, 2)), ("web", Fraction(1, 2))), None, None, 0)
    evidence = pl.DataFrame({"pool.source": ["web", "books", "web"]})
    part = store.put_frame("tmp/x", "c", candidates(rule, evidence, UIDS[:3], np.arange(3)))
    cut = cut_of(rule, None, [part], store)
    assert (cut.kept, cut.note) == (0, "nothing entering has boks as pool.source, so its share is 0 and all others' too")
