"""The same checkpoint and the same data through open_clip's own utilities: the same numbers."""

import io
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import open_clip
import polars as pl
import pytest
import torch
from PIL import Image
from torch import Tensor

from eval_fixed_model.models.judges import build
from eval_fixed_model.models.open_clip import OpenClipJudge
from eval_fixed_model.rows.images import tokenise
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.tasks.classification import classify
from eval_fixed_model.tasks.items import items_of, read_items
from eval_fixed_model.tasks.metrics import measures
from eval_fixed_model.tasks.picture_items import Items
from eval_fixed_model.tasks.retrieval import retrieve

VIT = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def vit(world) -> ImageTextScale:
    """The small world's scale with a small transformer of open_clip's; its mean and deviation are open_clip's own."""
    record = world.scale.model_dump(mode="json") | {"perturbed": None}
    record["model"] = {"name": "open_clip", "architecture": "vit", "config": VIT, "temperature_most": 100}
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    record["image"] = {"resolution": 16, "resize": "shortest-bicubic-centre", "mean": mean, "std": std}
    record["tokens"] = {"tokenizer": "clip", "vocabulary": 49408, "context": 8}
    scale = ImageTextScale.model_validate(record)
    scale._folder = world.scale._folder
    return scale


@pytest.fixture(scope="module", params=["vit", "tiny"])
def case(request: pytest.FixtureRequest, world, vit: ImageTextScale, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """A scale, its judge with random weights, and what open_clip's utilities take: model, pictures by task, tokenizer."""
    scale = vit if request.param == "vit" else world.scale.model_copy(update={"perturbed": None})
    network = build(scale, 1).eval()
    asked = read_items(scale).filter(split="test")
    if not isinstance(network, OpenClipJudge):
        pictures = {items.task: torch.from_numpy(items.images[:]) for items in items_of(scale, "test")}
        return scale, network, network, pictures, lambda texts: torch.from_numpy(tokenise(texts, scale.tokens).astype(np.int64))
    folder = tmp_path_factory.mktemp("saved")
    for name, data in network.files().items():
        (folder / name).write_bytes(data)
    theirs, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    pictures = {
        task: torch.stack([preprocess(Image.open(io.BytesIO(image))) for image in asked.filter(task=task)["image"]]) for task in scale.tasks
    }
    return scale, network, theirs.eval(), pictures, open_clip.SimpleTokenizer(context_length=8)


@pytest.mark.parametrize("name", ["colour", "shape"])
def test_zero_shot_classification(case: tuple[Any, ...], name: str) -> None:
    scale, network, theirs, pictures, tokenizer = case
    task, items = scale.tasks[name], next(items for items in items_of(scale, "test") if items.task == name)
    found = classify(network, items, task, scale)
    heads = open_clip.build_zero_shot_classifier(theirs, tokenizer, task.classes, task.templates)
    with torch.inference_mode():
        logits = 100.0 * theirs.encode_image(pictures[name], normalize=True) @ heads
    best = logits.topk(min(5, len(task.classes)), 1, True, True)[1]
    right = best == torch.from_numpy(items.labels)[:, None]
    assert found["answer"].to_list() == best[:, 0].tolist()
    ours = measures(found, task)
    assert ours["accuracy"] == pytest.approx(100 * right[:, 0].double().mean().item())
    if len(task.classes) >= 5:
        assert ours["recall_at_5"] == pytest.approx(100 * right.any(1).double().mean().item())
    sure = torch.softmax(theirs.logit_scale.exp().detach() / 100 * logits, 1)
    assert np.allclose(found["sure"].to_numpy(), sure.max(1).values.numpy(), atol=1e-5)
    assert np.allclose(found["nats"].to_numpy(), sure.gather(1, torch.from_numpy(items.labels)[:, None])[:, 0].log().numpy(), atol=1e-4)


def test_retrieval(case: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    scale, network, theirs, pictures, tokenizer = case
    monkeypatch.setitem(sys.modules, "wandb", None)  # open_clip's trainer would load it where it is installed
    from open_clip_train.train import get_clip_metrics

    items = next(items for items in items_of(scale, "test") if items.task == "retrieval")
    ours = measures(retrieve(network, items, scale), scale.tasks["retrieval"])
    with torch.inference_mode():
        images, texts = (
            theirs.encode_image(pictures["retrieval"], normalize=True),
            theirs.encode_text(tokenizer(list(items.texts)), normalize=True),
        )
        expected = get_clip_metrics(images, texts, theirs.logit_scale.exp())
    for k in (1, 5, 10):
        for way in ("image_to_text", "text_to_image"):
            assert ours[f"recall_at_{k}:{way.replace('_', ' ')}"] == pytest.approx(100 * expected[f"{way}_R@{k}"])


class Features:
    """A judge whose features are given: pictures by their first pixel, texts by the number in them."""

    logit_scale = torch.tensor(2.0)

    def __init__(self, images: Tensor, texts: Tensor, numbers: dict[int, int]) -> None:
        self.images, self.texts, self.numbers = images, texts, numbers

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        assert normalize
        return self.images[image[:, 0, 0, 0].long()]

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        assert normalize
        return self.texts[[self.numbers[int(word)] for word in text[:, 0]]]


def _recall_at_k(scores: npt.NDArray[np.float32], own: list[set[int]], k: int) -> float:
    """CLIP_benchmark's: the share of questions one of whose own is among the k highest."""
    return float(np.mean([bool(set(np.argsort(-row)[:k].tolist()) & mine) for row, mine in zip(scores, own, strict=True)]))


def test_several_captions_a_picture(world) -> None:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(40), rng.integers(1, 5, 40))
    images = torch.nn.functional.normalize(torch.from_numpy(rng.standard_normal((40, 8), np.float32)), dim=1)
    texts = torch.nn.functional.normalize(images[owners] + torch.from_numpy(rng.standard_normal((len(owners), 8), np.float32)), dim=1)
    scale = world.scale.model_copy(update={"perturbed": None, "tokens": world.scale.tokens.model_copy(update={"vocabulary": 65536})})
    said = tuple(f"w{i}" for i in range(len(owners)))
    numbers = {int(row[0]): i for i, row in enumerate(tokenise(said, scale.tokens))}
    assert len(numbers) == len(said)
    shown = np.zeros((40, 3, 16, 16), np.uint8)
    shown[:, 0, 0, 0] = np.arange(40)
    items = Items("retrieval", np.arange(40, dtype=np.uint32), shown, said, np.empty(0, np.int64), owners=owners)
    found = retrieve(Features(images, texts, numbers), items, scale)
    ours = measures(found, scale.tasks["retrieval"])
    scores = (texts @ images.T).numpy()
    for k in (1, 5, 10):
        assert ours[f"recall_at_{k}:text to image"] == pytest.approx(100 * _recall_at_k(scores, [{int(own)} for own in owners], k))
        captions = [set(np.flatnonzero(owners == i).tolist()) for i in range(40)]
        assert ours[f"recall_at_{k}:image to text"] == pytest.approx(100 * _recall_at_k(scores.T, captions, k))
    assert found.filter(direction="text to image")["item"].to_list() == owners.tolist()
    assert found.filter(pl.col("rank") == 1).height not in (0, found.height)
