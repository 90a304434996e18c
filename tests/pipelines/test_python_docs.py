"""Documents of installed packages: one known package row by row, and the shipped recipe on real ones."""

from pathlib import Path

import polars as pl
import pytest

from curate import InProcess, Pool, Recipe
from curate.errors import CeterisError
from curate.record import Run
from pipelines import python_docs, verbs
from pipelines.commands.options import load_recipe

METADATA = """\
Metadata-Version: 2.1
Name: Small.Thing
Version: 1.5
License: BSD
Classifier: Topic :: Text Processing
Classifier: License :: OSI Approved :: BSD License
Project-URL: Tracker, https://example.org/bugs
Project-URL: Homepage, https://example.org/
License-File: AUTHORS

# Small thing

It does little.
"""
MODULE = '''"""The module."""
import os

def first(x):
    """First of all."""
    def inner():
        """Inside."""
    return lambda: inner

class Box:
    """A box.

        Indented.
    Not indented.
    """

    @property
    def size(self):
        """Its size."""

    @size.setter
    def size(self, value):
        """Set it."""

    if os.name:
        async def fetch(self): "On one line, with half a pair: \\ud800."
    else:
        def silent(self): pass
'''
FILES = {
    "small_thing/__init__.py": MODULE,
    "small_thing/sub/old.py": 'print "of Python 2"',
    "small_thing/sub/empty.py": "",
    "small_thing-1.5.dist-info/METADATA": METADATA,
    "small_thing-1.5.dist-info/licenses/LICENSE": "Use it.",
    "small_thing-1.5.dist-info/licenses/AUTHORS": "Somebody.",
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on Python's path with one package in it; one file of its record is missing."""
    site = tmp_path / "site"
    for name, text in FILES.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text, encoding="utf-8")
    record = [*FILES, "small_thing/gone.py", "../bin/tool.py"]
    (site / "small_thing-1.5.dist-info" / "RECORD").write_text("".join(f"{name},,\n" for name in record), encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    return site


def _silent(label: str, done: int, total: int) -> None:
    assert 0 < done <= total, label


def test_every_document_of_a_package_with_its_licence_as_written(installed: Path, tmp_path: Path) -> None:
    made = python_docs.make(tmp_path / "pool", _silent, ["small-thing"])
    rows = pl.read_parquet(tmp_path / "pool")
    assert rows.select("uid", "kind", "text").rows() == [
        ("Small.Thing:METADATA", "description", "# Small thing\n\nIt does little.\n"),
        ("Small.Thing:small_thing", "module", "The module."),
        ("Small.Thing:small_thing.first", "function", "First of all."),
        ("Small.Thing:small_thing.first.inner", "function", "Inside."),
        ("Small.Thing:small_thing.Box", "class", "A box.\n\n    Indented.\nNot indented."),
        ("Small.Thing:small_thing.Box.size", "function", "Its size."),
        ("Small.Thing:small_thing.Box.size#2", "function", "Set it."),
        ("Small.Thing:small_thing.Box.fetch", "function", "On one line, with half a pair: \\ud800."),
    ]
    said = ("Small.Thing", "1.5", "BSD; License :: OSI Approved :: BSD License", "https://example.org/")
    assert set(rows.select("source", "version", "license", "url").rows()) == {said}
    assert rows["license_text"].to_list() == ["Somebody.\n\nUse it.", *[None] * 7]
    assert set(rows["path"][1:]) == {"small_thing/__init__.py"}
    assert made.rows == 8
    assert made.characters == rows["text"].str.len_chars().sum()
    assert {Path(name).name for name, _ in made.unreadable} - {"gone.py"} == {"old.py"}  # since 3.12 Python leaves out what is gone


def test_a_package_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CeterisError, match="not installed: small-thing"):
        python_docs.make(tmp_path / "pool", _silent, ["small_thing", "pytest"])
    assert not (tmp_path / "pool").exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The shipped recipe on the documentation of two packages."""
    folder = tmp_path_factory.mktemp("docs")
    python_docs.make(folder / "pool", _silent, ["typer", "polars"])
    return verbs.run(load_recipe("python-docs", None), folder / "pool", store=folder / "store", executor=InProcess())


def test_the_pool_is_recognised_and_the_same_again(run: Run, tmp_path: Path) -> None:
    python_docs.make(tmp_path / "again", _silent, ["polars", "typer"])
    again = Pool.open(tmp_path / "again")
    assert again.id == run.pool.id
    assert set(again.roles) == {"uid", "text", "source", "license", "url"}


def test_the_shipped_recipe_curates_them(run: Run) -> None:
    rows = pl.read_parquet(run.pool.root)
    for line in run.funnel():
        assert line["in"] == line["kept"] + sum(reason["rows"] for reason in line["reasons"])
        assert {reason["kind"] for reason in line["reasons"]} <= {"dropped"}
    kept = {name: run.subset(name) for name in ("english", "prose", "unique", "open", "long")}
    sizes = [len(one) for one in kept.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert 0 < len(kept["long"]) < len(kept["open"])
    assert len(kept["unique"]) < len(kept["prose"]) < len(rows)
    texts = rows.filter(pl.Series(run.codes("unique") == 0))["text"]
    assert texts.n_unique() == len(texts)
    story = verbs.why(run, "polars:METADATA")
    assert story["original"] == "polars:METADATA"
    assert story["stages"]["substantial"]["kind"] == "in"


def test_recipes_are_found_by_name_and_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_recipe("python-docs", ["signals.twins.near_duplicate_text.threshold=0.9"]).name == "python-docs"
    monkeypatch.chdir(tmp_path)
    Path("python-docs").write_text('stages:\n  one: {keep: "text_length.words > 1"}\nsubsets: [one]\n', encoding="utf-8")
    assert list(load_recipe("python-docs", None).stages) == ["one"]
    with pytest.raises(CeterisError, match="no-such"):
        Recipe.load("no-such")
