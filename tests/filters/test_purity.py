"""What every filter file keeps: one filter under its own name, none of another's, nothing of the demo's world, no torch at import."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import filters
from curate.grouping import Grouping
from curate.model import Model
from curate.signal import Signal
from pipelines.catalog import catalogue
from pipelines.demo import captions, defects, pictures, scenes, sources

FILES = sorted(Path(filters.__file__).parent.glob("*.py"))
PUBLIC = [path for path in FILES if not path.name.startswith("_")]
_STANDARD_NAMES = {name for kind, names in sources.LICENCES.items() if kind != "unknown" for name in names if "Example" not in name}


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_a_filter_bears_its_files_name_and_says_what_it_measures(path: Path) -> None:
    found = catalogue()[path.stem].load()
    assert found.name == path.stem
    function = found.sketch.function if isinstance(found, Grouping) else found.function if isinstance(found, Signal) else found.make
    assert isinstance(found, Grouping) or function.__module__ == f"filters.{path.stem}"
    assert len(inspect.getdoc(function) or "") > 60
    assert isinstance(found, Signal | Grouping | Model)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_filter_imports_a_public_filter_or_more_of_the_engine_than_the_contracts(path: Path) -> None:
    for module in _imports(path):
        if module.startswith("filters."):
            assert module.split(".")[1].startswith("_"), f"{path.name} imports {module}"
        if module.split(".")[0] == "curate":
            assert module in (
                "curate.signal",
                "curate.grouping",
                "curate.sketches",
                "curate.threads",
                "curate.model",
                "curate.digest",
                "curate.errors",
                "curate.content",
            ), module
        assert module.split(".")[0] not in ("ray", "pipelines", "eval_fixed_model")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_filter_knows_what_the_demo_draws_or_writes(path: Path) -> None:
    known = " | ".join(_strings(path)).casefold()
    seen = [text for text in _demo_words() if re.search(rf"(?<!\w){re.escape(text.casefold())}(?!\w)", known)]
    if path.stem == "_caption_words":  # English says colours, numbers and relations with the words that the demo's scenes have
        sides = {*scenes.RELATIONS, *captions.POOL.sides, *captions.TRUSTED.sides}
        seen = [text for text in seen if " " in text and text not in sides]
    assert seen == []


def test_the_demos_words_are_many_and_would_be_noticed(tmp_path: Path) -> None:
    words = _demo_words()
    assert len(words) > 200
    assert {"purple", "crescent", "wall print with", "Kreis", "openpictures.example", "see website"} <= words
    cheat = tmp_path / "cheat.py"
    cheat.write_text("def bad(text):\n    return 'stock vector royalty free download preview' in text\n")
    assert any(text in " | ".join(_strings(cheat)) for text in words)


def test_planning_loads_no_torch() -> None:
    names = ", ".join(f"filters.{path.stem}" for path in PUBLIC if path.stem != "__init__")
    code = f"import sys, {names}\nassert not {{'torch', 'open_clip', 'torchvision'}} & set(sys.modules), 'torch is loaded'"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def _imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"filters.{alias.name}" for alias in node.names] if node.module == "filters" else [node.module]
    return found


def _strings(path: Path) -> list[str]:
    """Every string of a file's code; what docstrings say in passing is not code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    ]


def _demo_words() -> set[str]:
    """Every string of the demo's word lists, and every piece of several words of its templates; but not the names that licences have
    everywhere, nor what filters call their own columns."""
    found: set[str] = set()
    for module in (captions, defects, pictures, scenes, sources):
        for value in _values(module):
            pieces = [piece.strip(" ,.:;-") for piece in re.split(r"\{[^}]*\}", value)]
            found |= {piece for piece in pieces if len(pieces) == 1 or " " in piece}
    common = _STANDARD_NAMES | set(sources.LICENCES) | _columns() | {"free"}  # as in GNU Free Documentation License
    return {text for text in found - common if len(text) > 3 and not re.fullmatch(r"[\W\d]*", text)}


def _columns() -> set[str]:
    loaded = [entry.load() for entry in catalogue().values()]
    signals = [one.sketch if isinstance(one, Grouping) else one for one in loaded if not isinstance(one, Model)]
    return {column for signal in signals for column in signal.writes}


def _values(module: ModuleType) -> list[str]:
    found: list[str] = []

    def collect(value: object) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            for one in value.values():
                collect(one)
        elif isinstance(value, list | tuple | set | frozenset):
            for one in value:
                collect(one)

    for name, value in vars(module).items():
        if not name.startswith("__"):
            collect(list(value) if name == "_SITES" else value)
    return found
