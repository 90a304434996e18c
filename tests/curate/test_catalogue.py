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


def test_a_package_of_an_extra_is_installed_by_the_extra(tmp_path, monkeypatch):
    (tmp_path / "ceteris-0.1.0.dist-info").mkdir()
    needs = ["nothing-at-all>=1", 'nothing-of-that-name<2,>=1; extra == "test"', 'nothing-of-that-name<2,>=1; extra == "odd"']
    metadata = "\n".join(["Metadata-Version: 2.4", "Name: ceteris", "Version: 0.1.0", *(f"Requires-Dist: {one}" for one in needs)])
    (tmp_path / "ceteris-0.1.0.dist-info" / "METADATA").write_text(metadata + "\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for package, fix in [("nothing-of-that-name", "'ceteris[odd]'"), ("nothing-of", "nothing-of"), ("nothing-at-all", "nothing-at-all")]:
        with pytest.raises(CeterisError, match=f"{package} is not installed") as raised:
            versions_of((package,))
        assert raised.value.fix == f"pip install {fix}"
