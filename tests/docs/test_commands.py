"""Every command that a page tells a reader to type is one: it runs as it is written, or, where the page says that it takes long or needs
what is not here, its words are held against the real options."""

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

BEFORE: dict[str, tuple[str, ...]] = {
    "docs/first-hour.md": (),
    "docs/formats.md": (),
    "docs/recipes.md": (),
    "docs/filters.md": (),
}
"""The pages whose commands run, in this order, in one folder; and what a reader has done before reading one."""

GROUP = typer.main.get_command(app)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_has_such_words(page: Path) -> None:
    context = GROUP.make_context("curate", ["doctor"])
    for command in (one for one in commands(page) if one.text.startswith("curate ")):
        name, verb, rest = GROUP.resolve_command(context, _words(command.text, {}))
        assert verb, f"{command}: there is no such verb"
        verb.make_context(name, rest, parent=context)


@pytest.mark.parametrize("page", BEFORE)
def test_every_command_runs(page: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(place)
    for name, text in files(Path(page)).items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    told = [Command(page, 0, line) for line in BEFORE[page]]
    for command in (*told, *commands(Path(page))):
        if command.text.startswith("jq "):
            _asked(command)
        elif command.runs:
            _typed(command, command.text)
        elif command.text.startswith("curate eval") and "--until-verdict" not in command.text:  # trainings of ten steps stand in for those that take minutes
            _typed(command, f"{command.text.split('#')[0]} --scale {_short()} --seeds 2")
    for line, text in code(Path(page)):
        exec(compile("\n" * (line - 1) + text, page, "exec"), {})
    for name in files(Path(page)):
        if name.startswith("test_"):
            tests = {key: made for key, made in runpy.run_path(name).items() if key.startswith("test_")}
            assert tests, name
            for test in tests.values():
                test()


def _typed(command: Command, text: str) -> None:
    """Run it; what the page shows of its answer is in its answer."""
    words = _words(text, _names() if any(name.isupper() for name in text.split()) else {})
    words, file = (words[: words.index(">")], words[words.index(">") + 1]) if ">" in words else (words, None)
    found = CliRunner(env={"COLUMNS": "200"}).invoke(app, words)
    said, code = found.output, found.exit_code
    if isinstance(found.exception, CeterisError):
        one = found.exception
        said, code = f"{said}error: {one.what}\n  where: {one.where}\n  fix: {one.fix}\n", 2
    elif found.exception and not isinstance(found.exception, SystemExit):
        raise AssertionError(str(command)) from found.exception
    expected = {0, 1} if "exit 1" in text else {2} if any(line.startswith("error: ") for line in command.shown) else {0}
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


def _names() -> dict[str, str]:
    """What a page leaves to its reader, in capitals."""
    run = Run.latest(Store.open(".ceteris"))
    return {"UID": uid_of(run, 0), "RUN": Path(run.folder).name}


def _even(text: str) -> str:
    return " ".join(text.split())
