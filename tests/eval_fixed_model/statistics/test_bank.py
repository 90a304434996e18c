import numpy as np
import pytest

from curate.errors import CeterisError
from eval_fixed_model.statistics import Bank, Draw, Verdict, bank_of, noise, verdict
from eval_fixed_model.statistics import bank as bank_module
from eval_fixed_model.statistics.bank import likeness

KINDS: dict[str, Draw] = {"a": "fixed", "b": "fixed"}


def _pools(rng: np.random.Generator, pools: int, seeds: int, sd: float = 1.0, differ: float = 0.0) -> dict[str, dict[str, list[float]]]:
    return {
        f"pool {i}": {arm: list(rng.normal(40, spread, seeds)) for arm in "ab"}
        for i, spread in enumerate(sd * np.exp(differ * rng.normal(0, 1, pools)))
    }


def _one_seed(a: float, b: float) -> dict[str, dict[int, float]]:
    return {"a": {0: a}, "b": {0: b}}


def test_pools_that_agree_are_worth_their_runs_and_others_less() -> None:
    rng = np.random.default_rng(0)
    alike, apart = bank_of("fixed", _pools(rng, 30, 8, 2.0)), bank_of("fixed", _pools(rng, 30, 8, 2.0, differ=0.7))
    assert alike.sd == pytest.approx(2, rel=0.08)
    assert alike.df > 60
    assert apart.df < 10
    assert (alike.runs, alike.pools) == (480, 30)
    assert bank_of("fixed", {**_pools(rng, 3, 8), "single": {"a": [3.0]}}).pools == 3
    assert bank_of("fixed", _pools(rng, 3, 8)).df < alike.df


def test_one_seed_is_judged_by_the_bank_and_says_so() -> None:
    bank = Bank("fixed", 1.0, 20.0, 60, 6)
    found = verdict(_one_seed(50.0, 44.0), KINDS, [("a", "b")], 1.0, banks={"fixed": bank})
    only = found.contrasts[0]
    assert (only.answer, only.df) == ("better", pytest.approx(20))
    assert only.high - only.difference == pytest.approx(2.086 * np.sqrt(2), rel=0.01)
    assert found.rests_on_bank
    assert found.spreads["fixed"].bank.p is None
    assert Verdict.from_json(found.to_json()) == found
    assert verdict(_one_seed(50.0, 44.0), KINDS, [("a", "b")], 1.0).contrasts[0].answer == "cannot tell"


def test_own_runs_join_the_bank_unless_they_are_noisier() -> None:
    bank = Bank("fixed", 1.0, 20.0, 60, 6)
    calm = {"a": {0: 50.0, 1: 51.0}, "b": {0: 44.0, 1: 44.5}}
    found = verdict(calm, KINDS, [("a", "b")], 1.0, banks={"fixed": bank})
    assert found.contrasts[0].df == 22
    assert found.spreads["fixed"].sd == pytest.approx(np.sqrt((20 + 0.5 + 0.125) / 22))
    wild = verdict({"a": {0: 50.0, 1: 70.0}, "b": {0: 44.0, 1: 24.0}}, KINDS, [("a", "b")], 1.0, banks={"fixed": bank})
    assert not wild.rests_on_bank
    assert wild.spreads["fixed"].bank.p < 0.001
    assert wild.contrasts[0].answer == "cannot tell"


def test_own_runs_that_suffice_ask_no_bank() -> None:
    rng = np.random.default_rng(0)
    scores = {name: dict(enumerate(rng.normal(50, 3, 4))) for name in "ab"}
    alone, beside = (verdict(scores, KINDS, [("a", "b")], 1.0, banks=banks) for banks in ({}, {"fixed": Bank("fixed", 0.1, 50.0, 90, 9)}))
    assert beside.contrasts == alone.contrasts
    assert not beside.rests_on_bank
    assert beside.spreads["fixed"].bank.p < 0.05, "and yet it says that they do not agree"


def test_false_verdicts_from_one_seed_are_one_in_twenty_where_pools_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "DRAWS", 1_000)
    rng, false, naive = np.random.default_rng(1), 0, 0
    for _ in range(150):
        pools = _pools(rng, 8, 6, differ=0.5)
        sd = float(np.exp(0.5 * rng.normal()))
        scores = _one_seed(*rng.normal(0, sd, 2))
        bank = bank_of("fixed", pools)
        of_runs = Bank(
            "fixed", float(np.sqrt(np.mean([np.var(runs, ddof=1) for arms in pools.values() for runs in arms.values()]))), 80.0, 96, 8
        )
        false += verdict(scores, KINDS, [("a", "b")], 1e-6, banks={"fixed": bank}).contrasts[0].answer != "cannot tell"
        naive += verdict(scores, KINDS, [("a", "b")], 1e-6, banks={"fixed": of_runs}).contrasts[0].answer != "cannot tell"
    assert false / 150 < 0.08
    assert false < naive


def test_a_bank_says_how_noisy_arms_are_but_not_each_of_them() -> None:
    bank = Bank("fixed", 1.0, 60.0, 200, 9)
    widths = []
    for alike in (None, 30.0, 4.0):
        found = verdict(_one_seed(50.0, 44.0), KINDS, [("a", "b")], 1.0, alike=alike, banks={"fixed": bank}).contrasts[0]
        widths.append(found.high - found.low)
    assert widths[0] < widths[1] < widths[2] < 2 * widths[0]


def test_how_alike_arms_are_is_found() -> None:
    rng = np.random.default_rng(0)
    apart = likeness([list(rng.normal(0, np.sqrt(5 / rng.chisquare(5)), 16)) for _ in range(80)])
    assert apart.low < 5 < apart.high
    assert apart.high / apart.low < 5
    equal = likeness([list(rng.normal(0, 1, 16)) for _ in range(80)])
    assert equal.df > 40
    assert equal.high == bank_module.MOST_DF
    few = likeness([list(rng.normal(0, 1, 16)) for _ in range(5)])
    assert few.low < 15
    assert likeness([[1.0, 2.0, 4.0], [1.0, 2.0, 3.0], [3.0, 4.0]]) is None


def test_the_interval_of_likeness_holds_for_few_arms_also_where_their_variances_are_equal_by_chance() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        found = likeness(list(rng.normal(0, np.sqrt(5 / rng.chisquare(5, (3, 1))), (3, 16))))
        held += found.low < 5 < found.high
    assert 0.91 < held / 200 < 1
    equal = likeness([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]])
    assert equal.df == equal.high == bank_module.MOST_DF


def test_a_bank_of_too_few_pools_or_without_noise_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(CeterisError, match="3 pools or more, and there are 2"):
        bank_of("fixed", _pools(rng, 2, 30))
    with pytest.raises(CeterisError, match="no noise"):
        bank_of("fixed", {**_pools(rng, 3, 4), "still": {"a": [1.0, 1.0]}})
