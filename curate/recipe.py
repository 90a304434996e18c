"""A recipe: which pool, models, signals, stages and subsets, read from YAML 1.2, checked, frozen and digested."""

import copy
import graphlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from curate.digest import digest_of
from curate.errors import RecipeError, nearest
from curate.recipe_keys import RecipeKeys, StageKeys
from curate.rule import Expr, Rule, parse_rule
from curate.shape import validated
from curate.yaml_source import LARGEST, Source, Spot, plain, read, without_text, write

POOL = "pool"
_COMBINATORS = ("after", "all_of", "any_of", "minus")
_SECTIONS = ("models", "signals", "stages")


@dataclass(frozen=True)
class PoolSpec:
    """Where a pool lies, its layout where the recipe names one, and the columns that play roles."""

    path: Path
    layout: str | None
    roles: dict[str, str]


@dataclass(frozen=True)
class Part:
    """A filter with parameters: one entry of `models` or `signals`."""

    kind: str
    parameters: dict[str, Any]
    where: str = field(default="", compare=False)


@dataclass(frozen=True)
class Stage:
    """A set of rows: those of its parents, combined, that pass the rule."""

    name: str
    after: str | None
    all_of: tuple[str, ...] | None
    any_of: tuple[str, ...] | None
    minus: tuple[str, ...] | None
    rule: Rule | None
    where: str = field(default="", compare=False)

    @property
    def combinator(self) -> str:
        """after, all_of, any_of or minus."""
        return next((key for key in _COMBINATORS[1:] if getattr(self, key) is not None), "after")

    @property
    def parents(self) -> tuple[str, ...]:
        """The stages it is made of, as written; "pool" where it names none."""
        return self.all_of or self.any_of or self.minus or (self.after or POOL,)

    def canonical(self) -> list[Any]:
        """JSON-able identity, without its name."""
        return [self.combinator, list(self.parents), self.rule.canonical() if self.rule else None]


@dataclass(frozen=True)
class Evaluate:
    """The scale that judges the subsets, and how many seeds."""

    scale: str
    seeds: int


@dataclass(frozen=True)
class Recipe:
    """What a recipe says, every reference checked. Recipes are equal that say the same, wherever and however they are written."""

    pool: PoolSpec | None
    models: dict[str, Part]
    signals: dict[str, Part]
    stages: dict[str, Stage]
    subsets: tuple[str, ...]
    evaluate: Evaluate | None
    errors_at_most: Fraction
    restricted: Expr | None
    name: str = field(compare=False)
    base: Path = field(compare=False)
    source: Source = field(compare=False, repr=False)

    @classmethod
    def load(cls, path: str | Path) -> "Recipe":
        """The recipe in a file; its paths are relative to that file. RecipeError names file, line and column."""
        file = Path(path)
        if not file.is_file():
            near = nearest(file.name, [each.name for each in file.parent.glob("*.yaml")] if file.parent.is_dir() else [])
            raise RecipeError("there is no such recipe", where=str(path), fix=near)
        with file.open("rb") as stream:
            data = stream.read(LARGEST + 1)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise RecipeError("not UTF-8 text", where=f"{path}:{line}:1", fix="save the recipe as UTF-8") from error
        return cls.parse(text, where=str(path), base=file.parent)

    @classmethod
    def parse(cls, text: str, *, where: str = "recipe", base: Path = Path(".")) -> "Recipe":
        """The recipe in a text; `where` names it in errors, `base` is what its paths are relative to."""
        return _recipe(read(text, where=where), Path(where).stem, base)

    def set(self, path: str, value: Any) -> "Recipe":
        """Another recipe with the value at a literal path, "stages.matched.keep.fraction"; RecipeError for a path that leads nowhere."""
        return self._changed(path, plain(value, f"set {path}"))

    def set_text(self, assignment: str) -> "Recipe":
        """The same from the command line: "stages.matched.keep.fraction=0.2", the value written in YAML."""
        path, equals, text = assignment.partition("=")
        if not equals:
            raise RecipeError(f"{assignment!r} is not PATH=VALUE", where="--set", fix="for example stages.matched.keep.fraction=0.2")
        return self._changed(path.strip(), read(text, where=f"set {path.strip()}").value)

    @cached_property
    def digest(self) -> str:
        """Hex digest of what selects rows, apart from the pool: models, signals, stages, subsets and errors_at_most.

        Spelling, comments, and the order of keys, stages and subsets do not change it; the order of `and` clauses and operands does.
        """
        named = {
            section: {name: [part.kind, part.parameters] for name, part in getattr(self, section).items()} for section in _SECTIONS[:2]
        }
        stages = {name: stage.canonical() for name, stage in self.stages.items()}
        barred = {"restricted": self.restricted.canonical()} if self.restricted else {}
        limits = {"subsets": sorted(self.subsets), "errors_at_most": str(self.errors_at_most)}
        return digest_of({**named, "stages": stages, **limits, **barred})

    @property
    def text(self) -> str:
        """The recipe as YAML 1.2, every `set` applied, without comments; it parses back to an equal recipe at the same `base`."""
        return write(self.source.value)

    def order(self) -> tuple[str, ...]:
        """The stages, every parent before its children. RecipeError names the cycle if there is one."""
        return _ordered(self.stages)

    def where(self, path: str) -> str:
        """file:line:column of a key, "stages.matched.keep"; of what encloses it where it is not written."""
        return self.source.at(_spot(path), key=True)

    def model(self, name: str, *, where: str = "") -> Part:
        """The model of this name. RecipeError with the nearest one if there is none."""
        if name not in self.models:
            raise RecipeError(f"unknown model {name}", where=where, fix=nearest(name, self.models))
        return self.models[name]

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """JSON Schema (2020-12) of recipes, for editors to complete and check by."""
        made = RecipeKeys.model_json_schema()
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Ceteris recipe"}

    def _changed(self, path: str, value: Any) -> "Recipe":
        spot = _spot(path)
        changed = copy.deepcopy(self.source.value)
        inner: Any = changed
        for depth, part in enumerate(spot):
            last, free = depth == len(spot) - 1, depth != 1 or spot[0] not in _SECTIONS
            known = range(len(inner)) if isinstance(inner, list) else list(inner) if isinstance(inner, dict) else []
            if part not in known and not (last and free and isinstance(inner, dict)):
                missing = ".".join(map(str, spot[: depth + 1]))
                raise RecipeError(f"no such path: {missing}", where=f"set {path}", fix=nearest(str(part), map(str, known)))
            if last:
                inner[part] = value
            else:
                inner = inner[part]
        keys, values = ({s: p for s, p in places.items() if s[: len(spot)] != spot} for places in (self.source.keys, self.source.values))
        place = {spot: f"set {path}"}
        return _recipe(Source(changed, keys | place, values | place), self.name, self.base)


def _recipe(source: Source, name: str, base: Path) -> Recipe:
    if not isinstance(source.value, dict):
        what = "the recipe is empty" if source.value is None else "a recipe is a mapping"
        raise RecipeError(what, where=source.at(()), fix="write stages: and subsets:")
    _no_blanks({key: value for key, value in source.value.items() if key not in _SECTIONS[:2]}, (), source)
    keys = validated(RecipeKeys, source.value, source.at)
    stages = {stage: _stage(stage, keys.stages[stage], source) for stage in keys.stages}
    made = Recipe(
        pool=PoolSpec(base / keys.pool.path, keys.pool.layout, keys.pool.roles) if keys.pool else None,
        models=_parts("models", keys.models, source),
        signals=_parts("signals", keys.signals, source),
        stages=stages,
        subsets=tuple(keys.subsets),
        evaluate=Evaluate(keys.evaluate.scale, keys.evaluate.seeds) if keys.evaluate else None,
        errors_at_most=keys.errors_at_most,
        restricted=_restricted(keys.restricted, source),
        name=name,
        base=base,
        source=source,
    )
    _check_references(made)
    made.order()
    return made


def _no_blanks(value: Any, spot: Spot, source: Source) -> None:
    """A key without a value would silently mean its default, which for `keep` is everything."""
    if value is None:
        name = ".".join(map(str, spot))
        raise RecipeError(f"{name} has no value", where=source.at(spot, key=True), fix="give it one or remove the key")
    inner: Iterable[tuple[str | int, Any]] = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for part, item in inner:
        _no_blanks(item, (*spot, part), source)


def _parts(section: str, entries: dict[str, dict[str, dict[str, Any]]], source: Source) -> dict[str, Part]:
    made: dict[str, Part] = {}
    for name, entry in entries.items():
        where = source.at((section, name), key=True)
        if len(entry) != 1:
            raise RecipeError(f"{section}.{name} names {len(entry)} filters", where=where, fix=f"write {name}: {{FILTER: {{parameters}}}}")
        if name == POOL:
            raise RecipeError("pool is the name of what the pool brings", where=where, fix="choose another name")
        ((kind, parameters),) = entry.items()
        made[name] = Part(kind, without_text(parameters), where)
    return made


def _stage(name: str, keys: StageKeys, source: Source) -> Stage:
    spot: Spot = ("stages", name)
    where = source.at(spot, key=True)
    if name == POOL:
        raise RecipeError("pool is the name of every row together", where=where, fix="choose another name for this stage")
    given = [key for key in _COMBINATORS if getattr(keys, key) is not None]
    if len(given) > 1:
        second = source.at((*spot, given[1]), key=True)
        raise RecipeError(f"stage {name} has both {given[0]} and {given[1]}", where=second, fix="make two stages of it")

    def at(spot: Spot, *, key: bool = False) -> str:
        return source.at(("stages", name, "keep", *spot), key=key)

    rule = parse_rule(keys.keep, where=at(()), at=at) if keys.keep is not None else None
    all_of, any_of, minus = (tuple(names) if names is not None else None for names in (keys.all_of, keys.any_of, keys.minus))
    return Stage(name, keys.after, all_of, any_of, minus, rule, where)


def _restricted(said: Any, source: Source) -> Expr | None:
    if said is None:
        return None
    rule = parse_rule(said, where=source.at(("restricted",)))
    if not isinstance(rule, Expr):
        fix = "write a condition on each row's evidence, such as listed.matched"
        raise RecipeError("restricted is no expression", where=source.at(("restricted",)), fix=fix)
    return rule


def _check_references(recipe: Recipe) -> None:
    known = (POOL, *recipe.stages)
    for stage in recipe.stages.values():
        for n, parent in enumerate(stage.parents):
            if parent not in known:
                inner: Spot = () if stage.combinator == "after" else (n,)
                where = recipe.source.at(("stages", stage.name, stage.combinator, *inner))
                raise RecipeError(f"unknown stage {parent}", where=where, fix=nearest(parent, known))
    for n, subset in enumerate(recipe.subsets):
        if subset not in known:
            where = recipe.source.at(("subsets", n))
            raise RecipeError(f"unknown subset {subset}: it is no stage", where=where, fix=nearest(subset, known))
        if subset in recipe.subsets[:n]:
            raise RecipeError(f"the subset {subset} is listed twice", where=recipe.source.at(("subsets", n)), fix="remove one of them")
    for name, signal in recipe.signals.items():
        model = signal.parameters.get("model")
        if isinstance(model, str):
            recipe.model(model, where=recipe.source.at(("signals", name, signal.kind, "model")))


def _ordered(stages: dict[str, Stage]) -> tuple[str, ...]:
    sorter = graphlib.TopologicalSorter({name: stage.parents for name, stage in stages.items()})
    try:
        return tuple(name for name in sorter.static_order() if name != POOL)
    except graphlib.CycleError as error:
        cycle = error.args[1][:-1]
        first = min(range(len(cycle)), key=lambda n: list(stages).index(cycle[n]))
        turned = [*cycle[first:], *cycle[:first], cycle[first]]
        where = stages[turned[0]].where
        raise RecipeError(
            f"stages in a cycle: {' -> '.join(turned)}", where=where, fix="a stage can only use rows of earlier ones"
        ) from error


def _spot(path: str) -> Spot:
    return tuple(int(part) if part.isdecimal() else part for part in path.split("."))
