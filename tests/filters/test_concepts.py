import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import RecipeError
from filters._concepts import SCRIPTS, Concepts
from filters.concept_list import concept_list, load
from filters.concepts import concepts
from filters.passage_counts import passage_counts

ALPHABET = "abA .,:`\t\né京、のก-'"
ENTRIES = st.lists(st.text(ALPHABET, min_size=1, max_size=4), min_size=1, max_size=12)
TEXTS = st.lists(st.text(ALPHABET, max_size=20) | st.none(), max_size=6)


def _spaced(text: str) -> str:
    text = f" {text} "
    for mark in ",.;:?!`":
        text = text.replace(mark, f" {mark} ")
    for blank in "\t\n\r":
        text = text.replace(blank, " ")
    return text


def _plainly(entries: list[str], texts: list[str | None]) -> list[list[int]]:
    return [[] if text is None else [n for n, entry in enumerate(entries) if f" {entry} " in _spaced(text)] for text in texts]


def _bound(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in SCRIPTS.items())


def _found(entries: list[str], texts: list[str | None], bounds: str) -> list[list[int]]:
    firsts, numbers = Concepts(pl.Series(entries), bounds).found(pl.Series(texts, dtype=pl.String))
    return [numbers[a:b].tolist() for a, b in pairwise(firsts)]


@given(ENTRIES, TEXTS)
def test_exactly_the_entries_of_a_plain_search_are_found(entries: list[str], texts: list[str | None]) -> None:
    assert _found(entries, texts, "space") == _plainly(entries, texts)


@given(ENTRIES, TEXTS)
def test_scripts_without_spaces_bound_an_entry_by_themselves(entries: list[str], texts: list[str | None]) -> None:
    bounded = [f"{'' if _bound(one[0]) else ' '}{one}{'' if _bound(one[-1]) else ' '}" for one in entries]
    plainly = [[] if text is None else [n for n, one in enumerate(bounded) if one in _spaced(text)] for text in texts]
    assert _found(entries, texts, "script") == plainly


def test_thousands_of_entries_and_long_texts_are_matched_as_plainly() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), size)) for size in rng.integers(1, 4, 3000)]
    entries = words + [f"{a} {b}" for a, b in zip(words[:1500], words[1500:], strict=True)] + words[:50]
    texts: list[str | None] = [" ".join(rng.choice(words, size)) for size in (0, 1, 5, 40, 400, 1500)]
    assert _found(entries, texts, "space") == _plainly(entries, texts)


def test_columns(tmp_path: Path, frozen: Callable[..., str]) -> None:
    (tmp_path / "list.txt").write_text("red\nred fox\nFox\nnumber 7\nU.S.\n", encoding="utf-8")
    model = frozen(concept_list, file=str(tmp_path / "list.txt"))
    texts = ["a red fox.", "red,red;red", "redfox", "Fox number\n7!", "the U.S. Fox", "", None]
    found = concepts(pl.DataFrame({"text": texts}), model=model)
    assert found["count"].to_list() == [2, 1, 0, 2, 1, 0, None]
    lists = [None if one is None else np.frombuffer(one, "<u4").tolist() for one in found["entries"]]
    assert lists == [[0, 1], [0], [], [2, 3], [2], [], None]
    assert _plainly(["red", "red fox", "Fox", "number 7", "U.S."], texts) == [one or [] for one in lists]


def test_a_json_list_is_the_same_list_and_another_order_another(tmp_path: Path) -> None:
    entries = ["sky", "blue sky", "ブルー", "a\tb"]
    for name, some in {"a": entries, "b": entries[::-1]}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(some), encoding="utf-8")
    (tmp_path / "c.txt").write_text("\n".join(entries), encoding="utf-8")
    made = [concept_list.make(file=str(tmp_path / name)) for name in ("a.json", "b.json", "c.txt")]
    assert [load(one.weights, one.card).entries.to_list() for one in made] == [entries, entries[::-1], entries]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('["a", ""]', 'entry 1 is "", not a text'),
        ('["a", 3]', "entry 1 is 3, not a text"),
        ("a\n\nb", 'line 2 is "", not a text'),
        ("", "has no entries"),
        ("[]", "has no entries"),
        ('["a"', "cannot be read"),
        ('["a", "\\ud800"]', "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_lists_that_cannot_be_are_refused(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "list"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(RecipeError, match=says):
        concept_list.make(file=str(path))


def test_other_bounds_and_other_models_are_refused(tmp_path: Path, frozen: Callable[..., str]) -> None:
    with pytest.raises(RecipeError, match="entries have no bounds 'word'"):
        concept_list.make(file=str(tmp_path), bounds="word")
    other = frozen(passage_counts, [pl.DataFrame({"text": ["some words"]})])
    with pytest.raises(RecipeError, match="this model is no list of concepts"):
        concepts(pl.DataFrame({"text": ["a"]}), model=other)
