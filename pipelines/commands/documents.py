"""The verbs that write what others read: document, package."""

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated

import typer

from curate.errors import CeterisError
from pipelines import show
from pipelines.commands.options import AsJson, Filters, PoolAt, RayAt, RunName, Sets, StoreAt, Workers, executor_of, open_run, say

app = typer.Typer()
PackedIn = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="where the run is; else CETERIS_STORE, else the nearest .ceteris. With --verify --remake: make it again in this store, "
        "refusing rows taken down there, as its latest run; else in a temporary one, which refuses none",
    ),
]


@app.command()
def document(
    subset: str,
    out: Annotated[Path, typer.Argument(help="an export of the subset, or a new folder, where its uids are exported first")],
    kinds: Annotated[
        list[str] | None, typer.Option("--as", help="croissant, datasheet, card, prov or huggingface; may be repeated; else all")
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="what to export, where nothing is there: parquet, webdataset, jsonl.zst, uids, npy")
    ] = None,
    answers: Annotated[Path | None, typer.Option(help="what only a person can say, in YAML; else OUT/answers.yaml")] = None,
    complete: Annotated[bool, typer.Option("--complete", help="exit 1 while Croissant requires an answer that nobody gave")] = False,
    run: RunName = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Describe a subset for others from the run's ledger: Croissant, datasheet, data card, W3C PROV, a card for the hub."""
    from pipelines.documents.document import document as write

    made = write(open_run(store, run, as_json), subset, out, kinds or (), layout, answers)
    if as_json:
        say(dataclasses.asdict(made))
    else:
        show.line(f"in {made.folder}, beside the export ({made.exported}): {', '.join(made.files)}")
        if made.required:
            show.line(f"Croissant requires answers that only a person can give: {', '.join(made.required)}")
        if made.unanswered:
            show.line(f"{len(made.unanswered)} questions are open: write into {made.folder / 'answers.yaml'}, and run the command again")
    if complete and made.required:
        raise typer.Exit(1)


@app.command()
def package(
    subset: Annotated[str | None, typer.Argument(help="a subset of the run")] = None,
    out: Annotated[Path | None, typer.Argument(help="a new folder, or a file: NAME.tar.zst")] = None,
    verify: Annotated[Path | None, typer.Option("--verify", help="instead: check this package; exit 1 where something differs")] = None,
    pool: PoolAt = None,
    remake: Annotated[bool, typer.Option("--remake", help="with --verify and --pool: run its recipe there and compare the rows")] = False,
    set_: Sets = None,
    weights: Annotated[bool, typer.Option("--weights", help="take all models' weights along; else those up to 16 MB")] = False,
    with_weights: Annotated[bool, typer.Option("--with-weights", help="with --remake: take models from the package, train none")] = False,
    answers: Annotated[Path | None, typer.Option(help="what only a person can say, in YAML, for the card")] = None,
    filters: Filters = None,
    workers: Workers = None,
    ray: RayAt = None,
    run: RunName = None,
    store: PackedIn = None,
    as_json: AsJson = False,
) -> None:
    """Pack what another machine needs to check a subset and to make it again; or check a package, against its pool where that is named."""
    if verify is not None and subset is None:
        _verify(verify, pool, remake, set_, with_weights, filters, workers, ray, store, as_json)
        return
    if subset is None or out is None or verify is not None:
        fix = "curate package SUBSET OUT.tar.zst, or curate package --verify FILE --pool POOL --remake"
        raise CeterisError("name a subset and where its package goes, or a package to check", fix=fix)
    from pipelines.documents.package import package as pack

    made = pack(open_run(store, run, as_json), subset, out, weights=weights, answers=answers)
    if as_json:
        say(dataclasses.asdict(made))
        return
    show.line(f"{made.path}: {len(made.files)} files; identity {made.identity}")
    for name, reason in made.left_out.items():
        show.line(f"without the weights of {name}: {reason}")
    show.line(f"to check it elsewhere: curate package --verify {shlex.quote(made.path.name)} --pool POOL --remake")


def _verify(
    path: Path,
    pool: str | None,
    remake: bool,
    sets: list[str] | None,
    with_weights: bool,
    filters: list[Path] | None,
    workers: int | None,
    ray: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    from pipelines.documents.remake import verify_package

    executor = executor_of(workers, ray) if remake else None
    try:
        with show.progress() as watch:
            found = verify_package(
                path,
                pool,
                remake=remake,
                sets=sets or (),
                with_weights=with_weights,
                store=store,
                executor=executor,
                filters=filters or (),
                progress=watch,
            )
    finally:
        if executor:
            executor.close()
    if as_json:
        say({**dataclasses.asdict(found), "same": found.same})
    else:
        show.line(f"{found.subset}: {found.rows:,} rows, digest {found.digest}")
        for one in found.findings:
            show.line(f"{one.kind}: {one.part}: {one.what}")
        show.line(f"pool: {found.pool}" if found.pool else "pool: not looked at" + f" (it has {found.needs})" * bool(found.needs))
        if found.remade:
            show.line(f"made again: {found.remade}, {'the same' if found.remade == found.digest else 'another'}")
            if found.run:
                show.line(f"its run {found.run.removeprefix('runs/')} is now the latest of the store {store}: others are named by --run")
            else:
                show.line("in a temporary store, which is gone again")
        if any(one.kind == "broken" for one in found.findings):
            show.line("it is not as it was packed: ask whoever sent it for another copy")
        elif found.same and not remake:
            more = "--remake" if found.pool else "--pool POOL --remake"
            show.line(f"the package agrees with itself; that its recipe selects these rows, {more} shows")
        show.line("what was asked holds" if found.same else "what was asked does not hold")
    if not found.same:
        raise typer.Exit(1)
