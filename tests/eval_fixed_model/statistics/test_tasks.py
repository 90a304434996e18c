import numpy as np
import pytest
from scipy import stats

from curate.errors import CeterisError
from eval_fixed_model.statistics import averaging, signal_to_noise, task_difference


def _arms(rng: np.random.Generator, means: list[float], seeds: int, sd: float) -> dict[str, dict[int, float]]:
    return {f"arm {i}": dict(enumerate(rng.normal(mean, sd, seeds))) for i, mean in enumerate(means)}


def test_signal_is_the_spread_of_arms_and_noise_that_of_seeds() -> None:
    rng = np.random.default_rng(0)
    means = list(rng.normal(50, 6, 60))
    found = signal_to_noise({"colour": _arms(rng, means, 8, 2.0)}, {"colour": 12.5})["colour"]
    assert found.signal == pytest.approx(np.std(means, ddof=1), rel=0.1)
    assert found.noise == pytest.approx(2, rel=0.1)
    assert found.ratio == pytest.approx(found.signal / found.noise)
    assert found.p < 1e-6
    assert (found.missing, found.at_chance, found.arms, found.runs) == (None, False, 60, 480)


def test_the_f_test_is_scipys() -> None:
    arms = _arms(np.random.default_rng(1), [3.0, 3.5, 4.0], 5, 1.0)
    reference = stats.f_oneway(*[list(runs.values()) for runs in arms.values()])
    assert signal_to_noise({"t": arms})["t"].p == pytest.approx(reference.pvalue)


def test_tasks_without_signal_are_named() -> None:
    rng = np.random.default_rng(2)
    scores = {
        "guessed": _arms(rng, [25.0, 25.0, 25.0], 4, 1.0),
        "flat": _arms(rng, [60.0, 60.0, 60.0], 4, 1.0),
        "telling": _arms(rng, [60.0, 70.0, 80.0], 4, 1.0),
        "one seed": _arms(rng, [60.0, 70.0], 1, 1.0),
    }
    found = signal_to_noise(scores, {"guessed": 25.0, "flat": 25.0, "telling": 25.0})
    missing = {task: one.missing for task, one in found.items()}
    assert missing == {
        "guessed": "no arm is above chance",
        "flat": "arms differ no more than seeds do",
        "telling": None,
        "one seed": "no arm has two seeds",
    }
    below = signal_to_noise({"bits": _arms(rng, [2.0, 3.0], 5, 0.1)}, {"bits": 8.0}, better="lower")["bits"]
    assert below.at_chance is False
    with pytest.raises(CeterisError, match="task none has no scores"):
        signal_to_noise({"none": {}})


def test_checkpoint_noise_stands_beside() -> None:
    rng = np.random.default_rng(3)
    last = {"t": {"a": {seed: list(rng.normal(seed, 0.5, 6)) for seed in range(60)}}}
    assert signal_to_noise({"t": _arms(rng, [1.0, 2.0], 3, 1.0)}, checkpoints=last)["t"].checkpoints == pytest.approx(0.5, rel=0.1)


def _curves(rng: np.random.Generator, runs: int, k: int, run_sd: float, wobble: float) -> dict[str, dict[int, list[float]]]:
    return {
        name: {seed: list(level + rng.normal(0, run_sd) + rng.normal(0, wobble, k)) for seed in range(runs)}
        for name, level in (("a", 10.0), ("b", 60.0))
    }


def test_averaging_checkpoints_removes_their_wobble_and_nothing_else() -> None:
    rng = np.random.default_rng(4)
    found = averaging(_curves(rng, 2000, 4, 1.0, 2.0))
    assert found.last == pytest.approx(np.sqrt(5), rel=0.05)
    assert found.ratio == pytest.approx(np.sqrt(2 / 5), rel=0.05)
    assert (found.checkpoints, found.df) == (4, 3998)
    held = 0
    for _ in range(400):
        few = averaging(_curves(rng, 6, 4, 1.0, 2.0))
        held += few.low <= np.sqrt(2 / 5) <= few.high
    assert 0.92 < held / 400 < 0.98
    assert averaging(_curves(rng, 500, 3, 1.0, 0.0)).ratio == pytest.approx(1)


def test_averaging_needs_runs_and_checkpoints() -> None:
    with pytest.raises(CeterisError, match="last checkpoints"):
        averaging({"a": {0: [1.0], 1: [2.0]}})
    with pytest.raises(CeterisError, match="too few"):
        averaging({"a": {0: [1.0, 2.0], 1: [2.0, 1.0]}})
    with pytest.raises(CeterisError, match="no noise"):
        averaging({"a": {seed: [1.0, 1.0] for seed in range(5)}})


def _answers(rng: np.random.Generator, seeds: int, items: int, paired: float = 0.0) -> np.ndarray:
    of_items, of_seeds = rng.normal(0, 1, items), rng.normal(0, 0.1, (2, seeds, 1))
    return (
        of_items
        + rng.normal(0, 0.3, (2, 1, items))
        + of_seeds
        + paired * rng.normal(0, 1, (seeds, 1))
        + rng.normal(0, 1, (2, seeds, items))
    )


@pytest.mark.parametrize(("analysis", "paired"), [("unpaired", 0.0), ("paired", 1.0)])
def test_a_tasks_interval_holds_over_seeds_and_items(analysis: str, paired: float) -> None:
    rng, held = np.random.default_rng(5), 0
    for _ in range(150):
        found = task_difference(_answers(rng, 4, 80, paired), analysis, resamples=200)
        held += found.low <= 0 <= found.high
    assert 0.91 < held / 150 < 0.995


def test_a_tasks_error_is_that_of_the_analysis_of_variance() -> None:
    rng = np.random.default_rng(6)
    # Items' difference has variance 2 x .09, seeds .01 an arm, both together 1 an answer.
    true = np.sqrt(0.18 / 300 + 2 * 0.01 / 5 + 2 / (5 * 300))
    errors = [task_difference(_answers(rng, 5, 300)).error for _ in range(8)]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(true, rel=0.2)
    same = task_difference(_answers(np.random.default_rng(7), 3, 50))
    assert same == task_difference(_answers(np.random.default_rng(7), 3, 50))


def test_a_task_with_one_seed_has_no_interval() -> None:
    found = task_difference(np.ones((2, 1, 30)))
    assert (found.difference, found.low, found.high) == (0.0, None, None)
    equal = task_difference(np.ones((2, 3, 30)))
    assert (equal.low, equal.high) == (0.0, 0.0)
    with pytest.raises(CeterisError, match="shape"):
        task_difference(np.ones((3, 2, 4)))
    with pytest.raises(CeterisError, match="not finite"):
        task_difference(np.full((2, 2, 4), np.nan))


def test_a_task_of_which_all_seeds_make_the_same_mean_has_an_interval() -> None:
    table = [[[1, 0, 0, 0], [0, 1, 0, 0]], [[0, 0, 1, 0], [0, 0, 0, 1]]]
    found = task_difference(np.array(table, float))
    assert found.df == 1
    assert found.low == -found.high < 0
