"""Retrieval: for each image one of its texts among all texts of the split, and for each text its image, by cosine."""

from typing import NamedTuple

import polars as pl
import torch
from torch import Tensor

from curate.errors import CeterisError
from eval_fixed_model.records import Retrieval
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.tasks import perturbed
from eval_fixed_model.tasks.answers import ANSWERS
from eval_fixed_model.tasks.features import Judge, answers, image_features, parts, text_features
from eval_fixed_model.tasks.picture_items import Items

TO_TEXT, TO_IMAGE = "image to text", "text to image"


class _Sides(NamedTuple):
    """Features of the images and of the texts, the latter by the temperature."""

    images: Tensor
    texts: Tensor


def retrieve(network: Judge, items: Items, scale: ImageTextScale) -> pl.DataFrame:
    """Per image, and per text, one answer: right when its own partner, or one of them, is the nearest. A text is the item its image is.

    Then what the scale asks again perturbed: the first images and their texts, one side of them changed, among all others as they are.
    A task whose metric is `jaccard` is asked by `choose`.
    """
    task = scale.tasks[items.task]
    if isinstance(task, Retrieval) and task.metric == "jaccard":
        return choose(network, items, scale)
    with torch.inference_mode():
        temperature = network.logit_scale.exp()
        plain = _Sides(image_features(network, items.images), temperature * text_features(network, items.texts, scale.tokens))
        owners = torch.arange(len(items.texts)) if items.owners is None else torch.from_numpy(items.owners)
        asked = [_both(items, plain, plain, owners, len(items.images), "")]
        if (again := perturbed.of(scale, items.task)) is not None:
            few = min(again.items, len(items.images))
            for variant in again.images:
                images = plain.images.clone()
                images[:few] = image_features(network, perturbed.images(variant, items.images[:few], items.numbers[:few]))
                asked.append(_both(items, plain, _Sides(images, plain.texts), owners, few, variant))
            for words in again.texts:
                told = (owners < few).nonzero().squeeze(1)
                texts, said = plain.texts.clone(), [perturbed.text(words, items.texts[i]) for i in told.tolist()]
                texts[told.to(texts.device)] = temperature * text_features(network, said, scale.tokens)
                asked.append(_both(items, plain, _Sides(plain.images, texts), owners, few, words))
    return pl.concat(asked)


def choose(network: Judge, items: Items, scale: ImageTextScale) -> pl.DataFrame:
    """WinoGAViL's question (arXiv 2207.12576): which pictures belong to a cue? One answer for each that does, its rank among the cue's.

    `items.texts` are the cues, `owners` the cue of each picture, `labels` 1 where it belongs; a picture that does not, and is as near,
    stands before it. `nats` is as if it were the only right one.
    """
    if items.owners is None:
        raise CeterisError("the pictures have no cues", where=items.task, fix="read the set again")
    with torch.inference_mode():
        images, texts = image_features(network, items.images), text_features(network, items.texts, scale.tokens)
        owners, belongs = torch.from_numpy(items.owners), torch.from_numpy(items.labels).bool()
        near = (network.logit_scale.exp() * (images * texts[owners.to(texts.device)]).sum(1)).cpu()
    asked = []
    for cue in range(len(items.texts)):
        mine = (owners == cue).nonzero().squeeze(1)
        order = mine[torch.argsort(belongs[mine].int(), stable=True)]  # those that do not belong first, so that they win ties
        order = order[torch.argsort(near[order], descending=True, stable=True)]
        right = belongs[order].nonzero().squeeze(1)
        made = {
            "item": items.numbers[order[right].numpy()],
            "task": items.task,
            "variant": "",
            "direction": "",
            "rank": 1 + right.numpy(),
            "nats": torch.log_softmax(near[order], 0)[right].numpy(),
        }
        nothing = {name: pl.lit(None, dtype) for name, dtype in ANSWERS.items() if name not in made}
        asked.append(pl.DataFrame(made).with_columns(**nothing).select(pl.col(name).cast(dtype) for name, dtype in ANSWERS.items()))
    return pl.concat(asked)


def _both(items: Items, plain: _Sides, changed: _Sides, owners: Tensor, few: int, variant: str) -> pl.DataFrame:
    """The first `few` images and their texts, both ways: the asked one and the right ones as `changed`, all others as `plain`."""
    texts = (owners < few).nonzero().squeeze(1)
    ways = (
        (TO_TEXT, torch.arange(few), torch.arange(few), owners, changed.images, plain.texts, changed.texts),
        (TO_IMAGE, texts, owners[texts], torch.arange(len(items.images)), changed.texts, plain.images, changed.images),
    )
    asked = []
    for direction, questions, own, choices, question, others, partners in ways:
        for part in parts(len(questions), len(choices)):
            right = (own[part, None] == choices[None, :]).to(question.device)
            features = question[questions[part].to(question.device)]
            logits = torch.where(right, features @ partners.T, features @ others.T) if partners is not others else features @ others.T
            asked.append(answers(items, logits, right, own[part], direction=direction, variant=variant))
    return pl.concat(asked)
