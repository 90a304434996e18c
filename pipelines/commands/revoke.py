"""The verb of take-down: revoke."""

from typing import Annotated, Any

import typer

from curate.errors import CeterisError
from pipelines import show
from pipelines.commands.options import AsJson, RayAt, StoreAt, Workers, executor_of, open_there, say

app = typer.Typer()


@app.command()
def revoke(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="uid:, url:, domain:, or text: and image: with a SHA-256; or a bare url or uid"),
    ] = None,
    file: Annotated[str | None, typer.Option("--from", help="more names, one a line; - is standard input")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="of names without one: uid, url, domain, text, image")] = None,
    copies: Annotated[bool, typer.Option("--copies/--no-copies", help="also rows with the same image, or the same text")] = True,
    near: Annotated[bool, typer.Option("--near", help="also rows with nearly the same image, by perceptual hash")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="take them down; else only say what that touches")] = False,
    reason: Annotated[str, typer.Option(help="why, for the tombstone; no content of rows")] = "",
    who: Annotated[str | None, typer.Option(help="who decided, for the tombstone; else this user")] = None,
    listing: Annotated[
        str | None,
        typer.Option("--list", help="write the rows for the pool's owner: uid, shard, row (JSON lines; .txt uids alone; - here)"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="finish a take-down that was interrupted")] = False,
    workers: Workers = None,
    ray: RayAt = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Take rows down: out of evidence, subsets and reports of the store, behind keyed hashes, and refused from then on."""
    from pipelines.provenance import revoke as provenance

    if resume:
        done = provenance.interrupted(store)
        open_there(store, as_json)  # which does it
        say({"resumed": done}) if as_json else show.line("the take-down is done" if done else "no take-down was interrupted")
        return
    given = [*(names or []), *(provenance.names_in(file) if file else [])]
    if not given:
        raise CeterisError("nothing is named", fix="curate revoke url:https://... domain:example.org --from LIST")
    at = open_there(store, as_json)
    executor = executor_of(workers, ray)
    try:
        found = provenance.revoke(given, store=at, kind=kind, copies=copies, near=near, yes=yes, who=who, reason=reason, executor=executor)
    finally:
        executor.close()
    if listing:
        provenance.write_list(found.rows, listing)
    if as_json:
        say(found.to_json())
    else:
        _print(found.to_json(), copies)
    if found.found.unread:
        raise typer.Exit(2)


_FATES = {
    "models": "stays; it must be made again",
    "scores": "stays; it must be made again",
    "verdicts": "stays; it is said to rest on them",
    "calibrations": "stays; it is said to rest on them",
    "trained rows": "is deleted; an evaluation makes it again",
    "other files": "is deleted, since it shows one",
}
"""What becomes of each kind."""
_KINDS = {"trained rows": "rows to train on", "other files": "report or other file"}


def _print(told: dict[str, Any], copies: bool) -> None:
    touched, done = told["touched"], told["done"]
    by = ", ".join(f"{count:,} by {kind}" for kind, count in told["named_by"].items())
    by += ", some of them by several" if sum(told["named_by"].values()) > told["rows"] + told["already"] else ""
    show.line(f"{told['rows']:,} rows{f' ({by})' if by else ''}; {told['already']:,} were taken down before")
    for name in told["met_no_row"]:
        show.line(f"met no row: {name}")
    rows = [["evidence", folder, f"{lines:,} lines lose their values"] for folder, lines in touched["evidence"].items()]
    rows += [["grouping", folder, "keys and links of theirs leave"] for folder in touched["links"]]
    rows += [[_KINDS.get(what, what.removesuffix("s")), address, fate] for what, fate in _FATES.items() for address in touched[what]]
    if rows:
        show.table("what this store has of them", ["what", "where", "what becomes of it"], rows)
    subsets = [
        [one["run"], one["subset"], one["digest"][:16], (one["after"] or "")[:16], one["left"], _most(one["source"]), _most(one["license"])]
        for one in told["subsets"]
    ]
    if subsets:
        show.table("subsets", ["run", "name", "digest", "after", "rows that leave", "of sources", "of licences"], subsets, right=(4,))
    _print_outside(touched)
    if done is not None:
        show.line(f"taken down: request {done['number']}; runs refuse them from now on")
        if done["again"]:
            show.line(f"{len(done['again'])} models and scores rest on them and must be made again: `curate run` and `curate eval` do")
    elif told["rows"]:
        show.line("nothing was changed; with --yes they are taken down" + ("" if copies else " without their copies"))
    elif told["already"]:
        show.line("nothing was changed: all of them were taken down before")
    else:
        show.line("no row of this store's pools is called so: is it written as the pool has it? With --yes it is refused from now on")
    for key, why in told["not_looked_through"].items():
        show.line(f"NOT LOOKED THROUGH, but by uid: {key}: {why}")
    if told["not_looked_through"]:
        show.line("to do: put these pools back where they lay and run this command again; until then a run on them asks by itself")


def _print_outside(touched: dict[str, Any]) -> None:
    """What lies outside of the store, which never changes it."""
    rows = [
        [
            one["layout"] if one["layout"] == "report" else "export",
            one["folder"],
            f"{one['subset']} of {one['run']}: {', '.join(one['files'])}",
        ]
        for one in touched["exports"]
    ]
    for one in touched["shards"]:
        numbers = ", ".join(map(str, one["rows"][:8])) + (", ..." if len(one["rows"]) > 8 else "")
        rows.append(["pool", one["shard"], f"{len(one['rows']):,} rows: {numbers}"])
    if rows:
        show.table("outside of this store, which changes nothing there: these are yours to delete", ["what", "where", "which"], rows)
        show.line("it does not know of copies of these or of itself, nor of networks that were written elsewhere")


def _most(counts: dict[str | None, int]) -> str:
    return ", ".join(f"{name or '(none)'} {count:,}" for name, count in list(counts.items())[:3]) + (", ..." if len(counts) > 3 else "")
