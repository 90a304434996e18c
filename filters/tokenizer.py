"""A tokenizer from its own file, to count tokens as the model to be trained will read them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.errors import CeterisError, NondeterminismError, RecipeError
from curate.model import Made, Weights, model

_PROBE = "The cat's  café, naïve\tRÉSUMÉ\r\n1,234.5 don't 日本語のテキスト кириллица العربية नमस्ते 🙂👩‍🚀 ﬁ e\u0301 <|endoftext|> \0"


@model(version=1, files=("file",))
def tokenizer(*, file: str) -> Made:
    """Freeze a tokenizer.json of Hugging Face's tokenizers, which nearly every published language model comes with.

    Its truncation and padding are left out, and it adds no start or end. The card holds what it makes of a text of many scripts: a release
    of the library that cuts that otherwise is refused. RecipeError if the file is not such a tokenizer; CeterisError without the package
    `tokenizers` (`pip install ceteris[tokenizers]`).
    """
    try:
        data = Path(file).read_bytes()
        made = _made(data)
    except (OSError, ValueError) as error:
        raise RecipeError(f"this is no tokenizer: {error}", where=file, fix="give a tokenizer.json of Hugging Face's tokenizers") from error
    card = {
        "architecture": {"tokenizer": "huggingface", "probe": _probed(made)},
        "source": Path(file).name,
        "vocabulary": made.get_vocab_size(),
        "licence": "not stated in the file",
    }
    return Made({"json": np.frombuffer(data, np.uint8)}, card)


@tokenizer.loader
def load(weights: Weights, card: dict[str, Any]) -> Callable[[pl.Series], pl.Series]:
    """Counts the tokens of texts; null where null."""
    made = _made(weights["json"].tobytes())
    if _probed(made) != card["architecture"]["probe"]:
        raise NondeterminismError(
            "this release of tokenizers cuts texts otherwise than the one that froze the tokenizer",
            where=card["source"],
            fix="install that release again, or use another store",
        )

    def count(texts: pl.Series) -> pl.Series:
        found = made.encode_batch_fast(texts.fill_null("").to_list(), add_special_tokens=False)
        counts = pl.Series([len(one.ids) for one in found], dtype=pl.UInt32)
        return pl.select(pl.when(texts.is_not_null()).then(counts)).to_series()

    return count


def _made(data: bytes) -> Any:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread a process; read when a batch is encoded
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise CeterisError("the package tokenizers is not installed", where="tokenizer", fix="pip install 'ceteris[tokenizers]'") from error
    content = json.loads(data)
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    try:
        return Tokenizer.from_str(json.dumps({**content, "truncation": None, "padding": None}))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(str(error)) from error


def _probed(made: Any) -> list[int]:
    return list(made.encode(_PROBE, add_special_tokens=False).ids)
