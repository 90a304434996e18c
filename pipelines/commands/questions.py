"""The verbs that ask a trained judge of texts what a user brings: ask, items.

What imports torch is imported by the verbs that need it.
"""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from curate.errors import CeterisError
from pipelines import show
from pipelines.commands.options import AsJson, say

app = typer.Typer()


@app.command()
def ask(
    judge: Annotated[Path, typer.Argument(metavar="JUDGE", help="a folder: a Hugging Face causal model, or a judge that was exported")],
    tasks: Annotated[Path | None, typer.Argument(metavar="[TASKS.yaml]", help="tasks in JSON lines of your own")] = None,
    harness: Annotated[
        list[str] | None, typer.Option("--harness", help="a task of lm-evaluation-harness, or a YAML file of its; may be repeated")
    ] = None,
    shots: Annotated[int | None, typer.Option(min=0, help="with --harness: solved examples before each question")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="with --harness: the first so many items of each task")] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Ask one trained network your own tasks: multiple choice, short answers, bits per byte of texts."""
    if (tasks is None) == (not harness):
        raise CeterisError("name one: a file of tasks, or tasks of the harness", fix="curate ask JUDGE TASKS.yaml")
    if not harness and (shots is not None or limit is not None):
        raise CeterisError("--shots and --limit are the harness's", fix="write `shots` and `examples` into the file of tasks")
    if harness:
        _harness(judge, harness, shots, limit, device, as_json)
        return
    from pipelines.scores import questions

    found = questions.ask(judge, Path(str(tasks)), device)
    if as_json:
        say([dataclasses.asdict(one) for one in found])
        return
    rows = [[one.task, one.items, one.metric, f"{one.value:.4g}", "" if one.chance is None else f"{one.chance:.4g}"] for one in found]
    show.table("answers", ["task", "items", "metric", "value", "a guess makes"], rows, right=(1, 3, 4))
    groups = [[one.task, group["group"], group["items"], f"{group['points']:.4g}"] for one in found for group in one.groups]
    if groups:
        show.table("by group", ["task", "group", "items", "accuracy"], groups, right=(2, 3))
    show.line("one network, no interval: whether data made it better, `curate eval` and `curate compare` say")


def _harness(judge: Path, tasks: list[str], shots: int | None, limit: int | None, device: str, as_json: bool) -> None:
    try:
        from eval_fixed_model.harness import harness_scores
    except ImportError as error:
        raise CeterisError("lm-evaluation-harness is not installed", where="--harness", fix="pip install 'ceteris[harness]'") from error
    from eval_fixed_model.judge_folder import open_judge

    found = harness_scores(open_judge(judge, device), tasks, shots, limit)
    if as_json:
        say(found)
        return
    rows = [[task, metric, f"{value:.4g}"] for task, values in found.items() for metric, value in values.items()]
    show.table("as lm-evaluation-harness scores them", ["task", "metric", "value"], rows, right=(2,))


@app.command()
def items(
    tasks: Annotated[Path, typer.Argument(metavar="TASKS.yaml", help="tasks in JSON lines of your own")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="the folder to write TASK.parquet into")],
    as_json: AsJson = False,
) -> None:
    """Write your own tasks as the items of a scale, `items: {folder: OUT}`, so that comparisons can rest on them."""
    from pipelines.scores import questions

    written = questions.write_items(tasks, out)
    if as_json:
        say(written)
        return
    for name, many in written.items():
        show.line(f"{name}: {many:,} items in {out / name}.parquet")
