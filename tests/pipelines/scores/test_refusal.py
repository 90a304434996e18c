"""Evaluation pictures among trusted rows are refused before anything is trained."""

import io
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from curate.errors import PoolError
from curate.executor import InProcess
from curate.recipe import Recipe
from eval_fixed_model.scale import load_scale
from eval_fixed_model.tasks.items import read_items
from pipelines import verbs

RECIPE = """
models: {matcher: {filter_network: {trusted: trusted/, samples: 64}}}
signals: {match: {clip_score: {model: matcher}}}
stages: {best: {keep: {top: match.score, count: 5}}}
subsets: [best]
"""
JUDGED = "evaluate: {scale: tiny-image-text, seeds: 2}"


@pytest.fixture(scope="module")
def items() -> pl.DataFrame:
    """One picture of each split."""
    every = read_items(load_scale("tiny-image-text"))
    return pl.concat([every.filter(split=split, task="retrieval").head(1) for split in ("test", "validation")])


def _with_trusted(place: Path, folder: Path, images: list[bytes], judged: str = JUDGED) -> Recipe:
    """A recipe with some trusted rows and these pictures besides."""
    trusted = pl.read_parquet(place / "trusted" / "trusted.parquet")
    more = trusted.head(len(images)).with_columns(
        uid=pl.lit("planted ") + pl.int_range(len(images)).cast(pl.String),
        image=pl.Series([{"bytes": image, "path": None} for image in images], dtype=trusted["image"].dtype),
    )
    (folder / "trusted").mkdir()
    pl.concat([trusted.head(200), more]).write_parquet(folder / "trusted" / "trusted.parquet")
    return Recipe.parse(RECIPE + judged, base=folder)


@pytest.mark.parametrize("form", ["the file", "other bytes of its pixels", "a re-encoded copy"])
def test_a_picture_of_either_split_in_any_file_stops_the_run_before_training(
    form: str, items: pl.DataFrame, place: Path, tmp_path: Path
) -> None:
    planted = []
    for image in items["image"]:
        buffer = io.BytesIO()
        kind, options = ("BMP", {}) if "pixels" in form else ("JPEG", {"quality": 70})
        Image.open(io.BytesIO(image)).convert("RGB").save(buffer, kind, **options)
        planted.append(image if form == "the file" else buffer.getvalue())
    recipe = _with_trusted(place, tmp_path, planted)
    with pytest.raises(PoolError, match="2 rows that the model matcher would be trained on show evaluation pictures"):
        verbs.run(recipe, place / "shards", store=tmp_path / "s", executor=InProcess())
    assert not (tmp_path / "s" / "models").exists()


def test_without_such_rows_or_without_an_evaluation_it_trains(items: pl.DataFrame, place: Path, tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    run = verbs.run(_with_trusted(place, tmp_path / "clean", []), place / "shards", store=tmp_path / "a", executor=InProcess())
    assert run.store.json(run.facts["models"]["matcher"]["folder"] + "/model.json")["card"]["rows"]["given"] == 200
    (tmp_path / "none").mkdir()
    recipe = _with_trusted(place, tmp_path / "none", items["image"].to_list(), judged="")
    assert verbs.run(recipe, place / "shards", store=tmp_path / "b", executor=InProcess()).facts["models"]
