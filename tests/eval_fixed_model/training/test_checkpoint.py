import json
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from curate.errors import CeterisError
from eval_fixed_model.rows.images import Rows
from eval_fixed_model.scale import load_scale
from eval_fixed_model.training.checkpoint import FILE, Keep
from eval_fixed_model.training.images import train
from eval_fixed_model.training.steps import weights_digest
from tests.eval_fixed_model.trainings import Asked


def test_a_training_killed_three_times_is_the_undisturbed_one(world: Any, rows_folder: Path, ended_and_joined: Path) -> None:
    statuses, (digest, resumed, loss) = json.loads((ended_and_joined / "killed.json").read_text())
    network, record = train(world.scale, Rows.open(rows_folder), np.arange(100), 0)
    assert statuses == [-signal.SIGKILL] * 3 + [0]
    assert resumed == 25, "the third was ended while it wrote its first checkpoint"
    assert (digest, loss) == (weights_digest(network), record["loss"])
    kept = ended_and_joined / "kept"
    assert len(list(kept.glob(f".{FILE}.*"))) == 1, "what that attempt has left"
    Keep(kept).remove()
    assert [path.name for path in kept.iterdir()] == ["said"]


def test_a_checkpoint_of_another_training_is_refused(ten_steps: Asked, tmp_path: Path) -> None:
    scale: Any = load_scale(ten_steps.scale)
    rows, keep = Rows.open(ten_steps.rows), Keep(tmp_path, steps=4)
    _, first = train(scale, rows, np.arange(100), 0, keep=keep)
    assert first["resumed at"] == 0
    _, again = train(scale, rows, np.arange(100)[::-1], 0, keep=keep)
    assert (again["resumed at"], again["loss"]) == (10, first["loss"]), "the end is kept too: nothing is trained again"
    for asked, members, seed in ((scale, np.arange(99), 0), (scale, np.r_[0, np.arange(100)], 0), (scale, np.arange(100), 1)):
        with pytest.raises(CeterisError, match="the checkpoint is of another training"):
            train(asked, rows, members, seed, keep=keep)
    keep.file.write_bytes(keep.file.read_bytes()[:-100])
    with pytest.raises(CeterisError, match="the checkpoint cannot be read"):
        train(scale, rows, np.arange(100), 0, keep=keep)


def test_a_checkpoint_is_due_by_steps_or_by_time(tmp_path: Path) -> None:
    assert [step for step in range(1, 10) if Keep(tmp_path, steps=3).due(step)] == [3, 6, 9]
    assert not Keep(tmp_path, seconds=3600).due(3)
    assert Keep(tmp_path, seconds=0).due(1)


def test_nothing_but_data_is_read(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    torch.save({"belongs": "x", "step": Path("/")}, keep.file)
    with pytest.raises(CeterisError, match="the checkpoint cannot be read"):
        keep.read("x", "cpu")


def test_a_checkpoint_that_cannot_be_written_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    keep.write("one", {"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handled = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, hard))  # as on a full disk, a write fails
    try:
        with pytest.raises(OSError, match="File too large"):
            keep.write("one", {"step": 2, "weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handled)
    assert keep.read("one", "cpu") == {"belongs": "one", "step": 1}
    assert list(tmp_path.iterdir()) == [keep.file]
