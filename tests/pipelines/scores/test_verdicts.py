import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from eval_fixed_model.conditions import conditions, conditions_id
from eval_fixed_model.statistics import Verdict, bank_of, verdict
from pipelines import verbs
from pipelines.scores import training, verdicts
from pipelines.scores.evaluations import Evaluation, entries
from pipelines.scores.training import evaluate
from pipelines.scores.verdicts import compare


def test_the_verdict_is_that_of_the_stored_scores(judged: Evaluation) -> None:
    found = compare(judged)
    assert [(one.candidate, one.control) for one in found.contrasts] == list(judged.contrasts)
    scores = {name: {seed: judged.score(name, seed).headline for seed in arm.scores} for name, arm in judged.arms.items()}
    kinds = {name: "random" if arm.kind == "random" else "fixed" for name, arm in judged.arms.items()}
    plain = verdict(scores, kinds, judged.contrasts, judged.scale.headline.delta, alike=judged.scale.alike)
    for line in found.contrasts:
        other = plain.of(line.candidate, line.control)
        assert (line.answer, line.df) == (other.answer, pytest.approx(other.df))
        assert line.low == pytest.approx(other.low, rel=0.02, abs=0.05)
    assert Verdict.from_json(judged.store.json(found.file)) == found.family


def test_showing_one_line_does_not_narrow_its_interval(judged: Evaluation) -> None:
    every, one = compare(judged), compare(judged, "best", "pool")
    assert one.line in every.contrasts
    assert (one.answer, one.low, one.high) == (one.line.answer, one.line.low, one.line.high)


def test_what_was_asked_once_stays_in_the_family(judged: Evaluation, tmp_path: Path) -> None:
    shutil.copytree(judged.store.path(""), tmp_path / "s")
    run = Run(Store.open(tmp_path / "s"), judged.run)
    before = compare(run).family
    names = sorted(judged.arms)
    pair = next((a, b) for a in names for b in names if a < b and (a, b) not in judged.contrasts and (b, a) not in judged.contrasts)
    asked = compare(run, *pair).family
    after = compare(run).family
    assert len(after.contrasts) == len(asked.contrasts) == len(before.contrasts) + 1
    assert after.critical >= before.critical


def test_a_larger_family_widens_intervals_and_is_another_file(judged: Evaluation, small_scale: Path, place: Path, tmp_path: Path) -> None:
    shutil.copytree(judged.store.path(""), tmp_path / "s")
    store = Store.open(tmp_path / "s")
    first = compare(Run(store, judged.run), "best", "pool")
    recipe = Recipe.load(place / "small.yaml").set("stages.best.keep.count", 60).set("stages.scored.keep.count", 80)
    more = verbs.run(recipe, store=store, executor=InProcess())
    evaluate(more, scale=str(small_scale), seeds=2, executor=InProcess())
    second = compare(Run(store, judged.run), "best", "pool")
    assert len(second.family.contrasts) > len(first.family.contrasts)
    assert second.file != first.file
    assert second.difference == first.difference
    across = compare(Run(store, judged.run), "best", f"{more.folder.removeprefix('runs/')}/best")
    assert across.line.control == "best"
    assert across.difference != 0


def test_the_latest_evaluation_is_judged_whatever_its_conditions_are_called(
    judged: Evaluation, small_scale: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(judged.store.path(""), tmp_path / "s")
    held = conditions(judged.scale)
    others = ({**held, "versions": {**held["versions"], "torch": f"other {n}"}} for n in range(1000))
    before = next(other for other in others if f"scores/{conditions_id(other)}" < judged.conditions)
    monkeypatch.setattr(training, "conditions", lambda *_, **_how: before)
    monkeypatch.setattr(training, "software", lambda _: {part: before[part] for part in ("code", "versions")})
    run = Run(Store.open(tmp_path / "s"), judged.run)
    later = evaluate(run, scale=str(small_scale), seeds=2, executor=InProcess())
    assert later.conditions < judged.conditions
    assert compare(run, "best", "pool").evaluation.conditions == later.conditions


def test_an_unknown_arm_is_named_with_those_there_are(judged: Evaluation) -> None:
    with pytest.raises(CeterisError, match="no arm called bset"):
        compare(judged, "bset")


def test_a_run_without_scores_says_what_to_do(place: Path, tmp_path: Path) -> None:
    run = verbs.run(
        Recipe.parse('{stages: {a: {keep: "text_length.words > 3"}}, subsets: [a]}'),
        place / "shards",
        store=tmp_path / "s",
        executor=InProcess(),
    )
    with pytest.raises(CeterisError, match="nothing was evaluated"):
        compare(run)


def test_other_pools_lend_their_noise_and_one_without_any_is_left_out(judged: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = {"a": [1.0, 2.0, 4.0], "b": [3.0, 1.0, 2.5], "c": [0.0, 2.0, 1.0], "equal": [5.0, 5.0], judged.pool: [9.0, 1.0]}
    others = [replace(judged, pool=pool) for pool in runs] + [replace(judged, pool="elsewhere", conditions="scores/other")]
    headlines = {pool: ({"arm": dict(enumerate(of_pool))}, {"arm": "fixed"}) for pool, of_pool in runs.items()}
    monkeypatch.setattr(verdicts, "entries", lambda _: others)
    monkeypatch.setattr(verdicts, "_headlines", lambda some: headlines[some[0].pool])
    assert verdicts.banks_of(judged) == {"fixed": bank_of("fixed", {pool: {"arm": runs[pool]} for pool in "abc"})}


def test_seeds_come_back_in_their_order(judged: Evaluation, tmp_path: Path) -> None:
    shutil.copytree(judged.store.path(""), tmp_path / "s")
    store = Store.open(tmp_path / "s")
    key = next(key for key in store.storage.list(f"{judged.conditions}/entries/") if key.endswith(".json"))
    entry = store.json(key)
    entry["arms"]["best"]["scores"] = {str(seed): "x" for seed in range(12)}
    store.path(key).write_text(json.dumps(entry, sort_keys=True), encoding="utf-8")
    assert list(entries(store)[0].arms["best"].scores) == list(range(12))
