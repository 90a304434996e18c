"""Killed with SIGKILL at every named point of the commit, the same command finishes, and its digests are those of an undisturbed run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from curate.failpoint import POINTS
from curate.ledger import check

RECIPE = """
stages:
  basic: {keep: "text_length.words > 3"}
  unique: {after: basic, keep: {one_per: near_duplicate_text, prefer: [pool.quality desc]}}
  best: {after: unique, keep: {top: pool.quality, fraction: 0.4}}
subsets: [basic, best]
"""


def _run(folder: Path, pool: Path, store: str, point: str = "") -> subprocess.CompletedProcess[str]:
    recipe = folder / "texts.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    command = [sys.executable, "-m", "pipelines.cli", "run", str(recipe), "--pool", str(pool), "--store", str(folder / store)]
    environment = {**os.environ, "CETERIS_FAILPOINT": point, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run([*command, "--workers", "1", "--json"], env=environment, capture_output=True, text=True, check=False)


def _digests(found: subprocess.CompletedProcess[str]) -> Any:
    assert found.returncode == 0, found.stderr
    value = json.loads(found.stdout)
    return value["subsets"], value["funnel"]


@pytest.fixture(scope="module")
def expected(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the undisturbed run says."""
    return _digests(_run(tmp_path_factory.mktemp("kill"), text_folder, "store"))


OF_RUNS = [point for point in POINTS if not point.startswith("revoke.")]
"""Those of a take-down: tests/curate/test_takedown.py."""


@pytest.mark.parametrize("point", [*OF_RUNS, "storage.after_link:9", "run.after_publish:2"])
def test_the_driver_dies(point: str, text_folder: Path, expected: Any, tmp_path: Path) -> None:
    assert _run(tmp_path, text_folder, "store", point).returncode == -signal.SIGKILL
    assert _digests(_run(tmp_path, text_folder, "store")) == expected
    store = tmp_path / "store"
    assert not any((store / "tmp").rglob("*.parquet"))
    (ledger,) = store.glob("runs/*/ledger*.jsonl")
    assert check(ledger.read_text(encoding="utf-8"), where=str(ledger)) in "".join(p.read_text() for p in store.glob("ledger/*.json"))


def test_every_named_point_is_reached_by_the_code() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (Path(__file__).parents[2] / "curate").glob("*.py"))
    assert [point for point in POINTS if f'reach("{point}")' not in sources] == []
