import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from curate.errors import CeterisError
from eval_fixed_model.judge_folder import write_judge
from eval_fixed_model.models.decoders import build
from eval_fixed_model.tasks.text_items import items_of
from pipelines.commands import questions as commands
from pipelines.scores.questions import ask, write_items
from tests.eval_fixed_model.texts import small_scale

TASKS = """
sums: {kind: multiple_choice, file: sums.jsonl, fields: {group: subject}}
pages: {kind: likelihood, file: pages.jsonl, fields: {text: text}}
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """Four questions of two subjects, and four pages."""
    sums = [{"question": f"{n} and {n}", "choices": ["is", "are"], "answer": n % 2, "subject": f"s{n % 2}"} for n in range(4)]
    files = {"sums": sums, "pages": [{"text": f"page {n}"} for n in range(4)]}
    for name, lines in files.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (tmp_path / "tasks.yaml").write_text(TASKS, encoding="utf-8")
    return tmp_path / "tasks.yaml"


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    scale = small_scale()
    write_judge(build(scale, 0).eval(), scale, tmp_path / "judge")
    return tmp_path / "judge"


@pytest.fixture
def app() -> typer.Typer:
    whole = typer.Typer()
    whole.add_typer(commands.app)
    return whole


def test_a_judge_is_asked_every_task(judge: Path, tasks: Path) -> None:
    sums, pages = ask(judge, tasks)
    assert (sums.task, sums.items, sums.metric, sums.chance) == ("sums", 4, "accuracy", 50.0)
    assert [(group["group"], group["items"]) for group in sums.groups] == [("s0", 2), ("s1", 2)]
    assert sums.value == pytest.approx(sum(group["points"] for group in sums.groups) / 2)
    assert (pages.metric, pages.chance, pages.groups) == ("bits_per_byte", None, [])
    assert 7 < pages.value < 9  # a network that has learnt nothing needs some eight bits for a byte


def test_the_command_line_says_what_the_verb_says(judge: Path, tasks: Path, app: typer.Typer) -> None:
    found = CliRunner().invoke(app, ["ask", str(judge), str(tasks), "--json"])
    assert found.exit_code == 0, found.output
    assert [one["value"] for one in json.loads(found.stdout)] == [one.value for one in ask(judge, tasks)]
    shown = CliRunner().invoke(app, ["ask", str(judge), str(tasks)])
    assert all(word in shown.stdout for word in ("sums", "bits_per_byte", "s1", "no interval"))
    for wrong in (["ask", str(judge)], ["ask", str(judge), str(tasks), "--harness", "arc_easy"]):
        assert "name one" in str(CliRunner().invoke(app, wrong).exception)
    assert "the harness's" in str(CliRunner().invoke(app, ["ask", str(judge), str(tasks), "--limit", "3"]).exception)


def test_own_tasks_become_the_items_of_a_scale(tasks: Path, tmp_path: Path, app: typer.Typer) -> None:
    written = CliRunner().invoke(app, ["items", str(tasks), str(tmp_path / "mine"), "--json"])
    assert json.loads(written.stdout) == {"sums": 4, "pages": 4}
    records = {"pages": {"kind": "likelihood"}, "sums": {"kind": "multiple_choice", "choices": 2}}
    headline = {"tasks": ["pages"], "measure": "bits per byte", "delta": 0.1}
    scale = small_scale(tmp_path, items={"folder": "mine"}, tasks=records, headline=headline)
    for split, numbers in (("test", [0, 2]), ("validation", [1, 3])):
        pages, sums = items_of(scale, split)
        assert pages.frame["item"].to_list() == numbers
        assert sums.prompts == [f"{number} and {number}" for number in numbers]
    with pytest.raises(CeterisError, match="items of sums, pages are there already"):
        write_items(tasks, tmp_path / "mine")


def test_a_judge_that_is_not_there_is_said_so(tasks: Path, tmp_path: Path) -> None:
    with pytest.raises(CeterisError, match="there is no such folder"):
        ask(tmp_path / "nobody", tasks)
