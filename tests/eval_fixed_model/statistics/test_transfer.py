import math

import numpy as np
import pytest

from curate.errors import CeterisError
from eval_fixed_model.statistics.transfer import transfer


def _scores(means: list[float], noise: float = 0.0, seeds: int = 3, start: int = 0) -> dict[str, dict[int, float]]:
    rng = np.random.default_rng(start)
    return {f"s{i:02}": {seed: mean + noise * rng.standard_normal() for seed in range(seeds)} for i, mean in enumerate(means)}


ORDER = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_equal_orders_agree_fully_and_six_subsets_still_do_not_prove_certainty() -> None:
    found = transfer(_scores(ORDER), _scores([mean**2 for mean in ORDER]), [])
    assert (found.accuracy.value, found.kendall.value, found.spearman.value) == (1.0, pytest.approx(1), pytest.approx(1))
    assert found.accuracy.low is not None
    assert 0.3 < found.accuracy.low < 0.6
    assert found.accuracy.high == 1.0
    assert found.p == pytest.approx(2 / math.factorial(6))
    assert found.disagreeing == ()


def test_lower_may_be_better_at_one_scale() -> None:
    up, down = _scores(ORDER), _scores([-mean for mean in ORDER])
    assert transfer(up, down, [], ("higher", "lower")).accuracy.value == 1
    assert transfer(up, down, []).accuracy.value == 0


def test_one_swapped_pair_is_named_and_counted() -> None:
    large = _scores([1, 2, 3, 4, 6, 5])
    found = transfer(_scores(ORDER), large, [("s05", "s04"), ("s00", "s01")])
    assert found.accuracy.value == pytest.approx(14 / 15)
    assert found.kendall.value == pytest.approx(2 * 14 / 15 - 1)
    assert found.spearman.value == pytest.approx(1 - 6 * 2 / (6 * 35))
    assert found.disagreeing == (("s04", "s05"),)
    assert found.settled_pairs == 2
    assert found.settled is not None
    assert found.settled.value == 0.5
    assert found.unsettled == 1


def test_settled_disagreements_come_first() -> None:
    found = transfer(_scores([1, 2, 3, 4, 6, 5]), _scores([2, 1, 3, 4, 5, 6]), [("s00", "s01")])
    assert found.disagreeing == (("s00", "s01"), ("s05", "s04"))


def test_equal_means_are_half_an_agreement() -> None:
    found = transfer(_scores([1, 1, 2, 3, 4, 5]), _scores(ORDER), [])
    assert found.accuracy.value == pytest.approx(14.5 / 15)


def test_a_tie_in_a_ranking_that_is_unanimous_otherwise_proves_no_certainty() -> None:
    found = transfer(_scores([1, 1, 2, 3, 4]), _scores([1, 1.5, 2, 3, 4]), [])
    for one in (found.kendall, found.spearman):
        assert one.low is not None
        assert one.high is not None
        assert one.low < 0.9 < one.high <= 1


def test_few_subsets_never_conclude() -> None:
    four = transfer(_scores(ORDER[:4]), _scores(ORDER[:4]), [])
    assert four.accuracy.value == 1
    assert four.answer == "cannot tell"
    assert four.p > 0.05
    with pytest.raises(CeterisError, match="2 subsets were evaluated at both scales"):
        transfer(_scores(ORDER[:2]), _scores(ORDER), [])


def test_many_agreeing_subsets_transfer_and_reversed_ones_mislead() -> None:
    rng = np.random.default_rng(0)
    means = list(rng.standard_normal(16))
    assert transfer(_scores(means, 0.2), _scores(means, 0.2, start=1), []).answer == "transfers"
    assert transfer(_scores(means, 0.2), _scores([-mean for mean in means], 0.2, start=1), []).answer == "misleads"


def test_unrelated_scales_are_not_said_to_transfer() -> None:
    rng, said = np.random.default_rng(3), 0
    for _ in range(60):
        found = transfer(_scores(list(rng.standard_normal(9))), _scores(list(rng.standard_normal(9))), [])
        said += found.answer != "cannot tell"
    assert said <= 7  # 5% of 60 is 3; more than 7 has probability .01


def test_intervals_hold_the_true_accuracy() -> None:
    """Pairs of correlated normals: two scales agree on a pair with probability 1/2 + asin(rho) / pi."""
    rng, rho, within = np.random.default_rng(5), 0.9, 0
    true = 0.5 + math.asin(rho) / math.pi
    for _ in range(60):
        x, z = rng.standard_normal((2, 10))
        found = transfer(_scores(list(x)), _scores(list(rho * x + math.sqrt(1 - rho**2) * z)), [])
        assert found.accuracy.low is not None
        assert found.accuracy.high is not None
        within += found.accuracy.low <= true <= found.accuracy.high
    assert within >= 52


def test_noise_lowers_what_a_repetition_would_agree_with() -> None:
    sharp, dull = (transfer(_scores(ORDER), _scores(ORDER, noise), []).repeat for noise in (0.01, 3.0))
    assert sharp == pytest.approx(1)
    assert dull is not None
    assert 0.5 < dull < 0.95
    assert transfer(_scores(ORDER), _scores(ORDER, seeds=1), []).repeat is None


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(CeterisError, match="not finite"):
        transfer(_scores(ORDER), _scores([*ORDER[:5], math.nan]), [])
