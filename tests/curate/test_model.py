import os

import numpy as np
import polars as pl
import pytest

from curate.errors import CeterisError
from curate.model import Made, digest_of_model, digest_of_weights, loaded, model, pack, shelve

WEIGHTS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(2, np.int64)}


@model(version=2, reads=["text"], rows=["trusted"], files=["start"])
def average(rows, *, seed: int = 0, start: str | None = None, width: int):
    return Made({"mean": np.full(width, rows["text"].str.len_chars().mean())}, {"seed": seed})


def test_a_model_says_what_it_needs():
    assert (average.defaults, average.required, average.rows, average.files) == (
        {"seed": 0, "start": None},
        ("width",),
        ("trusted",),
        ("start",),
    )
    made = average(pl.DataFrame({"text": ["a", "abc"]}), width=2)
    assert made.weights["mean"].tolist() == [2.0, 2.0]


def test_a_model_over_the_pool_takes_its_rows_as_they_come():
    @model(version=1, reads=["text"], over="pool")
    def longest(rows, *, least: int = 0):
        return Made({"chars": np.array([max(least, *(frame["text"].str.len_chars().max() for frame in rows))])}, {})

    assert (longest.over, longest.rows, average.over) == ("pool", (), "")
    made = longest((pl.DataFrame({"text": [text, None]}) for text in ("ab", "abcd", "c")), least=3)
    assert made.weights["chars"].tolist() == [4]


def test_the_digest_is_of_what_weights_are_not_of_how_they_lie():
    digest = digest_of_weights(WEIGHTS)
    turned = {name: np.asfortranarray(WEIGHTS[name]) for name in ("b", "a")}
    assert digest_of_weights(turned) == digest
    others = [
        {**WEIGHTS, "a": np.ones(2, np.int32)},
        {**WEIGHTS, "b": WEIGHTS["b"].reshape(3, 2)},
        {**WEIGHTS, "b": WEIGHTS["b"] + 1},
        {"c": WEIGHTS["a"], "b": WEIGHTS["b"]},
        {"b": WEIGHTS["b"]},
    ]
    assert len({digest, *map(digest_of_weights, others)}) == 6


def test_equal_weights_in_another_architecture_are_another_model():
    cards = {"architecture": "a", "source": "x"}, {"architecture": "a"}, {"architecture": "b"}
    digests = [digest_of_model(WEIGHTS, card) for card in cards]
    assert digests[0] == digests[1] != digests[2]


@pytest.fixture
def shelved(tmp_path):
    loaded.cache_clear()
    weights, card = pack(Made({**WEIGHTS, "b": np.asfortranarray(WEIGHTS["b"])}, {"unit": "s"}))
    (tmp_path / "weights.safetensors").write_bytes(weights)
    (tmp_path / "card.json").write_bytes(card)
    digest = digest_of_model(WEIGHTS, {"unit": "s"})
    shelve(digest, lambda weights, card: (weights, card, object()), tmp_path)
    return digest, tmp_path


def test_a_model_is_loaded_once_and_as_it_was_made(shelved):
    weights, card, _ = loaded(shelved[0])
    assert card == {"unit": "s"}
    assert {name: array.tolist() for name, array in weights.items()} == {name: array.tolist() for name, array in WEIGHTS.items()}
    assert loaded(shelved[0]) is loaded(shelved[0])


def test_other_weights_than_asked_for_are_refused(shelved):
    digest, folder = shelved
    other = pack(Made({**WEIGHTS, "a": WEIGHTS["a"] + 1}, {}))[0]
    for harm, what in [(other, "not the ones they were"), (other[:20], "cannot be read"), (None, "cannot be read")]:
        path = folder / "weights.safetensors"
        path.write_bytes(harm) if harm is not None else os.unlink(path)
        with pytest.raises(CeterisError, match=f"the stored weights .*{what}") as raised:
            loaded(digest)
        assert (raised.value.where, raised.value.fix) == (str(folder), "delete the folder and run again")
    with pytest.raises(CeterisError, match="no model 0000000000000000 is at hand"):
        loaded("0" * 64)
