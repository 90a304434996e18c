"""Text networks whose every probability is known, and a small one of transformers in its folder."""

import functools
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor

from eval_fixed_model.scale import TextScale, load_scale, shipped
from eval_fixed_model.tasks._language_model import Bytes, LanguageModel
from eval_fixed_model.tasks.text_items import COLUMNS, TextItems
from tests.eval_fixed_model.llamas import small_llama

VOCABULARY = 257


def _pairs(table: Tensor) -> LanguageModel:
    return LanguageModel(lambda tokens: table[tokens], Bytes(), context=1 << 20, vocabulary=VOCABULARY)


@pytest.fixture(scope="session")
def bigram() -> LanguageModel:
    """The next byte follows from the last alone, by a table drawn once: `bigram.network` of (n, t) numbers is its logits."""
    return _pairs(torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="session")
def parrot() -> Callable[[str], LanguageModel]:
    """A network that, once the first byte of a text stands there, surely goes on with it, and ends after it; bytes differ."""

    def made(text: str) -> LanguageModel:
        table, said = torch.zeros(VOCABULARY, VOCABULARY), [*text.encode(), 256]
        for one, then in pairwise(said):
            table[one, then] = 20
        return _pairs(table)

    return made


@pytest.fixture(scope="session")
def items() -> Callable[..., TextItems]:
    """Items of one task, with these columns; numbers are 10, 11, ..."""

    def made(kind: str, **columns: list[Any]) -> TextItems:
        frame = pl.DataFrame({name: pl.Series(values, dtype=COLUMNS[name]) for name, values in columns.items()})
        given = [pl.lit(None, dtype).alias(name) for name, dtype in COLUMNS.items() if name not in frame.columns]
        whole = frame.with_columns(given).with_columns(task=pl.lit("asked"), split=pl.lit("test"), kind=pl.lit(kind))
        return TextItems("asked", whole.select(list(COLUMNS)).with_row_index("item", offset=10))

    return made


@pytest.fixture
def text_scale(tmp_path: Path) -> Callable[..., TextScale]:
    """The shipped scale of texts with these tasks and, unless its items lie elsewhere, these rows, of every split, as its items."""

    def write(rows: list[dict[str, Any]], tasks: dict[str, Any], **items: str) -> TextScale:
        both = [{**row, "split": split} for split in ("validation", "test") for row in rows]
        frame = pl.DataFrame(both, schema_overrides={name: dtype for name, dtype in COLUMNS.items() if any(name in row for row in both)})
        missing = [pl.lit(None, dtype).alias(name) for name, dtype in COLUMNS.items() if name not in frame.columns]
        frame.with_columns(missing).write_parquet(tmp_path / "items.parquet")
        record = shipped()["tiny-text"].model_dump(mode="json", exclude_defaults=True, exclude={"name"})
        first, asked = next(iter(tasks.items()))
        headline = {"tasks": [first], "measure": "bits per byte" if asked["kind"] == "likelihood" else "points", "delta": 0.1}
        record |= {"items": items or {"file": "items.parquet"}, "tasks": tasks, "headline": headline}
        (tmp_path / "small.yaml").write_text(json.dumps({"small": record}), encoding="utf-8")
        scale = load_scale(tmp_path / "small.yaml")
        assert isinstance(scale, TextScale)
        return scale

    return write


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A folder of `small_llama`, made once; `opening`: its tokenizer puts a token before every text."""
    return functools.lru_cache(lambda opening=False: small_llama(tmp_path_factory.mktemp("llama"), opening))
