import numpy as np
import pytest

from curate.digest import UInt64s, h, hex_of, order_of, words_of
from curate.errors import CeterisError
from eval_fixed_model.arms import Arm, members_digest, random_members


@pytest.fixture
def pool() -> UInt64s:
    rng = np.random.default_rng(0)
    return words_of([rng.bytes(16) for _ in range(1000)])


def test_random_controls_are_nested_and_equal_sizes_are_the_same_draw(pool: UInt64s) -> None:
    small, large = Arm("r", "random", pool, 100), Arm("s", "random", pool, 300)
    assert set(hex_of(small.members(3))) < set(hex_of(large.members(3)))
    again = Arm("t", "random", pool[::-1], 100)
    assert again.digest(3) == small.digest(3)


def test_random_controls_are_redrawn_for_every_seed(pool: UInt64s) -> None:
    one, other = (set(hex_of(random_members(pool, 500, seed))) for seed in (0, 1))
    assert 200 < len(one & other) < 300  # 250 expected of independent halves, s.d. 8


def test_draws_do_not_follow_the_order_of_training(pool: UInt64s) -> None:
    drawn = {text: rank for rank, text in enumerate(hex_of(random_members(pool, 1000, 0)))}
    shown = [drawn[text] for text in hex_of(pool[order_of(h("order", 0, pool, 0, 0))])]
    assert abs(np.corrcoef(shown, np.arange(1000))[0, 1]) < 0.15


def test_other_arms_keep_their_rows(pool: UInt64s) -> None:
    arm = Arm("basic", "candidate", pool[:10])
    assert (arm.members(0) == arm.members(1)).all()
    assert arm.digest(0) == members_digest(pool[:10][::-1])
    assert arm.digest(0) != members_digest(np.concatenate([pool[:10], pool[:1]])), "a copy more is another arm"


def test_sizes_belong_to_random_arms_alone(pool: UInt64s) -> None:
    with pytest.raises(CeterisError, match="a random arm has a size"):
        Arm("r", "random", pool)
    with pytest.raises(CeterisError, match="a random arm has a size"):
        Arm("c", "candidate", pool, 3)
    with pytest.raises(CeterisError, match="1001 rows was asked of a pool of 1000"):
        random_members(pool, 1001, 0)


def test_the_rows_of_an_arm_are_counted_without_their_copies(pool: UInt64s) -> None:
    assert Arm("twice", "candidate", np.repeat(pool[:10], 2, axis=0)).rows == 10
    assert Arm("r", "random", pool, 7).rows == 7
