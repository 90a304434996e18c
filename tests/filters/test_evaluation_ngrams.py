import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.errors import RecipeError
from filters.evaluation_ngrams import evaluation_ngrams, load

LONG = "Which of these animals is the largest living mammal on the whole earth today"  # 14 words


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Two tasks: one of questions with choices, one of prompts; and a file that is neither."""
    rows = {"question": [LONG, "Is it so, or is it not so? Say!", "Why?", None], "choices": [["the whale", "a cat"], [], ["so"], None]}
    pl.DataFrame(rows, schema={"question": pl.String, "choices": pl.List(pl.String)}).write_parquet(tmp_path / "zoo.parquet")
    prompts = [{"prompt": LONG.upper() + "!", "label": 1}, {"prompt": "short", "label": 0}]
    (tmp_path / "animals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts), encoding="utf-8")
    (tmp_path / "README.md").write_text("about", encoding="utf-8")
    return tmp_path


def test_grams_belong_to_items_numbered_through_the_tasks_in_name_order(sets: Path) -> None:
    made = evaluation_ngrams(sets=str(sets), fields=["question", "choices", "prompt"])
    found = load(made.weights, made.card)
    assert (found.tasks, found.begins.tolist(), found.n) == (("animals", "zoo"), [0, 2, 6], 13)
    assert found.sizes.tolist() == [2, 0, 6, 1, 0, 0]  # 14 words; 18 with the choices; 9 as one
    shared = [found.items[a:b].tolist() for a, b in zip(found.firsts, found.firsts[1:], strict=False)]
    assert sorted(shared) == [[0, 2], [0, 2], [2], [2], [2], [2], [3]]
    assert found.known.lengths.tolist() == [9, 13]
    assert np.all(np.diff(found.known.hashes) > 0)


def test_what_is_too_short_to_be_checked_is_listed(sets: Path) -> None:
    fields = ["question", "choices", "prompt"]
    assert evaluation_ngrams(sets=str(sets), fields=fields).card["unchecked"] == {"animals": [1], "zoo": [2, 3]}
    assert evaluation_ngrams(sets=str(sets), fields=fields, least=10).card["unchecked"] == {"animals": [1], "zoo": [1, 2, 3]}
    assert evaluation_ngrams(sets=str(sets), fields=fields, n=1, least=1).card["unchecked"] == {"zoo": [3]}


def test_one_file_is_one_task(sets: Path) -> None:
    card = evaluation_ngrams(sets=str(sets / "animals.jsonl"), fields=["prompt"], n=8).card
    assert card["architecture"] == {"n": 8, "tasks": [["animals", 2]]}


@pytest.mark.parametrize(
    ("harm", "parameters", "what"),
    [
        (None, {"fields": ["text"]}, r"there is no field text \(it has prompt, label\)"),
        (None, {"fields": ["label"]}, "the field label is Int64"),
        (None, {"fields": "prompt"}, "fields: prompt, n: 13, least: 8 cannot be"),
        (None, {"fields": ["prompt"], "least": 14}, "n: 13, least: 14 cannot be"),
        (("animals.parquet", b"PAR1"), {"fields": ["prompt"]}, "two files are the task animals"),
        (("animals.jsonl", b"{"), {"fields": ["prompt"]}, "the evaluation set cannot be read"),
        (("zoo.parquet", b"PAR1"), {"fields": ["prompt"]}, "the evaluation set cannot be read"),
    ],
)
def test_what_cannot_be_is_said(sets: Path, harm: tuple[str, bytes] | None, parameters: dict[str, object], what: str) -> None:
    if harm:
        (sets / harm[0]).write_bytes(harm[1])
        (sets / "animals.jsonl").write_bytes(harm[1] if harm[0] == "animals.jsonl" else b'{"prompt": "a"}\n')
    with pytest.raises(RecipeError, match=what):
        evaluation_ngrams(sets=str(sets), **parameters)


def test_no_sets_are_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", tmp_path / "absent.parquet"):
        with pytest.raises(RecipeError, match="there are no evaluation sets") as raised:
            evaluation_ngrams(sets=str(path), fields=["q"])
        assert raised.value.where == str(path)
