"""A recipe's names, resolved against catalogue and pool: models, signals, groupings, and what each reads."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from curate.catalogue import OWN, Catalogue
from curate.checks import check_columns
from curate.digest import digest_of, sha256_path
from curate.errors import PoolError, RecipeError, nearest
from curate.grouping import Grouping
from curate.measures import check_parameters, measure_of, of_grouping, renamed
from curate.model import Model
from curate.plan import LAWFUL, POOL, Fed, Groups, Lawful, Measure, Reference, Training, parted, reached
from curate.pool import Pool
from curate.recipe import Part as Spec
from curate.recipe import Recipe, Stage
from curate.rule import OnePer, Rule
from curate.signal import Signal
from curate.store import named
from curate.takedown.revoked import NOTHING, Revoked


class Builder:
    """Resolves the recipe's names against catalogue and pool, once each."""

    def __init__(
        self,
        recipe: Recipe,
        pool: Pool,
        catalogue: Catalogue,
        weights: Mapping[str, str],
        cache: Path | None,
        root: "Builder | None" = None,
        refused: Revoked = NOTHING,
    ) -> None:
        """`root` resolves for the pool that is selected from, where `pool` is another one: models are its. `refused`: rows taken down."""
        self.recipe, self.pool, self.catalogue, self.weights, self.cache, self.root = recipe, pool, catalogue, weights, cache, root or self
        self.refused = refused
        self.measures: dict[str, Measure] = {}
        self.groups: dict[str, Groups] = {}
        self.models: dict[str, Training] = {}
        self.sources: dict[str, str] = self.root.sources if root else {}
        self.references: dict[str, Reference] = {}
        self.resolving: list[str] = []

    def beside(self, pool: Pool) -> "Builder":
        """The same names on another pool."""
        return Builder(self.recipe, pool, self.catalogue, self.weights, self.cache, self.root, self.refused)

    @contextmanager
    def _on(self, pool: Pool) -> Iterator[None]:
        """What is wrong with another pool says so."""
        try:
            yield
        except RecipeError as error:
            if pool is self.pool:
                raise
            raise RecipeError(f"{error.what}; asked of {pool.root}", where=error.where, fix=error.fix) from error

    @contextmanager
    def _once(self, name: str, where: str) -> Iterator[None]:
        """A name that needs itself is an error."""
        if name in self.resolving:
            circle = " -> ".join([*self.resolving[self.resolving.index(name) :], name])
            raise RecipeError(f"evidence in a circle: {circle}", where=where, fix="one of them must read something else")
        self.resolving.append(name)
        yield
        self.resolving.pop()

    def model(self, name: str) -> Training:
        """One of `models:`, with the pools and evidence that it is made from."""
        if name not in self.models:
            with self._once(f"models.{name}", self.recipe.models[name].where):
                self.models[name] = self._training(name)
        return self.models[name]

    def _training(self, name: str) -> Training:
        spec = self.recipe.models[name]
        made = self._filter(spec.kind, spec.where)
        if not isinstance(made, Model):
            raise RecipeError(f"{spec.kind} is not a model", where=spec.where, fix="put signals under `signals:`")
        known = {**made.defaults, **dict.fromkeys(made.required), **dict.fromkeys(made.rows), **dict.fromkeys(made.evidence)}
        check_parameters(spec, known)
        missing = [key for key in (*made.required, *made.rows) if key not in spec.parameters]
        if missing:
            raise RecipeError(f"{spec.kind} needs {', '.join(missing)}", where=spec.where, fix=f"add `{missing[0]}: ...`")
        parameters = {**made.defaults, **spec.parameters}
        if made.over and not 0 < parameters.get("sample", 1) <= 1:
            what = f"{spec.kind}: sample is {parameters['sample']}, which is no share of the pool"
            raise RecipeError(what, where=spec.where, fix="give it above 0 and at most 1")
        references = {key: parameters.pop(key, None) for key in made.evidence}
        rows = tuple(self._training_pool(made, key, parameters.pop(key), spec) for key in made.rows)
        how: dict[str, Any] = dict(parameters)
        for key in made.files:
            path = self.recipe.base / str(parameters[key])
            if parameters[key] is not None and path.exists():
                parameters[key], how[key] = str(path.absolute()), sha256_path(path)
        if made.over:
            self._needs(spec, made.reads)
        over = self.pool if made.over else None
        fed, identities, barred = list[Fed](), list[Any](), list[Any]()
        for pool in (*([over] if over else []), *rows):
            builder = self if pool is over else self.beside(pool)
            with self._on(pool):
                inputs = {key: builder.input(key, reference, spec) for key, reference in references.items()}
            names = [parted(str(reference))[0] for reference in references.values()]
            used = reached([each for each in names if each != POOL], builder.measures)
            fed.append(Fed(pool, {key: str(one) for key, one in references.items()}, {each: builder.measures[each] for each in used}))
            identities.append(inputs)
            lawful, barring = builder.barring(required=pool is over)
            if lawful is not None:
                fed[-1] = replace(fed[-1], lawful=lawful, measures={**fed[-1].measures, **barring})
                barred.append([lawful.canonical(), *(one.fingerprint for one in barring.values())])
        asked = [*([identities] if references else []), *([barred] if barred else [])]
        gone = [self.refused.identity(pool) for pool in (*([over] if over else []), *rows)]
        asked += [["revoked", gone]] if any(gone) else []
        identity = digest_of([made.name, made.version, how, [pool.id for pool in rows], *([over.id] if over else []), *asked])
        return Training(name, spec.kind, made, parameters, rows, identity, over, tuple(fed))

    def lawful(self, required: bool = True) -> Lawful | None:
        """What bars rows of this pool; None where the recipe bars nothing or, unless `required`, where the pool lacks what that reads."""
        expr = self.recipe.restricted
        if expr is None:
            return None
        if not required and not self._has(expr.columns):
            return None
        self.check(Stage(LAWFUL, None, None, None, None, expr, self.recipe.where("restricted")), expr)
        return Lawful(expr)

    def barring(self, required: bool = True) -> tuple[Lawful | None, dict[str, Measure]]:
        """`lawful`, and the measures that it asks for."""
        lawful = self.lawful(required)
        asked = [parted(column)[0] for column in (lawful.columns if lawful else ()) if not column.startswith(f"{POOL}.")]
        return lawful, {name: self.measures[name] for name in reached(asked, self.measures)}

    def _has(self, columns: Sequence[str]) -> bool:
        """Whether this pool has the roles and columns that this evidence is made of."""
        waiting, seen = list(columns), set[str]()
        while waiting:
            name, column = parted(waiting.pop())
            if name == POOL and column not in self.pool.columns:
                return False
            if name == POOL or name in seen:
                continue
            seen.add(name)
            spec = self.recipe.signals.get(name) or Spec(name, {}, self.recipe.where("restricted"))
            found = self._filter(spec.kind, spec.where)
            if isinstance(found, Signal):
                if not set(found.reads) <= set(self.pool.roles):
                    return False
                named = [spec.parameters.get(key) for key in found.evidence]
                waiting += [one for one in named if isinstance(one, str) and "." in one]
        return True

    def input(self, key: str, reference: Any, spec: Spec) -> Any:
        """The identity of the evidence that a parameter names, resolved on this pool."""
        name, _, column = str(reference).partition(".")
        if not isinstance(reference, str) or not column:
            fix = f"write `{key}: SIGNAL.column`, or `{key}: pool.COLUMN`"
            raise RecipeError(f"{spec.kind} needs the evidence `{key}`", where=spec.where, fix=fix)
        if name == POOL:
            if column not in self.pool.columns:
                raise RecipeError(f"unknown column {reference}", where=spec.where, fix=nearest(column, self.pool.columns))
            return [POOL, column]
        measure = self.measure(name, spec.where)
        if column not in measure.signal.writes:
            written = [f"{name}.{each}" for each in measure.signal.writes]
            raise RecipeError(f"unknown column {reference}", where=spec.where, fix=nearest(reference, written))
        return [measure.fingerprint, column]

    def _training_pool(self, made: Model, key: str, path: Any, spec: Spec) -> Pool:
        if not self.pool.shards and not (self.recipe.base / str(path)).exists():  # a plan before there are data
            return replace(self.pool, root=Path(str(path)), roles={**self.pool.roles, **{role: role for role in made.reads}})
        try:
            rows = Pool.open(self.recipe.base / str(path), cache=self.cache)
        except PoolError as error:
            raise RecipeError(
                f"the training rows of {spec.kind} cannot be opened: {error}", where=spec.where, fix=f"point `{key}` at a pool"
            ) from error
        missing = [role for role in made.reads if role not in rows.roles]
        if missing:
            raise RecipeError(
                f"{spec.kind} needs the role {missing[0]}, which {rows.root} lacks", where=spec.where, fix="name a pool that has it"
            )
        return rows

    def check(self, stage: Stage, rule: Rule) -> None:
        """Refuse a rule whose columns are not there or are of another kind; remember what it is held against."""
        dtypes: dict[str, pl.DataType] = {f"{POOL}.{name}": dtype for name, dtype in self.pool.columns.items()}
        for column in rule.columns:
            name = column.split(".", 1)[0]
            if name == POOL:
                continue
            measure = self.measure(name, stage.where)
            dtypes |= {f"{name}.{written}": dtype for written, dtype in measure.signal.writes.items()}
        vectors = {f"{name}.{each}" for name, one in self.measures.items() for each in one.signal.vectors}
        check_columns(rule, dtypes, vectors | {f"{POOL}.{each}" for each in self.pool.vectors}, stage.where)
        if isinstance(rule, OnePer):
            self.group(rule.grouping, stage.where)
            if rule.against is not None:
                self.references[stage.name] = self._reference(rule, rule.against, stage.where)

    def _reference(self, rule: OnePer, against: str, where: str) -> Reference:
        try:
            pool = Pool.open(self.recipe.base / against, cache=self.cache)
        except PoolError as error:
            what = f"the pool to hold rows against cannot be opened: {error}"
            raise RecipeError(what, where=where, fix="point `against` at a pool") from error
        sketch = self.groups[rule.grouping].sketch
        missing = [role for role in sketch.signal.reads if role not in pool.roles]
        if missing:
            fix = f"it has {', '.join(pool.roles)}; name its column as this layout does"
            raise RecipeError(f"{rule.grouping} needs the role {missing[0]}, which {pool.root} lacks", where=where, fix=fix)
        builder = self.beside(pool)
        with self._on(pool):
            sketch = builder.group(rule.grouping, where).sketch
        names = {each: f"{each} of {against}" for each in reached([sketch.name], builder.measures)}
        measures = {names[each]: renamed(builder.measures[each], names) for each in names}
        lawful, barring = builder.barring(required=False)
        return Reference(pool, measures[names[sketch.name]], {**measures, **barring}, lawful, self.refused.identity(pool))

    def measure(self, name: str, where: str) -> Measure:
        """A signal, under the name that a rule or a parameter calls it by."""
        if name not in self.measures:
            spec = self.recipe.signals.get(name) or Spec(name, {}, where)
            found = self._filter(spec.kind, spec.where)
            if isinstance(found, Grouping):
                raise RecipeError(
                    f"{name} is a grouping: it judges rows together, not one by one", where=where, fix=f"use `keep: {{one_per: {name}}}`"
                )
            if not isinstance(found, Signal):
                raise RecipeError(f"{name} is a model, not a signal", where=where, fix="name it under `models:` and give it to a signal")
            with self._once(name, spec.where):
                self.measures[name] = self._resolved(name, spec.kind, found, spec, spec.parameters)
        return self.measures[name]

    def group(self, name: str, where: str) -> Groups:
        """A grouping, with its sketch."""
        if name not in self.groups:
            spec = self.recipe.signals.get(name) or Spec(name, {}, where)
            found = self._filter(spec.kind, spec.where)
            if not isinstance(found, Grouping):
                raise RecipeError(
                    f"{spec.kind} is not a grouping",
                    where=spec.where,
                    fix="one_per takes exact_duplicate, near_duplicate_image, near_duplicate_text ...",
                )
            links, threshold = of_grouping(found, spec)
            own = {*found.sketch.defaults, *found.sketch.models, *found.sketch.evidence}
            sketch_only = {key: value for key, value in spec.parameters.items() if key in own}
            sketch = self._resolved(
                f"{name}.sketch", f"{spec.kind}.sketch", found.sketch, Spec(spec.kind, sketch_only, spec.where), sketch_only
            )
            identity = digest_of([found.name, found.version, sketch.fingerprint, links])
            self.groups[name] = Groups(name, found, sketch, links, threshold, f"links/{named(found.name, identity)}")
            self.measures[sketch.name] = sketch
        return self.groups[name]

    def _resolved(self, name: str, kind: str, signal: Signal, spec: Spec, given: Mapping[str, Any]) -> Measure:
        check_parameters(spec, signal.parameters)
        models = self._models(signal, spec)
        found = {key: self.weights.get(one.id, f"pending:{one.id}") for key, one in models.items()}
        self._needs(spec, signal.reads)
        inputs = {key: self.input(key, given.get(key), spec) for key in signal.evidence}
        sources = [parted(str(given[key]))[0] for key in signal.evidence]
        pending = any(one.id not in self.weights for one in models.values())
        pending |= any(self.measures[source].pending for source in sources if source != POOL)
        parameters = {**signal.defaults, **given, **found}
        return measure_of(name, kind, signal, parameters, self.pool, tuple(models.values()), pending, inputs)

    def _needs(self, spec: Spec, roles: Sequence[str]) -> None:
        missing = [role for role in roles if role not in self.pool.roles]
        if missing:
            raise RecipeError(
                f"{spec.kind} reads the role {missing[0]}, which this pool lacks (it has {', '.join(self.pool.roles)})",
                where=spec.where,
                fix=f"name the column with --role {missing[0]}=COLUMN, or use a stored pool.COLUMN instead",
            )

    def _models(self, signal: Signal, spec: Spec) -> dict[str, Training]:
        """The recipe's model for each of a signal's model parameters, but for those that name what is built in."""
        found = {}
        for key, built_in in signal.models.items():
            model = spec.parameters.get(key, signal.defaults.get(key))
            if isinstance(model, str) and model in self.recipe.models:
                found[key] = self.root.model(model)
            elif model not in built_in:
                known = [*built_in, *self.recipe.models]
                fix = f"add `{key}: NAME` with one of: {', '.join(known)}" if known else "name a model under `models:`"
                raise RecipeError(f"{spec.kind} needs a model for `{key}`", where=spec.where, fix=fix)
        return found

    def validate(self, spec: Spec) -> None:
        """Refuse what is wrong with an entry of `signals`, also where no stage uses it; only what stages use needs its roles."""
        found = self._filter(spec.kind, spec.where)
        if isinstance(found, Model):
            raise RecipeError(
                f"{spec.kind} is a model, not a signal", where=spec.where, fix="name it under `models:` and give it to a signal"
            )
        if isinstance(found, Grouping):
            of_grouping(found, spec)
        else:
            check_parameters(spec, found.parameters)
        self._models(found.sketch if isinstance(found, Grouping) else found, spec)

    def _filter(self, name: str, where: str) -> Any:
        if name not in self.catalogue:
            raise RecipeError(f"there is no filter called {name}", where=where, fix=f"{nearest(name, self.catalogue)} {OWN}")
        self.sources[name] = self.catalogue[name].source
        return self.catalogue[name].load()

    def identity(self, rule: Rule | None, stage: str) -> Any:
        """What a rule's answer depends on besides its own text: the fingerprints behind the names it uses."""
        if rule is None:
            return None
        names = {column.split(".", 1)[0] for column in rule.columns} - {POOL}
        how: dict[str, Any] = {name: self.measures[name].fingerprint for name in names}
        if isinstance(rule, OnePer):
            group = self.groups[rule.grouping]
            how[rule.grouping] = [group.folder, group.threshold]
            if stage in self.references:
                reference = self.references[stage]
                how["against"] = reference.pool.id
                if reference.refused is not None:
                    how["revoked"] = reference.refused
                if reference.lawful is not None:
                    names = {parted(column)[0] for column in reference.lawful.columns} - {POOL}
                    how["restricted"] = [reference.lawful.canonical(), {name: reference.measures[name].fingerprint for name in names}]
        return how
