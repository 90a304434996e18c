from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.errors import RecipeError
from filters._entities import Entities
from filters.caption_entities import caption_entities
from filters.entity_list import entity_list, load
from filters.passage_counts import passage_counts

INDEX = {
    "noun": {
        "dog": [2084071, 9886220],
        "ox": [2403003],
        "fox": [2118333],
        "man": [10287213],
        "leaf": [13152742],
        "saw": [4140064],
        "misuse": [420000],
        "bark": [13162297],
        "new_york": [9119277],
    },
    "verb": {"bark": [1046000], "run": [1926311], "see": [2129289], "carry": [1449974], "saw": [1559000], "leave": [2118333]},
    "adj": {"red": [381097], "big": [1382086], "fine": [2080000]},
    "adv": {"fast": [85811]},
}
ODD = {"noun": ["oxen ox", "foxen fox vixen"], "verb": ["ran run", "saw see"], "adj": ["best good"], "adv": []}
IDS = ["n02084071", "n02403003", "n10287213", "n04140064", "n00420000", "n09119277", "n02118333", "n99999999"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WordNet of a few words, in its own format, and a list of ids."""
    folder = tmp_path_factory.mktemp("wordnet")
    licence = "  1 This software and database is being provided to you  \n"
    for part, lemmas in INDEX.items():
        lines = [
            f"{lemma} {part[0]} {len(offsets)} 2 @ ~ {len(offsets)} 1 {' '.join(f'{one:08d}' for one in offsets)}  \n"
            for lemma, offsets in lemmas.items()
        ]
        (folder / f"index.{part}").write_text(licence + "".join(lines), encoding="utf-8")
        (folder / f"{part}.exc").write_text("".join(f"{line}\n" for line in ODD[part]), encoding="utf-8")
    (folder / "ids.txt").write_text("\n".join(IDS) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path, frozen: Callable[..., str]) -> str:
    """The words that name one of the ids."""
    return frozen(entity_list, wordnet=str(folder), ids=str(folder / "ids.txt"))


def _named(model: str, *texts: str | None) -> list[tuple[int | None, list[str] | None]]:
    found = caption_entities(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), model=model)
    lists = [None if one is None else [IDS[number] for number in np.frombuffer(one, "<u4")] for one in found["entries"]]
    return list(zip(found["count"].to_list(), lists, strict=True))


@pytest.mark.parametrize(
    ("word", "synset"),
    [
        ("dog", "n02084071"),
        ("Dogs", "n02084071"),
        ("DOGS", "n02084071"),
        ("dogs,", None),  # punctuation belongs to the word
        ("oxen", "n02403003"),  # an exception
        ("oxes", "n02403003"),
        ("men", "n10287213"),
        ("foxes", "n02118333"),
        ("leaves", None),  # as a noun of leaf, which is not listed, so that leave is not asked
        ("leave", "n02118333"),  # a verb with the offset of a noun
        ("leaving", "n02118333"),
        ("saw", "n04140064"),  # a noun first
        ("sawing", None),
        ("barks", None),
        ("red", None),
        ("misuseses", "n00420000"),  # two endings
        ("New_York", "n09119277"),
        ("York", None),
        ("", None),
    ],
)
def test_a_word_is_the_first_sense_of_its_first_form(model: str, word: str, synset: str | None) -> None:
    expected = (1, [synset]) if synset else (0, [])
    assert _named(model, word, f"the {word} there") == [expected] * 2


def test_words_are_counted_and_synsets_listed_once(model: str) -> None:
    found = _named(model, "a dog and two dogs\u00a0see\x1can ox", "dogsox", None)
    assert found == [(3, ["n02084071", "n02403003"]), (0, []), (None, None)]


def test_every_detachment_of_a_listed_word_is_tried(folder: Path) -> None:
    made = entity_list.make(wordnet=str(folder), ids=str(folder / "ids.txt"), times=1)
    words = set(load(made.weights, made.card).words)  # type: ignore[misc]
    assert {"dog", "dogs", "men", "mans", "foxes", "foxen", "leaving", "leaved"} <= words
    assert not {"misuseses", "foxeses", "leaves"} & words
    assert made.card["without_words"] == 1
    assert isinstance(load(made.weights, made.card), Entities)  # type: ignore[misc]


def test_folders_and_lists_that_cannot_be_are_refused(folder: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    for content, says in {"": "list of ids is empty", "n1\nx": "'x' is no synset's id", "n00000001": "no word of this WordNet"}.items():
        ids.write_text(content, encoding="utf-8")
        with pytest.raises(RecipeError, match=says):
            entity_list.make(wordnet=str(folder), ids=str(ids))
    with pytest.raises(RecipeError, match="WordNet cannot be read"):
        entity_list.make(wordnet=str(tmp_path), ids=str(folder / "ids.txt"))
    with pytest.raises(RecipeError, match="list of ids cannot be read"):
        entity_list.make(wordnet=str(folder), ids=str(tmp_path / "none"))
    (tmp_path / "index.noun").write_text("dog n 1\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="no line of WordNet's index: dog n 1"):
        entity_list.make(wordnet=str(tmp_path), ids=str(folder / "ids.txt"))


def test_a_model_of_another_kind_is_refused(frozen: Callable[..., str]) -> None:
    other = frozen(passage_counts, [pl.DataFrame({"text": ["some words"]})])
    with pytest.raises(RecipeError, match="this model is no list of entities"):
        caption_entities(pl.DataFrame({"text": ["a"]}), model=other)
