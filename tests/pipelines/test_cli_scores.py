import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from curate.errors import CeterisError
from pipelines.cli import app as everything
from pipelines.commands.runs import app as runs
from pipelines.commands.scores import app
from pipelines.scores.evaluations import Evaluation


def _said(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


def _eval(*arguments: object) -> str:
    result = CliRunner().invoke(runs, ["eval", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def store(scored: Evaluation) -> str:
    return scored.store.address


def test_ratings_are_shown_and_told_as_json(store: str, scored: Evaluation) -> None:
    shown = _said("ratings", "--store", store)
    assert "rating" in shown
    assert "whole pool" in shown
    told = json.loads(_said("ratings", "long", "unique", "--store", store, "--json"))
    assert {one["arm"] for one in told["ratings"]} == {"long", "unique"}


def test_costs_are_shown_and_told_as_json(store: str, scored: Evaluation) -> None:
    assert "gain for an hour" in _said("costs", "--store", store)
    told = json.loads(_said("costs", "--store", store, "--json"))
    assert told.keys() == scored.arms.keys()
    assert told["long"]["curation"] > 0


def test_a_dry_run_is_of_the_latest_run_where_there_is_one(scored: Evaluation, two_tasks: Path, tmp_path: Path) -> None:
    told = json.loads(_eval("--dry-run", "--scale", two_tasks, "--seeds", 2, "--store", scored.store.address, "--json"))
    assert (told["run"], told["arms"].keys()) == (scored.run, scored.arms.keys())
    assert told["trainings"] == len({key for arm in scored.arms.values() for key in arm.scores.values()})
    elsewhere = _eval("--dry-run", "--scale", two_tasks, "--store", tmp_path / "none")
    assert "no run here: this is one training" in elsewhere
    assert not (tmp_path / "none").exists()


def test_a_leaderboard_is_written_as_page_and_markdown_and_strict_fails_on_a_refusal(scored: Evaluation, tmp_path: Path) -> None:
    shutil.copytree(scored.store.path(""), tmp_path / "s")
    out = [tmp_path / "board.md", tmp_path / "board.html"]
    shown = _said("leaderboard", tmp_path / "s", "--markdown", out[0], "--html", out[1], "--strict")
    assert "long" in shown
    assert out[0].read_text().startswith("# Leaderboard")
    assert out[1].read_text().startswith("<!doctype html>")
    (tmp_path / "s" / scored.arms["long"].scores[0] / "items.parquet").unlink()
    assert "the score is not there" in _said("leaderboard", tmp_path / "s")
    told = json.loads(_said("leaderboard", tmp_path / "s", "--strict", "--json", code=1))
    assert told["refused"][0]["arm"] == "long"


def test_effects_of_a_recipe_are_shown(scored: Evaluation, place: Path, two_tasks: Path, tmp_path: Path) -> None:
    shutil.copytree(scored.store.path(""), tmp_path / "s")
    arguments = ("effects", place / "stages.yaml", "--store", tmp_path / "s", "--scale", two_tasks, "--seeds", 2, "--workers", 1)
    told = json.loads(_said(*arguments, "--json"))
    assert [one["stage"] for one in told["effects"]] == ["basic", "unique", "long"]
    shown = _said(*arguments)
    assert "effects do not add up" in shown
    assert "one per near_duplicate_image" in shown


def test_every_verb_takes_its_run_alike(scored: Evaluation, two_tasks: Path, tmp_path: Path) -> None:
    """As `--run`; and those that once took it bare, bare, too."""
    group = typer.main.get_command(everything)
    verbs: dict[str, Any] = vars(group)["commands"]
    bare = {name: verb for name, verb in verbs.items() if any(getattr(one, "metavar", None) == "[RUN]" for one in verb.params)}
    assert bare.keys() == {"eval", "calibrate", "notice", "report"}
    assert all(any(one.name == "run" and "--run" in one.opts for one in verb.params) for verb in bare.values())
    name = scored.run.removeprefix("runs/")
    how = ("--dry-run", "--scale", two_tasks, "--store", scored.store.address, "--json")
    for said in ((name,), ("--run", name)):
        assert json.loads(_eval(*said, *how))["run"] == scored.run
    with pytest.raises(CeterisError, match="no run called none"):
        _eval("--run", "none", *how)
