"""Law 1: what a signal says of a row depends on that row alone. Runs over every signal and every grouping's sketch in the tree."""

import functools
import io
import re
import struct
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save_file

from curate.grouping import Grouping
from curate.signal import Signal
from filters import (
    caption_counts,
    concept_list,
    entity_list,
    evaluation_images,
    evaluation_ngrams,
    fasttext,
    feature_clusters,
    filter_network,
    hash_list,
    head,
    passage_counts,
    quality_classifier,
)
from pipelines.catalog import catalogue

_LOADED = {name: entry.load() for name, entry in catalogue().items()}
SIGNALS = {name: one.sketch if isinstance(one, Grouping) else one for name, one in _LOADED.items() if isinstance(one, Signal | Grouping)}


def _encoded(pixels: np.ndarray, form: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def _images() -> list[bytes | None]:
    rng = np.random.default_rng(5)
    drawn = [rng.integers(0, 256, (int(h), int(w), 3), dtype=np.uint8) for h, w in rng.integers(1, 70, (6, 2))]
    files = [_encoded(pixels, ("PNG", "JPEG", "WEBP")[i % 3]) for i, pixels in enumerate(drawn)]
    photo = _encoded(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), "JPEG")
    damaged = [photo[:600], photo[: len(photo) // 2], photo[:10] + b"\0" * 40, b"", b"GIF89a", b"not an image"]
    return [*files, photo, *damaged, None, None, _encoded(np.zeros((3, 3), np.uint8), "PNG"), _encoded(drawn[0][:, :, 0], "PNG")]


_TEXTS = [
    "a red fox jumps over the lazy dog by the river", "A Red Fox jumps over the lazy dog by the river!", "", " ", None, "\0", "a\0b",
    "Ein Text auf Deutsch mit Umlauten: äöü", "日本語のテキストです。", "12345 67", "https://example.org/a?b=c", "word " * 3000,
    "x" * 20_000, None, "one", "🙂 ❤ e\u0301", "the same words the same words the same words",
]  # fmt: skip
_LICENCES = [
    "CC BY 4.0", "https://creativecommons.org/licenses/by-sa/3.0/pl/", "MIT OR Apache-2.0", None, "", "free", "All rights reserved",
    "MIT; GPL-3.0", "CC0", "\0", "cc-by-4.0 or", "((((", "proprietary", None, "Public Domain", "CC BY 4.0, all rights reserved", "unknown",
]  # fmt: skip
ROWS = 17
Parameters = Callable[[str], dict[str, str]]
IMPORTED = {"py3langid": "py3langid", "fasttext-predict": "fasttext"}
"""The module of each package of an extra."""
_EXTRAS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
OPTIONAL = {re.match(r"[\w-]+", line)[0] for extra, lines in _EXTRAS.items() if extra != "test" for line in lines}  # type: ignore[index]
_VALUES = {"image": pl.Series(_images(), dtype=pl.Binary), "license": pl.Series(_LICENCES, dtype=pl.String)}


def _vectors() -> pl.Series:
    """Evidence of 16 numbers, little-endian float16; of some rows there is none."""
    drawn = np.random.default_rng(8).normal(size=(ROWS, 16)).astype("<f2")
    drawn[3], drawn[4] = 0, drawn[5]
    return pl.Series([None if row in (2, 13) else vector.tobytes() for row, vector in enumerate(drawn)], dtype=pl.Binary)


def _rows(signal: Signal) -> pl.DataFrame:
    roles = {role: _VALUES.get(role, pl.Series(_TEXTS, dtype=pl.String)) for role in signal.roles}
    return pl.DataFrame({**roles, **dict.fromkeys(signal.evidence, _vectors())})


@pytest.fixture(scope="session")
def parameters(tmp_path_factory: pytest.TempPathFactory, fasttext_file: Path, frozen: Callable[..., str]) -> Parameters:
    """What a signal cannot be measured without: for each of its models the digest of a small frozen one that fits it."""
    rng = np.random.default_rng(0)
    pictures = [_encoded(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), "PNG") for _ in range(96)]
    pairs = pl.DataFrame({"image": pictures, "text": [f"picture {i}" for i in range(96)]})
    texts = pl.DataFrame({"text": _TEXTS})
    sets = tmp_path_factory.mktemp("sets") / "task.parquet"
    texts.write_parquet(sets)
    others = pl.DataFrame({"text": [f"word {i}" for i in range(96)]})
    vectors = pl.DataFrame({"features": _vectors()})
    hashes = tmp_path_factory.mktemp("hashes") / "pdq.txt"
    hashes.write_text("\n".join(rng.bytes(32).hex() for _ in range(5)))
    layers = tmp_path_factory.mktemp("heads") / "head.safetensors"
    sizes = {"0": (32, 16), "3": (1, 32)}
    save_file({f"layers.{name}.weight": rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}, layers)
    wordnet = tmp_path_factory.mktemp("wordnet")
    for part in ("noun", "verb", "adj", "adv"):
        (wordnet / f"index.{part}").write_text("fox n 1 0 1 0 00000001\nword n 1 0 1 0 00000002\n", encoding="utf-8")
        (wordnet / f"{part}.exc").write_text("", encoding="utf-8")
    (wordnet / "ids").write_text("n00000002\nn00000001\n", encoding="utf-8")
    entries = wordnet / "entries"
    entries.write_text("red\nred fox\nthe\nword\nDeutsch\nAuf\n12345\nthe same words\n", encoding="utf-8")
    images = tmp_path_factory.mktemp("images") / "task.parquet"
    pl.DataFrame({"image": _VALUES["image"]}).write_parquet(images)
    small: dict[str, Callable[[], str]] = {
        "caption_entities": lambda: frozen(entity_list.entity_list, wordnet=str(wordnet), ids=str(wordnet / "ids")),
        "caption_frequency": lambda: frozen(caption_counts.caption_counts, [texts, texts[:7]]),
        "clip_embedding": lambda: frozen(filter_network.filter_network, pairs, samples=128),
        "clip_score": lambda: frozen(filter_network.filter_network, pairs, samples=128),
        "cluster": lambda: frozen(feature_clusters.feature_clusters, [vectors], vectors[::2], k=3),
        "concepts": lambda: frozen(concept_list.concept_list, file=str(entries)),
        "contamination": lambda: frozen(evaluation_ngrams.evaluation_ngrams, sets=str(sets), fields=["text"], n=5, least=3),
        "hash_match": lambda: frozen(hash_list.hash_list, file=str(hashes), kind="pdq"),
        "head_score": lambda: frozen(head.head, weights=str(layers), name="any", licence="any", source="any"),
        "image_contamination": lambda: frozen(evaluation_images.evaluation_images, sets=str(images), quality=0),
        "language_fasttext": lambda: frozen(fasttext.fasttext, file=str(fasttext_file)),
        "quality_score": lambda: frozen(quality_classifier.quality_classifier, pairs, others, bits=10),
        "repeated_text": lambda: frozen(passage_counts.passage_counts, [texts, texts[:7]]),
    }
    digest = functools.cache(lambda name: small[name]())

    def found(name: str) -> dict[str, str]:
        for package in set(SIGNALS[name].uses) & OPTIONAL:
            pytest.importorskip(IMPORTED[package], reason=f"needs the extra that holds {package}")
        return {key: digest(name) for key in SIGNALS[name].models if key not in SIGNALS[name].defaults}

    return found


def _bits(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    """Rows whose floats are bytes, so that -0.0 is not 0.0."""
    return [tuple(struct.pack("<d", value) if isinstance(value, float) else value for value in row) for row in frame.rows()]


@pytest.mark.parametrize("name", SIGNALS)
def test_a_row_is_measured_alike_alone_in_any_company_and_in_any_order(name: str, parameters: Parameters) -> None:
    signal = SIGNALS[name]
    rows, how = _rows(signal), parameters(name)
    assert rows.height == ROWS
    alone = [_bits(signal(rows[i : i + 1], **how))[0] for i in range(ROWS)]

    @settings(max_examples=20)
    @given(st.lists(st.integers(0, ROWS - 1), max_size=40))
    def law(chosen: list[int]) -> None:
        assert _bits(signal(rows[chosen], **how)) == [alone[i] for i in chosen]

    law()


@pytest.mark.parametrize("name", SIGNALS)
def test_no_rows_and_only_nulls_still_give_the_declared_columns(name: str, parameters: Parameters) -> None:
    signal = SIGNALS[name]
    how = parameters(name)
    empty = signal(_rows(signal).clear(), **how)
    assert (dict(empty.schema), empty.height) == (signal.schema, 0)
    nothing = signal(pl.DataFrame({role: pl.Series([None] * 3, dtype=_rows(signal)[role].dtype) for role in signal.columns}), **how)
    assert (dict(nothing.schema), nothing.height) == (signal.schema, 3)
    assert nothing["error"].null_count() == 3, "a value that is not there is not an error"
    assert len(set(_bits(nothing))) == 1


@pytest.mark.parametrize("name", SIGNALS)
def test_more_rows_than_one_call_takes_are_measured_alike(name: str, parameters: Parameters) -> None:
    signal = SIGNALS[name]
    size = signal.batch or 4096
    rows, how = _rows(signal), parameters(name)
    cheap = rows[[5, 4, 13, 14]]
    many = pl.concat([cheap] * (size // 4) + [rows[:6]])
    once = _bits(signal(many, **how))
    assert once[: len(cheap)] == _bits(signal(cheap, **how))
    assert once[size:] == _bits(signal(many[size:], **how))
