"""A whole text recipe: in this process on one core, through Ray on one core, and through Ray on two.

`python -m benchmarks.recipe FOLDER`. FOLDER has text-*.parquet; the recipe is FineWeb's as it is shipped: language, three sets of text
rules, near-duplicates. Every turn starts with an empty store, so that all evidence is measured and written. All three must select the same
rows. A first run on a few documents has loaded modules and kernels into every worker before the clock starts; how long Ray takes to start
and to do its first task is told apart. Processor times and peak memory (PSS) are of all processes together, Ray's own among them.
"""

import functools
import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import _run
from benchmarks._run import ROOT, Answers, Engine, Parts, Work, Workload, command

if TYPE_CHECKING:
    from curate.executor import Executor

FILES = "text-*.parquet"
HERE, ONE, TWO = "in process", "Ray, one worker on one core", "Ray, two workers on two cores"


def through(folder: Path, _part: str, documents: int, *, workers: int) -> Work:
    """Run the recipe with so many workers of a private Ray, or with none in this process."""
    return selected(folder, documents, started(workers))


@functools.cache
def started(workers: int) -> "Executor":
    """In-process, or a Ray that has done its first task on every worker."""
    from curate.executor import InProcess, Ray

    if not workers:
        return InProcess()
    began = time.perf_counter()
    executor = Ray("local", workers)
    list(executor.map(_idle, [0.0]))
    _run.notes["start-up of Ray, s"] = round(time.perf_counter() - began, 2)
    list(executor.map(_idle, [0.5] * workers))  # at the same time, so one for each
    return executor


def _idle(seconds: float) -> None:
    import filters.language
    import filters.near_duplicate_text  # noqa: F401  what takes longest to load

    time.sleep(seconds)


def selected(folder: Path, documents: int, executor: "Executor") -> Work:
    """Work whose answer is the digest and the rows of every subset."""
    from curate.recipe import Recipe
    from curate.store import Store
    from pipelines.verbs import open_pool, run

    scratch = tempfile.TemporaryDirectory()  # lives as long as the work
    place = Path(scratch.name)
    pool_of(folder, place / "pool", documents)
    recipe, turns = Recipe.load(ROOT / "pipelines" / "recipes" / "fineweb.yaml"), itertools.count()

    def work(_alive: "tempfile.TemporaryDirectory[str]" = scratch) -> dict[str, Any]:
        store = Store.open(str(place / f"store-{next(turns)}"))
        pool = open_pool(recipe, place / "pool", store)
        made = run(recipe, pool, store=store, executor=executor)
        stages = {line["stage"]: line["kept"] for line in made.funnel()}
        return {"documents": pool.rows, "subsets": made.facts["subsets"], "kept": stages}

    return work


def pool_of(folder: Path, place: Path, documents: int) -> None:
    """The first documents of every file of the corpus, `documents` in all, so that there are as many shards as files."""
    import polars as pl

    place.mkdir(parents=True)
    files = sorted(folder.glob(FILES))
    for number, file in enumerate(files):
        share = documents * (number + 1) // len(files) - documents * number // len(files)
        pl.read_parquet(file, n_rows=share).write_parquet(place / file.name, row_group_size=4096)


def check(_folder: Path, _part: str, documents: int, answers: Answers) -> dict[str, Any]:
    """Everybody selects the same rows, and some."""
    first: dict[str, Any] = next(iter(answers.values()))
    assert all(found == first for found in answers.values()), f"the same rows: {answers}"
    assert first["documents"] <= documents, "no more than was asked for"
    assert first["kept"]["english"] > 0, "some rows are kept"
    return first


def judge(folder: Path, part: str, documents: int, answers: Answers) -> dict[str, dict[str, Any]]:
    """As checked, on all documents."""
    check(folder, part, documents, answers)
    return {name: {"kept": found["kept"]} for name, found in answers.items()}


def conclude(parts: Parts) -> dict[str, Any]:
    """What a second core gives, and what Ray costs."""
    (lines,) = parts.values()
    pairs = {"one core over two, through Ray": (ONE, TWO), "Ray over in process, one core": (ONE, HERE)}
    return {
        said: {key: round(lines[one][key] / lines[other][key], 3) for key in ("wall", "processor")}
        for said, (one, other) in pairs.items()
        if {one, other} <= lines.keys()
    }


WORKLOAD = Workload(
    name="recipe",
    about=__doc__,
    engines={
        HERE: Engine(functools.partial(through, workers=0), tree=True),
        ONE: Engine(functools.partial(through, workers=1), tree=True),
        TWO: Engine(functools.partial(through, workers=2), tree=True, cores=2),
    },
    check=check,
    judge=judge,
    checked=2000,
    size=lambda answer: int(answer["documents"]),
    conclude=conclude,
)

if __name__ == "__main__":
    command(WORKLOAD)
