import json

import numpy as np
import pytest
from scipy import stats

from curate.errors import CeterisError
from eval_fixed_model.statistics import Draw, Verdict, bank_of, detectable, noise, pairing, verdict, verdict_over_pools

Scores = dict[str, dict[int, float]]


def _runs(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def _world(rng: np.random.Generator, candidates: int, seeds: int, shared: float) -> tuple[Scores, dict[str, Draw], list[tuple[str, str]]]:
    """Equal arms whose runs share a part by seed."""
    alike = rng.normal(0, shared, seeds) if shared else np.zeros(seeds)
    scores: Scores = {"pool": _runs(*(alike + rng.normal(0, 1, seeds)))}
    kinds: dict[str, Draw] = {"pool": "fixed"}
    contrasts = []
    for i in range(candidates):
        scores |= {f"c{i}": _runs(*(alike + rng.normal(0, 1, seeds))), f"r{i}": _runs(*(alike + rng.normal(0, 1.4, seeds)))}
        kinds |= {f"c{i}": "fixed", f"r{i}": "random"}
        contrasts += [(f"c{i}", "pool"), (f"c{i}", f"r{i}")]
    return scores, kinds, contrasts


def test_two_arms_paired_are_students_paired_t_test() -> None:
    a, b = [52.0, 55.1, 49.2, 57.4, 53.0, 50.8], [50.3, 53.9, 48.7, 55.5, 51.1, 50.0]
    found = verdict({"a": _runs(*a), "b": _runs(*b)}, {"a": "fixed", "b": "fixed"}, [("a", "b")], 0.1, analysis="paired")
    reference = stats.ttest_rel(a, b)
    interval = reference.confidence_interval(0.95)
    only = found.contrasts[0]
    assert only.df == pytest.approx(reference.df)
    assert (only.low, only.high) == pytest.approx((interval.low, interval.high), rel=0.02)
    assert only.answer == "better"
    assert verdict({"a": _runs(*a), "b": _runs(*b)}, {"a": "fixed", "b": "fixed"}, [("a", "b")], 0.1).contrasts[0].answer == "cannot tell"


def test_many_fixed_arms_paired_are_a_two_way_analysis_of_variance() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(0, 1, (4, 6)) + rng.normal(0, 5, 6) + np.arange(4)[:, None]
    scores = {name: _runs(*row) for name, row in zip("abcd", table, strict=True)}
    found = verdict(scores, dict.fromkeys("abcd", "fixed"), [("a", "b"), ("c", "d")], 0.1, analysis="paired")
    left = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    assert found.spreads["fixed"].df == 15
    assert found.spreads["fixed"].sd == pytest.approx(np.sqrt((left**2).sum() / 15))
    one = found.of("a", "b")
    assert one.high - one.difference == pytest.approx(found.critical * found.spreads["fixed"].sd * np.sqrt(2 / 6))


def test_one_random_arm_against_one_fixed_is_the_paired_test_too() -> None:
    rng = np.random.default_rng(1)
    alike = rng.normal(0, 4, 7)
    a, r = alike + rng.normal(1, 1, 7), alike + rng.normal(0, 2, 7)
    only = verdict({"a": _runs(*a), "r": _runs(*r)}, {"a": "fixed", "r": "random"}, [("a", "r")], 0.1, analysis="paired").contrasts[0]
    interval = stats.ttest_rel(a, r).confidence_interval(0.95)
    assert (only.low, only.high) == pytest.approx((interval.low, interval.high), rel=0.02)


def test_even_and_uneven_seeds_say_the_same_where_they_are_the_same() -> None:
    rng = np.random.default_rng(2)
    scores, kinds, contrasts = _world(rng, 2, 5, 3.0)
    even = verdict(scores, kinds, contrasts, 0.1, analysis="paired")
    scores["extra"] = {0: 1.0, 7: 3.0}
    uneven = verdict(scores, {**kinds, "extra": "fixed"}, contrasts, 0.1, analysis="paired")
    assert uneven.spreads["fixed"].df == even.spreads["fixed"].df
    for c in even.contrasts:
        other = uneven.of(c.candidate, c.control)
        assert other.difference == pytest.approx(c.difference)
        assert other.high - other.low == pytest.approx(c.high - c.low, rel=0.25)
    with pytest.raises(CeterisError, match="share no seed"):
        verdict({"a": {0: 1.0, 1: 2.0}, "b": {2: 1.0, 3: 2.0}}, dict.fromkeys("ab", "fixed"), [("a", "b")], 0.1, analysis="paired")


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "DRAWS", 5_000)


@pytest.mark.usefixtures("few_draws")
def test_paired_false_verdicts_are_one_family_in_twenty() -> None:
    rng, false = np.random.default_rng(3), 0
    for i in range(300):
        scores, kinds, contrasts = _world(rng, 2, 4, 3.0 * (i % 2))
        found = verdict(scores, kinds, contrasts, 1e-6, analysis="paired", plan=False)
        false += any(c.answer != "cannot tell" for c in found.contrasts)
    assert 0.02 < false / 300 < 0.085


def test_pairing_narrows_where_seeds_move_all_arms_alike() -> None:
    scores, kinds, contrasts = _world(np.random.default_rng(4), 2, 6, 4.0)
    both = [verdict(scores, kinds, contrasts, 0.1, analysis=analysis) for analysis in ("unpaired", "paired")]
    assert both[0].pairing == both[1].pairing, "it is reported whichever is used"
    widths = [found.of("c0", "pool").high - found.of("c0", "pool").low for found in both]
    assert widths[1] < widths[0] / 2
    assert both[0].pairing.gain > 4


def test_a_paired_budget_says_beforehand_what_it_finds() -> None:
    scores, kinds, contrasts = _world(np.random.default_rng(6), 2, 4, 5.0)
    found = verdict(scores, kinds, contrasts, 0.1, analysis="paired")
    fixed, random = found.spreads["fixed"].sd, found.spreads["random"].sd
    planned = detectable(kinds, contrasts, 4, {"fixed": fixed, "random": np.sqrt(random**2 - fixed**2 / 3)}, "paired")
    assert [planned[c.candidate, c.control] for c in found.contrasts] == pytest.approx([c.detectable for c in found.contrasts])


def test_unequal_paired_contrasts_keep_their_own_variance() -> None:
    rng = np.random.default_rng(5)
    alike = rng.normal(0, 3, 12)
    scores = {name: _runs(*(alike + rng.normal(0, sd, 12))) for name, sd in (("a", 0.05), ("b", 0.05), ("c", 6.0), ("d", 0.05))}
    found = verdict(scores, dict.fromkeys("abcd", "fixed"), [("a", "b"), ("c", "a")], 0.1, analysis="paired")
    assert not found.spreads["fixed"].pooled
    for a, b in (("a", "b"), ("c", "a")):
        paired, one = stats.ttest_rel(list(scores[a].values()), list(scores[b].values())), found.of(a, b)
        assert one.df == 11
        assert one.high - one.difference == pytest.approx(abs(one.difference / paired.statistic) * found.critical)


def test_the_seed_correlation_and_its_interval() -> None:
    rng = np.random.default_rng(0)
    alike = [_runs(*(50 + row)) for row in rng.normal(0, 2, 400) + rng.normal(0, 1, (3, 400))]
    found = pairing(alike)
    assert found.correlation == pytest.approx(0.8, abs=0.05)  # 4 of 5 parts of the variance
    assert found.low < 0.8 < found.high
    assert found.gain == pytest.approx(1 / (1 - found.correlation))
    assert (found.arms, found.seeds) == (3, 400)
    shifted = [{seed + 2: score for seed, score in alike[0].items()}, alike[1]]
    assert abs(pairing(shifted).correlation) < 0.2, "matched by seed, not by place"
    held = 0
    for _ in range(300):
        table = rng.normal(0, 1, (4, 5)) + rng.normal(0, 1, 5)
        few = pairing([_runs(*row) for row in table])
        held += few.low <= 0.5 <= few.high
    assert 0.91 < held / 300 < 0.985


def test_an_unknown_seed_correlation_is_none() -> None:
    assert pairing([]) is None
    assert pairing([_runs(1.0, 2.0, 3.0)]) is None
    assert pairing([{0: 1.0, 1: 2.0}, {1: 3.0, 2: 4.0}]) is None
    assert pairing([_runs(1.0, 1.0), _runs(2.0, 2.0)]) is None


def test_a_bank_has_no_say_in_a_paired_verdict() -> None:
    rng = np.random.default_rng(0)
    bank = bank_of("fixed", {str(pool): {"a": list(rng.normal(0, 1, 5))} for pool in range(4)})
    with pytest.raises(CeterisError, match="compares by seed"):
        verdict(
            {"a": _runs(1.0), "b": _runs(2.0)}, dict.fromkeys("ab", "fixed"), [("a", "b")], 1.0, analysis="paired", banks={"fixed": bank}
        )


def _over_pools(rng: np.random.Generator, pools: int, seeds: int, between: float) -> dict[str, dict[int, dict[int, float]]]:
    ground = rng.normal(0, 3, pools)
    return {
        name: {pool: _runs(*(ground[pool] + rng.normal(0, between) + rng.normal(0, 1, seeds))) for pool in range(pools)}
        for name in ("pool", "c", "d", "e")
    }


@pytest.mark.usefixtures("few_draws")
def test_over_pools_the_pool_is_the_unit() -> None:
    rng, kinds = np.random.default_rng(0), dict.fromkeys(("pool", "c", "d", "e"), "fixed")
    contrasts, false, naive = [("c", "pool"), ("d", "pool"), ("e", "pool")], 0, 0
    for _ in range(150):
        scores = _over_pools(rng, 4, 4, 1.0)
        false += any(c.answer != "cannot tell" for c in verdict_over_pools(scores, kinds, contrasts, 1e-6, plan=False).contrasts)
        flat = {
            name: _runs(*(x - np.mean(list(scores["pool"][p].values())) for p, runs in arm.items() for x in runs.values()))
            for name, arm in scores.items()
        }
        naive += any(c.answer != "cannot tell" for c in verdict(flat, kinds, contrasts, 1e-6, plan=False).contrasts)
    assert 0.015 < false / 150 < 0.1
    assert naive / 150 > 0.15, "runs of one pool are no replications"


def test_over_pools_says_where_the_noise_is() -> None:
    rng, kinds = np.random.default_rng(1), dict.fromkeys(("pool", "c", "d", "e"), "fixed")
    found = verdict_over_pools(_over_pools(rng, 40, 5, 2.0), kinds, [("c", "pool")], 1.0, plan=False)
    assert found.levels.within == pytest.approx(1, abs=0.1)
    assert found.levels.between == pytest.approx(2, abs=0.3)
    assert found.levels.p < 0.01
    assert (found.levels.pools, found.levels.seeds, found.spreads["fixed"].df) == (40, 5, 3 * 39)
    assert Verdict.from_json(json.loads(json.dumps(found.to_json()))) == found
    still = verdict_over_pools(_over_pools(rng, 12, 5, 0.0), kinds, [("c", "pool")], 1.0, plan=False)
    assert still.levels.between < 0.5
    with pytest.raises(CeterisError, match="two that all arms share"):
        verdict_over_pools({name: {0: _runs(1.0, 2.0)} for name in kinds}, kinds, [("c", "pool")], 1.0)
