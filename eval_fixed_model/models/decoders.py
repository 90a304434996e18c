"""The judges of text: decoders from tokens (n, t) to logits (n, t, vocabulary) of the token after each."""

from typing import TYPE_CHECKING

import torch

from eval_fixed_model.records import ByteNgrams
from eval_fixed_model.scale import TextScale

if TYPE_CHECKING:
    from eval_fixed_model.models.byte_ngrams import ByteNgramModel
    from eval_fixed_model.models.llama import LlamaModel


def build(scale: TextScale, seed: int) -> "ByteNgramModel | LlamaModel":
    """The scale's decoder with the initial weights of this seed; the caller's random state is left as it was."""
    from eval_fixed_model.models.byte_ngrams import ByteNgramModel
    from eval_fixed_model.models.llama import LlamaModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(scale.model, ByteNgrams):
            return ByteNgramModel(scale.model, scale.tokens)
        return LlamaModel(scale.model, scale.tokens)
