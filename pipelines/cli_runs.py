"""The verbs that read a finished run: eval, compare, why, audit, export.

What imports torch is imported by the verbs that need it.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import polars as pl
import typer

from curate.audit import trusted_dropped
from curate.errors import CeterisError
from curate.quarantine import quarantined, restricted
from pipelines import caption_tables, captions, show, verbs
from pipelines.contaminated import Contaminated, contaminated
from pipelines.model_export import LAYOUT as MODEL_LAYOUT
from pipelines.model_export import export_model
from pipelines.options import AsJson, RayAt, RunName, StoreAt, Workers, executor_of, open_run, open_there, say

if TYPE_CHECKING:
    from pipelines import planted

app = typer.Typer()


@app.command("eval")
def evaluate(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="a run's name or NAME-ID; else the latest")] = None,
    scale: Annotated[str | None, typer.Option(help="a scale; else the recipe's")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="trainings of each subset; else the recipe's")] = None,
    until: Annotated[
        bool, typer.Option("--until-verdict", help="train seeds until no line is `cannot tell`, at the looks that the scale fixes")
    ] = False,
    judges: Annotated[
        Path | None, typer.Option(help="a new folder for the trained networks, as the field's libraries open them; trains all of them")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="that share the batches of each training, a GPU each; a condition of scores")] = 1,
    micro: Annotated[
        int | None, typer.Option(min=1, help="rows that a process computes at once, a condition, too; else what a GPU's memory holds")
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="train nothing; say what it would cost: parameters, FLOPs, memory, time")] = False,
    workers: Workers = None,
    ray: RayAt = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Train the fixed model on each subset and on its controls, and score them. Trains nothing twice."""
    if dry:
        _cost(run, scale, seeds, store, as_json)
        return
    if until and seeds:
        raise CeterisError("the looks say how many seeds are trained", where="--seeds", fix="leave out --seeds, or --until-verdict")
    from pipelines import score_tables
    from pipelines.training import evaluate as train
    from pipelines.until_verdict import until_verdict

    at = open_run(store, run, as_json)
    executor = executor_of(workers, ray)
    judged = None
    how: dict[str, Any] = {"processes": processes, "micro": micro}
    try:
        with show.progress() as watch:
            if until:
                judged = until_verdict(at, scale=scale, executor=executor, progress=watch, **how)
            done = (
                judged.evaluation
                if judged
                else train(at, scale=scale, seeds=seeds, judges=judges, executor=executor, progress=watch, **how)
            )
    finally:
        executor.close()
    if as_json:
        say(done.to_json() | ({"verdict": judged.to_json()} if judged else {}))
        return
    score_tables.scores(done)
    if judged:
        score_tables.verdict(judged)


def _cost(run: str | None, scale: str | None, seeds: int | None, store: str | None, as_json: bool) -> None:
    """Of a run's trainings; without a run, of one training."""
    from pipelines.dry_run import dry_run, print_dry_run

    there = (Path(verbs.store_address(store)) / "FORMAT").is_file()
    found = dry_run(scale, open_run(store, run, as_json) if run or (there and not scale) else None, seeds)
    say(found.to_json()) if as_json else print_dry_run(found)


@app.command()
def scales(as_json: AsJson = False) -> None:
    """List the scales: model, budget, compute, and how long a training takes on the devices at hand."""
    from pipelines.dry_run import scales_table

    lines = scales_table()
    say(lines) if as_json else show.table("scales", list(lines[0]), [list(one.values()) for one in lines])


@app.command()
def compare(
    candidate: Annotated[str | None, typer.Argument(help="a subset; else every one")] = None,
    control: Annotated[str | None, typer.Argument(help="what to compare it with; else all its controls")] = None,
    run: RunName = None,
    scale: Annotated[str | None, typer.Option(help="a scale; else that of the latest evaluation")] = None,
    told: Annotated[
        bool, typer.Option("--account", help="in Markdown: conditions, seeds, intervals, repeats, leaks, and what cannot be concluded")
    ] = False,
    require: Annotated[str | None, typer.Option(help="exit 1 unless every shown answer is this, such as better")] = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Say which subset is better, with simultaneous intervals. Only reads scores."""
    from eval_fixed_model.statistics import Answer
    from pipelines import score_tables
    from pipelines.account import account
    from pipelines.verdicts import compare as judge

    if require and require not in get_args(Answer):
        raise CeterisError(f"no verdict says {require!r}", where="--require", fix=f"one of: {', '.join(get_args(Answer))}")
    at = open_run(store, run, as_json)
    verdict = judge(at, candidate, control, scale=scale)
    if as_json:
        say(verdict.to_json() | ({"account": account(verdict)} if told else {}))
    else:
        show.line(account(verdict)) if told else score_tables.verdict(verdict)
    answers = [*[line.answer for line in verdict.contrasts], *["equivalent" for _ in verdict.same]]
    if require and (not answers or any(answer != require for answer in answers)):
        raise typer.Exit(1)


@app.command()
def why(
    uid: Annotated[str | None, typer.Argument(help="a row: 32 hex digits, or the pool's own id")] = None,
    url: Annotated[str | None, typer.Option(help="instead: rows with this url, whole")] = None,
    text: Annotated[str | None, typer.Option(help="instead: rows whose text holds this, as it is written; looks at every text")] = None,
    image: Annotated[Path | None, typer.Option(help="instead: rows that show this picture, or nearly")] = None,
    scan: Annotated[bool, typer.Option("--scan", help="with --image: hash all images that no run has hashed, however many")] = False,
    at_most: Annotated[int, typer.Option(min=1, help="of several rows, how many to show")] = 10,
    stage: Annotated[str | None, typer.Option(help="with --near: a stage whose rule is top")] = None,
    near: Annotated[bool, typer.Option("--near", help="the rows on both sides of the stage's cut")] = False,
    run: Annotated[str | None, typer.Option("--run", help="only what this run says, a name or NAME-ID; else every run")] = None,
    workers: Workers = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Say why a row is in or out: every value, the deciding rule, its threshold, the survivor of a duplicate; in every run."""
    if near != (stage is not None) or sum(one is not None for one in (uid, url, text, image)) + near != 1:
        fix = "curate why UID, or --url, --text or --image; or curate why --stage NAME --near"
        raise CeterisError("name a row in one way, or a stage and --near", fix=fix)
    if stage:
        rows = verbs.near(open_run(store, run, as_json), stage)
        say(rows) if as_json else show.around(stage, rows)
        return
    from pipelines.provenance import fate_tables
    from pipelines.provenance.fate import fates

    at = open_there(store, as_json)
    executor = executor_of(workers, None) if workers else None
    try:
        found = fates(at, uid=uid, url=url, text=text, image=image, run=run, at_most=at_most, every=scan, executor=executor)
    finally:
        if executor:
            executor.close()
    say(found.to_json()) if as_json else fate_tables.fates(found)


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
        from pipelines import cli_licences

        if policy:
            cli_licences.audit_policy(at, policy, subset, out, first, as_json)
        elif common:
            cli_licences.audit_common(at, common, subset, out, as_json)
        else:
            cli_licences.audit_licences(at, subset, as_json)
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


@app.command()
def export(
    subset: str,
    out: Path,
    layout: Annotated[
        str, typer.Option(help="parquet, webdataset, jsonl.zst, uids or npy; open_clip: a model of the recipe, by its name")
    ] = "parquet",
    redact: Annotated[str | None, typer.Option(help="pii: replace e-mail and public IP addresses, phone, card and account numbers")] = None,
    blur: Annotated[str | None, typer.Option(help="faces: blur the pool's face boxes in the images that leave")] = None,
    evidence: Annotated[
        list[str] | None,
        typer.Option("--with", help="signal.column, or name=signal.column: evidence as a column (or in each json); may be repeated"),
    ] = None,
    run: RunName = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Write a subset out: as Parquet, webdataset or JSON lines, uids, or DataComp's .npy; or a model as a folder that open_clip loads."""
    if layout == MODEL_LAYOUT and redact is None and blur is None:
        made = export_model(open_run(store, run, as_json), subset, out)
        say(made) if as_json else show.line(f"the model {subset} in {out}: {', '.join(made['files'])}")
        return
    columns = {one.partition("=")[0]: one.rpartition("=")[2] for one in evidence or []}
    about = verbs.export(open_run(store, run, as_json).subset(subset), out, layout, redact, blur, columns)
    if as_json:
        say(about)
        return
    often = f" ({about['with_copies']:,} with copies)" if "with_copies" in about else ""
    show.line(f"{about['rows']:,} rows{often} in {out}: {', '.join(about['files'][:5])}")
    if redact:
        taken = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in about["redacted"].items())
        show.line(f"replaced in {about['redacted_rows']:,} rows: {taken}")
    if blur:
        left = ", ".join(f"{count:,} {code}" for code, count in about["left_out"].items()) or "none"
        unchecked = f"{about['unchecked_images']:,} without a word on faces"
        show.line(f"blurred {about['blurred']:,} faces in {about['blurred_images']:,} images; {unchecked}; left out: {left}")
