"""What the command revoke says: what it met and what not, what becomes of each thing, and what its user is left to do."""

import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from curate.exports.export import export
from curate.record import Run
from curate.store import Store
from pipelines.cli import app
from tests.pipelines.provenance.licensed import curated, rows


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return curated(tmp_path)


def _called(run: Run, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["revoke", *arguments, "--store", run.store.address, "--workers", "1"], catch_exceptions=False)


def test_a_pool_that_cannot_be_looked_through_leaves_something_to_do(run: Run) -> None:
    uid, url = run.subset("told").hex[0], rows()["url"][5]
    away = shutil.move(run.pool.root, run.pool.root.with_name("away"))
    for more in (), ("--yes",), ("--json",):
        told = _called(run, uid, url, *more)
        assert told.exit_code == 2, told.output
        if "--json" not in more:
            assert f"NOT LOOKED THROUGH, but by uid: {run.facts['pool']}: {run.pool.root}: the pool's folder is gone" in told.stdout
            assert "put these pools back where they lay and run this command again" in told.stdout
    shutil.move(away, run.pool.root)
    told = _called(run, uid, url, "--yes")
    assert told.exit_code == 0, told.output
    assert "1 rows (1 by url); 0 were taken down before" in told.stdout
    again = _called(run, uid, url)
    assert "0 rows (1 by url); 1 were taken down before" in again.stdout
    assert "nothing was changed: all of them were taken down before" in again.stdout
    assert "met no row" not in again.stdout


def test_names_that_met_nothing_are_said(run: Run) -> None:
    met, other = rows().row(0, named=True), rows().row(1, named=True)
    sha = "0" * 64
    lost = ["uid:none of these", f"uid:{'f' * 32}", "url:https://x.example/", "domain:example.com", f"text:{sha}", f"image:{sha}"]
    told = _called(run, *lost, f"uid:{met['uid']}", other["url"], "domain:h2.example.org").stdout
    assert sorted(line.removeprefix("met no row: ") for line in told.splitlines() if line.startswith("met no row")) == sorted(lost)


def test_what_becomes_of_each_thing_is_said_and_is_so(run: Run, tmp_path: Path) -> None:
    shown, out = run.store.path("report.html"), tmp_path / "out"
    url = rows()["url"][0]
    shown.write_text(url, encoding="utf-8")
    export(run, "bare", out, "jsonl.zst")
    for more in (), ("--yes",):
        lines = [" ".join(line.split()) for line in _called(run, url, *more).stdout.splitlines()]
        assert "report or other file report.html is deleted, since it shows one" in lines
        at = lines.index("outside of this store, which changes nothing there: these are yours to delete")
        assert any(line.startswith(f"export {out} bare of ") for line in lines[at:])
        assert any(line.startswith(f"pool {run.pool.root}") and line.endswith("1 rows: 0") for line in lines[at:])
        assert len([line for line in lines if line.startswith(f"{run.folder} pool ")]) == 1
    assert not shown.exists()
    assert list(out.iterdir())
    assert Store.open(run.store.address).storage.list("revoked/")
