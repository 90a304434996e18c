"""A filter network of open_clip's architecture, from trusted pairs to a folder that open_clip loads."""

import json
from pathlib import Path

import open_clip
import polars as pl
import pytest
import torch
from safetensors.numpy import load_file
from typer.testing import CliRunner

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.model import digest_of_weights
from curate.recipe import Recipe
from curate.record import Run
from filters._image import ImageError, decode
from filters.open_clip import open_clip as freeze
from pipelines import verbs
from pipelines.cli import app
from pipelines.model_export import export_model

ARCHITECTURE = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
RECIPE = """
models:
  net: {filter_network: {trusted: trusted/, architecture: mine, config: mine.json, samples: 128}}
  tiny: {filter_network: {trusted: trusted/, samples: 128}}
signals: {match: {clip_score: {model: net}}, other: {clip_score: {model: tiny}}}
stages: {best: {keep: {top: match.score, count: 50}}, few: {after: best, keep: {top: other.score, count: 10}}}
subsets: [best, few]
"""


@pytest.fixture(scope="module")
def trained(place: Path) -> Run:
    """A run that trained both."""
    (place / "mine.json").write_text(json.dumps(ARCHITECTURE), encoding="utf-8")
    return verbs.run(Recipe.parse(RECIPE, base=place), place / "shards", store=place / "models-store", executor=InProcess())


def test_open_clip_gives_the_scores_that_the_run_selected_by(trained: Run, place: Path, tmp_path: Path) -> None:
    about = export_model(trained, "net", tmp_path / "net")
    assert set(about["files"]) == {"open_clip_config.json", "open_clip_model.safetensors", "card.json"}
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'net'}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'net'}")
    rows = pl.concat([pl.read_parquet(path) for path in sorted((place / "shards").glob("*.parquet"))])
    scores = dict(trained.evidence("match").drop_nulls("score").select("row", "score").iter_rows())
    checked = 0
    for row in range(0, rows.height, 9):
        image, text = rows["image"][row]["bytes"], rows["text"][row]
        try:
            pixels = preprocess(decode(image))
        except ImageError:
            continue
        if text is None:
            continue
        with torch.inference_mode():
            found = model.eval().encode_image(pixels[None], normalize=True) @ model.encode_text(tokenizer([text]), normalize=True).T
        assert float(found) == pytest.approx(scores[row], abs=1e-5)
        checked += 1
    assert checked > 30
    card = json.loads((tmp_path / "net" / "card.json").read_text(encoding="utf-8"))
    assert (card["made"]["digest"], card["training_rows"]) == (about["digest"], 1500)


def test_what_cannot_be_exported_says_so(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    for name, out, message in (
        ("nut", "x", "no model nut"), ("tiny", "x", "none of open_clip's architectures"), ("net", "full", "not empty"),
    ):  # fmt: skip
        with pytest.raises(CeterisError, match=message):
            export_model(trained, name, tmp_path / out)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_the_command_line_writes_it_too(trained: Run, tmp_path: Path) -> None:
    store = str(trained.store.path(""))
    ran = CliRunner().invoke(app, ["export", "net", str(tmp_path / "out"), "--layout", "open_clip", "--store", store])
    assert ran.exit_code == 0, ran.output
    assert "open_clip_model.safetensors" in ran.output
    assert (tmp_path / "out" / "open_clip_config.json").is_file()


def test_weights_that_changed_in_the_store_are_not_exported(trained: Run, tmp_path: Path) -> None:
    made = trained.store.json(f"{trained.facts['models']['net']['folder']}/model.json")
    assert made is not None
    file = trained.store.path(made["folder"]) / "weights.safetensors"
    before = file.read_bytes()
    try:
        file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(CeterisError, match="not the ones they were"):
            export_model(trained, "net", tmp_path / "out")
    finally:
        file.write_bytes(before)
    assert not list(tmp_path.iterdir())


def test_an_exported_model_is_one_of_a_recipe_again(trained: Run, tmp_path: Path) -> None:
    about = export_model(trained, "net", tmp_path / "net")
    folder = tmp_path / "net"
    again = freeze(name="net", config=str(folder / "open_clip_config.json"), weights=str(folder / "open_clip_model.safetensors"))
    first = trained.store.json(f"{trained.facts['models']['net']['folder']}/model.json")
    assert digest_of_weights(again.weights) == digest_of_weights(load_file(folder / "open_clip_model.safetensors"))
    assert again.card["architecture"]["preprocess"] == first["card"]["architecture"]["preprocess"]
    assert about["digest"] == first["weights"]
