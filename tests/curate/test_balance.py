"""The rule that balances entries: what it says, and t from a tail."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.balance import Balance
from curate.errors import RecipeError
from curate.rule import parse_rule


def keyed(**keys):
    return parse_rule(keys, where="here")


def test_a_balance_says_what_it_does():
    rule = keyed(balance="concepts.entries", at_most=20_000, seed=3)
    assert rule == Balance("concepts.entries", 20_000, None, 3)
    assert rule.text == "balance concepts.entries, at most 20,000, seed 3"
    assert rule.canonical() == {"balance": "concepts.entries", "at_most": 20_000, "seed": 3}
    tailed = keyed(balance="pool.source", tail="3/50", seed=0)
    assert tailed.text == "balance pool.source, tail 0.06, seed 0"
    assert tailed.canonical() == {"balance": "pool.source", "tail": "3/50", "seed": 0}
    assert tailed.columns == ("pool.source",)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"seed": 0}, "one of at_most and tail"),
        ({"at_most": 3, "tail": 0.5, "seed": 0}, "one of at_most and tail"),
        ({"at_most": 0, "seed": 0}, "greater than or equal to 1"),
        ({"at_most": 3}, "needs the key seed"),
    ],
)
def test_balances_that_say_too_little_or_too_much(keys, said):
    with pytest.raises(RecipeError, match=said):
        keyed(balance="a.b", **keys)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(0, 20))
def test_the_tail_is_what_entries_below_t_hold_and_t_is_the_largest_such_count(counts, twentieths):
    tail = Fraction(twentieths, 20)
    limit = Balance("a.b", None, tail, 0).limit(np.array([0, *counts]))
    held = {t: Fraction(sum(c for c in counts if c < t), sum(counts)) for t in counts}
    assert limit == max(t for t in counts if held[t] <= tail)


def test_a_tail_of_nothing_is_balanced_to_the_rarest_and_one_of_all_to_the_most_frequent():
    counts = np.array([7, 2, 90])
    assert [Balance("a.b", None, Fraction(tail), 0).limit(counts) for tail in (0, 1)] == [2, 90]
    assert Balance("a.b", None, Fraction(1, 2), 0).limit(np.zeros(0, np.int64)) == 1
    assert Balance("a.b", 5, None, 0).limit(counts) == 5
