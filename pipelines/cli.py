"""The command `curate`: thin, every verb one function. Exit 0 good, 1 a verdict or policy failed, 2 the user must act."""

import dataclasses
import importlib
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from curate.errors import CeterisError
from curate.faults import look
from curate.pool import Pool
from curate.record import Run
from curate.shard_files import aside
from curate.structure import ending_of
from pipelines import doctor as health
from pipelines import python_docs, show, verbs
from pipelines.catalog import catalogue, described, told
from pipelines.commands.options import (
    AsJson,
    Filters,
    LayoutName,
    PoolAt,
    RayAt,
    RecipeFile,
    Roles,
    Sets,
    StoreAt,
    Workers,
    executing,
    load_recipe,
    open_store,
    roles_of,
    say,
)
from pipelines.provenance.unseen import unseen

STOPPED = 130  # what a shell calls a command that Ctrl-C ended

app = typer.Typer(
    help="Curate training data, then prove what the curation did.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def pool(
    path: Path,
    make: Annotated[
        str | None, typer.Option("--make", help="first write a pool there: python-docs, what this Python's packages document")
    ] = None,
    layout: LayoutName = None,
    role: Roles = None,
    scan: Annotated[bool, typer.Option("--scan", help="look for faults in every row of a large pool, too")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what Ceteris believes a pool is: layout, roles, rows, samples; which files and rows it cannot read, and what it leaves aside."""
    if make not in (None, "python-docs"):
        raise CeterisError(f"no pool is called {make!r}", where="--make", fix="--make python-docs")
    made = None
    if make:
        with show.progress() as watch:
            made = python_docs.make(path, watch)
    found = Pool.open(path, layout=layout, roles=roles_of(role))
    known = (Path(verbs.store_address()) / "FORMAT").is_file()
    barred = {"refused": unseen(verbs.open_store(), found)} if known else {}
    about = found.describe(**barred) | look(found, every=scan, **barred).to_json()
    about["aside"] = aside(path, ending_of(found.layout, found.shards[0].path)) if path.is_dir() else {}
    if as_json:
        say(about | ({"made": dataclasses.asdict(made)} if made else {}))
        return
    show.pool(about)
    if made:
        show.line(f"{made.rows:,} documents of {made.characters:,} characters; fingerprint of the pool: {about['id']}")
        if made.unreadable:
            show.line(
                f"{len(made.unreadable):,} source files hold no Python that this one can read, the first: {': '.join(made.unreadable[0])}"
            )
        show.line(f"next: {show.program()} run {make} --pool {shlex.quote(str(path))}")


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
    at = open_store(store, as_json)
    planned = verbs.plan(load_recipe(recipe, set_), pool, store=at, filters=filters or [], layout=layout, roles=roles_of(role))
    if as_json:
        nodes = {name: {"from": node.parents, "rule": node.rule.text if node.rule else None} for name, node in planned.plan.nodes.items()}
        evidence = {name: dataclasses.asdict(one) for name, one in planned.forecast.evidence.items()}
        say(
            {
                "recipe": planned.plan.recipe.digest,
                "pool": planned.plan.pool.id,
                "stages": nodes,
                "evidence": evidence,
                "recall": planned.forecast.recall,
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
    at = open_store(store, as_json)
    loaded = load_recipe(recipe, set_)
    opened = verbs.open_pool(loaded, pool, at, layout, roles_of(role))
    with executing(workers, ray) as executor, show.progress() as watch:
        outcome = verbs.run_with_effort(loaded, opened, at, executor, filters or [], watch)
    done = Run(at, outcome.folder)
    sizes = {name: outcome.decided[done.node_of(name)].kept for name in outcome.subsets}
    if as_json:
        spent = dataclasses.asdict(outcome.effort)
        say(
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


@app.command()
def filters(
    name: Annotated[str | None, typer.Argument(help="only this one, in its own words")] = None,
    extra: Filters = None,
    as_json: AsJson = False,
) -> None:
    """List the filters at hand: what they read, write and take; or say all of one."""
    entries = catalogue(extra or [])
    words = told(entries, name) if name else ""
    found = [one for one in described(entries) if name in (None, one["filter"])]
    if name and not as_json:
        for key, value in found[0].items():
            show.line(f"{key}: {value}")
        show.line(f"\n{words}")
    elif as_json:
        say([one | ({"says": words} if name else {}) for one in found])
    else:
        show.table("filters", ["filter", "kind", "reads", "writes", "parameters"], [list(one.values()) for one in found])


@app.command()
def doctor(store: StoreAt = None, as_json: AsJson = False) -> None:
    """Check this machine: Python, packages, cores, memory, disk, threads, devices, the store. Exit 2 if something must be done."""
    found = health.examine(verbs.store_address(store))
    say(found) if as_json else show.table("doctor", ["what", "found", "state", "do"], [list(one.values()) for one in found])
    if any(one["state"] == "act" for one in found):
        raise typer.Exit(2)


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Argument(help="a new folder, or that of an earlier demo; else ceteris-demo, or ceteris-demo-text")
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="documents instead of images with captions")] = False,
    several: Annotated[bool, typer.Option("--thorough", help="on three pools: a verdict on the recipe, not on one subset")] = False,
    workers: Workers = None,
    ray: RayAt = None,
    as_json: AsJson = False,
) -> None:
    """Make a small pool with known defects, curate it, train on every subset, and say what helped."""
    from pipelines.demo import tour
    from pipelines.demo.thorough import thorough

    at = folder or Path("ceteris-demo" + "-text" * text + "-thorough" * several)
    made = tour.DOCUMENTS if text else tour.PICTURES
    with executing(workers, ray) as executor:
        found = (thorough if several else tour.tour)(at, executor, made, quiet=as_json)
    if as_json:
        say(found)


VERBS = (
    "runs",
    "audit",
    "scores",
    "questions",
    "documents",
    "licences",
    "provenance",
    "report",
    "verify",
    "revoke",
)
"""Modules of commands/, in the order of the help."""
QUICK = {"why": "runs", "audit": "audit", "index": "provenance", "trace": "provenance"}
"""Verbs that answer in less time than all modules take to load: where one of them is the command, only its own is."""


def _called() -> str:
    """The verb, where this process is the command."""
    mine = __name__ == "__main__" or Path(sys.argv[0]).name == "curate"
    return sys.argv[1] if mine and len(sys.argv) > 1 else ""


for _name in [QUICK[_called()]] if _called() in QUICK else VERBS:
    app.add_typer(importlib.import_module(f"pipelines.commands.{_name}").app)


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
        say(error)
    show.note(f"error: {error['error']}")
    for name in ("where", "fix"):
        if error[name]:
            show.note(f"  {name}: {error[name]}")
    return 2


if __name__ == "__main__":
    main()
