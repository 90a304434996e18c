from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.errors import RecipeError
from filters.contamination import contamination
from filters.evaluation_ngrams import evaluation_ngrams
from filters.passage_counts import passage_counts

LETTERS = "a b c d e f g h i j k l m n o p q r s t u v w x y z".split()  # noqa: SIM905
NINE = "one two three four five six seven eight nine"
COLUMNS = ["ngrams", "items", "task", "item"]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Task `long`: the letters a to z, and a to o; task `short`: nine words, and two."""
    folder = tmp_path_factory.mktemp("sets")
    pl.DataFrame({"q": [" ".join(LETTERS), " ".join(LETTERS[:15])]}).write_parquet(folder / "long.parquet")
    pl.DataFrame({"q": ["too short", NINE]}).write_parquet(folder / "short.parquet")
    return folder


@pytest.fixture(scope="module")
def model(sets: Path, frozen: Callable[..., str]) -> str:
    """Their n-grams, frozen."""
    return frozen(evaluation_ngrams, sets=str(sets), fields=["q"])


def _of(model: str, *texts: str | None) -> pl.DataFrame:
    return contamination(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), model=model)


def test_the_item_of_which_most_is_held_is_the_strongest_hit(model: str) -> None:
    found = _of(model, " ".join(LETTERS[:15]), " ".join(LETTERS[10:]), " ".join(LETTERS))
    assert found.select(COLUMNS).rows() == [(3, 2, "long", 1), (4, 1, "long", 0), (14, 2, "long", 0)]
    assert found["covered"].to_list() == pytest.approx([1.0, 4 / 14, 1.0])
    assert found["share"].to_list() == [1.0, 1.0, 1.0]


def test_case_punctuation_and_white_space_hide_nothing(model: str) -> None:
    found = _of(model, f"Quiz: {', '.join(LETTERS[:13]).upper()}! The end of it.", f"So:\n{NINE.title().replace(' ', '...  ')} - said he.")
    assert found.select(COLUMNS).rows() == [(1, 2, "long", 1), (1, 1, "short", 1)]
    assert found["share"].to_list() == pytest.approx([1 / 6, 1.0])


def test_twelve_words_are_no_hit_and_no_words_neither(model: str) -> None:
    found = _of(model, " ".join(LETTERS[:12]), "too short", NINE.replace("five", "5"), "", "!?", None)
    assert found.select(COLUMNS).rows() == [(0, 0, None, None)] * 5 + [(None,) * 4]
    assert found["hits"].null_count() == 6
    assert found["covered"].to_list() == [0.0] * 5 + [None]


def test_all_items_hit_are_listed_by_their_number_through_the_tasks(model: str) -> None:
    found = _of(model, f"{NINE} {' '.join(LETTERS[:14])}", "nothing", NINE)
    assert [None if hits is None else np.frombuffer(hits, "<u4").tolist() for hits in found["hits"]] == [[0, 1, 3], None, [3]]


def test_a_repeated_hit_counts_at_each_place_and_covers_once(model: str) -> None:
    found = _of(model, f"{NINE} and {NINE}")
    assert found.select("ngrams", "items", "covered").row(0) == (2, 1, 1.0)


def test_shorter_grams_are_a_parameter_of_the_model(sets: Path, frozen: Callable[..., str]) -> None:
    eight = frozen(evaluation_ngrams, sets=str(sets), fields=["q"], n=8)
    found = _of(eight, " ".join(LETTERS[:8]), " ".join(LETTERS[:7]), "zero " + NINE)
    assert found["ngrams"].to_list() == [1, 0, 2]


def test_a_model_of_another_kind_is_refused(frozen: Callable[..., str]) -> None:
    other = frozen(passage_counts, [pl.DataFrame({"text": ["some words"]})])
    with pytest.raises(RecipeError, match="this model holds no evaluation sets"):
        _of(other, "text")
