"""The verb audit: what a finished run's subsets are made of, and what its measurements are worth."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from curate.audit import trusted_dropped
from curate.quarantine import quarantined, restricted
from pipelines import caption_tables, captions, show, verbs
from pipelines.commands.options import AsJson, RunName, StoreAt, open_run, say
from pipelines.contaminated import Contaminated, contaminated

if TYPE_CHECKING:
    from pipelines import planted

app = typer.Typer()


@app.command()
def audit(
    by: Annotated[
        list[str] | None, typer.Option(help="a role, pool.NAME or signal.column; may be repeated; else licence, language, source")
    ] = None,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="instead: the files and rows that could not be read or measured")
    ] = False,
    barred: Annotated[
        bool, typer.Option("--restricted", help="instead: the addresses of rows that the recipe restricts; nothing of their content")
    ] = False,
    dedup: Annotated[
        bool, typer.Option("--dedup", help="instead: plant near-duplicates in a sample of the texts; measure recall and precision")
    ] = False,
    contamination: Annotated[
        bool, typer.Option("--contamination", help="instead: the evaluation items, texts or images, that rows of each subset hold")
    ] = False,
    concepts: Annotated[
        bool, typer.Option("--concepts", help="instead: how matches spread over a list of concepts: none, tail, head, and by name")
    ] = False,
    at_most: Annotated[int | None, typer.Option(min=1, help="with --concepts: the count that parts tail from head")] = None,
    tail: Annotated[float | None, typer.Option(min=0, max=1, help="with --concepts: else the share of matches in the tail; .06")] = None,
    coverage: Annotated[
        bool, typer.Option("--captions", help="instead: what captions say, what stands in their place, and what they never say")
    ] = False,
    subset: Annotated[list[str] | None, typer.Option(help="as SUBSET; may be repeated")] = None,
    grouping: Annotated[str | None, typer.Option(help="with --dedup: which, where a run has several")] = None,
    sample: Annotated[int, typer.Option(min=1, help="with --dedup: texts to read")] = 2000,
    seed: Annotated[int, typer.Option(help="with --dedup: the draw")] = 0,
    names: Annotated[list[str] | None, typer.Argument(metavar="[SUBSET]...", help="only these; with --common, the one")] = None,
    licences: Annotated[
        bool, typer.Option("--licences", help="instead: what the declared licences ask, how they are evidenced, and where they conflict")
    ] = False,
    policy: Annotated[Path | None, typer.Option(help="instead: hold subsets against a policy file; exit 1 where a row offends")] = None,
    common: Annotated[
        str | None, typer.Option(help="instead: SUBSET and this one, or RUN/SUBSET of this store, on the rows that both have")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="with --policy: a new Parquet file for every offence; with --common: a new text file for the uids")
    ] = None,
    first: Annotated[int, typer.Option(min=0, help="with --policy: offences to show")] = 12,
    run: RunName = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Show what each subset is made of: licence, language and source, as declared and measured; what is in quarantine; how
    well duplicates are found; which evaluation items are in it; or what its declared licences ask."""
    at, subset = open_run(store, run, as_json), names or subset
    if policy or licences or common:
        from pipelines.commands import licences as of_licences

        if policy:
            of_licences.audit_policy(at, policy, subset, out, first, as_json)
        elif common:
            of_licences.audit_common(at, common, subset, out, as_json)
        else:
            of_licences.audit_licences(at, subset, as_json)
        return
    if dedup:
        from pipelines import planted

        found = planted.audit(at, grouping, sample=sample, seed=seed)
        say(dataclasses.asdict(found)) if as_json else _planted(found)
        return
    if contamination:
        hits = contaminated(at, subset)
        say({"items": hits.items.to_dicts(), "subsets": hits.subsets.to_dicts(), "unchecked": hits.unchecked}) if as_json else _hits(hits)
        return
    if barred:
        rows = restricted(at)
        say(rows.to_dicts()) if as_json else show.table(
            f"{rows.height:,} restricted rows", rows.columns, [list(row) for row in rows.rows()]
        )
        return
    if concepts:
        spread = captions.tails(at, subset, at_most, tail)
        say({name: getattr(spread, name).to_dicts() for name in ("subsets", "entries")}) if as_json else caption_tables.tails(spread)
        return
    if coverage:
        said = captions.coverage(at, subset)
        every = {name: getattr(said, name).to_dicts() for name in ("captions", "kinds", "never")}
        say(every) if as_json else caption_tables.coverage(said)
        return
    if quarantine:
        held = quarantined(at)
        say(held.to_dicts()) if as_json else show.quarantine(held)
        return
    mixes = verbs.mixes(at, by or [], subset)
    if as_json:
        say({column: counts.to_dicts() for column, counts in mixes.items()})
        return
    for column, counts in mixes.items():
        show.mix(column, counts)
    if left := trusted_dropped(at):
        show.line(f"{left:,} rows of the pool are in no subset: a model was trained on them")
    show.line("Licences are as declared by the pool: evidence, not legal clearance.")


def _hits(found: Contaminated) -> None:
    """How many items of each task each subset holds."""
    by_task = found.items.group_by("signal", "subset", "task", maintain_order=True).agg(items=pl.len(), most_rows=pl.col("rows").max())
    show.table("evaluation items held", by_task.columns, by_task.rows(), right=(3, 4))
    show.table("subsets", found.subsets.columns, found.subsets.rows(), right=(2, 3, 4))
    for signal, tasks in found.unchecked.items():
        for task, items in tasks.items():
            show.line(f"{signal}: {len(items):,} items of {task} are too short, or too plain, to be looked for")
    show.line("every item: --json")


def _planted(found: "planted.Audit") -> None:
    """Recall by true similarity, and precision, as tables."""
    bands, exact = "{bands} bands of {rows}".format(**found.parameters), found.parameters["exact"]
    show.line(f"{found.grouping}: {bands}, threshold {found.threshold:g}, similarities {'exact' if exact else 'estimated from signatures'}")
    show.line(f"{found.sampled:,} texts that were judged by it, {found.short:,} of them too short; one copy of each of the others")
    rows = [
        [
            f"{one.low:g} to {one.high:g}" if one.low < one.high else "1",
            one.pairs,
            one.candidates,
            f"{one.expected:.1%}",
            one.found,
            _share(one.found, one.pairs, one.interval),
        ]
        for one in found.bins
    ]
    columns = ["true similarity", "copies", "agree in a band", "expected", "over the threshold", "of the copies (95%)"]
    show.table("recall", columns, rows, right=range(1, 6))
    kinds = {
        "pairs of the sample and its copies": found.linked,
        "of these, pairs that were there before": found.unplanted,
        "rows that the run removed, with their survivors": found.removed,
    }
    shown = [
        [kind, one.pairs, one.wrong, _share(one.pairs - one.wrong, one.pairs, one.precision), one.least] for kind, one in kinds.items()
    ]
    columns = ["called duplicates", "how many", "less alike than the threshold", "precision (95%)", "least similarity"]
    show.table("precision", columns, shown, right=range(1, 5))
    if not exact and (found.linked.wrong or found.removed.wrong):
        show.line(
            "advice: `exact: true` in the grouping's parameters compares texts themselves: then no pair below the threshold is linked"
        )


def _share(part: int, of: int, interval: tuple[float, float]) -> str:
    return f"{part / of:.1%} ({interval[0]:.1%} to {interval[1]:.1%})" if of else ""
