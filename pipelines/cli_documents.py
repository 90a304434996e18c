"""The verbs that write what others read: document, package."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from pipelines import show
from pipelines.options import AsJson, RunName, StoreAt, open_run, say

app = typer.Typer()


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
