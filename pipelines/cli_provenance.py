"""The verbs of provenance: index, trace."""

from typing import Annotated

import typer

from pipelines import show
from pipelines.options import AsJson, RayAt, StoreAt, Workers, executor_of, open_there, say

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
