"""Every command that a page tells a reader to type is one: it runs as it is written, or, where the page says that it takes long or needs
what is not here, its words are held against the real options."""

import json
import re
import runpy
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from curate.audit import uid_of
from curate.errors import CeterisError
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from pipelines.cli import app
from tests.docs.pages import PAGES, Command, code, commands, files

PAGES_RUN = (
    "docs/first-hour.md",
    "docs/formats.md",
    "docs/recipes.md",
    "docs/filters.md",
    "docs/cluster.md",
    "README.md",
    "docs/provenance.md",
    "docs/scales.md",
)
"""In this order, in one folder."""
BEFORE = {
    "curate why 4b0d218f": ("curate run recipe.yaml", "curate eval --scale short/tiny-image-text.yaml --seeds 2", "curate compare"),
    "curate attribution": ("curate run recipe.yaml", "curate export open out/"),
    "curate export best out/  ": ("curate run recipe.yaml",),
}
"""What a reader has done before a command that begins so, in the page named above it or elsewhere."""
TRAINS = "takes 4 minutes"
"""What a page says beside an evaluation for which one of ten steps stands in, so that what reads scores has some to read."""
ELSEWHERE = {
    "docs/recipes.md": ("curate run  datacomp-clip-score",),
    "README.md": (
        *("curate run  datacomp-clip-score", "curate audit --dedup", "curate audit --contamination", "curate export best out/ --redact"),
        *("curate export best out/ --layout webdataset --blur", "curate eval", "curate effects", "curate costs", "curate ratings"),
        *(
            "curate pool --make",
            "curate audit --captions",
            "curate scales",
            "curate transfer",
            "curate calibrate",
            "curate leaderboard",
            "curate ask",
            "curate compare",
        ),
    ),
}
"""Commands of pages that do not say so beside them, which take minutes, or another pool or recipe than the folder has."""

GROUP = typer.main.get_command(app)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_has_such_words(page: Path) -> None:
    context = GROUP.make_context("curate", ["doctor"])
    for command in (one for one in commands(page) if one.text.startswith("curate ")):
        name, verb, rest = GROUP.resolve_command(context, _words(command.text, {}))
        assert verb, f"{command}: there is no such verb"
        verb.make_context(name, rest, parent=context)


def test_every_page_with_commands_is_run() -> None:
    assert {str(page) for page in PAGES if commands(page)} == set(PAGES_RUN)


@pytest.mark.parametrize("page", PAGES_RUN)
@pytest.mark.usefixtures("own_modules")
def test_every_command_runs(page: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(place)
    for name, text in (pair for one in PAGES for pair in files(one).items()):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    for command in commands(Path(page)):
        if command.text.startswith(ELSEWHERE.get(page, ())):
            continue
        for line in next((lines for start, lines in BEFORE.items() if command.text.startswith(start)), ()):
            _typed(command, line)
        if command.text.startswith("jq "):
            _asked(command)
        elif command.runs:
            _typed(command, command.text)
        elif command.text.startswith("curate eval ") and TRAINS in command.text:
            _typed(command, f"{command.text.split('#')[0]}--scale {_short()} --seeds 2")
    for line, text in code(Path(page)) if page != "README.md" else ():  # its Python trains for minutes
        exec(compile("\n" * (line - 1) + text, page, "exec"), {})
    for name in files(Path(page)):
        if name.startswith("test_"):
            tests = {key: made for key, made in runpy.run_path(name).items() if key.startswith("test_")}
            assert tests, name
            for test in tests.values():
                test()


def _typed(command: Command, text: str) -> None:
    """Run it; what the page shows of its answer is in its answer."""
    words = _words(text, _names(text))
    if words[0] in ("export", "package") and "--verify" not in words and not command.shown:  # of several ways that are shown, one is taken
        shutil.rmtree(words[2], ignore_errors=True)
        Path(words[2]).unlink(missing_ok=True)
    words, file = (words[: words.index(">")], words[words.index(">") + 1]) if ">" in words else (words, None)
    found = CliRunner(env={"COLUMNS": "200"}).invoke(app, words)
    said, code = found.output, found.exit_code
    if isinstance(found.exception, CeterisError):
        one = found.exception
        said, code = f"{said}error: {one.what}\n  where: {one.where}\n  fix: {one.fix}\n", 2
    elif found.exception and not isinstance(found.exception, SystemExit):
        raise AssertionError(str(command)) from found.exception
    expected = (
        {0, 1} if "exit 1" in text and words[0] != "verify" else {2} if any(line.startswith("error: ") for line in command.shown) else {0}
    )
    assert code in expected, f"{command}\nexit {code}\n{said}"
    for line in command.shown:
        assert line.startswith("...") or _even(line) in _even(said), f"{command}\n{line}\nis not in\n{said}"
    if file:
        Path(file).write_text(found.stdout, encoding="utf-8")


def _asked(command: Command) -> None:
    """jq, where this machine has it: an answer, and no complaint."""
    if shutil.which("jq"):
        found = subprocess.run(["bash", "-c", command.text], capture_output=True, text=True, check=False)
        assert found.returncode == 0, f"{command}\n{found.stderr}"
        assert found.stdout.strip(), command


def _short() -> str:
    run = Run.latest(Store.open(".ceteris"))
    recipe = Recipe.parse(run.store.json(f"{run.folder}/recipe.json")["text"])
    return f"short/{recipe.evaluate.scale}.yaml"


def _words(text: str, names: Mapping[str, str]) -> list[str]:
    return [names.get(word, word) for word in shlex.split(text, comments=True)[1:]]


def _names(text: str) -> dict[str, str]:
    """What a page shows by way of example: ids are others in every store."""
    run = Run.latest(Store.open(".ceteris")) if re.search(r"UID|RUN|4b0d218f|1f3a9c2e", text) else None
    names = {name: uid_of(run, 0) for name in ("UID", "4b0d218f0946004b55037f3e5ee9f955")} if run else {}
    if run:
        names |= {"LATER-RUN/open": f"{Path(run.folder).name}/open", "recipe-1f3a9c2e": Path(run.folder).name}
    if "37fdfecb1708" in text:
        names["37fdfecb1708"] = json.loads(CliRunner().invoke(app, ["verify", "--json", "--sample", "0.01"]).stdout)["head"]
    return names


def _even(text: str) -> str:
    return " ".join(text.split())
