import json

import numpy as np
import pytest
from scipy import stats

from curate.errors import CeterisError
from eval_fixed_model.statistics import Analysis, Bank, Draw, Look, Verdict, bank_of, looks, spent, verdict
from eval_fixed_model.statistics.noise import weighed

KINDS: dict[str, Draw] = {"pool": "fixed", "a": "fixed", "b": "fixed", "r": "random"}
CONTRASTS = [("a", "pool"), ("b", "pool"), ("a", "r")]


def _draw(rng: np.random.Generator, seeds: int, effect: float = 0.0) -> dict[str, dict[int, float]]:
    means, sds = {"a": effect}, {"r": 1.4}
    return {name: dict(enumerate(rng.normal(means.get(name, 0.0), sds.get(name, 1.0), seeds))) for name in KINDS}


def _first(scores: dict[str, dict[int, float]], seeds: int) -> dict[str, dict[int, float]]:
    return {name: {seed: arm[seed] for seed in range(seeds)} for name, arm in scores.items()}


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "DRAWS", 20_000)


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
def test_the_whole_schedule_spends_the_five_percent(spending: looks.Spending) -> None:
    shares = [spent(share, spending) for share in (0.1, 0.25, 0.5, 0.75, 1.0)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(0.05)
    assert spent(0.5) == pytest.approx(0.0056, abs=0.0001)  # as tables of Lan and DeMets give it
    assert spent(0.5, "pocock") == pytest.approx(0.0310, abs=0.0001)


@pytest.mark.parametrize("alike", [None, 5.0])
def test_a_schedule_of_one_look_is_the_usual_verdict(alike: float | None) -> None:
    scores = _draw(np.random.default_rng(0), 5)
    usual, once = (verdict(scores, KINDS, CONTRASTS, 0.1, alike=alike, look=look) for look in (None, Look((5,), 1)))
    assert once.critical == pytest.approx(usual.critical, rel=0.01)
    assert once.look.spent == pytest.approx(0.05)


def test_arms_of_one_kind_share_the_draws_of_their_looks_however_noisy_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "DRAWS", 2_000)
    rng, found = np.random.default_rng(0), set()
    before = looks._critical.cache_info().misses
    for _ in range(3):
        scores = {name: dict(enumerate(rng.normal(0, 3, 3))) for name in ("pool", "a", "b")}
        kinds: dict[str, Draw] = dict.fromkeys(scores, "fixed")
        found.add(verdict(scores, kinds, CONTRASTS[:2], 0.1, alike=5.0, look=Look((3, 5), 1, "pocock"), plan=False).critical)
    assert len(found) == 1
    assert looks._critical.cache_info().misses == before + 1


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("analysis", ["unpaired", "paired"])
def test_stopping_at_the_first_verdict_errs_once_in_twenty(analysis: Analysis) -> None:
    rng, schedule, false, naive = np.random.default_rng(1), (3, 5, 8), 0, 0
    kinds: dict[str, Draw] = {"pool": "fixed", "a": "fixed", "b": "fixed"}
    for _ in range(300):
        alike = rng.normal(0, 2, 8) * (analysis == "paired")
        scores = {name: dict(enumerate(alike + rng.normal(0, 1, 8))) for name in kinds}
        each = [
            verdict(_first(scores, n), kinds, CONTRASTS[:2], 1e-6, analysis=analysis, look=Look(schedule, i + 1, "pocock"), plan=False)
            for i, n in enumerate(schedule)
        ]
        false += any(c.answer != "cannot tell" for found in each for c in found.contrasts)
        naive += any(
            abs(c.difference) > stats.t.ppf(0.975, c.df) * (c.high - c.difference) / found.critical
            for found in each
            for c in found.contrasts
        )
    assert 0.02 < false / 300 < 0.085
    assert naive / 300 > 0.12


def test_a_clear_difference_ends_it_early_and_says_where() -> None:
    scores = _draw(np.random.default_rng(2), 12, effect=15.0)
    found = verdict(_first(scores, 5), KINDS, CONTRASTS, 0.5, look=Look((3, 5, 12), 2))
    assert found.of("a", "pool").answer == "better"
    assert (found.look.number, found.look.schedule) == (2, (3, 5, 12))
    assert found.critical == found.look.critical[1]
    assert found.look.critical[0] > found.look.critical[1] > found.look.critical[2]
    assert found.of("b", "pool").seeds_needed in (12, None)
    assert Verdict.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


def test_an_early_look_is_dearer_with_obrien_and_fleming() -> None:
    scores = _first(_draw(np.random.default_rng(3), 3), 3)
    kept, even = (verdict(scores, KINDS, CONTRASTS, 0.5, look=Look((3, 6, 12), 1, s)) for s in ("obrien-fleming", "pocock"))
    assert kept.look.spent < even.look.spent
    assert kept.critical > 2 * even.critical


def test_an_arm_of_an_earlier_run_takes_no_part_in_the_schedule() -> None:
    scores = _first(_draw(np.random.default_rng(4), 5), 5)
    alone = verdict(scores, KINDS, CONTRASTS, 0.5, look=Look((3, 5, 8), 2))
    kinds: dict[str, Draw] = {**KINDS, "old": "fixed"}
    beside = verdict({**scores, "old": {0: 50.0}}, kinds, [*CONTRASTS, ("old", "pool")], 0.5, look=Look((3, 5, 8), 2))
    assert beside.critical > alone.critical, "a larger family costs more"
    assert beside.of("old", "pool").answer == "better"
    assert beside.spreads["fixed"].df == alone.spreads["fixed"].df


def test_looks_that_make_no_sense_are_refused() -> None:
    with pytest.raises(CeterisError, match="no schedule"):
        Look((5, 5, 8), 1)
    with pytest.raises(CeterisError, match="not one of 2"):
        Look((5, 8), 3)
    uneven = {"a": {0: 1.0, 1: 2.0, 2: 4.0}, "b": {0: 1.0, 1: 3.0, 2: 2.5, 3: 1.0}}
    with pytest.raises(CeterisError, match="every arm at the same seeds"):
        verdict(uneven, dict.fromkeys("ab", "fixed"), [("a", "b")], 1.0, analysis="paired", look=Look((3, 5), 1))
    rng = np.random.default_rng(0)
    bank: Bank = bank_of("fixed", {str(pool): {"a": list(rng.normal(0, 1, 9))} for pool in range(9)})
    with pytest.raises(CeterisError, match="more seeds"):
        verdict(
            {"a": {0: 1.0, 1: 2.0}, "b": {0: 1.0, 1: 2.5}},
            dict.fromkeys("ab", "fixed"),
            [("a", "b")],
            1.0,
            banks={"fixed": bank},
            look=Look((2, 5), 1),
        )


@pytest.mark.parametrize(("alike", "arms"), [(1.0, 4), (3.0, 12), (5.0, 12)])
def test_a_first_look_too_rare_to_be_simulated_spends_no_more_than_it_may(alike: float, arms: int) -> None:
    """Of 4e-7: the chance that one contrast passes, given the arms' variances and what three runs of each show of them, and its mean."""
    kinds: dict[str, Draw] = {f"a{i}": "fixed" for i in range(arms)}
    rng = np.random.default_rng(3)
    scores = {name: dict(enumerate(rng.normal(0, 1, 3))) for name in kinds}
    found = verdict(scores, kinds, [("a0", "a1")], 0.1, alike=alike, look=Look((3, 20), 1), plan=False)
    assert found.look is not None
    level, chance = found.look.spent, []
    assert level < 1e-6
    for _ in range(10):
        true = alike / rng.chisquare(alike, (20_000, arms))
        own = true * rng.chisquare(2, true.shape) / 2
        held = weighed(np.repeat(own.mean(1, keepdims=True), arms, 1), own, np.full(arms, 2.0), alike)
        chance.append(2 * stats.norm.sf(found.look.critical[0] * np.sqrt((held[:, :2].sum(1)) / true[:, :2].sum(1))).mean())
    assert np.mean(chance) < 1.5 * level
