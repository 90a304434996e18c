"""What every test shares."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from ruamel.yaml import YAML

from curate.executor import Ray
from curate.model import Model, digest_of_model, pack, shelve
from eval_fixed_model.scale import SHIPPED

# The same examples on every machine, however slow it is: a test fails for what the code does.
settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.fixture(scope="session")
def ray_of_two() -> Iterator[Ray]:
    """The session's one real Ray: private, two workers."""
    executor = Ray("local", 2)
    yield executor
    executor.close()


@pytest.fixture(scope="session")
def write_scale() -> Callable[..., Path]:
    """Write the shipped scale with changed keys (`section.key` as `section__key`) to a file."""

    def write(path: Path, **changes: Any) -> Path:
        record = YAML(typ="safe", pure=True).load((SHIPPED / "tiny.yaml").read_text(encoding="utf-8"))["tiny-image-text"]
        for name, value in changes.items():
            *sections, key = name.split("__")
            place = record
            for section in sections:
                place = place[section]
            place[key] = value
        with path.open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump({path.stem: record}, file)
        return path

    return write


@pytest.fixture(scope="session")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Make a model, put it where signals find it, and give its digest."""

    def freeze(model: Model, *rows: Any, **parameters: Any) -> str:
        made = model(*rows, **parameters)
        folder = tmp_path_factory.mktemp(model.name)
        for name, data in zip(("weights.safetensors", "card.json"), pack(made), strict=True):
            (folder / name).write_bytes(data)
        assert model.load is not None
        digest = digest_of_model(made.weights, made.card)
        shelve(digest, model.load, folder)
        return digest

    return freeze


_SPOKEN = {
    "en": "the and children weather house was were playing",
    "de": "das und kinder wetter haus war waren spielten",
    "zh": "天气很好",
    "nb": "barna været var huset",
}


@pytest.fixture(scope="session")
def fasttext_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fastText classifier in its published format, that knows a few words of four languages.

    As `FastText::saveModel` of its version 12 writes it: arguments, dictionary, input and output matrices. Every word votes for its
    language with 8, so that a text of words of one language is of it at e^8 / (e^8 + 3).
    """
    words = [(word, number) for number, spoken in enumerate(_SPOKEN.values()) for word in spoken.split()]
    vectors = np.zeros((len(words), len(_SPOKEN)), "<f4")
    vectors[range(len(words)), [number for _, number in words]] = 8.0
    entries = [(word, 0) for word, _ in words] + [(f"__label__{code}", 1) for code in _SPOKEN]
    softmax, supervised = 3, 3
    settings = (len(_SPOKEN), 5, 5, 1, 5, 1, softmax, supervised, 0, 0, 0, 100)  # dim ... bucket, minn, maxn, lrUpdateRate
    data = struct.pack("<ii12id", 793712314, 12, *settings, 1e-4)
    data += struct.pack("<iiiqq", len(entries), len(words), len(_SPOKEN), len(words), -1)
    data += b"".join(entry.encode() + b"\0" + struct.pack("<qb", 1, kind) for entry, kind in entries)
    for matrix in (vectors, np.eye(len(_SPOKEN), dtype="<f4")):
        data += struct.pack("<?qq", False, *matrix.shape) + matrix.tobytes()
    path = tmp_path_factory.mktemp("fasttext") / "tiny.bin"
    path.write_bytes(data)
    return path
