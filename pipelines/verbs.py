"""The verbs of the Python API: plan, run, evaluate, compare, why, audit, export. The command line says the same."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from curate import audit as auditing
from curate.errors import CeterisError, PoolError, RecipeError
from curate.estimate import Forecast, forecast
from curate.executor import Executor, InProcess, Processes
from curate.exports.export import Blurring, Redaction
from curate.exports.export import export as write_out
from curate.plan import Plan
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run, Selected
from curate.run import Outcome, resolve
from curate.run import run as select
from curate.store import Store
from pipelines.captions import name_entries
from pipelines.catalog import catalogue

STORE = ".ceteris"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Planned:
    """A plan with what the store already holds for it, what it would cost, and advice. No row was read."""

    plan: Plan
    forecast: Forecast


def silent(label: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def store_address(given: str | Path | None = None) -> str:
    """Where evidence is kept: as given, else CETERIS_STORE, else the nearest .ceteris folder upwards, else here."""
    named = str(given) if given else os.environ.get("CETERIS_STORE")
    if named:
        return named
    here = Path.cwd()
    return str(next((folder / STORE for folder in (here, *here.parents) if (folder / STORE / "FORMAT").is_file()), here / STORE))


def refuse_torn(values: Mapping[str, str]) -> None:
    """CeterisError where a value, by its name, holds bytes that are no UTF-8, as a command line may: no pool has such a text."""
    for name, value in values.items():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise CeterisError(
                f"{ascii(value)[:80]} is no text in UTF-8", where=name, fix="give it as the pool has it, in UTF-8"
            ) from error


def open_store(given: str | Path | Store | None = None) -> Store:
    """The store at `store_address`, made if it is not there."""
    return given if isinstance(given, Store) else Store.open(store_address(given))


def open_pool(
    recipe: Recipe | None, pool: Pool | str | Path | None, store: Store, layout: str | None = None, roles: Mapping[str, str] | None = None
) -> Pool:
    """The pool as given, else the recipe's; layout and roles given here win. RecipeError if there is none."""
    if isinstance(pool, Pool):
        return pool
    spec = recipe.pool if recipe else None
    path = Path(pool) if pool is not None else spec.path if spec else None
    if path is None:
        where = recipe.where("stages") if recipe else ""
        raise RecipeError(
            "the recipe names no pool",
            where=where,
            fix="give one with --pool PATH, or add `pool: {path: ...}` to the recipe; to plan, --layout NAME is enough",
        )
    given = {**(spec.roles if spec and pool is None else {}), **(roles or {})}
    named = layout or (spec.layout if spec and pool is None else None)
    try:
        return Pool.open(path, layout=named, roles=given, cache=store.path("pools/files.json"))
    except PoolError as error:
        if recipe is None or pool is not None:
            raise
        where = f"{recipe.where('pool')}, {error.where}" if error.where else recipe.where("pool")
        raise PoolError(error.what, where=where, fix=error.fix) from error


def workers(count: int | None = None) -> Executor:
    """Processes beside this one: `count`, else one per core; in this process when that is one."""
    count = count or len(os.sched_getaffinity(0))
    return InProcess() if count == 1 else Processes(count)


def plan(
    recipe: Recipe,
    pool: Pool | str | Path | None = None,
    *,
    store: Store | str | Path | None = None,
    filters: Sequence[Path] = (),
    layout: str | None = None,
    roles: Mapping[str, str] | None = None,
) -> Planned:
    """Check everything about a recipe on a pool and say what a run would measure. Reads no row.

    With a layout and no pool, neither given nor the recipe's: on what pools of that layout have. What models are to be made from need not
    be there then.
    """
    _refuse_unknown_scale(recipe)
    at = open_store(store)
    if pool is None and recipe.pool is None and layout is not None:
        pool = Pool.described(layout)
    found = resolve(recipe, open_pool(recipe, pool, at, layout, roles), catalogue(filters), at)
    return Planned(found, forecast(found, at))


def _refuse_unknown_scale(recipe: Recipe) -> None:
    if recipe.evaluate:
        from pipelines.scores.named_scale import refuse_unknown_scale

        refuse_unknown_scale(recipe)


def run(
    recipe: Recipe,
    pool: Pool | str | Path | None = None,
    *,
    store: Store | str | Path | None = None,
    executor: Executor | None = None,
    filters: Sequence[Path] = (),
    layout: str | None = None,
    roles: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Run:
    """Select the recipe's subsets, measuring only what the store lacks."""
    at = open_store(store)
    return Run(at, run_with_effort(recipe, open_pool(recipe, pool, at, layout, roles), at, executor, filters, progress).folder)


def run_with_effort(
    recipe: Recipe, pool: Pool, store: Store, executor: Executor | None, filters: Sequence[Path], progress: Progress
) -> Outcome:
    """`run` with what it cost; closes the executor only if it started it. Where the recipe says how subsets are judged, PoolError for
    evaluation pictures among the rows that its models would be trained on."""
    _refuse_unknown_scale(recipe)
    if recipe.evaluate and recipe.models:
        from pipelines.scores.refusal import refuse_evaluation_images

        refuse_evaluation_images(resolve(recipe, pool, catalogue(filters), store), store)
    own = executor or workers()
    try:
        return select(recipe, pool, catalogue(filters), store, own, progress)
    finally:
        if executor is None:
            own.close()


def why(run: Run, uid: str) -> dict[str, Any]:
    """Every value, rule, cut and survivor of one row."""
    return name_entries(run, auditing.why(run, uid))


def near(run: Run, stage: str, count: int = 5) -> list[dict[str, Any]]:
    """`count` rows on each side of a stage's cut; of rows that are restricted or were taken down the uid alone."""
    from pipelines.provenance.fate import barred_of

    return auditing.near(run, stage, count, hidden=barred_of(run))


def mixes(run: Run, by: Sequence[str] = (), subsets: Sequence[str] | None = None) -> dict[str, pl.DataFrame]:
    """What each subset, or each of `subsets`, is made of, by each column asked for; else by licence class, language and source."""
    known = [f"{name}.{column}" for name, measure in run.facts["measures"].items() for column in measure["columns"]]
    default: list[str] = [column for column in ("license.class", "language.code") if column in known]
    default += [role for role in ("license", "source") if role in run.pool.roles and f"{role}.class" not in known]
    columns = list(by) or default
    if not columns:
        roles = ", ".join(run.pool.roles)
        raise CeterisError(
            "nothing to audit by: no licence, language or source is known", fix=f"name a column with --by, for example {roles}"
        )
    from pipelines.provenance.fate import barred_of

    hidden = barred_of(run)
    return {column: auditing.mix(run, column, list(subsets) if subsets else None, hidden=hidden) for column in columns}


def export(
    subset: Selected,
    out: str | Path,
    layout: str = "parquet",
    redact: str | None = None,
    blur: str | None = None,
    evidence: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write a subset out as `parquet` rows, `jsonl.zst`, `webdataset` shards, a list of `uids` or DataComp's `npy`; returns what it is.

    `redact="pii"`: texts leave without the personal data that the filter `pii` counts (but private addresses), placeholders in their place.
    `blur="faces"`: images leave with the boxes of the role face_boxes blurred. `evidence={"score": "match.score"}`: rows leave with what
    signals measured (in `webdataset` in each json); vectors as lists of floats.
    """
    from pipelines.provenance.restricted import refuse_restricted  # which asks the other verbs

    refuse_restricted(subset.run, subset.name)
    redaction, blurring = _redaction(redact) if redact else None, _blurring(blur) if blur else None
    return write_out(subset.run, subset.name, Path(out), layout, redaction, blurring, evidence)


def _blurring(name: str) -> Blurring:
    if name != "faces":
        raise CeterisError(f"nothing called {name} can be blurred", where="--blur", fix="the only one is faces")
    from filters._faces import blurred  # loads Pillow

    return Blurring(name, blurred)


def _redaction(name: str) -> Redaction:
    if name != "pii":
        raise CeterisError(f"there is no redaction {name}", where="--redact", fix="the only one is pii")
    from filters._pii import redacted  # loads a compiler

    return Redaction(name, redacted)
