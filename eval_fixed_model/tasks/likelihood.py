"""Held-out texts: how many bits a network needs for each byte of them."""

import numpy as np
import polars as pl

from eval_fixed_model.tasks._language_model import LanguageModel
from eval_fixed_model.tasks.text_items import TextItems


def likelihood(model: LanguageModel, items: TextItems) -> pl.DataFrame:
    """Per text: `nats`, the log-probability of all its tokens, and `bytes` of its UTF-8; a prompt is not read.

    Bits per byte are the bits of all texts by the bytes of all texts (Gao et al. 2020, arXiv 2101.00027, section 3.1), which no tokenizer
    moves. Longer texts than the network reads at once are read in windows (`_language_model.windows`).
    """
    texts = items.frame["text"]
    nats = [float(one.nats.sum(dtype=np.float64)) for one in model.texts(texts.to_list())]
    return items.answers(nats=nats, bytes=texts.str.len_bytes().to_list())
