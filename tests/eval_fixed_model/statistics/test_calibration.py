import json

import numpy as np
import pytest

from curate.errors import CeterisError
from eval_fixed_model.statistics import Analysis, calibration, noise
from eval_fixed_model.statistics.calibration import Calibration, Drawn, Runs, Shape, _rate, calibrate


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "DRAWS", 5_000)


def _bank(rng: np.random.Generator, fixed: int = 2, seeds: int = 30, draws: int = 20, alike: float = 0.0) -> Runs:
    shared = rng.normal(0, 1, seeds) * alike
    scores = {f"subset {i}": dict(enumerate(40.0 + i + shared + rng.normal(0, 1, seeds))) for i in range(fixed)}
    scores["draws"] = dict(enumerate(30.0 + shared[:draws] + rng.normal(0, 1.4, draws)))
    return Runs(scores, {name: "random" if name == "draws" else "fixed" for name in scores})


def _sound(found: Calibration) -> None:
    assert found.false_verdicts.low < 0.065
    assert found.false_verdicts.high > 0.02
    assert found.coverage.share == pytest.approx(1 - found.false_verdicts.share, abs=0.02)
    assert 0.7 < found.power.share < 0.9
    assert found.wrong_way.share < 0.01
    assert found.equivalent_at_delta.low < 0.025
    assert found.equivalent_at_zero.share > found.equivalent_at_delta.share + 0.3


@pytest.mark.parametrize(("analysis", "seed"), [("unpaired", 0.0), ("paired", 3.0)])
def test_the_method_holds_where_its_assumptions_do(analysis: Analysis, seed: float) -> None:
    found = calibrate(Drawn(seed=seed), Shape(2, 4), 0.1, analysis=analysis, families=150)
    _sound(found)
    assert set(found.power_against) == {"pool", "random", "parent"}
    assert json.loads(json.dumps(found.to_json()))["false_verdicts"]["share"] == found.false_verdicts.share


def test_a_bank_of_runs_gives_the_same_and_a_wider_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = _bank(np.random.default_rng(0))
    monkeypatch.setattr(calibration, "FAMILIES_PER_BANK", 20)
    alone = calibrate(bank, Shape(2, 3), 0.1, families=100, banks=0)
    found = calibrate(bank, Shape(2, 3), 0.1, families=100, banks=4)
    assert found.run_sd == pytest.approx({"fixed": 1, "random": 1.4}, rel=0.35)
    assert found.false_verdicts.share == alone.false_verdicts.share
    assert found.power.high - found.power.low >= alone.power.high - alone.power.low
    assert alone.false_verdicts.low < 0.065
    assert alone.false_verdicts.high > 0.01
    assert alone.power.share > 0.6


def test_a_verdict_that_errs_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "CONFIDENCE", 0.7)
    found = calibrate(_bank(np.random.default_rng(0)), Shape(2, 3), 0.1, families=60, banks=0)
    assert found.false_verdicts.low > 0.1
    assert found.coverage.high < 0.9


def test_lower_is_better_calibrates_alike() -> None:
    higher, lower = (calibrate(Drawn(), Shape(1, 4), 0.1, better=better, families=30, banks=0) for better in ("higher", "lower"))
    assert lower.power == higher.power
    assert lower.false_verdicts == higher.false_verdicts


def test_families_use_no_run_twice_and_paired_ones_share_seeds() -> None:
    rng = np.random.default_rng(1)
    bank = _bank(rng, fixed=4, seeds=20)
    drawn = bank.noise(Shape(3, 5), "unpaired", rng)
    values = np.concatenate([drawn[name] for name in drawn])
    assert len(np.unique(values)) == len(values) == 50
    alike = _bank(rng, fixed=3, seeds=20, alike=50.0)
    for _ in range(5):
        paired = alike.noise(Shape(1, 4), "paired", rng)
        rows = np.stack([paired[name] for name in ("pool", "candidate 0", "parent 0", "random 0")])
        assert np.corrcoef(rows)[0, 1:].min() > 0.9
    again = bank.resampled(rng)
    assert {name: len(arm) for name, arm in again.scores.items()} == {name: len(arm) for name, arm in bank.scores.items()}
    assert again.scores != bank.scores


@pytest.mark.parametrize("analysis", ["unpaired", "paired"])
def test_means_of_a_banks_samples_scatter_as_those_of_new_runs(analysis: Analysis) -> None:
    rng = np.random.default_rng(0)
    bank = _bank(rng, fixed=3, seeds=12, draws=12, alike=2.0)
    sds, drawn = bank.sds(analysis), [bank.noise(Shape(1, 4), analysis, rng) for _ in range(1000)]
    for control, kind in (("pool", "fixed"), ("random 0", "random")):
        of_means = np.var([one["candidate 0"].mean() - one[control].mean() for one in drawn])
        assert of_means == pytest.approx((sds["fixed"] ** 2 + sds[kind] ** 2) / 4, rel=0.2)  # a third less of a bank without its mean


def test_a_paired_bank_says_what_is_left_of_its_noise() -> None:
    bank = _bank(np.random.default_rng(2), fixed=2, seeds=400, draws=400, alike=3.0)
    assert bank.sds("paired") == pytest.approx({"fixed": 1, "random": 1.4}, rel=0.1)
    assert bank.sds("unpaired")["fixed"] == pytest.approx(np.sqrt(10), rel=0.1)


def test_a_bank_that_is_too_small_says_what_it_lacks() -> None:
    bank = _bank(np.random.default_rng(0), seeds=5, draws=4)
    with pytest.raises(CeterisError, match="the bank holds 2 fixed arms of 3 runs; 2 candidates need 5"):
        calibrate(bank, Shape(2, 3), 1.0)
    with pytest.raises(CeterisError, match="needs repeated runs of fixed arms and of random draws"):
        calibrate(Runs({"a": {0: 1.0, 1: 2.0}}, {"a": "fixed"}), Shape(1, 3), 1.0)
    with pytest.raises(CeterisError, match="too few degrees of freedom"):
        calibrate(Drawn(), Shape(1, 2), 1.0)


def test_a_share_of_none_has_an_interval_though_other_banks_have_some() -> None:
    none = _rate(np.zeros(40), [np.zeros(100), np.zeros(100), np.full(100, 0.5)])
    assert (none.share, none.low) == (0, 0)
    assert none.high > _rate(np.zeros(40), []).high
    assert _rate(np.ones(40), [np.ones(100), np.ones(100), np.full(100, 0.5)]).low == pytest.approx(1 - none.high)
