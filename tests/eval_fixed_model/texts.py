"""A small text scale, and texts to read."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from curate.digest import UInt64s, words_of
from eval_fixed_model.rows.documents import Documents, materialise
from eval_fixed_model.scale import TextScale, load_scale

WORDS = ("the", "cat", "sat", "on", "mat", "and", "then", "one", "dog", "ate", "that", "hat", "while", "nobody", "was", "there", "to")


def small_scale(folder: Path | None = None, **changes: Any) -> TextScale:
    """tiny-text with a small model and 20 steps of 4 x 32 tokens; `changes` as `section__key`."""
    shipped = load_scale("tiny-text")
    assert isinstance(shipped, TextScale)
    record = shipped.model_dump(mode="json")
    small = {"model__width": 16, "model__inner": 32, "model__rows": 512, "tokens__context": 32, "batch": 4, "tokens_seen": 20 * 4 * 32}
    for name, value in {**small, **changes}.items():
        *sections, key = name.split("__")
        place = record
        for section in sections:
            place = place[section]
        place[key] = value
    scale = TextScale.model_validate(record)
    scale._folder = folder or shipped.folder
    return scale


def sentences(count: int, seed: int = 0) -> list[str]:
    """Texts of 1 to 30 words."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 31))) for _ in range(count)]


def uids_of(count: int, seed: int = 0) -> UInt64s:
    """Random ones."""
    rng = np.random.default_rng(seed)
    return words_of([rng.bytes(16) for _ in range(count)])


def documents(folder: Path, texts: list[str], scale: TextScale | None = None, uids: UInt64s | None = None) -> Documents:
    """The texts as documents, read in one batch."""
    return materialise([(uids_of(len(texts)) if uids is None else uids, pl.DataFrame({"text": texts}))], scale or small_scale(), folder)


def tokenizer_file(folder: Path, end: str = "<|endoftext|>") -> Path:
    """A small tokenizer.json that pads and cuts; skips without the package tokenizers."""
    library = pytest.importorskip("tokenizers")
    pieces = library.Tokenizer(library.models.BPE())
    pieces.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = library.decoders.ByteLevel()
    alphabet = sorted(library.pre_tokenizers.ByteLevel.alphabet())
    trainer = library.trainers.BpeTrainer(vocab_size=300, special_tokens=[end], initial_alphabet=alphabet, show_progress=False)
    pieces.train_from_iterator(sentences(50), trainer)
    pieces.enable_padding(length=64)
    pieces.enable_truncation(5)
    pieces.save(str(folder / "small.json"))
    return folder / "small.json"


def file_scale(folder: Path, **changes: Any) -> TextScale:
    """`small_scale` as a small Llama on the tokens of `tokenizer_file`."""
    tokenizer_file(folder)
    llama = {"name": "llama", "width": 32, "inner": 64, "layers": 2, "heads": 2, "key_value_heads": 1, "tied": False}
    tokens = {"tokenizer": "file", "file": "small.json", "vocabulary": 304, "context": 32}
    shipped = load_scale("tiny-text")
    assert isinstance(shipped, TextScale)
    record = {**shipped.model_dump(mode="json"), "model": llama, "tokens": tokens, "batch": 4, "tokens_seen": 10 * 4 * 32, **changes}
    scale = TextScale.model_validate(record)
    scale._folder = folder
    return scale
