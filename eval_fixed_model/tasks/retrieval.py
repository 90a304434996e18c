"""Retrieval: for each image its text among all texts of the split, and for each text its image; recall at 1 in both directions."""

import polars as pl
import torch

from eval_fixed_model.rows import tokenise
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.tasks.features import Judge, answers, image_features, text_features
from eval_fixed_model.tasks.items import Items


def retrieve(network: Judge, items: Items, scale: ImageTextScale) -> pl.DataFrame:
    """Per item and direction: right when its own partner is the nearest."""
    with torch.inference_mode():
        texts = text_features(network, tokenise(items.texts, scale.tokens))
        logits = network.logit_scale.exp() * image_features(network, items.images) @ texts.T
    own = torch.arange(len(items.numbers))
    return pl.concat([answers(items, "image to text", logits, own), answers(items, "text to image", logits.T, own)])
