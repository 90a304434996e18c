"""Entries are counted in bounded memory and draw their rows as the closed form says."""

import numpy as np
import polars as pl
import pytest

from curate import entries
from curate.balance import Balance
from curate.entries import counted, drawn, draws, entries_of, summed
from curate.errors import RecipeError


def column(lists):
    return pl.Series("a.b", [np.array(each, "<u4").tobytes() for each in lists], dtype=pl.Binary)


LISTS = [[3, 7], [], [7], [2**32 - 1, 3, 7], [7]]


def words(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, (count, 2), dtype=np.uint64)


def test_entries_are_numbers_or_one_name_a_row():
    found, rows = entries_of(column(LISTS))
    assert found.to_list() == [3, 7, 7, 2**32 - 1, 3, 7, 7]
    assert rows.tolist() == [0, 0, 2, 3, 3, 3, 4]
    names, rows = entries_of(pl.Series(["web", "book"], dtype=pl.Enum(["book", "web"])))
    assert (names.to_list(), rows.tolist()) == (["web", "book"], [0, 1])
    with pytest.raises(RecipeError, match=r"a\.b holds no numbers of 4 bytes"):
        entries_of(pl.Series("a.b", [b"12345"]))


@pytest.mark.parametrize("merge", [1, 1_000_000])
def test_counts_add_up_over_pieces(merge, monkeypatch):
    monkeypatch.setattr(entries, "MERGE_ROWS", merge)
    rows, counts = summed(counted(column(part)) for part in (LISTS[:2], LISTS[2:], []))
    assert rows == 5
    assert counts.rows() == [(3, 2), (7, 4), (2**32 - 1, 1)]
    rows, counts = summed(counted(pl.Series([*"abab", "ä"])) for _ in range(3))
    assert (rows, counts.rows()) == (15, [("a", 6), ("b", 6), ("ä", 3)])
    assert summed([])[0] == 0


def test_a_row_is_kept_by_any_entry_and_one_without_entries_is_told_apart():
    counts = pl.DataFrame({"entry": [7], "count": [10**9]})
    kept, bare = drawn(Balance("a.b", 1, None, 0), 1, counts, column(LISTS), words(5))
    assert kept.tolist() == [True, False, False, True, False]
    assert bare.tolist() == [False, True, False, False, False]


def test_a_draw_depends_on_seed_uid_and_entry_alone():
    uids, rule = words(4_000), Balance("a.b", 10, None, 5)
    lists = [np.random.default_rng(row).choice(30, row % 5, replace=False) for row in range(4_000)]
    heads = pl.DataFrame({"entry": range(30), "count": [20 * (n + 1) for n in range(30)]})
    whole = drawn(rule, 10, heads, column(lists), uids)[0]
    order = np.random.default_rng(1).permutation(4_000)
    parts = [drawn(rule, 10, heads, column([lists[row] for row in some]), uids[some])[0] for some in np.split(order, [7, 1_900])]
    assert (np.concatenate(parts) == whole[order]).all()
    other = drawn(Balance("a.b", 10, None, 6), 10, heads, column(lists), uids)[0]
    assert 0.05 < (other != whole).mean() < 0.5


def test_rows_are_kept_as_often_as_the_closed_form_says():
    """1 - prod(1 - min(1, t / count)) of each row, over 400 seeds: no row is off by more than chance, nor are all together."""
    rng, seeds = np.random.default_rng(3), 400
    lists = [rng.choice(40, rng.integers(1, 6), replace=False, p=(w := 1 / np.arange(1, 41)) / w.sum()) for _ in range(600)]
    _, counts = summed([counted(column(lists))])
    chance = np.minimum(1, 25 / counts["count"].to_numpy())
    expected = np.array([1 - np.prod(1 - chance[np.searchsorted(counts["entry"].to_numpy(), row)]) for row in lists])
    uids, found = words(600), np.zeros(600)
    for seed in range(seeds):
        found += drawn(Balance("a.b", 25, None, seed), 25, counts, column(lists), uids)[0]
    sure = expected == 1
    assert 0 < sure.sum() < 600
    assert (found[sure] == seeds).all()
    off = (found - seeds * expected)[~sure] / np.sqrt(seeds * (expected * (1 - expected))[~sure])
    assert abs(off).max() < 4.5
    assert 0.85 < (off**2).mean() < 1.15, "as scattered as independent draws are"
    assert abs(off.sum()) / np.sqrt(off.size) < 4


def test_entries_of_one_row_draw_independently():
    uids = np.repeat(words(20_000), 2, axis=0)
    success, chances, _ = draws(
        0, 30, pl.DataFrame({"entry": [1, 2], "count": [100, 100]}), pl.Series([1, 2] * 20_000, dtype=pl.UInt32), uids
    )
    first, second = success.reshape(-1, 2).T
    assert set(chances.tolist()) == {0.3}
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / 20_000**0.5
    assert abs(success.mean() - 0.3) < 4 * (0.21 / 40_000) ** 0.5
