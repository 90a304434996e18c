import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip as library
import polars as pl
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from curate.errors import RecipeError
from curate.model import digest_of_model, digest_of_weights, pack, shelve
from filters.clip_score import clip_score
from filters.open_clip import load, open_clip

World = Callable[[int, int], pl.DataFrame]
ARCHITECTURE = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small architecture in open_clip's own format, under a name of ours."""
    path: Path = tmp_path_factory.mktemp("configs") / "ceteris-tiny.json"
    path.write_text(json.dumps(ARCHITECTURE))
    return path


@pytest.fixture(scope="module")
def plain(config: Path) -> tuple[Any, Any, Any]:
    """The same architecture with random weights, made by open_clip without us: model, preprocessing, tokeniser."""
    library.add_model_config(config)
    torch.manual_seed(7)
    model, _, preprocess = library.create_model_and_transforms(config.stem)
    return model.eval(), preprocess, library.get_tokenizer(config.stem)


@pytest.fixture(scope="module", params=["state_dict.pt", "training.pt", "weights.safetensors"])
def checkpoint(request: pytest.FixtureRequest, plain: tuple[Any, Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights in each form people save them: bare, from a distributed training run, and as safetensors."""
    path: Path = tmp_path_factory.mktemp("weights") / request.param
    state = plain[0].state_dict()
    if request.param == "weights.safetensors":
        save_file(state, path)
    elif request.param == "training.pt":
        torch.save({"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, path)
    else:
        torch.save(state, path)
    return path


def test_a_local_checkpoint_scores_as_plain_open_clip_does(
    checkpoint: Path, config: Path, plain: tuple[Any, Any, Any], world: World, tmp_path: Path
) -> None:
    made = open_clip(name=config.stem, weights=str(checkpoint), config=str(config))
    for name, data in zip(("weights.safetensors", "card.json"), pack(made), strict=True):
        (tmp_path / name).write_bytes(data)
    digest = digest_of_model(made.weights, made.card)
    shelve(digest, load, tmp_path)
    rows = world(20, 1)
    model, preprocess, tokenizer = plain
    with torch.inference_mode():
        images = torch.stack([preprocess(Image.open(io.BytesIO(data)).convert("RGB")) for data in rows["image"]])
        image = model.encode_image(images, normalize=True)
        text = model.encode_text(tokenizer(rows["text"].to_list()), normalize=True)
    assert np.allclose(clip_score(rows, model=digest)["score"], (image * text).sum(-1).numpy(), atol=1e-5)


def test_every_form_of_a_checkpoint_gives_the_same_weights(checkpoint: Path, config: Path, plain: tuple[Any, Any, Any]) -> None:
    made = open_clip(name=config.stem, weights=str(checkpoint), config=str(config))
    assert digest_of_weights(made.weights) == digest_of_weights({k: v.numpy() for k, v in plain[0].state_dict().items()})
    assert made.card["source"] == str(checkpoint)
    assert made.card["architecture"]["config"] == ARCHITECTURE
    assert made.card["parameters"] == sum(p.numel() for p in plain[0].parameters())


def test_random_weights_only_on_request_and_by_their_seed(config: Path) -> None:
    with pytest.raises(RecipeError, match="either weights or a random_seed"):
        open_clip(name=config.stem, config=str(config))
    with pytest.raises(RecipeError, match="either weights or a random_seed"):
        open_clip(name=config.stem, config=str(config), weights="x", random_seed=1)
    before = torch.get_rng_state()
    digests = [digest_of_weights(open_clip(name="mine", config=str(config), random_seed=seed).weights) for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_the_preprocessing_travels_with_the_weights(config: Path) -> None:
    made = open_clip(name="mine", config=str(config), random_seed=1)
    made.card["architecture"]["preprocess"] |= {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "resize_mode": "squash"}
    matcher = load(made.weights, json.loads(json.dumps(made.card)))
    buffer = io.BytesIO()
    Image.new("RGB", (64, 16), (255, 0, 51)).save(buffer, "PNG")
    pixels = matcher.preprocess(buffer.getvalue())
    assert pixels.shape == (3, 32, 32)
    assert torch.allclose(pixels.mean((1, 2)), torch.tensor([1.0, 0.0, 0.2]), atol=1e-3)


def test_an_architecture_that_open_clip_ships_needs_no_config() -> None:
    made = open_clip(name="ViT-S-32-alt", random_seed=0)
    assert made.card["architecture"]["config"] is None
    matcher = load(made.weights, made.card)
    with torch.inference_mode():
        assert matcher.model.encode_text(matcher.tokenize(["one", "two"])).shape == (
            2,
            library.get_model_config("ViT-S-32-alt")["embed_dim"],
        )
    assert not matcher.model.training
    assert not any(parameter.requires_grad for parameter in matcher.model.parameters())


def test_long_texts_and_nul_bytes_are_tokenised(config: Path) -> None:
    made = open_clip(name="mine", config=str(config), random_seed=1)
    tokens = load(made.weights, made.card).tokenize(["x" * 10_000_000, "a b " * 2_500_000, "\0", ""])
    assert tokens.shape == (4, 16)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": "ViT-B-33", "random_seed": 1}, "no architecture ViT-B-33"),
        ({"name": "ViT-B-32", "weights": "datacomp_xl"}, "neither a tag nor a file"),
        ({"name": "ViT-B-32", "weights": "openai"}, "another activation"),
    ],
)
def test_unknown_names_and_tags_say_what_there_is(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        open_clip(**parameters)
    assert "ViT-B-32" in caught.value.fix or "datacomp_" in caught.value.fix


def test_files_that_do_not_fit_are_refused(config: Path, tmp_path: Path) -> None:
    not_json, lacking, odd, wrong = (tmp_path / name for name in ("a.json", "b.json", "c.json", "d.pt"))
    not_json.write_text("no json")
    lacking.write_text('{"embed_dim": 3}')
    odd.write_text(json.dumps({**ARCHITECTURE, "vision_cfg": {"layers": 1, "colour": "red"}}))
    torch.save({"weight": torch.zeros(3)}, wrong)
    for path, message in ((not_json, "cannot be read"), (lacking, "lacks vision_cfg"), (odd, "cannot build mine")):
        with pytest.raises(RecipeError, match=message):
            open_clip(name="mine", config=str(path), random_seed=1)
    with pytest.raises(RecipeError, match="no checkpoint of mine"):
        open_clip(name="mine", config=str(config), weights=str(wrong))
    with pytest.raises(RecipeError, match="more than weights, or none"):
        open_clip(name="mine", config=str(config), weights=str(not_json))
