"""A judged run: the demo's pool with 420 rows, the shipped recipe cut down, the shipped scale at a tenth of a second a training."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from curate.executor import InProcess
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from eval_fixed_model.scale import SHIPPED, load_scale
from pipelines import verbs
from pipelines.demo.make_pool import make_pool
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.training import evaluate

RECIPE = """
pool: {path: shards/}
models: {matcher: {filter_network: {trusted: trusted/, seed: 0, samples: 2560}}}
signals: {match: {clip_score: {model: matcher}}}
stages:
  basic: {keep: "text_length.words > 2"}
  unique: {after: basic, keep: {one_per: near_duplicate_image, prefer: [license.class asc]}}
  best: {after: unique, keep: {top: match.score, count: 100}}
  scored: {keep: {top: match.score, count: 100}}
  rest: {minus: [unique, best]}
subsets: [basic, best, scored, rest]
evaluate: {scale: tiny-image-text, seeds: 2}
"""


@pytest.fixture(scope="session")
def small_scale(tmp_path_factory: pytest.TempPathFactory, write_scale: Callable[..., Path]) -> Path:
    """The shipped scale with ten steps."""
    path = tmp_path_factory.mktemp("scale") / "ten-steps.yaml"
    return write_scale(path, samples_seen=640, items__file=str(SHIPPED.parent / "tasks" / "tiny_image_text.parquet"))


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards, trusted rows and the recipe, side by side."""
    folder = tmp_path_factory.mktemp("small")
    make_pool(folder, rows=420, seed=0, shards=3)
    (folder / "small.yaml").write_text(RECIPE, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def done(place: Path) -> Run:
    """The recipe run once."""
    return verbs.run(Recipe.load(place / "small.yaml"), store=place / ".ceteris", executor=InProcess())


@pytest.fixture(scope="session")
def judged(done: Run, small_scale: Path) -> Evaluation:
    """Every arm trained with two seeds."""
    return evaluate(done, scale=str(small_scale), seeds=2, executor=InProcess())


@pytest.fixture
def pool(place: Path) -> Pool:
    """The pool of `place`."""
    return Pool.open(place / "shards")


STAGES = """
pool: {path: shards/}
stages:
  basic: {keep: "text_length.words > 3"}
  unique: {after: basic, keep: {one_per: near_duplicate_image, prefer: [license.class asc]}}
  long: {after: unique, keep: {top: text_length.chars, count: 120}}
subsets: [long]
evaluate: {scale: tiny-image-text, seeds: 2}
"""


@pytest.fixture(scope="session")
def two_tasks(tmp_path_factory: pytest.TempPathFactory, write_scale: Callable[..., Path]) -> Path:
    """The shipped scale with ten steps and two of its tasks, asked once."""
    return _two_tasks(tmp_path_factory.mktemp("scale") / "two-tasks.yaml", write_scale, 640)


@pytest.fixture(scope="session")
def two_tasks_longer(tmp_path_factory: pytest.TempPathFactory, write_scale: Callable[..., Path]) -> Path:
    """The same with twenty steps."""
    return _two_tasks(tmp_path_factory.mktemp("scale") / "two-tasks-longer.yaml", write_scale, 1280)


def _two_tasks(path: Path, write_scale: Callable[..., Path], samples: int) -> Path:
    items = path.with_name("items.parquet")
    every = pl.read_parquet(SHIPPED.parent / "tasks" / "tiny_image_text.parquet").filter(pl.col("task").is_in(["colour", "retrieval"]))
    every.filter(pl.int_range(pl.len()).over("task", "split") < 60).write_parquet(items)
    whole = load_scale("tiny-image-text")
    tasks = {name: whole.tasks[name].model_dump(mode="json", exclude_defaults=True) for name in ("colour", "retrieval")}
    changes = {"items__file": items.name, "tasks": tasks, "headline__tasks": ["colour", "retrieval"], "perturbed": None}
    return write_scale(path, samples_seen=samples, **changes)


@pytest.fixture(scope="session")
def scored(place: Path, two_tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """A recipe of three stages without models, in a store of its own: its subset and that one's controls, with two seeds."""
    (place / "stages.yaml").write_text(STAGES, encoding="utf-8")
    store = tmp_path_factory.mktemp("scored") / ".ceteris"
    run = verbs.run(Recipe.load(place / "stages.yaml"), store=store, executor=InProcess())
    return evaluate(run, scale=str(two_tasks), seeds=2, executor=InProcess())
