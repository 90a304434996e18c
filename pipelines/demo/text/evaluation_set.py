"""Write the evaluation Parquet of scale tiny-text: `python -m pipelines.demo.text.evaluation_set`.

Its documents come from packages, and from help topics, that neither pool nor trusted documents hold; modules and topics are of one split.
"""

import random
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.digest import row_hash
from eval_fixed_model.tasks.text_items import texts_to_find
from pipelines.demo.text.documents import Document, documents

SPLITS = ("validation", "test")
HELD_OUT, CLOZE, CHOICES, CLOZE_WORDS = 150, 400, 4, 6

_FILE = "tasks/tiny_text.parquet"
_TEXT_CHARS = (60, 240)
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("task", "split", "kind", "text")),
        ("choices", pa.list_(pa.string())),
        ("label", pa.int32()),
        ("group", pa.string()),
        ("prompt", pa.string()),
    ]
)


class Leakable(NamedTuple):
    """A test item that a pool may leak: its row number in the Parquet, and the document."""

    row: int
    document: Document


def leakable() -> list[Leakable]:
    """The held-out documents of the committed test split, in file order."""
    known = {document.text: document for document in documents("held_out")}
    return [Leakable(item, known[text]) for item, text in _test_items().filter(task="held_out").select("item", "text").iter_rows()]


def asked() -> dict[str, list[str]]:
    """By task what the committed test split asks: documents, and beginnings with their right choice."""
    texts = texts_to_find(_test_items())
    return {str(task): part["text"].to_list() for (task,), part in texts.group_by("task", maintain_order=True)}


def _test_items() -> pl.DataFrame:
    with resources.as_file(resources.files("eval_fixed_model") / _FILE) as path:
        return pl.read_parquet(path).with_row_index("item").filter(split="test")


def make_evaluation_set(path: Path, seed: int = 0) -> None:
    """Write the Parquet, with the columns of `eval_fixed_model.tasks.text_items`.

    `held_out` and `out_of_domain`: documents. `cloze`: of four continuations of a text, six words each, three have the words in another
    order; the texts are of held-out documents that are no items themselves. `group`: the source.
    """
    rows = [item for split in SPLITS for item in _split_items(split, seed)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), path, compression="zstd", compression_level=19, row_group_size=len(rows))


def _split_items(split: str, seed: int) -> Iterator[dict[str, Any]]:
    ordered = sorted(_of_split("held_out", split), key=lambda one: row_hash([b"held out", str(seed).encode(), one.name.encode()]))
    for document in sorted(ordered[:HELD_OUT]):
        yield _item("held_out", split, document)
    for document in _of_split("out_of_domain", split):
        yield _item("out_of_domain", split, document)
    yield from _cloze(split, ordered[HELD_OUT:], random.Random(f"cloze {split} {seed}"))


def _of_split(part: str, split: str) -> list[Document]:
    """Of each module all documents are of one split."""
    return [one for one in documents(part) if SPLITS[row_hash([b"halves", one.module.encode()])[0] % 2] == split]


def _cloze(split: str, others: Sequence[Document], rng: random.Random) -> Iterator[dict[str, Any]]:
    for document, begin, words in islice(_questions(others, rng), CLOZE):
        choices = [words]
        while len(choices) < CHOICES:
            other = rng.sample(words, len(words))
            choices += [other] if other not in choices else []
        rng.shuffle(choices)
        said = [" ".join(choice) for choice in choices]
        yield {**_item("cloze", split, document), "text": begin, "choices": said, "label": choices.index(words)}


def _questions(others: Sequence[Document], rng: random.Random) -> Iterator[tuple[Document, str, list[str]]]:
    """One of every document that has one, then again, elsewhere in its text, without end."""
    asked = set()
    for one in cycle(others):
        if (question := _question(one.text, rng)) and question[0] not in asked:
            asked.add(question[0])
            yield one, *question


def _question(text: str, rng: random.Random) -> tuple[str, list[str]] | None:
    """A beginning and the plain words after it, within one sentence; None where the text has none of that length."""
    places = [found.end() for found in re.finditer(r"\S(?= )", text) if found.end() >= _TEXT_CHARS[0]]
    for place in rng.sample(places, len(places)):
        words = text[place + 1 :].split(" ")[:CLOZE_WORDS]
        if len(set(words)) == CLOZE_WORDS and all(re.fullmatch(r"[a-z]+", word) for word in words):
            return text[max(0, place - _TEXT_CHARS[1]) : place], words
    return None


def _item(task: str, split: str, document: Document) -> dict[str, Any]:
    kind = "multiple_choice" if task == "cloze" else "likelihood"
    return {
        "task": task, "split": split, "kind": kind, "text": document.text, "choices": None, "label": None, "group": document.source,
        "prompt": None,
    }  # fmt: skip


def main() -> None:
    """Write the file into the package's source tree."""
    with resources.as_file(resources.files("eval_fixed_model")) as room:
        make_evaluation_set(room / _FILE)


if __name__ == "__main__":
    main()
