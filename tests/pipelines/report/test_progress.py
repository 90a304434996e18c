"""What goes on in a store, from what lies in it."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from curate.record import Run
from curate.store import Store
from pipelines.report.progress import progress, writer


def test_counts_are_of_what_was_measured_decided_and_run(hostile: Run) -> None:
    now = progress(hostile.store)
    assert now["runs"] == 1
    assert now["stages"] == len(hostile.facts["nodes"]) - 1
    assert now["trainings"] == 0
    rows = {name.rpartition("-")[0]: count for name, count in now["evidence"].items()}
    assert rows["text_length"] == hostile.pool.rows
    assert rows["image_shape"] == hostile.pool.rows - 2  # the short caption and the missing one left before


def test_who_writes_is_known_and_not_kept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(tmp_path / "store")
    assert writer(store) is None
    with store.writer():
        said = writer(store)
        assert said is not None
        assert f"pid {os.getpid()} on " in said
    assert writer(store) is None
    looking = os.open(store.path("lock"), os.O_RDONLY)  # who looks while a writer comes
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert writer(store) is None
    waited = list[float]()
    monkeypatch.setattr("curate.store.time.sleep", lambda seconds: (waited.append(seconds), os.close(looking)))
    with store.writer():
        assert len(waited) == 1


def test_who_writes_is_known_to_other_processes(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    code = (
        "import sys; from curate.store import Store; from pipelines.report import progress; print(progress.writer(Store.open(sys.argv[1])))"
    )
    with store.writer():
        told = subprocess.run([sys.executable, "-c", code, store.address], capture_output=True, text=True, check=True)
    assert f"pid {os.getpid()} on " in told.stdout
