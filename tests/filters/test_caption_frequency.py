import math
from collections import Counter
from collections.abc import Callable

import polars as pl
import pytest

from curate.errors import RecipeError
from filters._captions import CaptionCounts
from filters.caption_counts import caption_counts
from filters.caption_frequency import caption_frequency
from filters.passage_counts import passage_counts

POOL = ["a dog", "A DOG!", "a cat", "a red cat", None, "", "...", "dog a"]


def _of(model: str, *texts: str | None) -> pl.DataFrame:
    return caption_frequency(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), model=model)


@pytest.fixture(scope="module")
def model(frozen: Callable[..., str]) -> str:
    """The counts of the small pool, in two frames."""
    return frozen(caption_counts, [pl.DataFrame({"text": POOL[:3]}), pl.DataFrame({"text": POOL[3:]})])


def test_captions_of_the_same_words_recur(model: str) -> None:
    found = _of(model, *POOL, "a  dog", "unseen")
    assert found["captions"].to_list() == [2, 2, 1, 1, None, 0, 0, 1, 2, 1]


def test_specificity_is_the_mean_normalised_inverse_caption_frequency(model: str) -> None:
    words = [text.lower().strip("!.").split() for text in POOL if text and text.strip(".")]
    counts = Counter(word for one in words for word in set(one))
    expected = [sum(1 - math.log(counts[word]) / math.log(counts["a"]) for word in one) / len(one) for one in words]
    assert counts["a"] == 5
    found = _of(model, *[" ".join(one) for one in words], "unseen", "a", "", None)
    assert found["specificity"].to_list() == pytest.approx([*expected, 1.0, 0.0, 0.0, None])
    assert found["unique_words"].to_list() == [0, 0, 0, 1, 0, 1, 0, 0, None]


def test_rows_in_any_order_and_frames_make_the_same_model() -> None:
    one = caption_counts.make(iter([pl.DataFrame({"text": POOL})]))
    other = caption_counts.make(iter([pl.DataFrame({"text": [text]}, schema={"text": pl.String}) for text in reversed(POOL)]))
    assert one.card == other.card
    assert {name: array.tolist() for name, array in one.weights.items()} == {n: array.tolist() for n, array in other.weights.items()}
    assert one.card["captions"] == 5
    assert one.card["distinct"] == 4 + 4


def test_a_pool_without_a_word_twice_says_that_all_are_alone(frozen: Callable[..., str]) -> None:
    model = frozen(caption_counts, [pl.DataFrame({"text": ["one two", "three"]})])
    assert _of(model, "one two", "three").rows() == [(1, 1.0, 2, None), (1, 1.0, 1, None)]
    nothing = caption_counts.make(iter([]))
    assert isinstance(caption_counts.load(nothing.weights, nothing.card), CaptionCounts)  # type: ignore[misc]


def test_a_model_of_another_kind_is_refused(frozen: Callable[..., str]) -> None:
    other = frozen(passage_counts, [pl.DataFrame({"text": ["some words"]})])
    with pytest.raises(RecipeError, match="this model counts no captions"):
        _of(other, "text")
