"""The verbs of provenance: index, trace."""

from typing import Annotated

import typer

from curate.errors import CeterisError
from pipelines import show
from pipelines.commands.options import AsJson, RayAt, StoreAt, Workers, executor_of, open_there, say

app = typer.Typer()

OneRun = Annotated[str | None, typer.Option("--run", help="a run's name or NAME-ID; else every run of the store")]


@app.command()
def index(
    run: OneRun = None,
    images: Annotated[bool, typer.Option("--images/--no-images", help="with hashes of images, for which every image is read once")] = True,
    workers: Workers = None,
    ray: RayAt = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Index the pools that runs are on, so that `why` and `trace` find rows by uid, url, host or image without looking at all."""
    from pipelines.provenance.index import index as make

    at = open_there(store, as_json)
    executor = executor_of(workers, ray)
    try:
        with show.progress() as watch:
            found = make(at, run, images=images, executor=executor, progress=watch)
    finally:
        executor.close()
    if as_json:
        say([one.to_json() for one in found])
        return
    for one in found:
        records = ", ".join(f"{count:,} by {column}" for column, count in one.records.items())
        show.line(f"{one.pool}: {records} ({'made now: ' + ', '.join(one.made) if one.made else 'was there'})")
        for folder in one.stale:
            show.line(f"  of an earlier form, and no longer read; it can be deleted: {at.address}/{folder}")


@app.command()
def trace(
    score: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCORE]", help="a folder under scores/; or SUBSET, or SUBSET seed N; or CANDIDATE against CONTROL, a verdict's line"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="which training of the subset; else its first seed")] = None,
    source: Annotated[str | None, typer.Option(help="instead: what used rows of this host, or of this value of the role source")] = None,
    uid: Annotated[str | None, typer.Option(help="instead: what used this row")] = None,
    url: Annotated[str | None, typer.Option(help="instead: what used the rows with this url")] = None,
    run: OneRun = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Follow a score back to conditions, run, stages, rows and sources; or a source, row or url forward to all that used it."""
    if sum(one is not None for one in (source, uid, url)) + bool(score) != 1 or (seed is not None and not score):
        raise CeterisError("name a score, or what to follow", fix="curate trace SUBSET seed N; or --source HOST, --uid UID or --url URL")
    from pipelines.provenance import lineage_tables

    at = open_there(store, as_json)
    if score:
        from pipelines.provenance.lineage import trace as back

        traced = back(at, score, run, seed)
        say(traced.to_json()) if as_json else lineage_tables.traced(traced)
        return
    from pipelines.provenance.uses import uses

    used = uses(at, uid=uid, url=url, source=source, run=run)
    say(used.to_json()) if as_json else lineage_tables.uses(used)
