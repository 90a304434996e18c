import json
from pathlib import Path

import pytest

from curate.errors import CeterisError
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.trained_rows import TrainedRows, text_of


def test_a_random_control_must_be_the_draw_that_it_says(scored: Evaluation) -> None:
    """Both draws are of sound rows; only whose they are is wrong."""
    entry = json.loads(next(scored.store.path("").glob("scores/*/entries/*.json")).read_text())
    arm = next(arm for arm in entry["arms"].values() if arm["kind"] == "random")
    rows = TrainedRows(scored.store.path(""), None)
    of_first = arm["scores"]["0"].split("/")[2]
    assert rows.unchecked(of_first, arm, 0, entry) == []
    with pytest.raises(CeterisError, match="not the random draw of its size and seed"):
        rows.unchecked(of_first, arm, 1, entry)


def test_more_rows_than_the_entry_says_are_found(scored: Evaluation) -> None:
    long = scored.arms["long"]
    arm = {"name": "long", "id": long.id, "kind": "parent", "rows": long.rows + 1}
    with pytest.raises(CeterisError, match="it was trained on 120 rows, and the entry says 121"):
        TrainedRows(scored.store.path(""), None).unchecked(long.id, arm, 0, {})


def test_without_a_store_nothing_is_at_hand() -> None:
    assert TrainedRows(None, None).unchecked("0" * 16, {"kind": "candidate"}, 0, {}) == ["rows"]


def test_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff")
    with pytest.raises(CeterisError, match=r"a\.json cannot be read"):
        text_of(tmp_path / "a.json")
