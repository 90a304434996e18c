from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from curate.errors import RecipeError
from filters import evaluation_ngrams, passage_counts
from filters.repeated_text import repeated_text

Frozen = Callable[..., str]
TEXTS = [
    "Shared line\nmine alone, and long",
    "shared LINE!\nyours",
    "yours\nshared line\nshared line",
    None,
    "",
    "---",
    "twin words",
    "twin words",
]
ROWS = pl.DataFrame({"text": TEXTS})


def test_shares_are_of_units_and_of_their_characters(frozen: Frozen) -> None:
    found = repeated_text(ROWS, model=frozen(passage_counts.passage_counts, [ROWS]))
    assert found["units"].to_list() == [2, 2, 3, None, 0, 0, 1, 1]
    assert found["repeated"].to_list() == [0.5, 1.0, 1.0, None, 0.0, 0.0, 1.0, 1.0]
    assert found["repeated_chars"][0] == pytest.approx(11 / 31)
    assert found["documents"].to_list() == [3, 3, 3, None, 0, 0, 2, 2]


def test_each_passage_is_kept_by_one_document_and_later_in_all_others(frozen: Frozen) -> None:
    rows = pl.DataFrame({"text": [f"passage {group}\nalone {group} {copy}" for copy in "abc" for group in range(100, 140)]})
    found = repeated_text(rows, model=frozen(passage_counts.passage_counts, [rows[::-1]]))
    whole, shared = len("passage 100") + len("alone 100 a"), len("passage 100")
    later = (found["later_chars"] * whole).round().to_list()
    assert all(sorted(later[group::40]) == [0, shared, shared] for group in range(40))
    assert len({later[group::40].index(0) for group in range(40)}) == 3, "not the first to come"
    twins = repeated_text(ROWS, model=frozen(passage_counts.passage_counts, [ROWS]))["later_chars"][6:]
    assert twins.to_list() == [0.0, 0.0], "copies of a whole text are one document here"


def test_paragraphs_are_measured_where_the_model_counted_paragraphs(frozen: Frozen) -> None:
    rows = pl.DataFrame({"text": ["one line\nand another\n\nits own end", "one line\nand another", "one line"]})
    found = repeated_text(rows, model=frozen(passage_counts.passage_counts, [rows], unit="paragraph"))
    assert found.select("units", "repeated").rows() == [(2, 0.5), (1, 1.0), (1, 0.0)]
    assert found["repeated_chars"][0] == pytest.approx(19 / 30)


def test_a_pool_without_repetition_repeats_nothing(frozen: Frozen) -> None:
    rows = pl.DataFrame({"text": ["this", "that"]})
    found = repeated_text(rows, model=frozen(passage_counts.passage_counts, [rows]))
    assert found.rows() == [(1, 0.0, 0.0, 0.0, 1, None)] * 2


def test_a_model_of_another_kind_is_refused(frozen: Frozen, tmp_path: Path) -> None:
    pl.DataFrame({"q": ["some words"]}).write_parquet(tmp_path / "task.parquet")
    other = frozen(evaluation_ngrams.evaluation_ngrams, sets=str(tmp_path), fields=["q"])
    with pytest.raises(RecipeError, match="this model counts no passages"):
        repeated_text(ROWS, model=other)
