"""What declared licences ask, on the command line: audit --licences, audit --policy, attribution, notice, rot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.errors import CeterisError
from curate.record import Run
from pipelines import show
from pipelines.commands.options import AsJson, Roles, RunFirst, RunName, StoreAt, open_run, roles_of, say
from pipelines.provenance.declared import signal_of
from pipelines.provenance.obligations import Obligations, obligations
from pipelines.provenance.policy import Checked, Policy

app = typer.Typer()

DECLARED = "as declared, with the scope and confidence of the evidence; nothing here is cleared"


def audit_licences(run: Run, subsets: Sequence[str] | None, as_json: bool) -> None:
    """What the declared licences of each subset ask."""
    found = [obligations(run.subset(name)) for name in subsets or run.facts["subsets"]]
    if as_json:
        say([one.to_json() for one in found])
        return
    for one in found:
        _obligations(one)
    show.line(f"Licences {DECLARED}.")


def _obligations(found: Obligations) -> None:
    show.line(f"{found.subset}: {found.rows:,} rows")
    if found.no_evidence == found.rows:
        show.line(f"nobody asked for their licences: {found.fix}\n")
        return
    declared = [[one["expression"] or "(none)", one["class"], one["rows"]] for one in found.declared[: show.LISTED]]
    show.table("declared", ["licence", "class", "rows"], declared, right=(2,))
    if len(found.declared) > show.LISTED:
        show.line(f"... and {len(found.declared) - show.LISTED:,} more (--json shows all)")
    show.table("classes", ["class", "rows"], [list(one.values()) for one in found.classes], right=(1,))
    rows = [
        [one["obligation"], one["says"], one["rows"], ", ".join(each["licence"] for each in one["licences"][:4])]
        for one in found.obligations
    ]
    show.table("what they ask", ["obligation", "says", "rows", "by"], rows, right=(2,))
    evidence = [["scope", one["scope"] or "(none declared)", one["rows"]] for one in found.scopes]
    evidence += [["confidence", "" if one["confidence"] is None else f"{one['confidence']:.2f}", one["rows"]] for one in found.confidence]
    show.table("evidence", ["what", "value", "rows"], evidence, right=(2,))
    conflicts = [[one.kind, one.one, one.rows, one.other, one.other_rows or "", one.why] for one in found.conflicts[: show.LISTED]]
    if conflicts:
        show.table("conflicts", ["kind", "", "rows", "beside", "rows", "why"], conflicts, right=(2, 4))
    if len(found.conflicts) > show.LISTED:
        show.line(f"... and {len(found.conflicts) - show.LISTED:,} more (--json shows all)")
    if found.no_evidence:
        show.line(f"no evidence of {found.no_evidence:,} rows: {found.fix}")
    if found.unreadable:
        show.line(f"evidence of {found.unreadable:,} rows is an error: curate audit --quarantine")
    show.line("")


def audit_policy(run: Run, file: Path, subsets: Sequence[str] | None, out: Path | None, first: int, as_json: bool) -> None:
    """Hold subsets against a policy; exit 1 where a row offends."""
    from pipelines.provenance.policy_check import check

    policy = Policy.load(file)
    names = list(subsets or [name for name in run.facts["subsets"] if name != "pool"] or run.facts["subsets"])
    if out is not None and len(names) > 1:
        raise CeterisError("--out takes the offences of one subset", where="--out", fix=f"name it: {', '.join(names)}")
    found = [check(run.subset(name), policy, out=out, first=first) for name in names]
    if as_json:
        say([one.to_json() for one in found])
    else:
        for one in found:
            _checked(one, measured=signal_of(run, policy.keys.evidence) is not None)
    if not all(one.passed for one in found):
        raise typer.Exit(1)


def _checked(found: Checked, *, measured: bool) -> None:
    said = "no row offends" if found.passed else f"{found.offending:,} offend"
    show.line(f"{found.subset} against {found.policy}: {found.rows:,} rows, {said}")
    rows: list[list[Any]] = [[one.clause, one.says, one.rows, one.where] for one in found.offences]
    if rows:
        show.table("offences", ["clause", "says", "rows", "stands at"], rows, right=(2,))
        show.offences(found.first)
        show.line(f"all of them: {found.out}" if found.out else "all of them: --out FILE.parquet")
    for clause, many in found.noted.items():
        show.line(f"noted only: {clause}, {many:,} rows")
    if found.fix:
        show.line(f"{'some rows have' if measured else 'this run has'} no evidence of licences. {found.fix}")
    show.line(f"Licences {DECLARED}.\n")


@app.command("attribution")
def credit(
    subset: str,
    out: Annotated[Path, typer.Argument(metavar="OUT.(md|csv|jsonl)")],
    role: Annotated[
        list[str] | None, typer.Option("--role", help="title, author, source or url=column of the pool; may be repeated")
    ] = None,
    exported: Annotated[Path | None, typer.Option("--export", help="a folder that `curate export` wrote: what it changed is said")] = None,
    changed: Annotated[list[str] | None, typer.Option("--changed", help="what else was changed; may be repeated")] = None,
    run: RunName = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Write the attribution that a subset's rows ask for: title, author, source, declared licence, changes."""
    from pipelines.provenance.attribution import attribution

    at = open_run(store, run, as_json)
    found = attribution(at.subset(subset), out, columns=roles_of(role), exported=exported, changed=changed or [])
    if as_json:
        say(found.to_json())
        return
    show.line(f"{found.rows:,} rows of {found.subset} in {found.file}; changes: {'; '.join(found.changes)}")
    rows = [  # a name that only this project gives is told as `audit --licences` tells it
        [one["name"], one["rows"], one["address"]] if one["address"] else [one["licence"], one["rows"], "none is known"]
        for one in found.licences
    ]
    show.table("asked for by", ["licence", "rows", "text"], rows, right=(1,))
    for why, many in found.left_out.items():
        show.line(f"left out: {many:,} rows, {why}")
    for name, many in found.unfilled.items():
        show.line(f"without {name}: {many:,} rows" + (f"; name its column with --role {name}=COLUMN" if many == found.rows else ""))
    show.line(f"Licences {DECLARED}.")


@app.command("notice")
def notice_of(
    first: RunFirst = None,
    run: RunName = None,
    out: Annotated[Path | None, typer.Option(help="a new text file: the list, and every licence's and notice's text")] = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """List the weights, vocabularies, word lists and items that a run used, with their declared licences."""
    from pipelines.provenance.notice import notice

    found = notice(open_run(store, run or first, as_json))
    if out is not None:
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(found.text())
        except OSError as error:
            raise CeterisError(f"cannot write there: {error.strerror}", where=str(out), fix="name a new file") from error
    if as_json:
        say(found.to_json())
        return
    rows = [[one.name, one.kind, one.licence, one.version, ", ".join(one.used_by), one.source] for one in found.pieces]
    show.table("used", ["name", "kind", "licence", "version", "by", "source"], rows)
    if found.brought:
        show.line(f"measured elsewhere, brought by the pool: {', '.join(found.brought)}")
    show.line(f"with all texts: {out}" if out else "with all texts: --out NOTICE.txt")


@app.command("rot")
def rot_of(
    later: Annotated[Path, typer.Argument(metavar="LATER", help="the pool that was fetched, as img2dataset writes it")],
    earlier: Annotated[
        Path | None, typer.Argument(metavar="[EARLIER]", help="the pool that declared the addresses; else LATER's own")
    ] = None,
    by: Annotated[str | None, typer.Option(help="uid or url, by which rows meet; uid unless one pool has none")] = None,
    hashes: Annotated[
        str | None, typer.Option("--hash", help="the declaring pool's column of SHA-256; sha256 of EARLIER unless given")
    ] = None,
    pdq: Annotated[str | None, typer.Option(help="the declaring pool's column of PDQ hashes")] = None,
    sample: Annotated[int | None, typer.Option(min=0, help="at most so many pictures are compared; all unless given")] = None,
    role: Roles = None,
    earlier_role: Annotated[list[str] | None, typer.Option("--earlier-role", help="role=column of EARLIER; may be repeated")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what of a pool of addresses was still there when it was fetched, and still the same: by host and source."""
    from curate.pool import Pool
    from pipelines.provenance.rot import rot

    declaring = Pool.open(earlier, roles=roles_of(earlier_role)) if earlier else None
    with show.progress() as watch:
        found = rot(Pool.open(later, roles=roles_of(role)), declaring, by=by, hashes=hashes, pdq=pdq, sample=sample, progress=watch)
    if as_json:
        say(found.to_json())
        return
    show.line(f"{found.later} against what {found.earlier} declares, by {found.matched_by}")
    everything = [{"": "all", **found.total}]
    for title, name, groups in (("rot", "", everything), ("by host", "host", found.by_host), ("by source", "source", found.by_source)):
        if groups:
            columns = list(groups[0])
            shown = [[one[name], *list(one.values())[1:]] for one in groups[: show.LISTED]]
            show.table(title, [column.replace("_", " ") for column in columns], shown, right=range(1, len(columns)))
            if len(groups) > show.LISTED:
                show.line(f"... and {len(groups) - show.LISTED:,} more (--json shows all)")
    if found.lost:
        lost = [[one["said"], one["rows"]] for one in found.lost[: show.LISTED]]
        show.table("not obtained", ["the fetcher said", "rows"], lost, right=(1,))
    if found.unexpected:
        show.line(f"{found.unexpected:,} rows were fetched that {found.earlier} does not declare")
    show.line(f"{found.compared:,} pictures were compared" + (f"; {found.left:,} were not, for --sample" if found.left else ""))


def audit_common(run: Run, other: str, subsets: Sequence[str] | None, out: Path | None, as_json: bool) -> None:
    """A subset and another, of this run or of RUN/SUBSET, on the rows that both have."""
    from pipelines.provenance.common import common

    if not subsets or len(subsets) != 1:
        fix = "curate audit SUBSET --common OTHER, or --common RUN/SUBSET"
        raise CeterisError("name the one subset that the other is held against", where="--common", fix=fix)
    named, _, name = other.rpartition("/")
    found = common(run.subset(subsets[0]), (Run.latest(run.store, named) if named else run).subset(name), out)
    if as_json:
        say(found.to_json())
        return
    show.table("rows", ["subset", "rows"], [[found.one, found.rows[0]], [found.other, found.rows[1]], ["common", found.common]], right=(1,))
    for column, values in found.columns.items():
        show.table(f"{column} of the common rows", ["value", found.one, found.other], [list(one.values()) for one in values], right=(1, 2))
    show.line(f"the common uids, sorted: {found.out}" if found.out else "the common uids: --out FILE.txt")
