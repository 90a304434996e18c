"""The command `curate`: thin, every verb one function. Exit 0 good, 1 a verdict or policy failed, 2 the user must act.

What imports torch is imported by the verbs that need it.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from curate.audit import trusted_dropped
from curate.errors import CeterisError, StoreError
from curate.executor import Executor, Ray
from curate.pool import Pool
from curate.quarantine import quarantined
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from pipelines import doctor as health
from pipelines import show, verbs
from pipelines.catalog import catalogue, described

STOPPED = 130  # what a shell calls a command that Ctrl-C ended

app = typer.Typer(
    help="Curate training data, then prove what the curation did.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StoreAt = Annotated[
    str | None, typer.Option("--store", help="where evidence is kept; else CETERIS_STORE, else the nearest .ceteris, else here")
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document instead of tables")]
RecipeFile = Annotated[str, typer.Argument(metavar="RECIPE", help="a recipe file")]
PoolAt = Annotated[str | None, typer.Option("--pool", help="the pool; else the recipe's")]
LayoutName = Annotated[str | None, typer.Option("--layout", help="the pool's layout, where it is not recognised")]
Roles = Annotated[list[str] | None, typer.Option("--role", help="role=column; may be repeated")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="path=value, such as stages.matched.keep.fraction=0.2; may be repeated")]
Filters = Annotated[list[Path] | None, typer.Option("--filters", help="a folder with filters of your own; may be repeated")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="processes; one per core unless given")]
RayAt = Annotated[str | None, typer.Option("--ray", help="local, or the address of a Ray cluster")]
RunName = Annotated[str | None, typer.Option("--run", help="a run's name or NAME-ID; else the latest")]


def _open(store: str | None, as_json: bool) -> Store:
    opened = verbs.open_store(store)
    show.note(f"store: {opened.address}") if as_json else show.line(f"store: {opened.address}")
    return opened


def _run(store: str | None, run: str | None, as_json: bool) -> Run:
    """A finished run of a store that is there; says which."""
    address = verbs.store_address(store)
    if not (Path(address) / "FORMAT").is_file():
        raise StoreError("there is no store here", where=address, fix="name one with --store, or run `curate run` first")
    found = Run.latest(_open(store, as_json), run)
    said = f"run: {found.folder.removeprefix('runs/')}"
    show.note(said) if as_json else show.line(said)
    return found


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def _roles(given: list[str] | None) -> dict[str, str]:
    found = {}
    for one in given or []:
        role, equals, column = one.partition("=")
        if not equals:
            raise CeterisError(f"{one!r} is not role=column", where="--role", fix="for example --role text=caption")
        found[role] = column
    return found


def _recipe(path: str, sets: list[str] | None) -> Recipe:
    recipe = Recipe.load(path)
    for assignment in sets or []:
        recipe = recipe.set_text(assignment)
    return recipe


def _executor(workers: int | None, ray: str | None) -> Executor:
    if ray:
        return Ray(ray, workers) if workers else Ray(ray)
    return verbs.workers(workers)


@app.command()
def pool(path: Path, layout: LayoutName = None, role: Roles = None, as_json: AsJson = False) -> None:
    """Say what Ceteris believes a pool is: layout, roles, rows, samples, files it cannot read."""
    about = Pool.open(path, layout=layout, roles=_roles(role)).describe()
    _say(about) if as_json else show.pool(about)


@app.command()
def plan(
    recipe: RecipeFile,
    pool: PoolAt = None,
    layout: LayoutName = None,
    role: Roles = None,
    set_: Sets = None,
    filters: Filters = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Check a recipe on a pool; show its stages, what is in the store, and what is left to measure. Reads no row."""
    at = _open(store, as_json)
    planned = verbs.plan(_recipe(recipe, set_), pool, store=at, filters=filters or [], layout=layout, roles=_roles(role))
    if as_json:
        nodes = {name: {"from": node.parents, "rule": node.rule.text if node.rule else None} for name, node in planned.plan.nodes.items()}
        evidence = {name: dataclasses.asdict(one) for name, one in planned.forecast.evidence.items()}
        _say(
            {
                "recipe": planned.plan.recipe.digest,
                "pool": planned.plan.pool.id,
                "stages": nodes,
                "evidence": evidence,
                "advice": planned.forecast.advice,
            }
        )
    else:
        show.plan(planned.plan, planned.forecast)


@app.command()
def run(
    recipe: RecipeFile,
    pool: PoolAt = None,
    layout: LayoutName = None,
    role: Roles = None,
    set_: Sets = None,
    filters: Filters = None,
    workers: Workers = None,
    ray: RayAt = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Select the recipe's subsets; measure only what no earlier run has."""
    at = _open(store, as_json)
    loaded = _recipe(recipe, set_)
    opened = verbs.open_pool(loaded, pool, at, layout, _roles(role))
    executor = _executor(workers, ray)
    try:
        with show.progress() as watch:
            outcome = verbs.run_with_effort(loaded, opened, at, executor, filters or [], watch)
    finally:
        executor.close()
    done = Run(at, outcome.folder)
    sizes = {name: len(done.subset(name)) for name in outcome.subsets}
    if as_json:
        spent = dataclasses.asdict(outcome.effort)
        _say(
            {
                "run": done.folder,
                "funnel": done.funnel(),
                "subsets": {n: {"digest": d, "rows": sizes[n]} for n, d in outcome.subsets.items()},
                **spent,
            }
        )
        return
    if opened.unreadable:
        show.pool_faults([dataclasses.asdict(one) for one in opened.unreadable])
    show.funnel(done.funnel())
    show.table(
        "subsets", ["subset", "rows", "digest"], [[name, sizes[name], digest[:16]] for name, digest in outcome.subsets.items()], right=(1,)
    )
    show.effort(outcome.effort, opened.rows)
    if any(reason["kind"] == "quarantined" for line in done.funnel() for reason in line["reasons"]):
        show.line("rows in quarantine: curate audit --quarantine")
    show.line(f"run: {done.folder.removeprefix('runs/')}")


@app.command("eval")
def evaluate(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="a run's name or NAME-ID; else the latest")] = None,
    scale: Annotated[str | None, typer.Option(help="a scale; else the recipe's")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="trainings of each subset; else the recipe's")] = None,
    workers: Workers = None,
    ray: RayAt = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Train the fixed model on each subset and on its controls, and score them. Trains nothing twice."""
    from pipelines.training import evaluate as train_and_score

    at = _run(store, run, as_json)
    executor = _executor(workers, ray)
    try:
        with show.progress() as watch:
            done = train_and_score(at, scale=scale, seeds=seeds, executor=executor, progress=watch)
    finally:
        executor.close()
    _say(done.to_json()) if as_json else show.scores(done)


@app.command()
def compare(
    candidate: Annotated[str | None, typer.Argument(help="a subset; else every one")] = None,
    control: Annotated[str | None, typer.Argument(help="what to compare it with; else all its controls")] = None,
    run: RunName = None,
    scale: Annotated[str | None, typer.Option(help="a scale; else the recipe's")] = None,
    require: Annotated[str | None, typer.Option(help="exit 1 unless every shown answer is this, such as better")] = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Say which subset is better, with simultaneous intervals. Only reads scores."""
    from eval_fixed_model.statistics import Answer
    from pipelines.verdicts import compare as judge

    if require and require not in get_args(Answer):
        raise CeterisError(f"no verdict says {require!r}", where="--require", fix=f"one of: {', '.join(get_args(Answer))}")
    at = _run(store, run, as_json)
    verdict = judge(at, candidate, control, scale=scale)
    _say(verdict.to_json()) if as_json else show.verdict(verdict)
    answers = [*[line.answer for line in verdict.contrasts], *["equivalent" for _ in verdict.same]]
    if require and (not answers or any(answer != require for answer in answers)):
        raise typer.Exit(1)


@app.command()
def why(
    uid: Annotated[str | None, typer.Argument(help="a row: 32 hex digits, or the pool's own id")] = None,
    stage: Annotated[str | None, typer.Option(help="with --near: a stage whose rule is top")] = None,
    near: Annotated[bool, typer.Option("--near", help="the rows on both sides of the stage's cut")] = False,
    run: RunName = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Say why a row is in or out: every value, the deciding rule, its threshold, the survivor of a duplicate."""
    at = _run(store, run, as_json)
    if near != (stage is not None) or (uid is None) != near:
        raise CeterisError("name a row, or a stage and --near", fix="curate why UID, or curate why --stage NAME --near")
    if stage:
        rows = verbs.near(at, stage)
        _say(rows) if as_json else show.around(stage, rows)
    else:
        story = verbs.why(at, str(uid))
        _say(story) if as_json else show.row(story)


@app.command()
def audit(
    by: Annotated[
        list[str] | None, typer.Option(help="a role, pool.NAME or signal.column; may be repeated; else licence, language, source")
    ] = None,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="instead: the files and rows that could not be read or measured")
    ] = False,
    run: RunName = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Show what each subset is made of: licence, language and source, as declared and measured; or what is in quarantine."""
    at = _run(store, run, as_json)
    if quarantine:
        held = quarantined(at)
        _say(held.to_dicts()) if as_json else show.quarantine(held)
        return
    found = verbs.mixes(at, by or [])
    if as_json:
        _say({column: counts.to_dicts() for column, counts in found.items()})
        return
    for column, counts in found.items():
        show.mix(column, counts)
    if left := trusted_dropped(at):
        show.line(f"{left:,} rows of the pool are in no subset: a model was trained on them")
    show.line("Licences are as declared by the pool: evidence, not legal clearance.")


@app.command()
def export(
    subset: str,
    out: Path,
    layout: Annotated[str, typer.Option(help="parquet, uids or npy")] = "parquet",
    run: RunName = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Write a subset out: rows as Parquet, a list of uids, or DataComp's .npy."""
    about = verbs.export(_run(store, run, as_json).subset(subset), out, layout)
    _say(about) if as_json else show.line(f"{about['rows']:,} rows in {out}: {', '.join(about['files'][:5])}")


@app.command()
def filters(extra: Filters = None, as_json: AsJson = False) -> None:
    """List the filters at hand: what they read, write and take."""
    found = described(catalogue(extra or []))
    if as_json:
        _say(found)
    else:
        show.table("filters", ["filter", "kind", "reads", "writes", "parameters"], [list(one.values()) for one in found])


@app.command()
def doctor(store: StoreAt = None, as_json: AsJson = False) -> None:
    """Check this machine: Python, packages, cores, memory, disk, threads, devices, the store. Exit 2 if something must be done."""
    found = health.examine(verbs.store_address(store))
    _say(found) if as_json else show.table("doctor", ["what", "found", "state", "do"], [list(one.values()) for one in found])
    if any(one["state"] == "act" for one in found):
        raise typer.Exit(2)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="a new folder, or that of an earlier demo")] = Path("ceteris-demo"),
    workers: Workers = None,
    ray: RayAt = None,
    as_json: AsJson = False,
) -> None:
    """Make a small pool with known defects, curate it, train on every subset, and say what helped."""
    from pipelines.demo import tour

    executor = _executor(workers, ray)
    try:
        found = tour.tour(folder, executor, quiet=as_json)
    finally:
        executor.close()
    if as_json:
        _say(found)


def main() -> None:
    """The entry point: errors become three lines and exit 2; `--debug` shows where they were raised.

    Ends without the interpreter's teardown: native threads of the libraries can abort in it, after all work is done and closed.
    """
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    code = 0
    try:
        app()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 2
        if code == STOPPED:
            show.note("stopped; the same command goes on from here")
    except CeterisError as error:
        if debug:
            raise
        code = _failed({"error": error.what, "where": error.where, "fix": error.fix})
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _failed(error: Mapping[str, str]) -> int:
    if "--json" in sys.argv:
        _say(error)
    show.note(f"error: {error['error']}")
    for name in ("where", "fix"):
        if error[name]:
            show.note(f"  {name}: {error[name]}")
    return 2


if __name__ == "__main__":
    main()
