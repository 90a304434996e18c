"""A small pool of each modality, the shipped recipes cut down to it, and a way to run them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.executor import Executor, InProcess
from curate.pool import Pool
from curate.recipe import Recipe
from curate.rule import Top
from curate.run import Outcome, run
from curate.store import Store
from pipelines.catalog import catalogue
from pipelines.demo.make_pool import make_pool
from pipelines.demo.text.make_pool import make_pool as make_documents

RECIPES = Path(__file__).parents[2] / "pipelines" / "recipes"
TEXT_RECIPE = """
stages:
  basic: {keep: "text_length.words > 2 and text_length.chars < 60"}
  unique: {after: basic, keep: {one_per: near_duplicate_text, prefer: [pool.quality desc]}}
  exact: {after: basic, keep: {one_per: exact_duplicate, prefer: [text_length.chars desc]}}
  best: {after: unique, keep: {top: pool.quality, fraction: 0.4}}
  some: {after: basic, keep: {random: 0.5, seed: 3}}
  even: {after: basic, keep: {balance: pool.source, tail: 0.2, seed: 2}}
  drawn: {after: basic, keep: {soft_cap: pool.quality, penalty: 0.15, temperature: 0.2, count: 700, seed: 5}}
  twice: {after: even, keep: {repeat: 2}}
  mixed: {any_of: [twice, drawn]}
  both: {all_of: [best, some]}
  either: {any_of: [best, exact]}
  rest: {minus: [basic, best]}
  shared: {all_of: [drawn, twice], keep: {top: pool.quality, fraction: 0.5}}
subsets: [basic, best, both, either, rest, even, drawn, mixed, shared]
"""
WORDS = ("a fine day in the park with many dogs and cats running around happily near an old green river under three tall trees").split()  # noqa: SIM905

ALIKE = ("datacomp-no-filter", "datacomp-basic", "datacomp-clip-score", "datacomp-laion2b", "datacomp-text-based", "datacomp-image-based")
ALIKE += ("dfn", "laion2b")
"""Recipes whose rules and signals others of these have too; tests/pipelines runs them."""

Runner = Callable[..., Outcome]


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's pool with 420 rows in 3 shards."""
    folder = tmp_path_factory.mktemp("demo")
    make_pool(folder, rows=420, seed=0, shards=3)
    return folder


@pytest.fixture(scope="session")
def documents_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The text demo's pool with 400 rows in 3 shards."""
    folder = tmp_path_factory.mktemp("documents")
    make_documents(folder, rows=400, seed=0, shards=3)
    return folder


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """360 texts in 3 shards: captions with near and exact duplicates, pages of some lines, and a quality and a source that are
    sometimes null."""
    import random

    draw = random.Random(4)
    folder = tmp_path_factory.mktemp("texts")
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(1, 14))) for _ in range(240)]
    texts += draw.choices(texts, k=40) + [text + " again" for text in draw.choices(texts, k=20)]
    lines = [" ".join(draw.choices(WORDS, k=draw.randint(2, 14))).capitalize() + draw.choice([".", ".", "!", ""]) for _ in range(300)]
    texts += ["\n".join(draw.choices(lines, k=draw.randint(4, 16))) for _ in range(50)]
    texts += [f"{text}\nAnd so on." for text in texts[-10:]]
    quality = [None if draw.random() < 0.1 else round(draw.random(), 2) for _ in texts]
    source = draw.choices(["web", "books", "wiki", None], [20, 4, 1, 1], k=len(texts))
    for shard in range(3):
        columns = {"text": texts[shard::3], "quality": quality[shard::3], "source": source[shard::3]}
        pl.DataFrame(columns).write_parquet(folder / f"{shard}.parquet")
    return folder


@pytest.fixture(scope="session")
def metadata_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """360 rows like DataComp's metadata in 3 shards, with scores of which some are equal or null and features, and a target of 8."""
    rng = np.random.default_rng(6)
    folder = tmp_path_factory.mktemp("metadata")
    features = pl.Series(rng.normal(size=(368, 8)).astype(np.float32), dtype=pl.Array(pl.Float32, 8))
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 12))) for _ in range(360)]
    score = [None if draw < 0.05 else round(draw, 2) for draw in rng.random(360).tolist()]
    uids = [rng.bytes(16).hex() for _ in range(360)]
    columns = {"uid": uids, "url": [f"https://example.org/{uid}.jpg" for uid in uids], "text": texts, "l14_img": features[:360]}
    rows = pl.DataFrame({**columns, "clip_l14_similarity_score": pl.Series(score, dtype=pl.Float32)})
    (folder / "shards").mkdir()
    for shard in range(3):
        rows[shard::3].write_parquet(folder / "shards" / f"{shard}.parquet")
    targets = pl.DataFrame({"url": [f"https://example.org/{n}" for n in range(8)], "text": ["a target"] * 8, "l14_img": features[360:]})
    targets.write_parquet(folder / "target.parquet")
    (folder / "concepts.txt").write_text("\n".join(sorted({word for word in WORDS if len(word) > 2})), encoding="utf-8")
    return folder


def published(path: Path, folder: Path) -> Recipe:
    """A recipe of an image-text selection, cut down to what `metadata_folder` has."""
    recipe = Recipe.parse(path.read_text(encoding="utf-8"), where=str(path), base=folder)
    if path.stem == "metaclip":
        return recipe.set("models.list.concept_list.file", "concepts.txt").set("stages.balanced.keep.at_most", 20)
    changed = {"k": 7, "target": "target.parquet"}
    for key, value in changed.items():
        recipe = recipe.set(f"models.parts.feature_clusters.{key}", value)
    return recipe


def shipped(path: Path, folder: Path) -> Recipe:
    """A shipped recipe beside the small demo pool: its network trained for a moment only, its counts cut to the pool."""
    recipe = Recipe.parse(path.read_text(encoding="utf-8"), where=str(path), base=folder)
    for name, model in recipe.models.items():
        if model.kind == "filter_network":
            recipe = recipe.set(f"models.{name}.filter_network.samples", 256)
    for name, stage in recipe.stages.items():
        if isinstance(stage.rule, Top) and stage.rule.count is not None:
            recipe = recipe.set(f"stages.{name}.keep.count", 90)
    return recipe


@pytest.fixture(scope="session", params=["texts", *sorted(path.name for path in RECIPES.glob("*.yaml") if path.stem not in ALIKE)])
def case(
    request: pytest.FixtureRequest, demo_folder: Path, documents_folder: Path, text_folder: Path, metadata_folder: Path
) -> tuple[Recipe, Pool]:
    """Every recipe that is shipped, but for some ALIKE others, and one over texts that uses every rule and combination."""
    if request.param == "texts":
        return Recipe.parse(TEXT_RECIPE, where="texts"), Pool.open(text_folder)
    if request.param.startswith(("datacomp", "metaclip")):
        return published(RECIPES / request.param, metadata_folder), Pool.open(metadata_folder / "shards")
    if request.param == "demo-text.yaml":
        return shipped(RECIPES / request.param, documents_folder), Pool.open(documents_folder / "shards")
    recipe = shipped(RECIPES / request.param, demo_folder)
    return recipe, Pool.open(demo_folder / "shards" if recipe.pool else text_folder)  # text recipes name no pool


@pytest.fixture(scope="session")
def do() -> Runner:
    """Run a recipe on a pool into a store."""

    def runner(recipe: Recipe, pool: Pool, store: Path | Store, executor: Executor | None = None) -> Outcome:
        at = store if isinstance(store, Store) else Store.open(store)
        return run(recipe, pool, catalogue(), at, executor or InProcess(), lambda *_: None)

    return runner


@pytest.fixture(scope="session")
def undisturbed(case: tuple[Recipe, Pool], do: Runner, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Outcome]:
    """The case run once, in process."""
    store = Store.open(tmp_path_factory.mktemp("undisturbed") / "store")
    return store, do(*case, store)
