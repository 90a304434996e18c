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
        return
    _print(found.to_json(), copies)


def _print(told: dict[str, Any], copies: bool) -> None:
    touched, done = told["touched"], told["done"]
    by = ", ".join(f"{count:,} by {kind}" for kind, count in told["named_by"].items())
    show.line(f"{told['rows']:,} rows{f' ({by})' if by else ''}; {told['already']:,} were taken down before")
    for key, why in told["not_looked_through"].items():
        show.line(f"not looked through: {key}: {why}; a run on it asks again")
    rows = [["evidence", folder, f"{lines:,} lines"] for folder, lines in touched["evidence"].items()]
    rows += [["grouping", folder, ""] for folder in touched["links"]]
    rows += [["export", one["folder"], f"{one['subset']} of {one['run']}: {', '.join(one['files'])}"] for one in touched["exports"]]
    for what in ("models", "scores", "verdicts", "calibrations", "trained rows", "other files"):
        rows += [[what.removesuffix("s"), address, "to be made again" if what in ("models", "scores") else ""] for address in touched[what]]
    if rows:
        show.table("touched", ["what", "where", ""], rows)
    subsets = [
        [one["run"], one["subset"], one["digest"][:16], (one["after"] or "")[:16], one["left"], _most(one["source"]), _most(one["license"])]
        for one in told["subsets"]
    ]
    if subsets:
        show.table("subsets", ["run", "name", "digest", "after", "rows that leave", "of sources", "of licences"], subsets, right=(4,))
    shards = [
        [one["pool"], one["shard"], len(one["rows"]), ", ".join(map(str, one["rows"][:8])) + (", ..." if len(one["rows"]) > 8 else "")]
        for one in touched["shards"]
    ]
    if shards:
        show.table("the pools' own shards, which are never changed, hold them", ["pool", "shard", "rows", "numbers"], shards, right=(2,))
    if done is None and not told["rows"] and not told["already"]:
        show.line("no row of this store's pools is called so: is it written as the pool has it? With --yes it is refused from now on")
        return
    if done is None:
        show.line("nothing was changed; with --yes they are taken down" + ("" if copies else " without their copies"))
        return
    show.line(f"taken down: request {done['number']}; runs refuse them from now on")
    if done["again"]:
        show.line(f"{len(done['again'])} models and scores rest on them and must be made again: `curate run` and `curate eval` do")


def _most(counts: dict[str | None, int]) -> str:
    return ", ".join(f"{name or '(none)'} {count:,}" for name, count in list(counts.items())[:3]) + (", ..." if len(counts) > 3 else "")
