"""What is under way while rows are taken down comes to nothing, and what came just before is named by the take-down."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.errors import StoreError
from curate.exports import export as exports
from curate.exports.export import export
from curate.record import Run
from curate.store import Store
from pipelines.documents.package import package
from pipelines.provenance import attribution as credits
from pipelines.provenance.revoke import revoke
from tests.pipelines.provenance.licensed import curated

Write = Callable[[Run, Path], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return curated(tmp_path_factory.mktemp("meanwhile"))


@pytest.fixture
def run(made: Run, tmp_path: Path) -> Run:
    shutil.copytree(made.store.address, tmp_path / "store")
    return Run(Store.open(tmp_path / "store"), made.folder)


@pytest.mark.parametrize(
    ("place", "write", "name"),
    [
        ("pipelines.provenance.attribution._foot", lambda run, out: credits.attribution(run.subset("told"), out), "a.md"),
        ("pipelines.documents.recipient.notice", lambda run, out: package(run, "told", out), "packed"),
        ("pipelines.documents.recipient.notice", lambda run, out: package(run, "told", out), "packed.tar.zst"),
        ("curate.exports.export.write_parquet", lambda run, out: export(run, "told", out, "parquet"), "out"),
    ],
)
def test_what_is_being_written_comes_to_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, write: Write, name: str
) -> None:
    """Each is stopped on its way, by what it calls there."""
    module, _, called = place.rpartition(".")
    real = getattr(__import__(module, fromlist=[called]), called)

    def slowly(*given: Any, **named: Any) -> Any:
        found = real(*given, **named)
        revoke([run.subset("told").hex[0]], store=run.store.address, yes=True)
        return found

    (tmp_path / "at").mkdir()
    monkeypatch.setattr(place, slowly)
    with pytest.raises(StoreError, match="while they were written") as raised:
        write(run, tmp_path / "at" / name)
    assert raised.value.fix == "ask again; nothing is there"
    assert list((tmp_path / "at").iterdir()) == []
    assert not run.store.storage.list("exports/")


def test_a_subset_that_was_selected_before_is_not_written_after(run: Run, tmp_path: Path) -> None:
    chosen = run.subset("told")
    revoke([chosen.hex[0]], store=run.store.address, yes=True)
    with pytest.raises(StoreError, match="while they were written"):
        credits.attribution(chosen, tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()
    told = credits.attribution(Run(run.store, run.folder).subset("told"), tmp_path / "a.csv")
    assert told.rows
    assert chosen.hex[0] not in (tmp_path / "a.csv").read_text()


def test_an_export_that_is_done_at_the_last_moment_is_named_by_the_take_down(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = run.subset("told").hex[0]

    def reach(point: str) -> None:
        if point == "revoke.before_commit":
            export(Run(run.store, run.folder), "told", tmp_path / "out", "uids")

    monkeypatch.setattr("curate.journal.reach", reach)
    found = revoke([uid], store=run.store.address, yes=True)
    assert [one["folder"] for one in found.touched["exports"]] == [str(tmp_path / "out")]


def test_an_export_that_came_to_lie_there_after_a_take_down_counted_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, real = run.subset("told").hex[0], exports.name_file

    def late(*given: Any) -> None:
        revoke([uid], store=run.store.address, yes=True)
        real(*given)

    monkeypatch.setattr("curate.exports.export.name_file", late)
    with pytest.raises(StoreError, match="while they were written") as raised:
        export(run, "told", tmp_path / "out", "uids")
    assert raised.value.fix == "delete it, and ask again"
