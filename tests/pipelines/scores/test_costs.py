import pytest

from curate.record import Run
from eval_fixed_model.cost import cost_of
from pipelines.scores.costs import ancestors, asked, costs, curation_seconds, seconds_of
from pipelines.scores.evaluations import Evaluation


def test_a_stage_costs_what_the_evidence_of_all_it_is_made_of_took(scored: Evaluation) -> None:
    run = Run(scored.store, scored.run)
    assert ancestors(run, ["long"]) == ("basic", "unique", "long")
    assert asked(run, ["basic"]) == {"text_length"}
    assert asked(run, ["unique"]) == {"near_duplicate_image.sketch", "license"}
    measures = ["text_length", "license", "near_duplicate_image.sketch"]
    assert curation_seconds(run, ["long"]) == pytest.approx(sum(seconds_of(run, [one]) for one in measures))
    assert 0 < curation_seconds(run, ["basic"]) < curation_seconds(run, ["unique"])


def test_seconds_are_those_of_this_pools_parts(scored: Evaluation) -> None:
    run = Run(scored.store, scored.run)
    parts = scored.store.parts(run.facts["measures"]["text_length"]["folder"])
    assert seconds_of(run, ["text_length"]) == pytest.approx(sum(part.seconds for kept in parts.values() for part in kept))
    facts = [
        fact for fact in scored.store.storage.get(f"{scored.run}/ledger.jsonl").decode().splitlines() if '"name":"text_length"' in fact
    ]
    assert len(facts) == 1


def test_gain_is_over_the_whole_pool_and_per_hour_of_curation(scored: Evaluation) -> None:
    found = costs(scored)
    assert found.keys() == scored.arms.keys()
    assert {one.flops for one in found.values()} == {cost_of(scored.scale).training}
    long = found["long"]
    whole = sum(scored.score("whole pool", seed).headline for seed in (0, 1)) / 2
    assert long.gain == pytest.approx(sum(scored.score("long", seed).headline for seed in (0, 1)) / 2 - whole)
    assert long.curation is not None
    assert long.gain_per_hour == pytest.approx(long.gain / long.curation * 3600)
    assert long.seconds == pytest.approx(sum(scored.training("long", seed)["seconds"] for seed in (0, 1)) / 2)
    assert (found["whole pool"].curation, found["whole pool"].gain, found["whole pool"].gain_per_hour) == (0, 0, None)
