"""A filter network on the demo's pool against what was planted there, and what follows from its stored embeddings alone."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from pipelines import verbs
from pipelines.demo.make_pool import make_pool

RECIPE = """
models:
  matcher: {filter_network: {trusted: trusted/, seed: 0, samples: 6400}}     # a quarter of the demo's
  taste: {head: {weights: taste.safetensors, name: taste, licence: MIT, source: drawn at random, output: sigmoid}}
signals:
  match: {clip_score: {model: matcher}}
  emb: {clip_embedding: {model: matcher}}
  derived: {feature_cosine: {image: emb.image, text: emb.text}}
  taste: {head_score: {features: emb.image, model: taste}}
stages:
  best: {keep: {top: match.score, count: 50}}
  same: {keep: {top: derived.score, count: 50}}
  tasty: {after: same, keep: {top: taste.score, count: 20}}
subsets: [best, same, tasty]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """800 rows of the demo's kind, its trusted pairs, and a head."""
    folder = tmp_path_factory.mktemp("judged")
    make_pool(folder, rows=800, seed=3, shards=2)
    weights = np.random.default_rng(0).normal(size=(1, 128)).astype(np.float32)
    save_file({"weight": weights, "bias": np.zeros(1, np.float32)}, folder / "taste.safetensors")
    return folder


@pytest.fixture(scope="module")
def judged(folder: Path) -> Run:
    """One run that trains, scores and embeds."""
    return verbs.run(Recipe.parse(RECIPE, base=folder), folder / "shards", store=folder / "s", executor=InProcess())


def _auc(good: pl.Series, bad: pl.Series) -> float:
    low, high = np.searchsorted(np.sort(bad.to_numpy()), good.to_numpy(), "left"), np.searchsorted(np.sort(bad), good, "right")
    return float(((low + high) / 2 / bad.len()).mean())


@pytest.mark.parametrize(("defect", "at_least"), [("mismatched", 0.97), ("boilerplate", 0.97), ("miscounted", 0.75)])
def test_good_pairs_score_above_those_whose_caption_says_something_else(judged: Run, folder: Path, defect: str, at_least: float) -> None:
    uids = pl.concat([pl.read_parquet(path)["uid"] for path in sorted((folder / "shards").glob("*.parquet"))])
    scores = judged.evidence("match").drop_nulls("score")
    measured = pl.DataFrame({"uid": uids.gather(scores["row"]), "score": scores["score"]})
    truth = pl.read_parquet(folder / "truth" / "truth.parquet").join(measured, on="uid")
    assert _auc(truth.filter("good")["score"], truth.filter(defect)["score"]) > at_least


def test_the_score_follows_from_stored_embeddings(judged: Run) -> None:
    both = judged.evidence("match").join(judged.evidence("derived"), on="row")
    known = both.drop_nulls("score")
    assert known.height > 700
    assert known["score_right"].null_count() == 0
    assert float((known["score"] - known["score_right"]).abs().max()) < 1e-3  # type: ignore[arg-type]
    best, same = (set(judged.subset(name).hex) for name in ("best", "same"))
    assert len(best & same) >= 48


def test_a_head_scores_what_is_stored_and_its_card_says_whose_it_is(judged: Run) -> None:
    scores, embedded = judged.evidence("taste"), judged.evidence("emb")
    assert scores.height == judged.decided("same").kept
    weights = np.random.default_rng(0).normal(size=(1, 128)).astype(np.float32)
    vectors = np.stack([np.frombuffer(one, "<f2") for one in scores.join(embedded, on="row")["image"]]).astype(np.float64)
    expected = 1 / (1 + np.exp(-(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) @ weights[0]))
    assert np.allclose(scores["score"], expected, atol=1e-5)
    card = judged.store.json(judged.facts["models"]["taste"]["folder"] + "/model.json")["card"]
    assert (card["name"], card["licence"], card["source"]) == ("taste", "MIT", "drawn at random")
