"""Evaluation items of texts: a Parquet of documents, questions with choices, and questions with answers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from curate.digest import canonical_json, row_hash, sha256
from curate.errors import CeterisError
from eval_fixed_model.scale import TextScale
from eval_fixed_model.tasks.answers import ANSWERS

Split = Literal["validation", "test"]
COLUMNS: dict[str, Any] = {
    "task": pl.String,
    "split": pl.String,
    "kind": pl.String,
    "text": pl.String,
    "choices": pl.List(pl.String),
    "label": pl.Int32,
    "group": pl.String,
    "prompt": pl.String,
}
"""One row an item. `kind`: likelihood, multiple_choice or short_answer. `text`: the document, or the question or context. `choices`: of a
multiple choice; of a short answer all that are right. `label`: which choice is right, from 0. `group`: subject, level or domain, or null.
`prompt`: what the text is put into before it is asked, at the last `{text}` in it, such as solved examples; null: the text alone."""

DELIMITER = " "
"""What stands between a prompt and what continues it."""

PLACE = "{text}"
SHARE = 0.2
_KINDS = ("likelihood", "multiple_choice", "short_answer")


@dataclass(frozen=True)
class TextItems:
    """One task's items of one split: `frame` has `COLUMNS` and `item`, the row in the file; `variant` says how texts were perturbed."""

    task: str
    frame: pl.DataFrame
    variant: str = ""

    @property
    def prompts(self) -> list[str]:
        """What the network reads of each item before it answers."""
        return [in_prompt(text, prompt) for text, prompt in self.frame.select("text", "prompt").iter_rows()]

    def answers(self, **columns: Sequence[float]) -> pl.DataFrame:
        """`ANSWERS` of these columns, one value an item; those that are not given are null."""
        about = self.frame.select("item", "task", "group", variant=pl.lit(self.variant), direction=pl.lit(""))
        made = about.with_columns(pl.Series(name, values, dtype=ANSWERS[name]) for name, values in columns.items())
        return made.select(
            pl.col(name).cast(dtype) if name in made.columns else pl.lit(None, dtype).alias(name) for name, dtype in ANSWERS.items()
        )

    def chance(self) -> float | None:
        """Points (0-100) that guessing makes: of choices the mean of their shares, of short answers none; None for likelihoods."""
        kind = self.frame["kind"][0]
        if kind == "likelihood":
            return None
        return 100 * float((1 / self.frame["choices"].list.len()).mean()) if kind == "multiple_choice" else 0.0  # type: ignore[arg-type]

    def first(self, many: int) -> TextItems:
        """The first so many items."""
        return replace(self, frame=self.frame.head(many))

    def with_typos(self, share: float = SHARE) -> TextItems:
        """The same items, texts misspelt by their number: see `misspelt`. Prompts and choices stay."""
        texts = [misspelt(text, number, share) for number, text in self.frame.select("item", "text").iter_rows()]
        return replace(self, frame=self.frame.with_columns(text=pl.Series(texts, dtype=pl.String)), variant="typos")


def in_prompt(text: str, prompt: str | None) -> str:
    """The text where the prompt has its last `{text}`."""
    if prompt is None:
        return text
    before, _, after = prompt.rpartition(PLACE)
    return before + text + after


@functools.lru_cache(maxsize=4)
def items_of(scale: TextScale, split: Split) -> tuple[TextItems, ...]:
    """Every task's items in the scale's order of tasks; once per process.

    Raises CeterisError naming file, row and task when the Parquet does not hold what the scale's tasks ask.
    """
    frame = read_items(scale).filter(split=split)
    found = tuple(TextItems(task, frame.filter(task=task)) for task in scale.tasks)
    for one in found:
        if one.frame.is_empty():
            where = f"{scale.items.folder or scale.evaluation_file} task {one.task}"
            raise CeterisError(f"no items in the {split} split", where=where, fix="give every task of the scale items in both splits")
    return found


def read_items(scale: TextScale) -> pl.DataFrame:
    """`COLUMNS` of all the scale's items and `item`, their numbers: of a Parquet their rows.

    A folder has a TASK.parquet or TASK.jsonl for each task, without `task` and `kind`, and what else of `COLUMNS` it needs; without `split`
    they are the test split's. Items are numbered through all tasks, in the scale's order. It lies beside the scale's file, or where the
    command runs. Raises CeterisError naming file and row for what is no item, or none of its task's kind and choices.
    """
    if scale.items.folder is None:
        path = scale.evaluation_file
        return _as_asked(checked(_typed(_read(path), path, {}).with_row_index("item"), str(path)), scale, path)
    folder = next((at / scale.items.folder for at in (scale.folder, Path.cwd()) if (at / scale.items.folder).is_dir()), None)
    if folder is None:
        what, fix = (
            f"scale {scale.name} needs a folder of items",
            "bring a file for each of its tasks: `curate items TASKS FOLDER` writes them (docs/scales.md)",
        )
        raise CeterisError(what, where=f"{scale.folder} or {Path.cwd()}: {scale.items.folder}", fix=fix)
    parts, begin = [], 0
    for task, record in scale.tasks.items():
        path = next((path for path in (folder / f"{task}.parquet", folder / f"{task}.jsonl") if path.is_file()), folder / f"{task}.jsonl")
        given = {"task": task, "kind": record.kind, "split": "test"}
        frame = _as_asked(checked(_typed(_read(path), path, given).with_row_index("item"), str(path)), scale, path)
        parts.append(frame.with_columns(pl.col("item") + begin))
        begin += frame.height
    return pl.concat(parts)


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise CeterisError("the evaluation items are missing", where=str(path), fix="correct `items` of the scale, or bring the file")
    try:
        return pl.read_ndjson(path, infer_schema_length=None) if path.suffix == ".jsonl" else pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise CeterisError(f"this file cannot be read: {error}", where=str(path), fix="write it again") from error


def _typed(frame: pl.DataFrame, path: Path, given: dict[str, str]) -> pl.DataFrame:
    """`COLUMNS`; those that are `given` where the frame lacks them, and in a folder those that may be null."""
    own = {name: value for name, value in given.items() if name not in frame.columns}
    optional = [name for name in ("choices", "label", "group", "prompt") if given and name not in frame.columns]
    whole = frame.with_columns(
        *[pl.lit(value).alias(name) for name, value in own.items()], *[pl.lit(None).alias(name) for name in optional]
    )
    lacks, more = ([name for name in one if name not in other] for one, other in ((COLUMNS, whole.columns), (whole.columns, COLUMNS)))
    if lacks or more:
        known = [name for name in COLUMNS if name not in given]
        faults = [f"{word} {', '.join(names)}" for word, names in (("it lacks", lacks), ("it should not have", more)) if names]
        what = f"these are not items of texts: the columns are {', '.join(known)}; {' and '.join(faults)}"
        fix = "rename or leave them out; or keep the lines, and `curate items TASKS FOLDER` writes such a file of them (docs/scales.md)"
        raise CeterisError(what, where=str(path), fix=fix)
    try:
        return whole.select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())
    except pl.exceptions.PolarsError as error:
        raise CeterisError(f"a column has another type: {error}", where=str(path), fix="write it as COLUMNS of text_items says") from error


def checked(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """The frame; or CeterisError naming `where` and the first row that is no item."""
    choices, many, label = pl.col("choices"), pl.col("choices").list.len(), pl.col("label")
    choice, answer = pl.col("kind") == "multiple_choice", pl.col("kind") == "short_answer"
    bare = choices.list.eval(pl.element().is_null() | (pl.element().str.len_bytes() == 0)).list.any()
    faults = {
        f"is of no known kind ({', '.join(_KINDS)})": ~pl.col("kind").is_in(_KINDS).fill_null(False),
        "is in no split (validation, test)": ~pl.col("split").is_in(["validation", "test"]).fill_null(False),
        "has no task": pl.col("task").is_null(),
        "has no text": pl.col("text").fill_null("") == "",
        "has fewer than two choices": choice & (many.fill_null(0) < 2),
        "has no answer among its choices": answer & (many.fill_null(0) < 1),
        "has an empty choice": bare.fill_null(False),
        "has a label that is no choice": choice & ~label.is_between(0, many.cast(pl.Int64) - 1).fill_null(False),
        f"has a prompt without {PLACE}": ~pl.col("prompt").str.contains(PLACE, literal=True).fill_null(True),
        "is of another kind than its task's first": pl.col("kind") != pl.col("kind").first().over("task"),
    }
    for fault, rows in faults.items():
        _refuse(frame.filter(rows), where, fault)
    return frame


def _as_asked(frame: pl.DataFrame, scale: TextScale, path: Path) -> pl.DataFrame:
    """The frame; or CeterisError naming file and row where an item is not what the scale says of its task."""
    for task, record in scale.tasks.items():
        mine = frame.filter(task=task)
        _refuse(mine.filter(pl.col("kind") != record.kind), f"{path} task {task}", f"is not a {record.kind} item, as the scale says")
        if record.kind == "multiple_choice":
            other = mine.filter(pl.col("choices").list.len() != record.choices)
            many = len(other["choices"][0]) if other.height else 0
            _refuse(other, f"{path} task {task}", f"has {many} choices, and not {record.choices} as the scale says", "or correct `choices`")
    return frame


def _refuse(rows: pl.DataFrame, where: str, fault: str, also: str = "") -> None:
    if rows.height:
        fix = f"correct or leave out the item (rows count from 0){also and f', {also}'}"
        raise CeterisError(f"row {rows['item'][0]} {fault}", where=where, fix=fix)


def items_digest(scale: TextScale) -> str:
    """Hex SHA-256 of the items' content in order: of what is asked, not of Parquet bytes."""
    rows = read_items(scale).drop("item").iter_rows()
    return sha256(b"".join(row_hash(canonical_json(value).encode() for value in row) for row in rows))


def texts_to_find(frame: pl.DataFrame) -> pl.DataFrame:
    """{item, task, text}: what training data should not hold: a document, a question with its right choice or first right answer."""
    right = pl.col("choices").list.get(pl.col("label").fill_null(0), null_on_oob=True)
    return frame.select("item", "task", text=pl.concat_str("text", right, separator=DELIMITER, ignore_nulls=True))


def misspelt(text: str, number: int, share: float = SHARE) -> str:
    """The text with two neighbouring letters swapped in about `share` of its words, those and the letters drawn by the item's number.

    A word is what white space parts; one without two different neighbouring letters stays. As many characters and bytes as before.
    """
    words = text.split(" ")
    for place, word in enumerate(words):
        draw = int.from_bytes(row_hash([b"typos", number.to_bytes(8, "little"), place.to_bytes(8, "little")]), "little")
        pairs = [at for at in range(len(word) - 1) if word[at] != word[at + 1] and word[at].isalpha() and word[at + 1].isalpha()]
        if pairs and (draw & 0xFFFFFFFF) < share * (1 << 32):
            at = pairs[(draw >> 32) % len(pairs)]
            words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)
