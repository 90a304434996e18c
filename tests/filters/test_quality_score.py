from collections.abc import Callable

import polars as pl
import pytest

from curate.errors import CeterisError
from filters.quality_classifier import quality_classifier
from filters.quality_score import quality_score


@pytest.fixture(scope="module")
def digest(frozen: Callable[..., str]) -> str:
    """A classifier of numbers written out against numbers in figures, frozen."""
    names = ["one", "two", "three", "four", "five", "six", "seven"]
    good = pl.DataFrame({"text": [f"{a} {b} {c}" for a in names for b in names for c in names]})
    rest = pl.DataFrame({"text": [f"{a} {b} {c}" for a in range(7) for b in range(7) for c in range(7)]})
    return frozen(quality_classifier, good, rest, bits=12)


def test_scores_are_log_odds_in_the_order_of_likeness(digest: str) -> None:
    texts = ["seven one", "Seven 1 two", "3 4 one", "5 5 0", "", None]
    found = quality_score(pl.DataFrame({"text": texts}), model=digest)
    assert found.schema == {"score": pl.Float32, "error": pl.String}
    best, good, bad, worst, *none = found["score"].to_list()
    assert best > good > bad > worst
    assert best > 0 > worst
    assert none == [None, None]
    assert found["error"].null_count() == len(texts)


def test_without_its_model_at_hand_it_says_so() -> None:
    with pytest.raises(CeterisError, match="no model 0000000000000000 is at hand"):
        quality_score(pl.DataFrame({"text": ["a"]}), model="0" * 64)
