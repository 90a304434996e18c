from pathlib import Path

import numpy as np
import pytest
import torch

from curate.errors import CeterisError
from eval_fixed_model.models.judges import build
from eval_fixed_model.rows.images import Rows
from eval_fixed_model.scale import load_scale
from eval_fixed_model.training.images import train
from eval_fixed_model.training.steps import weights_digest


def test_the_record_says_what_was_shown(world, rows_folder: Path) -> None:
    told: list[int] = []
    members = np.concatenate([np.arange(90), np.arange(10)])  # ten rows twice: 6400 samples are 64 epochs of 100 copies
    network, record = train(world.scale, Rows.open(rows_folder), members, 0, told.append)
    assert record["repeats"] == {"64": 80, "128": 10}
    assert (record["samples"], record["rows"], record["copies"]) == (6400, 90, 100)
    assert len(record["loss"]) == 10
    assert record["loss"][-1] < record["loss"][0] - 0.5
    assert told == [640 * i for i in range(1, 11)]
    assert not network.training


def test_the_place_of_a_row_in_the_folder_changes_no_bit(world, rows_folder: Path) -> None:
    rows, turned = Rows.open(rows_folder), np.arange(400)[::-1]
    other = Rows(rows.scale_digest, rows.images[turned], rows.tokens[turned], rows.uids[turned], rows.rejected)
    arm = rows.uids[50:250]
    digests = {weights_digest(train(world.scale, r, r.indices(a), 0)[0]) for r, a in ((rows, arm), (other, arm[::-1]))}
    assert len(digests) == 1


def test_training_starts_from_the_seeds_weights(world, rows_folder: Path) -> None:
    rows = Rows.open(rows_folder)
    trained = {seed: train(world.scale, rows, np.arange(100), seed)[0].words.weight.detach() for seed in (0, 1)}
    unseen = np.setdiff1d(np.arange(512), rows.tokens[:100])
    for seed, weights in trained.items():
        # Words that were never shown have only decayed, all alike: what they were is still to be seen.
        kept = weights[unseen] / build(world.scale, seed).words.weight.detach()[unseen]
        assert 0.8 < float(kept.mean()) < 0.99
        assert float(kept.std()) < 1e-3
    assert not torch.allclose(trained[0][unseen], trained[1][unseen])


def test_rows_of_another_scale_are_refused(rows_folder: Path) -> None:
    with pytest.raises(CeterisError, match="materialised for another scale"):
        train(load_scale("tiny-image-text"), Rows.open(rows_folder), np.arange(10), 0)


def test_rows_all_at_hand_are_not_shown_as_if_in_blocks(world, rows_folder: Path) -> None:
    scale, rows = world.scale.model_copy(update={"order": "blocked"}), Rows.open(rows_folder)
    rows = Rows(scale.digest, rows.images, rows.tokens, rows.uids, rows.rejected)
    with pytest.raises(CeterisError, match="in blocked order"):
        train(scale, rows, np.arange(10), 0)
