"""The verb that trusts nothing: verify."""

import dataclasses
import time
from typing import Annotated

import typer

from pipelines import show, verbs
from pipelines.commands.options import AsJson, RayAt, StoreAt, Workers, executor_of, say
from pipelines.provenance.verify import verify as check

app = typer.Typer()
LISTED = 100


@app.command()
def verify(
    run: Annotated[str | None, typer.Option("--run", help="judge only this run's decisions again: its name or NAME-ID")] = None,
    sample: Annotated[
        float | None, typer.Option("--sample", help="only a share of the shards, such as 0.1; then no cut is made again")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="which share")] = 0,
    head: Annotated[str | None, typer.Option("--head", help="a head that was printed before: was a ledger cut since?")] = None,
    full: Annotated[bool, typer.Option("--full", help="read the pools' shards whole, also where size and times have not changed")] = False,
    workers: Workers = None,
    ray: RayAt = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Judge every decision again, and hold every file of the store against its digest. Exit 1 if something is wrong."""
    at = verbs.store_address(store)
    show.note(f"store: {at}") if as_json else show.line(f"store: {at}")
    executor, begun = executor_of(workers, ray) if workers or ray else None, time.perf_counter()
    try:
        with show.progress() as watch:
            found = check(at, run=run, sample=sample, seed=seed, head=head, full=full, executor=executor, progress=watch)
    finally:
        if executor is not None:
            executor.close()
    seconds = time.perf_counter() - begun
    if as_json:
        say({**dataclasses.asdict(found), "sound": found.sound, "seconds": seconds})
    else:
        for one in found.findings[:LISTED]:
            show.line(f"{one}\n  fix: {one.fix}")
        if len(found.findings) > LISTED:
            show.line(f"... and {len(found.findings) - LISTED:,} more (--json shows all)")
        for note in found.notes:
            show.line(f"note: {note}")
        told = ", ".join(f"{count:,} {name}" for name, count in found.checked.items())
        rate = found.checked["decisions"] / max(seconds, 1e-9)
        show.line(f"verified in {seconds:,.1f} s: {told}; {rate:,.0f} decisions a second")
        show.line(f"{len(found.findings):,} findings" if found.findings else "nothing is wrong")
        show.line(f"head: {found.head}")
    if found.findings:
        raise typer.Exit(1)
