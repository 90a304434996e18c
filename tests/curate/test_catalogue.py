import sys

import pytest

from curate.catalogue import Entry, versions_of
from curate.errors import CeterisError
from curate.signal import Signal

SOURCE = """
from curate.signal import signal

@signal(version=1, reads=[], writes={})
def abroad_one(batch):
    return batch

abroad_two = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("abroad_one", "abroad_two"):
        (tmp_path / f"{name}.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "abroad_broken.py").write_text("import nothing_of_that_name", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    return str(tmp_path)


def test_a_filter_is_imported_from_its_folder(folder):
    found = Entry("abroad_one", "abroad_one", "digest", folder).load()
    assert isinstance(found, Signal)
    assert found.name == "abroad_one"
    assert sys.path[0] == folder
    Entry("abroad_one", "abroad_one", "digest", folder).load()
    assert sys.path.count(folder) == 1


def test_a_file_that_holds_no_such_filter_is_named(folder):
    for name in ("abroad_two", "absent"):
        with pytest.raises(CeterisError, match=f"abroad_two defines no signal, grouping or model called {name}") as raised:
            Entry(name, "abroad_two", "digest", folder).load()
        assert raised.value.fix == f"name it {name}"


def test_a_file_that_cannot_be_imported_says_why(folder):
    with pytest.raises(CeterisError, match=r"abroad_broken cannot be imported: ModuleNotFoundError: .*nothing_of_that_name") as raised:
        Entry("abroad_broken", "abroad_broken", "digest", folder).load()
    assert raised.value.where == f"{folder}/abroad_broken.py"


def test_releases_of_declared_packages():
    assert set(versions_of(("polars", "numpy"))) == {"polars", "numpy"}
    with pytest.raises(CeterisError, match="nothing-of-that-name is not installed") as raised:
        versions_of(("polars", "nothing-of-that-name"))
    assert raised.value.fix == "pip install nothing-of-that-name"
