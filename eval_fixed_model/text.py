"""The text loop: its parts in one place, as `loops.Loop` names them."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from curate.digest import digest_of
from eval_fixed_model.leaks.texts import leaked_pairs
from eval_fixed_model.loops import Split
from eval_fixed_model.models.decoders import build
from eval_fixed_model.models.llama import LlamaModel
from eval_fixed_model.records import Llama
from eval_fixed_model.rows.documents import Documents, materialise
from eval_fixed_model.rows.tokens import FileTokenizer, tokenizer_of
from eval_fixed_model.scale import TextScale
from eval_fixed_model.tasks import text_items
from eval_fixed_model.tasks._language_model import Bytes, LanguageModel
from eval_fixed_model.tasks.text_scoring import ask_scale
from eval_fixed_model.training.steps import weights_digest
from eval_fixed_model.training.texts import train

ROLES = ("text",)
open_rows = Documents.open

__all__ = ["ROLES", "ask", "build", "items_digest", "leaked_pairs", "libraries", "materialise", "open_rows", "train", "weights_digest"]


def libraries(scale: TextScale) -> tuple[str, ...]:
    """Those whose versions are conditions."""
    more = {"tokenizers": scale.tokens.tokenizer == "file", "transformers": isinstance(scale.model, Llama)}
    return ("torch", "numpy", *(name for name, used in more.items() if used))


class _Prompts:
    """A scale's tokenizer as text tasks ask it: the separator stands before a text, and ends an answer."""

    opening: tuple[int, ...] = ()

    def __init__(self, tokenizer: FileTokenizer) -> None:
        self._tokenizer = tokenizer
        self.prefix, self.ends = tokenizer.separator, frozenset({tokenizer.separator})

    def encode(self, text: str) -> list[int]:
        """Without separators."""
        return [int(number) for number in self._tokenizer.encode([text]).numbers]

    def decode(self, tokens: Sequence[int]) -> str:
        """What `encode` had."""
        return self._tokenizer.decode(tokens)


def language_model(network: Any, scale: TextScale) -> LanguageModel:
    """A network of this scale as text tasks ask it."""
    tokenizer = tokenizer_of(scale)
    asked = _Prompts(tokenizer) if isinstance(tokenizer, FileTokenizer) else Bytes()
    device = str(next(network.parameters()).device)
    if isinstance(network, LlamaModel):
        return LanguageModel(network.decoder, asked, scale.tokens.context, scale.tokens.vocabulary, device, cached=True)
    return LanguageModel(network, asked, scale.tokens.context, scale.tokens.vocabulary, device)


def ask(network: Any, scale: TextScale, split: Split) -> pl.DataFrame:
    """Every answer to every item of a split (`tasks.answers.ANSWERS`), in the scale's order of tasks; of the test split also with typos."""
    return ask_scale(language_model(network, scale), scale, split)


def items_digest(scale: TextScale) -> str:
    """Hex SHA-256 of what is asked; where the scale's tokenizer is a file, of that, too, since nothing else holds it equal.

    CeterisError, before anything is trained, where the test split's items are not what the scale's tasks ask.
    """
    text_items.items_of(scale, "test")
    asked = text_items.items_digest(scale)
    return asked if scale.tokens.tokenizer == "bytes" else digest_of([asked, tokenizer_of(scale).digest])
