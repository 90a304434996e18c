"""Tasks in JSON lines that a user brings, such as MMLU's subjects, HellaSwag's endings or GAIA's questions, as items to ask."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal, NamedTuple

import polars as pl
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from curate.errors import CeterisError
from eval_fixed_model.records import Likelihood, MultipleChoice, NonNegativeInt, PositiveInt, Record, ShortAnswer
from eval_fixed_model.tasks.text_items import COLUMNS, DELIMITER, PLACE, TextItems, checked, in_prompt
from eval_fixed_model.written import record

_BETWEEN = "\n\n"
_EXAMPLE = (
    "write YAML such as `mine: {kind: multiple_choice, file: items.jsonl, fields: {text: question, choices: choices, answer: answer}}`"
)


class Fields(Record):
    """What a file calls its columns: the question, context or document; its choices; the right answer; and whose the item is."""

    text: str = "question"
    choices: str = "choices"
    answer: str = "answer"
    group: str | None = None


class LocalTask(Record):
    """Items of one task: `file`, a path or pattern relative to the task file's folder, and how they are asked.

    `letters` (MMLU's way): the question, a line `A. CHOICE` for each, and `Answer:`; the letters are what is likely. `continuation`
    (HellaSwag's way): each choice follows the text and a space. `question` (short answers): `Question: TEXT`, then `Answer:`. Before it
    the `shots` first items of `examples`, of the item's own group where it has one, each with its answer, and an empty line after each;
    before all, `instruction` and an empty line, with `{group}` in it replaced.
    """

    kind: Literal["likelihood", "multiple_choice", "short_answer"]
    file: str
    fields: Fields = Fields()
    style: Literal["letters", "continuation", "question"] | None = None
    likelihood: Literal["sum", "per byte"] = "sum"
    most_tokens: PositiveInt = 64
    examples: str | None = None
    shots: NonNegativeInt = 0
    instruction: str | None = None

    @property
    def manner(self) -> str:
        """`style`; else what the kind is usually asked in."""
        return self.style or {"short_answer": "question"}.get(self.kind, "continuation")

    def record(self, items: TextItems) -> Likelihood | MultipleChoice | ShortAnswer:
        """What a scale would say of the task."""
        if self.kind == "multiple_choice":
            most = items.frame["choices"].list.len().max()
            return MultipleChoice(kind="multiple_choice", choices=int(str(most)), likelihood=self.likelihood)
        return (
            Likelihood(kind="likelihood") if self.kind == "likelihood" else ShortAnswer(kind="short_answer", most_tokens=self.most_tokens)
        )


def read_tasks(path: Path) -> dict[str, tuple[LocalTask, TextItems]]:
    """Every task of a YAML file that maps names to `LocalTask` records, with its items; they are numbered through all tasks.

    Raises CeterisError naming file, and line or key, for what is no task, and for the first line of JSON that is no item of it.
    """
    if not path.is_file():
        raise CeterisError("no such file of tasks", where=str(path), fix=_EXAMPLE)
    if {".jsonl", ".json", ".parquet", ".csv"} & set(path.suffixes):
        raise CeterisError("this is a file of items, and no file of tasks", where=str(path), fix=_EXAMPLE.replace("items.jsonl", path.name))
    try:
        records = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise CeterisError("it is no text in UTF-8", where=str(path), fix=_EXAMPLE) from error
    except MarkedYAMLError as error:
        raise CeterisError(f"not YAML: {error.problem}", where=f"{path}{error.problem_mark or ''}", fix="correct the line") from error
    if not isinstance(records, dict) or not records:
        raise CeterisError("a task file maps names to records", where=str(path), fix=_EXAMPLE)
    found: dict[str, tuple[LocalTask, TextItems]] = {}
    begin = 0
    for name, about in records.items():
        task = record(LocalTask, about, path, name)
        frame = _frame(str(name), task, path.parent).with_columns(pl.col("item") + begin)
        begin += frame.height
        found[str(name)] = (task, TextItems(str(name), frame))
    return found


def _frame(name: str, task: LocalTask, folder: Path) -> pl.DataFrame:
    examples = list(_raw(task, task.examples, folder)) if task.examples and task.shots else []
    rows = [_row(name, task, one, examples) for one in _raw(task, task.file, folder)]
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row").with_row_index("item")
    return checked(frame, f"{folder / task.file} task {name}")


class _Raw(NamedTuple):
    """One line: `choices` of a short answer are all that are right."""

    text: str
    group: str | None
    choices: list[str]
    label: int | None = None


def _raw(task: LocalTask, pattern: str, folder: Path) -> Iterator[_Raw]:
    paths = sorted(folder.glob(pattern)) if not Path(pattern).is_absolute() else [Path(pattern)]
    if not paths or not all(path.is_file() for path in paths):
        raise CeterisError("no such file of items", where=str(folder / pattern), fix="correct the path; it is relative to the task file")
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        yield _read(task, json.loads(line))
                    except json.JSONDecodeError as error:
                        what = f"the line is no JSON, from character {error.pos + 1} on"
                        fix = 'write one object a line, such as {"text": "a document"}'
                        raise CeterisError(what, where=f"{path}:{number}", fix=fix) from error
                    except (ValueError, KeyError, TypeError, IndexError) as error:
                        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
                        raise CeterisError(what, where=f"{path}:{number}", fix="correct the line, or the task's `fields`") from error


def _read(task: LocalTask, line: Any) -> _Raw:
    fields = task.fields
    if not isinstance(line, Mapping):
        raise TypeError("the line is no object, {...}")
    if task.kind == "likelihood" and "text" not in fields.model_fields_set and fields.text not in line and "text" in line:
        fields = fields.model_copy(update={"text": "text"})  # what a document is called when nothing is said
    group = line[fields.group] if fields.group else None
    text, group = line[fields.text], None if group is None else str(group)
    if not isinstance(text, str):
        raise ValueError(f"{fields.text!r} is no text")
    if task.kind == "likelihood":
        return _Raw(text, group, [])
    answer = line[fields.answer]
    if task.kind == "short_answer":
        return _Raw(text, group, list(map(str, answer if isinstance(answer, list) else [answer])))
    choices, names = line[fields.choices], ascii_uppercase
    if isinstance(choices, Mapping):  # ARC's way: texts, and what each is called
        choices, names = choices["text"], choices["label"]
    if any(PLACE in choice for choice in choices):
        raise ValueError(f"a choice holds {PLACE}, which prompts hold where the question comes")
    return _Raw(text, group, list(map(str, choices)), _label(answer, choices, names))


def _label(answer: object, choices: list[str], names: str | list[str]) -> int:
    """Of what a choice is called (A, B, ...), else a choice's own text, else a number from 0, as such or in digits."""
    if isinstance(answer, str) and answer in names[: len(choices)]:
        return names.index(answer)
    if isinstance(answer, str) and answer in choices:
        return choices.index(answer)
    if isinstance(answer, int) or (isinstance(answer, str) and answer.isdecimal()):
        return int(answer)
    raise ValueError(f"the answer {answer!r} is no number, letter or text of a choice")


def _row(name: str, task: LocalTask, one: _Raw, examples: list[_Raw]) -> tuple[Any, ...]:
    shown = [each for each in examples if one.group is None or each.group == one.group][: task.shots]
    head = [task.instruction.replace("{group}", (one.group or "").replace("_", " "))] if task.instruction else []
    solved = [in_prompt(each.text.strip(), _asked(task, each)) + DELIMITER + _said(task, each) for each in shown]
    prompt = _BETWEEN.join([*head, *solved, _asked(task, one)])
    choices = ascii_uppercase[: len(one.choices)] if task.manner == "letters" else one.choices
    plain = task.kind == "likelihood"
    text = one.text if plain else one.text.strip()
    return name, "test", task.kind, text, None if plain else list(choices), one.label, one.group, None if prompt == PLACE else prompt


def _asked(task: LocalTask, one: _Raw) -> str:
    """The prompt of an item, its text still open."""
    if task.manner == "letters":
        return "\n".join([PLACE, *(f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, one.choices, strict=False)), "Answer:"])
    return f"Question: {PLACE}\nAnswer:" if task.manner == "question" else PLACE


def _said(task: LocalTask, one: _Raw) -> str:
    """The right answer, as the network should say it."""
    right = one.label or 0
    return ascii_uppercase[right] if task.manner == "letters" else one.choices[right]
