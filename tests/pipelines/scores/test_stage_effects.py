import shutil
from pathlib import Path

import pytest

from curate.errors import CeterisError, RecipeError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.store import Store
from pipelines.scores.evaluations import Evaluation, entries
from pipelines.scores.stage_effects import StageEffects, leave_one_out, stage_effects


def _recipe(stages: str, subset: str = "end") -> Recipe:
    return Recipe.parse(f"{{stages: {{{stages}}}, subsets: [{subset}]}}")


def _parents(recipe: Recipe, name: str) -> tuple[str, tuple[str, ...], bool]:
    stage = recipe.stages[name]
    return stage.combinator, stage.parents, stage.rule is not None


CHAIN = "a: {keep: x.y > 1}, b: {after: a, keep: x.y > 2}, end: {after: b, keep: {top: x.z, count: 3}}"


def test_a_stage_of_a_chain_lets_all_rows_through() -> None:
    derived, without = leave_one_out(_recipe(CHAIN), "end")
    assert derived.subsets == ("end", "end-without-a", "end-without-b", "end-without-end")
    assert list(without) == ["a", "b", "end"]
    assert _parents(derived, "end-without-end") == ("after", ("b",), False)
    assert _parents(derived, "end-without-b") == ("after", ("b-without-b",), True)
    assert _parents(derived, "b-without-b") == ("after", ("a",), False)
    assert _parents(derived, "a-without-a") == ("after", ("pool",), False)
    for name, stage in _recipe(CHAIN).stages.items():
        assert derived.stages[name] == stage


def test_an_operand_that_adds_or_takes_away_is_dropped_and_one_that_narrows_widens() -> None:
    recipe = _recipe(
        "a: {keep: x.y > 1}, b: {after: a, keep: x.y > 2}, c: {after: a, keep: x.y > 3}, bad: {after: a, keep: x.y > 4}, "
        "both: {all_of: [b, c]}, some: {any_of: [b, c]}, end: {minus: [both, bad, some]}"
    )
    derived, without = leave_one_out(recipe, "end")
    assert set(without) == {"a", "b", "c", "bad", "end"}
    assert _parents(derived, "end-without-bad") == ("minus", ("both", "some"), False)
    assert _parents(derived, "end-without-end") == ("after", ("both",), False)
    assert _parents(derived, "both-without-b") == ("all_of", ("b-without-b", "c"), False)
    assert _parents(derived, "some-without-b") == ("after", ("c",), False)
    assert _parents(derived, "end-without-b") == ("minus", ("both-without-b", "bad", "some-without-b"), False)
    assert "bad-without-bad" not in derived.stages  # nothing is made of it


def test_a_subset_without_rules_and_an_unknown_one_are_refused() -> None:
    with pytest.raises(CeterisError, match="no stage of end can be left out"):
        leave_one_out(_recipe("end: {}"), "end")
    with pytest.raises(RecipeError, match="no stage is called edn"):
        leave_one_out(_recipe(CHAIN), "edn")


@pytest.fixture(scope="module")
def found(scored: Evaluation, place: Path, two_tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> StageEffects:
    at = tmp_path_factory.mktemp("effects") / "s"
    shutil.copytree(scored.store.path(""), at)
    recipe = Recipe.load(place / "stages.yaml")
    return stage_effects(recipe, store=at, scale=str(two_tasks), seeds=2, executor=InProcess())


def test_each_stage_is_left_out_trained_and_compared_at_once(found: StageEffects, scored: Evaluation) -> None:
    assert [effect.stage for effect in found.effects] == ["basic", "unique", "long"]
    by_stage = {effect.stage: effect for effect in found.effects}
    for stage in ("unique", "long"):
        effect = by_stage[stage]
        assert effect.contrast is not None
        assert (effect.contrast.candidate, effect.contrast.control) == ("long", f"long-without-{stage}")
        means = [sum(found.evaluation.score(name, seed).headline for seed in (0, 1)) / 2 for name in ("long", effect.without)]
        assert effect.contrast.difference == pytest.approx(means[0] - means[1])
    assert by_stage["basic"].contrast is None  # the longest of more are the same
    assert found.judged.same == (("long", "long-without-basic"),)
    assert by_stage["long"].rows_without == scored.arms["unique"].rows  # the recipe without its last stage
    assert by_stage["basic"].rows == by_stage["basic"].rows_without == 120
    assert found.judged.family.critical is not None
    assert len(found.judged.family.contrasts) == 4  # those of the recipe alone, one of which is the last stage's, and one more


def test_equal_subsets_are_not_trained_again(found: StageEffects, scored: Evaluation) -> None:
    known = {arm.id for arm in scored.arms.values()}
    new = {arm.id for arm in found.evaluation.arms.values()} - known
    assert found.evaluation.trained == 2 * len(new)
    assert found.evaluation.arms["long-without-long"].id == scored.arms["unique"].id
    assert len(entries(Store.open(found.evaluation.store.address))) == 2


def test_a_stage_costs_its_evidence_and_what_is_shared_is_told_apart(found: StageEffects) -> None:
    by_stage = {effect.stage: effect for effect in found.effects}
    assert by_stage["unique"].seconds == by_stage["unique"].alone > 0
    assert by_stage["long"].seconds > 0
    assert by_stage["long"].alone == 0  # `basic` asks for the same signal
