from dataclasses import replace
from pathlib import Path

import pytest

from curate.errors import CeterisError
from curate.executor import InProcess
from pipelines.demo.thorough import over_pools, thorough
from pipelines.demo.tour import PICTURES
from pipelines.scores.evaluations import Evaluation


def _of_seed(judged: Evaluation, seed: int) -> Evaluation:
    arms = {name: replace(arm, scores={seed: arm.scores[seed]}) for name, arm in judged.arms.items()}
    return replace(judged, arms=arms)


def test_pools_are_the_replications(judged: Evaluation) -> None:
    # One evaluation's two seeds stand for two pools of one seed each.
    found = over_pools([_of_seed(judged, 0), _of_seed(judged, 1)])
    assert found.analysis == "paired"
    assert found.arms["best"].seeds == (0, 1)
    wanted = {(a, f"random like {a}" if judged.arms[b].kind == "random" else b) for a, b in judged.contrasts}
    assert {(one.candidate, one.control) for one in found.contrasts} == wanted
    line = found.of("best", "whole pool")
    by_hand = [judged.score("best", seed).headline - judged.score("whole pool", seed).headline for seed in (0, 1)]
    assert line.difference == pytest.approx(sum(by_hand) / 2)
    drawn = found.of("best", "random like best").difference
    control = next(b for a, b in judged.contrasts if a == "best" and judged.arms[b].kind == "random")
    assert drawn == pytest.approx(sum(judged.score("best", seed).headline - judged.score(control, seed).headline for seed in (0, 1)) / 2)


def test_one_pool_is_none(tmp_path: Path) -> None:
    with pytest.raises(CeterisError, match="one pool says nothing"):
        thorough(tmp_path, InProcess(), PICTURES, pools=1)
