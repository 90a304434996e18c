"""Zero-shot classification: a class is the mean of its templates' text features (Radford et al. 2021, arXiv 2103.00020, section 3.1.4)."""

import polars as pl
import torch
from open_clip import build_zero_shot_classifier

from eval_fixed_model.records import Classification
from eval_fixed_model.rows import tokenise
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.tasks.features import Judge, answers, image_features, token_tensor
from eval_fixed_model.tasks.items import Items


def classify(network: Judge, items: Items, task: Classification, scale: ImageTextScale) -> pl.DataFrame:
    """Per item: right when the class with the highest cosine is the label."""
    heads = build_zero_shot_classifier(
        network, lambda texts: token_tensor(tokenise(texts, scale.tokens)), task.classes, task.templates, num_classes_per_batch=None
    )
    with torch.inference_mode():
        logits = network.logit_scale.exp() * image_features(network, items.images) @ heads
    return answers(items, "", logits, torch.from_numpy(items.labels))
