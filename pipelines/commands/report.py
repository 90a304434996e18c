"""The verbs that show a store to people: report, serve.

What draws and what imports torch is imported by the verbs that need it.
"""

from pathlib import Path
from typing import Annotated

import typer

from curate.errors import CeterisError
from pipelines import show
from pipelines.commands.options import AsJson, RunFirst, RunName, StoreAt, open_run, open_there, say

app = typer.Typer()


@app.command()
def report(
    first: RunFirst = None,
    run: RunName = None,
    out: Annotated[Path | None, typer.Option("--out", help="the HTML file to write; else RUN.html here")] = None,
    scale: Annotated[str | None, typer.Option(help="a scale; else that of the latest evaluation")] = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Write one page on a run, to read offline, print and keep: verdict, scores, funnel, distributions, thresholds, rows."""
    from pipelines.report.page import report as write

    at = open_run(store, run or first, as_json)
    file = out or Path(f"{at.folder.removeprefix('runs/')}.html")
    if not file.parent.is_dir():
        raise CeterisError("there is no such folder", where=str(file.parent), fix="make it, or name another --out")
    size = len(write(at, file, scale=scale).encode())
    told = {"run": at.folder.removeprefix("runs/"), "file": str(file.absolute()), "bytes": size}
    say(told) if as_json else show.line(f"{file.absolute()}: {size / 1e6:,.1f} MB, one file, opens offline")


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="of this machine's own address, 127.0.0.1; 0: any that is free")] = 0,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Show a whole store in the browser of this machine: every run's report, scores, search by uid, url or text, and what is going on."""
    from pipelines.report.serve import Server

    at = open_there(store, as_json)
    with Server(at.address, port) as server:
        if as_json:
            say({"url": server.url})
        else:
            show.line(f"{server.url}  (Ctrl-C ends it)")
            show.line("only this machine reaches it, and only who knows this address: its second part is drawn anew each time")
        server.serve()
