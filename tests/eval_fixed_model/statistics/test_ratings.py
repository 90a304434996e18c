import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from scipy.stats import norm

from curate.errors import CeterisError
from eval_fixed_model.statistics.ratings import POINTS, Matches, bradley_terry, ratings, win_matrix

TASKS = ("one", "two")


def _answers(nats: np.ndarray, items: int) -> pl.DataFrame:
    """Of (2, items) log-probabilities."""
    count = len(TASKS) * items
    frame = pl.DataFrame({"item": np.arange(count, dtype=np.uint32), "task": np.repeat(TASKS, items), "nats": nats.ravel()})
    return frame.with_columns(variant=pl.lit(""), direction=pl.lit(""), label=pl.lit(0), nats=pl.col("nats").cast(pl.Float32))


def _world(rng: np.random.Generator, skill: list[float], seeds: int, items: int, run_sd: float) -> dict[str, list[pl.DataFrame]]:
    hard = 1.5 * rng.standard_normal((2, items))
    return {
        f"arm {a}": [_answers(level + hard + run_sd * rng.standard_normal() + rng.standard_normal((2, items)), items) for _ in range(seeds)]
        for a, level in enumerate(skill)
    }


def test_the_stronger_arm_wins_as_often_as_it_must() -> None:
    matches = Matches.of(_world(np.random.default_rng(0), [0.0, 0.5, 1.0], 3, 4000, 0.0), TASKS)
    for win in win_matrix(matches):
        gap = 0.5 * (int(win.a[-1]) - int(win.b[-1]))
        assert win.chance == pytest.approx(norm.cdf(gap / np.sqrt(2)), abs=0.02)
        assert np.mean(list(win.tasks.values())) == pytest.approx(win.chance)
    rated = ratings(matches)
    assert [one.arm for one in rated] == ["arm 2", "arm 1", "arm 0"]
    assert sum(one.rating for one in rated) == pytest.approx(0, abs=1e-6)


def test_chances_follow_from_counting() -> None:
    made = {name: [_answers(np.array(nats, float), 2)] * 2 for name, nats in (("a", [[3, 1], [1, 1]]), ("b", [[2, 2], [1, 0]]))}
    (win,) = win_matrix(Matches.of(made, TASKS))
    assert win.chance == pytest.approx((0.5 + 0.75) / 2)  # a win and a loss; a tie and a win
    assert win.tasks == {"one": pytest.approx(0.5), "two": pytest.approx(0.75)}


def test_tasks_count_the_same_whatever_their_items() -> None:
    won, lost = np.ones((2, 30)), np.zeros((2, 30))
    few = [_answers(table, 30).filter((pl.col("task") == "one") | (pl.col("item") < 32)) for table in (won, lost)]
    few[0] = few[0].with_columns(nats=pl.when(pl.col("task") == "two").then(-1.0).otherwise("nats").cast(pl.Float32))
    (win,) = win_matrix(Matches.of({"a": [few[0]], "b": [few[1]]}, TASKS))
    assert win.chance == pytest.approx(0.5)


def test_two_ways_of_asking_are_one_item() -> None:
    def both(nats: list[float], back: list[float]) -> pl.DataFrame:
        ways = [_answers(np.array([one, one]), 2).with_columns(direction=pl.lit(way)) for one, way in ((nats, "to"), (back, "from"))]
        return pl.concat(ways)

    matches = Matches.of({"a": [both([1, 1], [0, 0])], "b": [both([0, 0], [1, 0])]}, TASKS)
    assert matches.wins(0)[1].tolist() == [0.5, 0.75, 0.5, 0.75]
    assert len(matches.weights) == 4


def test_perturbed_questions_and_those_without_a_probability_are_no_matches() -> None:
    frame = _answers(np.ones((2, 3)), 3)
    typos = frame.with_columns(variant=pl.lit("typos"), nats=pl.lit(9.0, pl.Float32))
    silent = frame.with_columns(nats=pl.when(pl.col("task") == "two").then(None).otherwise("nats"))
    matches = Matches.of({"a": [pl.concat([silent, typos])], "b": [pl.concat([silent, typos])]}, TASKS)
    assert matches.tasks == ("one",)
    assert matches.nats.shape == (2, 3)


def test_texts_are_matched_by_the_likelihood_of_the_whole() -> None:
    def texts(nats: list[float]) -> pl.DataFrame:
        plain = _answers(np.array([nats, nats]), 3).filter(task="one")
        return plain.with_columns(label=pl.lit(None, pl.Int32), bytes=pl.Series([10, 20, 30], dtype=pl.UInt32))

    (win,) = win_matrix(Matches.of({"a": [texts([-9.0, -20.0, -30.0])], "b": [texts([-10.0, -20.0, -29.0])]}, ("one",)))
    assert win.chance == pytest.approx(0.5)  # fewer bits for one text, as many for another, more for the third


def test_intervals_hold_what_is_true_of_other_runs_and_items() -> None:
    """Run noise and items are both resampled by nature here: 95% of the intervals must hold the truth."""
    rng, run_sd, within, said = np.random.default_rng(1), 0.3, 0, 0
    for _ in range(50):
        for win in win_matrix(Matches.of(_world(rng, [0.0, 0.2, 0.4], 3, 60, run_sd), TASKS)):
            gap = 0.2 * (int(win.a[-1]) - int(win.b[-1]))
            true = norm.cdf(gap / np.sqrt(2 + 2 * run_sd**2))
            assert win.low is not None
            assert win.high is not None
            within, said = within + (win.low <= true <= win.high), said + 1
    assert within / said > 0.92


def test_rating_intervals_widen_with_the_noise_of_runs_and_not_only_of_items() -> None:
    widths = []
    for run_sd in (0.0, 0.5):
        rated = ratings(Matches.of(_world(np.random.default_rng(2), [0.0, 0.5, 1.0], 3, 2000, run_sd), TASKS))
        widths.append(np.mean([one.high - one.low for one in rated if one.high is not None and one.low is not None]))
    assert widths[1] > 5 * widths[0]


def test_arms_redrawn_per_seed_have_a_noise_of_their_own() -> None:
    rng = np.random.default_rng(3)
    quiet, loud = _world(rng, [0.0, 0.5, 1.0], 4, 500, 0.0), _world(rng, [0.0, 0.5, 1.0], 4, 500, 1.0)
    made = {**{f"fixed {name}": runs for name, runs in quiet.items()}, **{f"random {name}": runs for name, runs in loud.items()}}
    kinds = {name: "random" if name.startswith("random") else "fixed" for name in made}
    width = {one.arm: one.high - one.low for one in ratings(Matches.of(made, TASKS), kinds) if one.high is not None and one.low is not None}
    assert width["random arm 0"] > 1.5 * width["fixed arm 0"]


def test_one_run_each_has_no_interval() -> None:
    matches = Matches.of(_world(np.random.default_rng(0), [0.0, 1.0], 1, 50, 0.0), TASKS)
    assert [(win.low, win.high) for win in win_matrix(matches)] == [(None, None)]
    assert {(one.low, one.high) for one in ratings(matches)} == {(None, None)}


def test_who_always_wins_has_a_finite_rating_and_an_interval_short_of_certainty() -> None:
    made = {"best": [_answers(np.ones((2, 40)), 40)] * 3, "worst": [_answers(np.zeros((2, 40)), 40)] * 3}
    matches = Matches.of(made, TASKS)
    (win,) = win_matrix(matches)
    assert win.chance == 1
    assert win.low is not None
    assert 0.8 < win.low < 1
    first, last = ratings(matches)
    assert (first.arm, last.arm) == ("best", "worst")
    assert 0 < first.rating < 10_000


def test_ratings_are_those_that_make_the_record_likeliest() -> None:
    true = np.array([-0.5, 0.0, 0.2, 0.3])
    even = expit(true[:, None] - true) * (1 - np.eye(4))
    found = bradley_terry(even * 1e7)
    assert found - found.mean() == pytest.approx(true - true.mean(), abs=1e-5)


def test_records_that_never_meet_or_are_one_sided_do_not_diverge() -> None:
    apart = np.zeros((4, 4))
    apart[0, 1] = apart[2, 3] = 1000  # two islands, each one-sided
    found = bradley_terry(apart)
    assert np.isfinite(found).all()
    assert found == pytest.approx([found[0], -found[0], found[0], -found[0]], abs=1e-6)
    assert bradley_terry(np.zeros((3, 3))) == pytest.approx([0, 0, 0])
    with_prior = found[0] * 2
    assert 5 < with_prior < 2 * np.log(4001)


def test_four_hundred_points_are_odds_of_ten_to_one() -> None:
    assert POINTS * np.log(10) == pytest.approx(400)


def test_runs_that_answered_other_items_and_lonely_arms_are_refused() -> None:
    frame = _answers(np.ones((2, 3)), 3)
    with pytest.raises(CeterisError, match="the runs of b answered other items"):
        Matches.of({"a": [frame], "b": [frame.head(5)]}, TASKS)
    with pytest.raises(CeterisError, match="two arms at least"):
        Matches.of({"a": [frame]}, TASKS)
    with pytest.raises(CeterisError, match="no task has a probability"):
        Matches.of(
            {"a": [frame.with_columns(nats=pl.lit(None, pl.Float32))] * 2, "b": [frame.with_columns(nats=pl.lit(None, pl.Float32))]}, TASKS
        )
