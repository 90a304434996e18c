"""`curate report` and `curate serve` as a user calls them."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.recipe import Recipe
from pipelines import verbs
from pipelines.cli import app

CURATE = [sys.executable, "-m", "pipelines.cli"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on twelve texts."""
    folder = tmp_path_factory.mktemp("cli_report")
    (folder / "texts").mkdir()
    pl.DataFrame({"text": [f"{'word ' * n}{n}" for n in range(12)]}).write_parquet(folder / "texts" / "a.parquet")
    recipe = Recipe.parse('stages:\n  long: {keep: "text_length.words > 3"}\nsubsets: [long]\n', base=folder)
    verbs.run(recipe, folder / "texts", store=folder / "store", executor=InProcess())
    return folder / "store"


def test_report_writes_one_file(store: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", "--store", str(store), "--out", str(tmp_path / "a.html"), "--json"])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["file"] == str(tmp_path / "a.html")
    assert (tmp_path / "a.html").stat().st_size == told["bytes"]
    said = CliRunner().invoke(app, ["report", "recipe", "--store", str(store), "--out", str(tmp_path / "b.html")])
    assert "one file, opens offline" in said.stdout
    assert (tmp_path / "b.html").read_bytes() == (tmp_path / "a.html").read_bytes()
    with pytest.raises(CeterisError, match="there is no such folder"):
        CliRunner().invoke(app, ["report", "--store", str(store), "--out", "no/a.html"], catch_exceptions=False)


def test_serve_prints_where_and_ends_with_ctrl_c(store: Path) -> None:
    served = subprocess.Popen(
        [*CURATE, "serve", "--store", str(store)],
        env={**ENVIRONMENT, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert served.stdout is not None
        served.stdout.readline()
        url = served.stdout.readline().split()[0]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert b"long" in answer.read()
        served.send_signal(signal.SIGINT)
        assert served.wait(30) == 0
    finally:
        served.kill()
        served.communicate()
