import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.errors import CeterisError
from eval_fixed_model.scale import TextScale
from eval_fixed_model.tasks.text_items import items_digest, items_of, misspelt, read_items, texts_to_find

TASKS = {"held_out": {"kind": "likelihood"}, "cloze": {"kind": "multiple_choice", "choices": 2}, "facts": {"kind": "short_answer"}}
ROWS = [
    {"task": "held_out", "kind": "likelihood", "text": "Some text."},
    {"task": "cloze", "kind": "multiple_choice", "text": "Two and two", "choices": ["are four", "four are"], "label": 0, "group": "sums"},
    {"task": "facts", "kind": "short_answer", "text": "Two plus two?", "choices": ["4", "four"], "prompt": "Question: {text}\nAnswer:"},
]


@pytest.fixture
def written(text_scale) -> Callable[..., TextScale]:
    """A scale with these tasks and rows."""
    return lambda rows=ROWS, tasks=TASKS, **items: text_scale(rows, tasks, **items)


def test_items_are_the_splits_in_the_scales_order(written) -> None:
    held_out, cloze, facts = items_of(written(), "test")
    assert [one.task for one in (held_out, cloze, facts)] == list(TASKS)
    assert [one.frame["item"].to_list() for one in (held_out, cloze, facts)] == [[3], [4], [5]]
    assert cloze.prompts == ["Two and two"]
    assert facts.prompts == ["Question: Two plus two?\nAnswer:"]
    assert (held_out.chance(), cloze.chance(), facts.chance()) == (None, 50.0, 0.0)


def test_the_last_place_in_a_prompt_is_the_texts(written) -> None:
    scale = written([{**ROWS[1], "prompt": "What is {text}? A place.\n\n{text}"}], {"cloze": TASKS["cloze"]})
    assert items_of(scale, "test")[0].prompts == ["What is {text}? A place.\n\nTwo and two"]


@pytest.mark.parametrize(
    ("row", "change", "message"),
    [
        (0, {"text": ""}, "row 0 has no text"),
        (0, {"kind": "essay"}, "row 0 is of no known kind"),
        (1, {"choices": ["one"]}, "row 1 has fewer than two choices"),
        (1, {"choices": ["are four", ""]}, "row 1 has an empty choice"),
        (1, {"label": 2}, "row 1 has a label that is no choice"),
        (1, {"label": None}, "row 1 has a label that is no choice"),
        (2, {"choices": None}, "row 2 has no answer"),
        (2, {"prompt": "Question: {}"}, "row 2 has a prompt without"),
        (2, {"task": "cloze"}, "row 2 is of another kind than its task's first"),
        (1, {"choices": ["a", "b", "c"]}, "items.parquet task cloze: row 1 has 3 choices, and not 2 as the scale says"),
        (1, {"task": "other"}, "no items in the test split"),
    ],
)
def test_what_is_no_item_is_refused_by_its_row(written, row: int, change: dict[str, Any], message: str) -> None:
    rows = [{**one, **change} if place == row else one for place, one in enumerate(ROWS)]
    with pytest.raises(CeterisError, match=message):
        items_of(written(rows), "test")


def test_another_file_is_no_set_of_items(written) -> None:
    scale = written()
    pl.DataFrame({"text": ["a"]}).write_parquet(scale.evaluation_file)
    with pytest.raises(CeterisError, match="the columns are task, split, kind"):
        read_items(scale)
    scale.evaluation_file.write_bytes(b"no Parquet")
    with pytest.raises(CeterisError, match="cannot be read"):
        read_items(scale)


def test_a_folder_has_a_file_for_each_task(written, tmp_path: Path) -> None:
    scale = written(folder="mine")
    with pytest.raises(CeterisError, match="needs a folder of items"):
        read_items(scale)
    (tmp_path / "mine").mkdir()
    for row in ROWS:
        own = {name: value for name, value in row.items() if name not in ("task", "kind")}
        (tmp_path / "mine" / f"{row['task']}.jsonl").write_text(2 * (json.dumps(own) + "\n"), encoding="utf-8")
    found = items_of(scale, "test")
    assert [one.frame["item"].to_list() for one in found] == [[0, 1], [2, 3], [4, 5]]
    assert found[1].frame["label"].to_list() == [0, 0]
    (tmp_path / "mine" / "cloze.jsonl").write_text('{"text": "a", "choices": ["b", "c"], "label": 5}\n', encoding="utf-8")
    with pytest.raises(CeterisError, match="row 0 has a label") as caught:
        read_items(scale)
    assert "cloze.jsonl" in str(caught.value)
    (tmp_path / "mine" / "cloze.jsonl").write_text('{"text": "a", "choices": ["b", "c", "d"], "label": 2}\n', encoding="utf-8")
    with pytest.raises(CeterisError, match="row 0 has 3 choices") as caught:  # as `curate scales` reads them, by the row of its own file
        read_items(scale)
    assert caught.value.where == f"{tmp_path / 'mine' / 'cloze.jsonl'} task cloze"
    assert "correct `choices`" in caught.value.fix
    (tmp_path / "mine" / "cloze.jsonl").write_text('{"question": "a", "choices": ["b", "c"], "label": 1}\n', encoding="utf-8")
    with pytest.raises(CeterisError, match="it lacks text and it should not have question") as caught:
        read_items(scale)
    assert "`curate items TASKS FOLDER`" in caught.value.fix
    (tmp_path / "mine" / "cloze.jsonl").unlink()
    with pytest.raises(CeterisError, match="items are missing"):
        read_items(scale)


def test_the_digest_is_of_content_and_order(written) -> None:
    digest = items_digest(written())
    pl.read_parquet(written().evaluation_file).write_parquet(written().evaluation_file, compression="uncompressed")
    assert items_digest(written()) == digest
    assert items_digest(written(ROWS[::-1])) != digest
    assert items_digest(written([ROWS[0], {**ROWS[1], "label": 1}, ROWS[2]])) != digest


def test_what_training_data_should_not_hold(written) -> None:
    found = texts_to_find(read_items(written()))
    assert found["text"].to_list()[:3] == ["Some text.", "Two and two are four", "Two plus two? 4"]
    assert found["item"].to_list() == list(range(6))


def test_typos_follow_from_the_items_number_and_keep_every_letter(written) -> None:
    text = " ".join(["several", "different", "words", "of", "a", "1998", "zz"] * 60)
    wrong = misspelt(text, 7)
    changed = [(one, other) for one, other in zip(text.split(), wrong.split(), strict=True) if one != other]
    assert misspelt(text, 7) == wrong != misspelt(text, 8)
    assert all(sorted(one) == sorted(other) for one, other in changed)
    assert all(sum(x != y for x, y in zip(one, other, strict=True)) == 2 for one, other in changed)
    assert 0.1 < len(changed) / (4 * 60) < 0.3  # of the words that can be misspelt; four standard deviations about a fifth
    assert misspelt(text, 7, 0.0) == text
    assert {one for one, _ in changed} == {"several", "different", "words", "of"}
    facts = items_of(written([{**ROWS[2], "text": text}], {"facts": TASKS["facts"]}), "test")[0]
    asked = facts.with_typos()
    assert asked.variant == "typos"
    assert asked.prompts == [f"Question: {misspelt(text, 1)}\nAnswer:"]
