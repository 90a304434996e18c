"""The demo: make the pool, curate it, train on every subset, say what helped, and show where to look next."""

import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.audit import uid_of
from curate.executor import Executor
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from pipelines import show, verbs
from pipelines.demo.make_pool import make_pool
from pipelines.demo.text.make_pool import make_pool as make_documents
from pipelines.scores import tables as score_tables
from pipelines.scores.training import evaluate
from pipelines.scores.verdicts import compare

RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class Demo:
    """What a demo is made of: its recipe, what makes its pool, and the folders this leaves; `shards`, the last, says that it is whole."""

    recipe: Path
    make: Callable[..., None]
    parts: tuple[str, ...]


PICTURES = Demo(RECIPES / "demo.yaml", make_pool, ("truth", "trusted", "shards"))
DOCUMENTS = Demo(RECIPES / "demo-text.yaml", make_documents, ("truth", "trusted", "items", "shards"))


def tour(folder: Path, executor: Executor, demo: Demo = PICTURES, *, seed: int = 0, quiet: bool = False) -> dict[str, Any]:
    """Everything in `folder`, on the pool of this seed; what an earlier demo has done there is not done again. Returns what it printed,
    JSON-able."""
    began = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "shards").is_dir():
        _made(folder, demo, seed)
    recipe_file = folder / demo.recipe.name
    if not recipe_file.exists():
        shutil.copyfile(demo.recipe, recipe_file)
    store = Store.open(folder / verbs.STORE)
    show.note(f"store: {store.address}")
    recipe = Recipe.load(recipe_file)
    pool = verbs.open_pool(recipe, None, store)
    with show.progress() as watch:
        outcome = verbs.run_with_effort(recipe, pool, store, executor, [], watch)
    run = Run(store, outcome.folder)
    if not quiet:
        show.funnel(run.funnel())
        show.effort(outcome.effort, pool.rows)
    with show.progress() as watch:
        done = evaluate(run, executor=executor, progress=watch)
    judged = compare(done)
    lines = _next(run, folder)
    if not quiet:
        score_tables.scores(done)
        score_tables.verdict(judged)
        show.line(f"{time.perf_counter() - began:.0f} s. Paste one of these:")
        for line in lines:
            show.line(f"  {line}")
    return {"run": run.folder, "funnel": run.funnel(), "verdict": judged.to_json(), "seconds": time.perf_counter() - began, "next": lines}


def _made(folder: Path, demo: Demo, seed: int) -> None:
    """Make the pool beside and move it in, so that a demo stopped half-way leaves no half pool."""
    attempt = folder / "making"
    shutil.rmtree(attempt, ignore_errors=True)
    demo.make(attempt, seed=seed)
    for part in demo.parts:
        (attempt / part).rename(folder / part)
    attempt.rmdir()


def _next(run: Run, folder: Path) -> list[str]:
    """A `why` for a row that was kept, one that was dropped and one in quarantine, and an export."""
    start, store = show.program(), f"--store {shlex.quote(str(folder / verbs.STORE))}"
    subset = list(run.facts["subsets"])[-1]
    lines = []
    for kind in ("in", "dropped", "quarantined"):
        uid = _example(run, subset, kind)
        if uid:
            lines.append(f"{start} why {uid} {store}   # {'kept' if kind == 'in' else kind}")
    return [*lines, f"{start} export {subset} {shlex.quote(str(folder / subset))} {store}"]


def _example(run: Run, subset: str, kind: str) -> str | None:
    """The first row of a kind; of the dropped ones one that a duplicate replaced, if there is any."""
    decided = run.decided(subset)
    codes = run.codes(subset)
    wanted = [code for code, reason in enumerate(decided.reasons) if reason.kind == kind and decided.counts[code]]
    wanted.sort(key=lambda code: not decided.reasons[code].text.startswith("one per"))
    return uid_of(run, int((codes == wanted[0]).argmax())) if wanted else None
