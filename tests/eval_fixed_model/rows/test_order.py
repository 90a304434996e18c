import numpy as np
import pytest

from curate.digest import UInt64s, words_of
from curate.errors import CeterisError
from eval_fixed_model.rows.order import batches, repeats


def _uids(count: int, seed: int = 0) -> UInt64s:
    rng = np.random.default_rng(seed)
    return words_of([rng.bytes(16) for _ in range(count)])


ONCE = np.ones(10, np.int64)


def test_epochs_hold_every_row_once_and_batches_span_their_edges() -> None:
    shown = batches(_uids(10), ONCE, 0, 32, 4).rows
    assert shown.shape == (8, 4)
    flat = shown.ravel()
    for epoch in range(3):
        assert sorted(flat[10 * epoch : 10 * epoch + 10]) == list(range(10))
    third = shown[2]  # showings 8 to 11: two of the first epoch, two of the second
    assert set(third[:2]) == set(flat[8:10])
    assert set(third[2:]) == set(flat[10:12])
    assert list(flat[:10]) != list(flat[10:20])


def test_the_same_uids_are_shown_in_the_same_order_whatever_the_input_order() -> None:
    uids, shuffled = _uids(50), np.random.default_rng(1).permutation(50)
    copies = np.random.default_rng(2).integers(1, 4, 50)
    one, other = batches(uids, copies, 3, 640, 64), batches(uids[shuffled], copies[shuffled], 3, 640, 64)
    assert (uids[one.rows] == uids[shuffled][other.rows]).all()
    assert (one.draws == other.draws).all()


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    uids, once = _uids(50), np.ones(50, np.int64)
    one, other = batches(uids, once, 0, 100, 50).rows, batches(uids, once, 1, 100, 50).rows
    assert len({tuple(row) for row in (*one, *other)}) == 4


def test_copies_are_shown_as_often_as_they_are_listed() -> None:
    copies = np.array([1, 3, 2])
    order = batches(_uids(3), copies, 0, 60, 6)
    assert list(np.bincount(order.rows.ravel())) == [10, 30, 20]
    assert repeats(order, 3) == {10: 1, 20: 1, 30: 1}
    assert all(len(set(zip(*pair, strict=True))) == 6 for pair in zip(order.rows, order.draws, strict=True)), "copies roll apart"


def test_a_subset_larger_than_the_budget_is_shown_in_part() -> None:
    order = batches(_uids(100), np.ones(100, np.int64), 0, 64, 32)
    assert repeats(order, 100) == {0: 36, 1: 64}


def test_rows_that_two_subsets_share_keep_their_relative_order() -> None:
    uids = _uids(40)
    whole = batches(uids, np.ones(40, np.int64), 5, 40, 40).rows[0]
    half = batches(uids[:20], np.ones(20, np.int64), 5, 40, 40).rows[0][:20]
    assert [row for row in whole if row < 20] == list(half)


@pytest.mark.parametrize("count", [0, 5])
def test_an_arm_without_rows_is_refused(count: int) -> None:
    with pytest.raises(CeterisError, match="an arm without rows"):
        batches(_uids(count), np.zeros(count, np.int64), 0, 64, 32)
