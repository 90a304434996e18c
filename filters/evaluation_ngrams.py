"""The n-grams of evaluation sets, by task and item: what a pool should not hold."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import Made, Weights, model

_ENDINGS = (".parquet", ".jsonl")


@model(version=1, files=("sets",))
def evaluation_ngrams(*, sets: str, fields: Sequence[str], n: int = 13, least: int = 8) -> Made:
    """Hash every run of `n` words of every item (13 in GPT-3, Brown et al., arXiv 2005.14165, appendix C; 8 in PaLM, arXiv 2204.02311).

    `sets` is a Parquet or JSON-lines file, or a folder with one for each task, called as the task; a row is an item, and its number in
    the file, from 0, names it. Its text is what it has of `fields` (texts or lists of texts) in that order, one after the other. Words
    are case folded, without punctuation. An item of fewer than `n` words counts whole if it has `least` of them or more; else it
    cannot be checked: the card lists these by task. Hashes have 64 bits: of a document's 1,000 n-grams and 10^8 known ones, two
    different ones meet by chance in 1 of 10^8 documents.
    Raises RecipeError for files that cannot be read or have none of the fields, and for lengths that cannot be.
    """
    from filters._runs import grams  # loads a compiler, which no plan needs

    if isinstance(fields, str) or not fields or not 1 <= least <= n:
        what = f"fields: {fields}, n: {n}, least: {least} cannot be"
        raise RecipeError(what, where="evaluation_ngrams", fix="give a list of fields, and 1 <= least <= n")
    texts = {path.stem: _items(path, fields) for path in _files(Path(sets))}
    found, items, words = grams(pl.concat(list(texts.values())), n, least)
    pairs = pl.DataFrame({"gram": found, "item": items.astype(np.uint32)}).unique().sort("gram", "item")
    firsts = np.flatnonzero(np.concatenate([[True], np.diff(pairs["gram"].to_numpy()) != 0, [True]])) if pairs.height else np.zeros(1, int)
    weights = {
        "grams": pairs["gram"].to_numpy()[firsts[:-1]],
        "firsts": firsts.astype(np.int64),
        "items": pairs["item"].to_numpy(),
        "sizes": np.bincount(pairs["item"].to_numpy(), minlength=len(words)).astype(np.uint32),
        "lengths": np.unique(np.minimum(words[words >= least], n)),
    }
    begins = np.cumsum([0, *(len(one) for one in texts.values())])
    short = [np.flatnonzero(words[a:b] < least).tolist() for a, b in pairwise(begins)]
    card = {
        "architecture": {"n": n, "tasks": [[task, len(one)] for task, one in texts.items()]},
        "fields": list(fields),
        "least": least,
        "unchecked": {task: rows for task, rows in zip(texts, short, strict=True) if rows},
        "licence": "that of the evaluation sets; hashes only",
    }
    return Made(weights, card)


@evaluation_ngrams.loader
def load(weights: Weights, card: dict[str, Any]) -> Any:
    """An `Evaluation`, for `contamination`."""
    from filters._evaluation import Evaluation
    from filters._runs import index

    shape = card["architecture"]
    begins = np.cumsum([0, *(rows for _, rows in shape["tasks"])])
    known = index(weights["grams"], weights["lengths"])
    return Evaluation(
        known, weights["firsts"], weights["items"], weights["sizes"], tuple(task for task, _ in shape["tasks"]), begins, shape["n"]
    )


def _files(sets: Path) -> list[Path]:
    """One for each task, in name order."""
    found = sorted(path for path in sets.iterdir() if path.suffix in _ENDINGS) if sets.is_dir() else [sets]
    twice = [path.stem for path, after in pairwise(found) if path.stem == after.stem]
    if not found or not sets.exists() or twice or found[0].suffix not in _ENDINGS:
        what = f"two files are the task {twice[0]}" if twice else "there are no evaluation sets"
        raise RecipeError(what, where=str(sets), fix="give a .parquet or .jsonl file, or a folder with one for each task")
    return found


def _items(path: Path, fields: Sequence[str]) -> pl.Series:
    """The text of every item; empty where it has none."""
    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ndjson(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RecipeError(f"the evaluation set cannot be read: {error}", where=str(path), fix="give it as Parquet or JSON lines") from error
    there = [name for name in fields if name in frame.columns]
    if not there:
        has = ", ".join(frame.columns)
        raise RecipeError(f"there is no field {' or '.join(fields)} (it has {has})", where=str(path), fix="name the fields with its text")
    for name in there:
        if frame.schema[name] not in (pl.String, pl.Null, pl.List(pl.String), pl.List(pl.Null)):
            what = f"the field {name} is {frame.schema[name]}"
            raise RecipeError(what, where=str(path), fix="name fields that are texts or lists of texts")
    lists = [name for name in there if frame.schema[name].base_type() is pl.List]
    joined = frame.with_columns(pl.col(lists).cast(pl.List(pl.String)).list.join(" ", ignore_nulls=True))
    texts: pl.Series = joined.select(pl.concat_str(there, separator=" ", ignore_nulls=True).fill_null(""))[there[0]]
    return texts
