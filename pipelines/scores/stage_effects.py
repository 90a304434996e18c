"""What each stage of a recipe adds at the end of the pipeline: the recipe is run, trained and compared without one stage after
the other."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curate.errors import CeterisError, RecipeError, nearest
from curate.executor import Executor
from curate.pool import Pool
from curate.recipe import POOL, Recipe
from curate.record import Run
from curate.store import Store
from curate.yaml_source import write
from eval_fixed_model.statistics import Contrast
from pipelines import verbs
from pipelines.scores.costs import ancestors, asked, seconds_of
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.training import evaluate
from pipelines.scores.verdicts import Judged, compare
from pipelines.verbs import Progress, silent


@dataclass(frozen=True)
class StageEffect:
    """What the recipe has with this stage and not without it: `contrast` is the subset minus the same recipe `without` the stage
    (None where both keep the same rows), its interval simultaneous with those of all other stages; `rows` of the subset,
    `rows_without` the stage. `seconds` of one core that the evidence of its rule took, `alone` those of evidence that no other
    stage of the subset asks for."""

    stage: str
    rule: str
    without: str
    contrast: Contrast | None
    rows: int
    rows_without: int
    seconds: float
    alone: float


@dataclass(frozen=True)
class StageEffects:
    """The effects of a subset's stages, in the order of the recipe, read from `judged`."""

    subset: str
    evaluation: Evaluation
    judged: Judged
    effects: tuple[StageEffect, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        about = {"run": self.evaluation.run, "scale": self.evaluation.scale.name, "conditions": self.evaluation.conditions}
        return {**about, "subset": self.subset, "verdict": self.judged.file, "effects": [asdict(effect) for effect in self.effects]}


def stage_effects(
    recipe: Recipe,
    pool: Pool | str | Path | None = None,
    subset: str | None = None,
    *,
    store: Store | str | Path | None = None,
    scale: str | None = None,
    seeds: int | None = None,
    executor: Executor | None = None,
    filters: Sequence[Path] = (),
    progress: Progress = silent,
) -> StageEffects:
    """Run the recipe with and without each stage, train every different subset once, and compare. `subset` defaults to the recipe's last.

    One run holds them all, so that models, pool and decisions before the stage left out are shared. CeterisError as of `run` and
    `evaluate`, and for a subset that no stage can be left out of."""
    own = executor or verbs.workers()
    try:
        target = subset or (recipe.subsets[-1] if recipe.subsets else "")
        derived, without = leave_one_out(recipe, target)
        run = verbs.run(derived, pool, store=store, executor=own, filters=filters, progress=progress)
        done = evaluate(run, scale=scale, seeds=seeds, only=[target, *without.values()], executor=own, progress=progress)
    finally:
        if executor is None:
            own.close()
    judged = compare(done, target, list(without.values()))
    return StageEffects(target, done, judged, tuple(_effect(run, done, judged, target, *pair) for pair in without.items()))


def _effect(run: Run, done: Evaluation, judged: Judged, target: str, stage: str, without: str) -> StageEffect:
    stages = ancestors(run, [target])
    mine = asked(run, [stage])
    others = asked(run, [name for name in stages if name != stage])
    rows = (done.arms[target].rows, done.arms[without].rows)
    contrast = next((one for one in judged.contrasts if one.control == without), None)
    rule = run.facts["nodes"][stage]["rule"] or f"minus {', '.join(run.facts['nodes'][stage]['parents'][1:])}"
    return StageEffect(stage, rule, without, contrast, *rows, seconds_of(run, mine), seconds_of(run, mine - others))


def leave_one_out(recipe: Recipe, subset: str) -> tuple[Recipe, dict[str, str]]:
    """One recipe with the subset, and beside it the same subset without each of its stages in turn; and the name of each, by stage.

    A stage left out lets all rows through that reach it: what came `after` it comes after its parents. An `any_of` loses it as an
    operand, and `minus` what it would take away. Stages with a rule, and differences, can be left out; the operands of a
    combination are, one by one."""
    if subset not in recipe.stages:
        raise RecipeError(f"no stage is called {subset}", where=recipe.where("stages"), fix=nearest(subset, recipe.stages))
    value: dict[str, Any] = copy.deepcopy(recipe.source.value)
    stages, order = value["stages"], _above(recipe, subset)
    without: dict[str, str] = {}
    for stage in order:
        if recipe.stages[stage].rule is None and recipe.stages[stage].combinator != "minus":
            continue
        changed = _without(recipe, stage)
        names = {name: _free(f"{name}-without-{stage}", recipe.stages) for name in order if _reaches(recipe, name, stage)}
        for name in _still(changed, subset):
            if name in names:
                stages[names[name]] = _renamed(changed[name], names)
        without[stage] = names[subset]
    if not without:
        raise CeterisError(f"no stage of {subset} can be left out", where=recipe.where(f"stages.{subset}"), fix="name a subset with rules")
    value["subsets"] = [subset, *without.values()]
    return Recipe.parse(write(value), where=f"{recipe.name}-effects.yaml", base=recipe.base), without


def _above(recipe: Recipe, subset: str) -> list[str]:
    """The subset's stages, parents first."""
    wanted = {subset}
    for name in reversed(recipe.order()):
        if name in wanted:
            wanted |= set(recipe.stages[name].parents)
    return [name for name in recipe.order() if name in wanted]


def _reaches(recipe: Recipe, name: str, stage: str) -> bool:
    return name == stage or any(parent != POOL and _reaches(recipe, parent, stage) for parent in recipe.stages[name].parents)


def _still(stages: dict[str, dict[str, Any]], subset: str) -> set[str]:
    """The subset and all that it is made of."""
    written = [value for key, value in stages.get(subset, {}).items() if key != "keep"]
    parents = [name for value in written for name in ([value] if isinstance(value, str) else value)]
    return {subset}.union(*[_still(stages, parent) for parent in parents if parent != POOL])


def _free(name: str, taken: Any) -> str:
    while name in taken:
        name += "-"
    return name


def _without(recipe: Recipe, stage: str) -> dict[str, dict[str, Any]]:
    """Every stage as the recipe writes it, but this one lets everything through, and is no operand that only adds or takes away."""
    changed: dict[str, dict[str, Any]] = copy.deepcopy(recipe.source.value["stages"])
    left = changed[stage]
    if recipe.stages[stage].rule is not None:
        del left["keep"]
    elif "minus" in left:
        changed[stage] = {"after": left["minus"][0]}
    for written in changed.values():
        if stage in written.get("any_of", ()):
            _drop(written, "any_of", stage)
        if stage in written.get("minus", ())[1:]:
            _drop(written, "minus", stage)
    return changed


def _drop(written: dict[str, Any], combinator: str, operand: str) -> None:
    """A combination of one operand comes after it."""
    left = [name for n, name in enumerate(written.pop(combinator)) if name != operand or (combinator == "minus" and n == 0)]
    written |= {"after": left[0]} if len(left) == 1 else {combinator: left}


def _renamed(written: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    def renamed(value: Any) -> Any:
        return names.get(value, value) if isinstance(value, str) else [names.get(name, name) for name in value]

    return {key: value if key == "keep" else renamed(value) for key, value in written.items()}
