"""Zero-shot classification: a class is the mean of its templates' text features (Radford et al. 2021, arXiv 2103.00020, section 3.1.4)."""

from collections.abc import Callable, Sequence
from functools import partial

import polars as pl
import torch
from open_clip import build_zero_shot_classifier
from torch import Tensor

from eval_fixed_model.records import Classification, Tokens
from eval_fixed_model.rows.images import tokenise
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.tasks import perturbed
from eval_fixed_model.tasks.features import TEXTS, Judge, answers, image_features, parts, token_tensor
from eval_fixed_model.tasks.picture_items import Items


def classify(network: Judge, items: Items, task: Classification, scale: ImageTextScale) -> pl.DataFrame:
    """Per item: right when the class with the highest cosine is the label. Then what the scale asks again perturbed, of its first items."""
    classes, templates = items.classes or task.classes, items.templates or task.templates
    labels = torch.from_numpy(items.labels)

    def told(features: Tensor, heads: Tensor, variant: str = "") -> pl.DataFrame:
        asked = []
        for part in parts(len(features), len(classes)):
            logits = network.logit_scale.exp() * features[part] @ heads
            which = torch.arange(len(features))[part]
            asked.append(answers(items, logits, labels[which].to(logits.device), which, variant=variant))
        return pl.concat(asked)

    with torch.inference_mode():
        heads = class_features(network, classes, templates, scale.tokens)
        features = image_features(network, items.images)
        asked = [told(features, heads)]
        if (again := perturbed.of(scale, items.task)) is not None:
            few = slice(0, again.items)
            for variant in again.images:
                pictures = perturbed.images(variant, items.images[few], items.numbers[few])
                asked.append(told(image_features(network, pictures), heads, variant))
            for words in again.texts:
                changed = class_features(network, classes, templates, scale.tokens, partial(perturbed.text, words))
                asked.append(told(features[few], changed, words))
    return pl.concat(asked)


def class_features(
    network: Judge, classes: Sequence[str], templates: Sequence[str], tokens: Tokens, change: Callable[[str], str] = str
) -> Tensor:
    """(embed, classes), of length one each: the mean of each class's sentences, each of length one too, after `change`."""
    sentences = [lambda name, template=template: change(template.replace("{}", name)) for template in templates]
    at_once = None if len(classes) * len(templates) <= TEXTS else max(1, TEXTS // len(templates))
    heads: Tensor = build_zero_shot_classifier(
        network,
        lambda texts: token_tensor(tokenise(texts, tokens)),
        classes,
        sentences,
        num_classes_per_batch=at_once,
        device=network.logit_scale.device,
    )
    return heads
