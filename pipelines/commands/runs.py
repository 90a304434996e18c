"""The verbs that read a finished run: eval, compare, why, export.

What imports torch is imported by the verbs that need it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from curate.errors import CeterisError, StoreError
from pipelines import show, verbs
from pipelines.commands.options import AsJson, RayAt, RunFirst, RunName, StoreAt, Workers, executing, executor_of, open_run, open_there, say
from pipelines.model_export import LAYOUT as MODEL_LAYOUT
from pipelines.model_export import export_model

if TYPE_CHECKING:
    pass

app = typer.Typer()


@app.command("eval")
def evaluate(
    first: RunFirst = None,
    run: RunName = None,
    scale: Annotated[str | None, typer.Option(help="a scale; else the recipe's")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="trainings of each subset; else the recipe's")] = None,
    until: Annotated[
        bool, typer.Option("--until-verdict", help="train seeds until no line is `cannot tell`, at the looks that the scale fixes")
    ] = False,
    judges: Annotated[
        Path | None,
        typer.Option(help="a new folder for the trained networks: Llama's as transformers opens them, open_clip's as it does; trains all"),
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
        _cost(run or first, scale, seeds, store, as_json)
        return
    if until and seeds:
        raise CeterisError("the looks say how many seeds are trained", where="--seeds", fix="leave out --seeds, or --until-verdict")
    from pipelines.scores import tables as score_tables
    from pipelines.scores.training import evaluate as train
    from pipelines.scores.until_verdict import until_verdict

    at = open_run(store, run or first, as_json)
    judged = None
    how: dict[str, Any] = {"processes": processes, "micro": micro}
    with executing(workers, ray) as executor, show.progress() as watch:
        how |= {"scale": scale, "executor": executor, "progress": watch}
        if until:
            judged = until_verdict(at, **how)
        done = judged.evaluation if judged else train(at, seeds=seeds, judges=judges, **how)
    if as_json:
        say(done.to_json() | ({"verdict": judged.to_json()} if judged else {}))
        return
    score_tables.scores(done)
    if judged:
        score_tables.verdict(judged)


def _cost(run: str | None, scale: str | None, seeds: int | None, store: str | None, as_json: bool) -> None:
    """Of a run's trainings: of the one named, else of the latest; where there is none, of one training."""
    from pipelines.scores.dry_run import dry_run, print_dry_run

    at = None
    if run or (Path(verbs.store_address(store)) / "FORMAT").is_file():
        try:
            at = open_run(store, run, as_json)
        except StoreError:
            if run:
                raise
    found = dry_run(scale, at, seeds)
    say(found.to_json()) if as_json else print_dry_run(found)


@app.command()
def scales(
    name: Annotated[str | None, typer.Argument(metavar="[SCALE]", help="a scale's name, or the file of one of your own")] = None,
    as_json: AsJson = False,
) -> None:
    """List the scales: model, budget, compute, and how long a training takes on the devices at hand; or what one of them asks."""
    if name:
        from eval_fixed_model.scale import load_scale
        from pipelines.scores.tasks_table import tasks_table

        asked = tasks_table(load_scale(name))
        say(asked) if as_json else show.table(f"what {name} asks", list(asked[0]), [list(one.values()) for one in asked], right=(3,))
        return
    from pipelines.scores.dry_run import scales_table

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
    from pipelines.scores import tables as score_tables
    from pipelines.scores.account import account
    from pipelines.scores.verdicts import compare as judge

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
    at_most: Annotated[int, typer.Option(min=1, help="of several rows, how many to show; with --near, on both sides together")] = 10,
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
        rows = verbs.near(open_run(store, run, as_json), stage, (at_most + 1) // 2)[:at_most]
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
