import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.commands.scores import app
from pipelines.scores.evaluations import Evaluation


def _said(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
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
    assert "gain an hour" in _said("costs", "--store", store)
    told = json.loads(_said("costs", "--store", store, "--json"))
    assert told.keys() == scored.arms.keys()
    assert told["long"]["curation"] > 0


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
