import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.errors import CeterisError
from eval_fixed_model.records import MultipleChoice
from eval_fixed_model.tasks.local_tasks import read_tasks
from eval_fixed_model.tasks.text_items import TextItems

QUESTION = {"question": "Two plus two?", "choices": ["three", "four"], "answer": 1, "subject": "easy_sums"}


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., TextItems]:
    """One task of this record, over these lines."""

    def read(lines: list[Any], record: str, **others: list[Any]) -> TextItems:
        for name, rows in {"items": lines, **others}.items():
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        (tmp_path / "tasks.yaml").write_text(f"mine: {{file: items.jsonl, {record}}}", encoding="utf-8")
        return read_tasks(tmp_path / "tasks.yaml")["mine"][1]

    return read


def test_letters_are_asked_as_mmlu_asks(asked) -> None:
    solved = [
        {**QUESTION, "question": f" {n}?", "answer": "A", "subject": subject} for n, subject in enumerate(["law", "easy_sums", "easy_sums"])
    ]
    record = 'kind: multiple_choice, style: letters, fields: {group: subject}, examples: dev.jsonl, shots: 1, instruction: "About {group}."'
    items = asked([QUESTION], record, dev=solved)
    assert items.prompts == ["About easy sums.\n\n1?\nA. three\nB. four\nAnswer: A\n\nTwo plus two?\nA. three\nB. four\nAnswer:"]
    row = items.frame.row(0, named=True)
    assert (row["choices"], row["label"], row["group"], row["text"]) == (["A", "B"], 1, "easy_sums", "Two plus two?")


def test_endings_continue_their_context(asked) -> None:
    line = {"ctx": "He opens the door and", "endings": ["sings it.", "walks in."], "label": "1"}
    items = asked([line], "kind: multiple_choice, fields: {text: ctx, choices: endings, answer: label}")
    assert items.prompts == ["He opens the door and"]
    assert items.frame["prompt"].to_list() == [None]
    assert (items.frame["choices"][0].to_list(), items.frame["label"][0]) == (["sings it.", "walks in."], 1)


@pytest.mark.parametrize(
    ("choices", "answer", "label"),
    [
        (["x", "y"], 1, 1),
        (["x", "y"], "B", 1),
        (["x", "y"], "1", 1),
        (["x", "y"], "y", 1),
        (["2", "1"], "1", 1),
        ({"text": ["x", "y"], "label": ["1", "2"]}, "2", 1),
    ],
)
def test_right_answers_are_numbers_letters_or_texts(asked, choices: Any, answer: Any, label: int) -> None:
    assert asked([{**QUESTION, "choices": choices, "answer": answer}], "kind: multiple_choice").frame["label"].to_list() == [label]


def test_short_answers_and_texts(asked) -> None:
    line = {"Question": "How many?", "Final answer": 17, "Level": 2}
    items = asked([line], 'kind: short_answer, fields: {text: Question, answer: "Final answer", group: Level}')
    assert items.prompts == ["Question: How many?\nAnswer:"]
    assert items.frame.select("choices", "group").row(0) == (["17"], "2")
    texts = asked([{"text": " A page. "}], "kind: likelihood, fields: {text: text}")
    assert texts.frame.select("text", "prompt").row(0) == (" A page. ", None)
    assert asked([{"text": " A page. "}], "kind: likelihood").frame.equals(texts.frame)
    with pytest.raises(CeterisError, match="lacks 'document'"):
        asked([{"text": "A page."}], "kind: likelihood, fields: {text: document}")


def test_tasks_say_what_a_scale_would_and_number_their_items_through(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(2 * (json.dumps(QUESTION) + "\n"), encoding="utf-8")
    record = "{kind: multiple_choice, file: '*.jsonl', likelihood: per byte}"
    (tmp_path / "tasks.yaml").write_text(f"one: {record}\ntwo: {record}", encoding="utf-8")
    tasks = read_tasks(tmp_path / "tasks.yaml")
    assert [items.frame["item"].to_list() for _, items in tasks.values()] == [[0, 1], [2, 3]]
    task, items = tasks["one"]
    assert task.record(items) == MultipleChoice(kind="multiple_choice", choices=2, likelihood="per byte")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": "E"}, "'E' is no number, letter or text"),
        ({"answer": 4}, "row 0 has a label that is no choice"),
        ({"question": None}, "'question' is no text"),
        ({"choices": ["{text}", "b"]}, "a choice holds {text}"),
        ({"choices": ["one"], "answer": 0}, "fewer than two choices"),
    ],
)
def test_a_line_that_is_no_item_is_refused(asked, change: dict[str, Any], message: str) -> None:
    with pytest.raises(CeterisError, match=message):
        asked([{**QUESTION, **change}], "kind: multiple_choice")


def test_errors_name_file_and_line_or_key(asked, tmp_path: Path) -> None:
    with pytest.raises(CeterisError, match="lacks 'question'") as caught:
        asked([QUESTION, {}], "kind: multiple_choice")
    assert "items.jsonl:2" in str(caught.value)
    for record, place, what, fix in (
        ("kind: multiple_choice, style: essay", "1:50", "style: should be 'letters'", "write one of 'letters'"),
        ("kind: multiple_choice, shot: 1", "1:50", "unknown key shot", "did you mean shots?"),
        ("kind: multiple_choice, fields: {txet: a}", "1:59", "unknown key txet", "did you mean text?"),
    ):
        with pytest.raises(CeterisError, match=re.escape(what)) as caught:
            asked([QUESTION], record)
        assert caught.value.where == f"{tmp_path / 'tasks.yaml'}:{place}"
        assert caught.value.what.startswith(what)
        assert caught.value.fix.startswith(fix)
    for line, what in (('{"question": }', "the line is no JSON, from character 14 on"), ("[1]", "the line is no object")):
        (tmp_path / "items.jsonl").write_text(json.dumps(QUESTION) + "\n" + line, encoding="utf-8")
        (tmp_path / "tasks.yaml").write_text("mine: {file: items.jsonl, kind: multiple_choice}", encoding="utf-8")
        with pytest.raises(CeterisError, match=what) as caught:
            read_tasks(tmp_path / "tasks.yaml")
        assert caught.value.where == f"{tmp_path / 'items.jsonl'}:2"
    with pytest.raises(CeterisError, match="no such file of items"):
        asked([QUESTION], "kind: multiple_choice, examples: none.jsonl, shots: 2")
    with pytest.raises(CeterisError, match="no such file of tasks"):
        read_tasks(tmp_path / "none.yaml")
    (tmp_path / "items.jsonl").write_text('{"question": "?"}\n', encoding="utf-8")
    with pytest.raises(CeterisError, match=r"no file of tasks[^`]*`mine: \{kind: multiple_choice, file: items.jsonl"):
        read_tasks(tmp_path / "items.jsonl")
    (tmp_path / "tasks.yaml").write_text("mine: {a: 1", encoding="utf-8")
    with pytest.raises(CeterisError, match="not YAML"):
        read_tasks(tmp_path / "tasks.yaml")
    (tmp_path / "tasks.yaml").write_text("- a", encoding="utf-8")
    with pytest.raises(CeterisError, match="maps names to records"):
        read_tasks(tmp_path / "tasks.yaml")
