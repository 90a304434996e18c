import io
import json
from pathlib import Path

import numpy as np
import open_clip
import polars as pl
import pytest
import torch
from PIL import Image

from curate.errors import CeterisError
from eval_fixed_model.models.judges import build
from eval_fixed_model.records import OpenClip
from eval_fixed_model.rows.images import materialise, pixels, tokenise
from eval_fixed_model.scale import ImageTextScale, load_scale
from eval_fixed_model.training.images import train

CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 999, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 999, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.fixture(scope="module")
def scale(world) -> ImageTextScale:
    """The small world's scale with a ViT of open_clip's."""
    record = world.scale.model_dump(mode="json")
    record["model"] = {"name": "open_clip", "architecture": "tiny", "config": CONFIG, "temperature_most": 100}
    record["image"] = {"resolution": 16, "resize": "shortest-bicubic-centre", "mean": MEAN, "std": STD}
    record["tokens"] = {"tokenizer": "clip", "vocabulary": 49408, "context": 8}
    record |= {"samples_seen": 960, "batch": 32, "perturbed": None}
    record["optimiser"]["learning_rate"] = 0.001
    return ImageTextScale.model_validate(record)


def test_the_weights_are_those_that_open_clip_draws(scale: ImageTextScale, tmp_path: Path) -> None:
    (tmp_path / "drawn.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    open_clip.add_model_config(tmp_path)
    named = scale.model_copy(update={"model": scale.model.model_copy(update={"architecture": "drawn", "config": None})})
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    ours = build(named, 3).clip.state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    theirs = open_clip.create_model("drawn", pretrained=None, force_image_size=16, force_context_length=8).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_it_is_trained_saved_and_loaded_by_open_clip(world, scale: ImageTextScale, tmp_path: Path) -> None:
    rows = materialise([(world.uids, pl.DataFrame({"image": world.images, "text": world.texts}))], scale, tmp_path / "rows")
    network, record = train(scale, rows, np.arange(len(rows.uids)), 0)
    assert record["loss"][-1] < record["loss"][0] - 0.5, "the loss falls"
    assert not network.training
    for name, data in network.files().items():
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / name).write_bytes(data)
    theirs, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'model'}")
    shown = preprocess(Image.open(io.BytesIO(world.images[0])))[None]
    ours = torch.from_numpy(pixels(world.images[0], 16, "shortest-bicubic-centre"))[None]
    texts = ["a red disc", "a cross on grey"]
    with torch.inference_mode():
        assert torch.allclose(network.encode_image(ours, True), theirs.eval().encode_image(shown, True), atol=1e-5)
        numbers = torch.from_numpy(tokenise(texts, scale.tokens).astype(np.int64))
        assert torch.equal(network.encode_text(numbers, True), theirs.encode_text(open_clip.tokenize(texts, 8), True))
        assert network(ours, numbers)[2] == theirs.logit_scale.exp()


def test_the_temperature_stays_in_its_bounds(scale: ImageTextScale) -> None:
    network = build(scale, 0)
    for value, bound in ((9.0, np.log(100)), (-3.0, 0.0)):
        torch.nn.init.constant_(network.logit_scale, value)
        network.clamp()
        assert float(network.logit_scale.detach()) == pytest.approx(bound)


@pytest.mark.parametrize("size", [(40, 16), (16, 57), (90, 91), (23, 23), (5, 300)])
def test_pictures_are_shaped_as_open_clip_shapes_them(size: tuple[int, int]) -> None:
    image = Image.fromarray(np.random.default_rng(sum(size)).integers(0, 256, (*size, 3), dtype=np.uint8))
    file = io.BytesIO()
    image.save(file, "PNG")
    theirs = open_clip.image_transform(32, False, mean=(0.0,) * 3, std=(1.0,) * 3)(image)
    assert np.array_equal(pixels(file.getvalue(), 32, "shortest-bicubic-centre"), (theirs * 255).round().byte().numpy())


def test_captions_become_the_numbers_that_open_clip_makes() -> None:
    tokens = load_scale("tiny-image-text").tokens.model_copy(update={"tokenizer": "clip", "context": 10})
    texts = ["", "A Photo of &amp; a dog", "one two three four five six seven eight nine ten eleven twelve", "Größe 漢字"]
    assert np.array_equal(tokenise(texts, tokens), open_clip.get_tokenizer("ViT-B-32", context_length=10)(texts).numpy())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "ViT-B-23", "config": None}, "no architecture ViT-B-23"),
        ({"architecture": "xlm-roberta-base-ViT-B-32", "config": None}, "weights from elsewhere"),
        ({"architecture": "coca_ViT-B-32", "config": None}, "another loss"),
        ({"architecture": "ViT-B-16-SigLIP", "config": None}, "elsewhere|another loss|byte pairs"),
        ({"config": {"embed_dim": 8}}, "has no vision_cfg"),
        ({"config": {**CONFIG, "text_cfg": {**CONFIG["text_cfg"], "vocab_size": 512}}}, "reads 512 byte pairs"),
        ({"config": {**CONFIG, "vision_cfg": {**CONFIG["vision_cfg"], "eyes": 2}}}, "cannot build tiny"),
    ],
)
def test_what_cannot_be_built_is_refused(scale: ImageTextScale, change: dict[str, object], message: str) -> None:
    other = OpenClip.model_validate({**scale.model.model_dump(), **change})
    with pytest.raises(CeterisError, match=message):
        build(scale.model_copy(update={"model": other}), 0)


def test_a_picture_that_would_be_enormous_is_refused_before_it_is_made() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8000, 1)).save(file, "PNG")
    assert pixels(file.getvalue(), 224).shape == (3, 224, 224)
    with pytest.raises(ValueError, match="1792000 x 224 pixels once its shorter side is 224"):
        pixels(file.getvalue(), 224, "shortest-bicubic-centre")
