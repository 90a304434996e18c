from collections import Counter
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from curate.sketches import Sketches
from filters import _banding

BANDS, ROWS, FLOOR = 4, 2, 0.3


def signed(count, seed):
    """Signatures of values that often agree: two of ten texts do in a band."""
    return np.random.default_rng(seed).integers(0, 3, (count, BANDS * ROWS), np.uint32)


def frame_of(signatures):
    return pl.DataFrame(
        {
            "signature": [one.astype("<u4").tobytes() for one in signatures],
            "shingles": pl.Series([None] * len(signatures), dtype=pl.Binary),
        },
        schema={"signature": pl.Binary, "shingles": pl.Binary},
    )


def expected(signatures, fresh):
    pairs = {}
    for i, j in combinations(range(len(signatures)), 2):
        equal = signatures[i] == signatures[j]
        if j >= fresh and equal.reshape(BANDS, ROWS).all(axis=1).any() and equal.mean() >= FLOOR:
            pairs[i, j] = np.float32(equal.mean())
    return pairs


def searched(parts, fresh, shares):
    batches = Sketches.of(*map(frame_of, parts)).batches
    rows = []
    for share in range(shares):
        rows += [row for frame in _banding.linked(Sketches(batches, fresh, (share, shares)), BANDS, ROWS, FLOOR) for row in frame.rows()]
    return {(i, j): np.float32(alike) for i, j, alike in rows}, Counter((i, j) for i, j, _ in rows)


@pytest.mark.parametrize("shares", [1, 2, 3, 7])
@pytest.mark.parametrize("fresh", [0, 37, 59])
@pytest.mark.parametrize(("codes", "pairs", "taken"), [(1 << 23, 1 << 19, 1 << 14), (150, 40, 7), (1, 1, 1)])
def test_shares_find_every_pair_that_agrees_in_a_band_however_little_is_held(monkeypatch, codes, pairs, taken, fresh, shares):
    for name, value in (("CODES", codes), ("PAIRS", pairs), ("TAKEN", taken)):
        monkeypatch.setattr(_banding, name, value)
    signatures = signed(60, 1)
    found, times = searched([signatures[:25], signatures[25:25], signatures[25:]], fresh, shares)
    assert found == expected(signatures, fresh)
    assert max(times.values()) <= 2 * shares
    if shares == 1 and codes > 150:
        assert set(times.values()) == {1}


def test_of_a_crowd_that_agrees_in_every_band_each_pair_is_verified_once_but_at_the_seams(monkeypatch):
    monkeypatch.setattr(_banding, "CODES", 1)
    monkeypatch.setattr(_banding, "PAIRS", 100)
    crowd = np.repeat(signed(1, 2), 40, axis=0)
    _, times = searched([crowd], 0, 1)
    assert len(times) == 40 * 39 // 2
    assert sum(times.values()) < 2 * len(times), "four bands hold each of them"


@pytest.mark.parametrize("parts", [[], [0], [1], [0, 2]])
def test_few_sketches_or_none_are_few_pairs(parts):
    same = np.repeat(signed(1, 3), 2, axis=0)
    assert len(searched([same[:count] for count in parts], 0, 2)[0]) == (sum(parts) == 2)
