from dataclasses import replace

import numpy as np
import pytest

from curate import frames
from curate.errors import CeterisError
from curate.record import Run
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.standings import standings


def test_chances_are_those_of_the_stored_answers(scored: Evaluation) -> None:
    found = standings(scored)
    assert {one.arm for one in found.ratings} == set(scored.arms)
    assert found.tasks == tuple(scored.scale.headline.tasks)

    def nats(arm: str, seed: int, task: str) -> np.ndarray:
        file = scored.store.path(scored.arms[arm].scores[seed]) / "items.parquet"
        asked = frames.from_bytes(file.read_bytes(), where="").filter(task=task, variant="")
        return asked.sort("item", "direction")["nats"].to_numpy()

    for task in found.tasks:
        pairs = [(nats("long", s, task), nats("whole pool", t, task)) for s in (0, 1) for t in (0, 1)]
        by_hand = np.mean([(a > b).mean() + (a == b).mean() / 2 for a, b in pairs])
        assert found.of("long", "whole pool").tasks[task] == pytest.approx(by_hand, abs=1e-6)
    one, other = found.of("long", "whole pool"), found.of("whole pool", "long")
    assert one.chance == pytest.approx(1 - other.chance)
    assert one.low is not None
    assert other.high == pytest.approx(1 - one.low)


def test_only_the_arms_asked_for_and_by_run_as_by_evaluation(scored: Evaluation) -> None:
    found = standings(Run(scored.store, scored.run), ["long", "whole pool"])
    assert [(one.a, one.b) for one in found.wins] == [("long", "whole pool")]
    assert found.wins[0].chance == pytest.approx(standings(scored).of("long", "whole pool").chance)
    with pytest.raises(CeterisError, match="no arm called lnog"):
        standings(scored, ["lnog", "long"])
    with pytest.raises(CeterisError, match="have not met"):
        found.of("long", "unique")


def test_leaked_items_can_be_left_out(scored: Evaluation) -> None:
    every, clean = standings(scored), standings(scored, without_leaks=True)
    assert scored.leaked
    assert clean.items < every.items
    assert clean.left_out == len(scored.leaked)


def test_all_evaluations_of_a_pool_are_the_same_arms_where_there_is_one_run(scored: Evaluation) -> None:
    assert standings(scored, everything=True).ratings == standings(scored).ratings


def test_a_random_draw_of_everything_is_the_whole_pool(scored: Evaluation) -> None:
    whole = scored.arms["whole pool"]
    arms = {**scored.arms, "random all": replace(whole, name="random all", id="0", kind="random")}
    found = standings(replace(scored, arms=arms))
    assert "random all" not in {one.arm for one in found.ratings}
    assert found.same == {"whole pool": ("random all",)}
