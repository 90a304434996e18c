"""The house: formatting, lint, types and the rooms' import contracts; each contract is seen to break when it is broken on purpose."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("curate", "filters", "eval_fixed_model", "pipelines")
BREAKS = {
    "Rooms: pipelines -> (filters | eval_fixed_model) -> curate": ("filters/text_length.py", "import eval_fixed_model.arms"),
    "The engine never sees torch": ("curate/reduce.py", "import torch"),
    "Ray lives in one file": ("pipelines/verbs.py", "import ray"),
    "Filters see only the evidence contracts of the engine": ("filters/text_length.py", "import curate.store"),
}


def _called(*command: str, at: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(at), "COLUMNS": "200"}
    return subprocess.run([sys.executable, "-m", *command], cwd=at, env=environment, capture_output=True, text=True, check=False)


def _lint_imports(at: Path) -> str:
    script = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(at), "COLUMNS": "200"}
    return subprocess.run([str(script), "--no-cache"], cwd=at, env=environment, capture_output=True, text=True, check=False).stdout


def test_ruff_finds_nothing() -> None:
    found = _called("ruff", "check", "--output-format", "concise", ".")
    assert found.returncode == 0, found.stdout


def test_everything_is_formatted() -> None:
    found = _called("ruff", "format", "--check", ".")
    assert found.returncode == 0, found.stdout


def test_mypy_finds_nothing() -> None:
    found = _called("mypy")
    assert found.returncode == 0, found.stdout


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the rooms, to break."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def test_every_contract_holds() -> None:
    assert "4 kept, 0 broken" in _lint_imports(ROOT)


@pytest.mark.parametrize("contract", BREAKS)
def test_a_broken_contract_is_seen(contract: str, house: Path) -> None:
    file, line = BREAKS[contract]
    path = house / file
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    assert f"{contract} BROKEN" in re.sub(r"\s+", " ", _lint_imports(house))


def test_every_contract_has_its_break() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {contract["name"] for contract in config["tool"]["importlinter"]["contracts"]} == set(BREAKS)


def test_planning_loads_neither_torch_nor_ray() -> None:
    code = "import sys, pipelines.cli, pipelines.verbs; print([m for m in ('torch', 'ray', 'open_clip') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout.strip() == "[]", found.stderr


def test_every_raises_says_which_message() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"pytest\.raises\((?!.*match=)", line) and not line.rstrip().endswith("(")
    ]
    assert bare == []
