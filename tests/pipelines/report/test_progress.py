"""What goes on in a store, from what lies in it."""

import os
from pathlib import Path

from curate.record import Run
from curate.store import Store
from pipelines.report.progress import LOCKS, progress, writer


def test_counts_are_of_what_was_measured_decided_and_run(hostile: Run) -> None:
    now = progress(hostile.store)
    assert now["runs"] == 1
    assert now["stages"] == len(hostile.facts["nodes"]) - 1
    assert now["trainings"] == 0
    rows = {name.rpartition("-")[0]: count for name, count in now["evidence"].items()}
    assert rows["text_length"] == hostile.pool.rows
    assert rows["image_shape"] == hostile.pool.rows - 2  # the short caption and the missing one left before


def test_who_writes_is_known_and_not_kept_out(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    assert writer(store) is None
    with store.writer():
        said = writer(store)
        assert said is not None
        assert f"pid {os.getpid()} on " in said
    after = writer(store)
    assert after is None if LOCKS.is_file() else after is not None
    with store.writer():
        pass
