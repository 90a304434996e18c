"""Models of a recipe through the whole engine: trained from trusted pairs, or open_clip's, from a checkpoint of one's own."""

import argparse
import builtins
import inspect
import json
import tarfile
import typing
from pathlib import Path

import open_clip
import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from curate.errors import RecipeError
from curate.executor import InProcess, Processes
from curate.recipe import Recipe
from curate.store import Store
from pipelines import verbs

ARCHITECTURE = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
RECIPE = """
models:
  mine: {open_clip: {name: mine-tiny, config: mine-tiny.json, weights: weights.safetensors}}
  other: {open_clip: {name: mine-tiny, config: mine-tiny.json, random_seed: 8}}
signals:
  mine: {clip_score: {model: mine}}
  other: {clip_score: {model: other}}
stages:
  good: {keep: "mine.score >= 0.0"}
  both: {after: good, keep: {top: other.score, fraction: 0.5}}
subsets: [good, both]
"""

CLASSIFIED = """
models: {good: {quality_classifier: {trusted: trusted.parquet, others: pool/0.parquet, bits: 14}}}
signals: {quality: {quality_score: {model: good}}}
stages: {best: {keep: {top: quality.score, count: 50}}}
subsets: [best]
"""


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe, an architecture and a checkpoint of it."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "mine-tiny.json").write_text(json.dumps(ARCHITECTURE), encoding="utf-8")
    open_clip.add_model_config(folder / "mine-tiny.json")
    torch.manual_seed(7)
    save_file(open_clip.create_model("mine-tiny").state_dict(), folder / "weights.safetensors")
    (folder / "models.yaml").write_text(RECIPE, encoding="utf-8")
    return folder


def test_two_checkpoints_are_two_columns_of_one_signal(beside: Path, place: Path, tmp_path: Path) -> None:
    recipe = Recipe.load(beside / "models.yaml")
    here = verbs.run(recipe, place / "shards", store=tmp_path / "a", executor=InProcess())
    mine, other = here.evidence("mine"), here.evidence("other")
    assert mine.height == here.pool.rows
    assert other.height == here.decided("good").kept
    both = mine.join(other, on="row").drop_nulls("score")
    assert (both["score"] != both["score_right"]).all()
    executor = Processes(2)
    try:
        beside_it = verbs.run(recipe, place / "shards", store=tmp_path / "b", executor=executor)
    finally:
        executor.close()
    assert beside_it.facts["subsets"] == here.facts["subsets"]


def test_other_weights_are_another_model_and_measured_anew(beside: Path, place: Path, tmp_path: Path) -> None:
    store, recipe = Store.open(tmp_path / "s"), Recipe.load(beside / "models.yaml")
    first = verbs.run(recipe, place / "shards", store=store, executor=InProcess())
    again = verbs.run(recipe.set("models.other.open_clip.random_seed", 9), place / "shards", store=store, executor=InProcess())
    assert again.facts["measures"]["mine"] == first.facts["measures"]["mine"]
    assert again.facts["measures"]["other"]["folder"] != first.facts["measures"]["other"]["folder"]
    assert not again.evidence("other")["score"].equals(first.evidence("other")["score"])


def test_a_plan_before_training_says_that_coverage_is_unknown(place: Path, tmp_path: Path) -> None:
    planned = verbs.plan(Recipe.load(place / "small.yaml"), store=tmp_path / "s")
    assert planned.forecast.evidence["match"].rows is None
    assert planned.forecast.evidence["text_length"].rows == 0
    assert not (tmp_path / "s" / "models").exists()


def test_trusted_rows_in_the_pool_leave_every_arm(place: Path, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    trusted = pl.read_parquet(place / "trusted" / "trusted.parquet")
    shard = pl.read_parquet(place / "shards")
    known = trusted.head(5).select(shard.columns) if set(shard.columns) <= set(trusted.columns) else trusted.head(5)
    pl.concat(
        [shard.head(100), known.with_columns(uid=pl.lit("planted ") + pl.int_range(5).cast(pl.String))], how="diagonal"
    ).write_parquet(pool / "a.parquet")
    recipe = Recipe.load(place / "small.yaml").set("models.matcher.filter_network.samples", 128)
    run = verbs.run(recipe, pool, store=tmp_path / "s", executor=InProcess())
    story = verbs.why(run, "planted 3")
    assert story["stages"]["unseen"]["kind"] == "dropped"
    assert "a model was trained on it" in story["stages"]["basic"]["rule"]
    assert run.decided("unseen").kept == run.pool.rows - 5


def test_a_model_that_no_file_or_tag_gives_is_refused(beside: Path, place: Path, tmp_path: Path) -> None:
    recipe = (
        Recipe.load(beside / "models.yaml")
        .set("models.mine.open_clip.name", "no-such-architecture")
        .set("models.mine.open_clip.config", "gone.json")
    )
    with pytest.raises(RecipeError, match=r"gone\.json|no-such-architecture"):
        verbs.run(recipe, place / "shards", store=tmp_path / "s", executor=InProcess())


def test_a_classifier_learns_from_trusted_texts_and_chooses_those_like_them(tmp_path: Path) -> None:
    """Documentation of standard modules is trusted, a shard of the pool stands for the rest, and more documentation is in the pool."""
    docs = [
        line.strip() for one in (argparse, tarfile, typing, inspect) for line in (inspect.getsource(one)).split("\n\n") if len(line) > 60
    ]
    names = sorted(builtins.__dict__)
    lists = [", ".join(names[(7 * i + j * j) % len(names)] for j in range(12 + i % 5)) for i in range(300)]
    trusted, wanted = docs[:200], docs[200:260]
    (tmp_path / "pool").mkdir()
    pl.DataFrame({"text": trusted}).write_parquet(tmp_path / "trusted.parquet")
    pl.DataFrame({"text": lists[:150]}).write_parquet(tmp_path / "pool" / "0.parquet")
    pl.DataFrame({"text": wanted + lists[150:] + trusted[:5]}).write_parquet(tmp_path / "pool" / "1.parquet")
    recipe = Recipe.parse(CLASSIFIED, base=tmp_path)
    run = verbs.run(recipe, tmp_path / "pool", store=tmp_path / "s", executor=InProcess())
    others = len(set(lists[:150]))
    assert run.decided("unseen").kept == run.pool.rows - 5, "trusted rows leave; the others stay"
    chosen = run.codes("best") == 0
    texts = pl.read_parquet(tmp_path / "pool" / "*.parquet")["text"].to_list()
    assert {text for text, there in zip(texts, chosen, strict=True) if there} <= set(wanted)
    assert int(chosen.sum()) == 50
    card = json.loads(next((tmp_path / "s" / "models").glob("*/*/card.json")).read_text(encoding="utf-8"))
    assert (card["training_rows"], card["rows"]["others"]) == (350, others)
    assert card["held_out"]["low"] > 0.8
    again = verbs.run(recipe.set("stages.best.keep.count", 40), tmp_path / "pool", store=tmp_path / "s", executor=InProcess())
    assert again.facts["measures"]["quality"] == run.facts["measures"]["quality"]
