"""Rules that use rows more than once: what they say."""

from fractions import Fraction

import pytest

from curate.errors import RecipeError
from curate.repetition import Repeat, SoftCap
from curate.rule import parse_rule


def keyed(**keys):
    return parse_rule(keys, where="here")


def test_a_repeat_says_what_it_does():
    rule = keyed(repeat=3)
    assert (rule, rule.text, rule.canonical(), rule.columns) == (Repeat(3), "repeat 3 times", {"repeat": 3}, ())


def test_a_soft_cap_says_what_it_does():
    rule = keyed(soft_cap="match.score", penalty=0.15, count=128_000, seed=2)
    assert rule == SoftCap("match.score", 0.15, 1.0, None, 128_000, 2)
    assert rule.text == "soft cap, 128,000 draws by match.score, penalty 0.15, seed 2"
    assert rule.canonical() == {"soft_cap": "match.score", "count": 128_000, "penalty": 0.15, "temperature": 1.0, "seed": 2}
    other = keyed(soft_cap="a.b", penalty=0, fraction="1/2", temperature=0.01, seed=0)
    assert other == SoftCap("a.b", 0.0, 0.01, Fraction(1, 2), None, 0)
    assert other.text == "soft cap, 0.5 as many draws by a.b, penalty 0, temperature 0.01, seed 0"


def test_draws_are_a_share_of_the_rows_or_a_number_that_may_exceed_them():
    assert [keyed(soft_cap="a.b", penalty=1, fraction=0.29, seed=0).draws(rows) for rows in (0, 10, 100)] == [0, 2, 29]
    assert [keyed(soft_cap="a.b", penalty=1, count=50, seed=0).draws(rows) for rows in (0, 10, 100)] == [0, 50, 50]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"repeat": 0}, "greater than or equal to 1"),
        ({"repeat": 70_000}, "less than or equal to 65535"),
        ({"repeat": 1.5}, "valid integer"),
        ({"soft_cap": "a.b", "penalty": 1, "seed": 0}, "one of fraction and count"),
        ({"soft_cap": "a.b", "penalty": 1, "seed": 0, "count": 3, "fraction": 0.5}, "one of fraction and count"),
        ({"soft_cap": "a.b", "count": 3, "seed": 0}, "needs the key penalty"),
        ({"soft_cap": "a.b", "penalty": -1, "count": 3, "seed": 0}, "greater than or equal to 0"),
        ({"soft_cap": "a.b", "penalty": 1, "count": 3, "seed": 0, "temperature": 0}, "greater than 0"),
        ({"soft_cap": "a.b", "penalty": float("inf"), "count": 3, "seed": 0}, "finite number"),
    ],
)
def test_what_is_no_such_rule_is_refused(keys, said):
    with pytest.raises(RecipeError, match=said):
        keyed(**keys)
