"""YAML 1.2 as plain values that remember where they stand and how their numbers were written; data only: no anchors, no tags."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Protocol

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from curate.errors import RecipeError

Spot = tuple[str | int, ...]
"""The keys and indices that lead to a value."""

LARGEST = 1 << 20
_DEEPEST = 20
_LONGEST_NUMBER = 64

_NULL = ("", "~", "null", "Null", "NULL")
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")


class Number(float):
    """A float that keeps the text it was written as: 0.29 is the fraction 29/100."""

    text: str

    def __new__(cls, text: str | float) -> "Number":
        """From YAML's text."""
        made = super().__new__(cls, text)
        made.text = text if isinstance(text, str) else float.__repr__(text)
        return made


class Text(str):
    """Text written over several lines: `starts` are (offset in it, line, column) of what each line of the file gave."""

    starts: tuple[tuple[int, int, int], ...] = ()


class At(Protocol):
    """Says where a value, or its key, stands: "file:line:column"."""

    def __call__(self, spot: Spot, *, key: bool = False) -> str:
        """The place of the value at `spot`, or of the nearest thing around it."""


@dataclass(frozen=True)
class Source:
    """Plain values (dict, list, str, int, Number, bool, None) and the places of all keys and values."""

    value: Any
    keys: dict[Spot, str] = field(repr=False)
    values: dict[Spot, str] = field(repr=False)

    def at(self, spot: Spot, *, key: bool = False) -> str:
        """file:line:column of the value at `spot` (its first character), or of its key; of what encloses it where it is not written."""
        places = self.keys if key else self.values
        while spot and spot not in places:
            spot = spot[:-1]
        return places.get(spot, self.values[()])


def read(text: str, *, where: str) -> Source:
    """One YAML 1.2 document. RecipeError with file:line:column for bad YAML, duplicate keys, anchors, aliases, tags; or over 1 MiB."""
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise RecipeError("more than 1 MiB of YAML", where=where, fix="a recipe holds rules, not data")
    builder = _Builder(text, where)
    try:
        value = builder.document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"not YAML: {error.problem or error.context}"
        raise RecipeError(what, where=builder.place(mark) if mark else f"{where}:1:1", fix=_yaml_fix(what)) from error
    except ReaderError as error:
        before = text[: error.position]
        place = f"{where}:{before.count(chr(10)) + 1}:{error.position - before.rfind(chr(10))}"
        raise RecipeError(
            f"not YAML: a character that has no place in it: {text[error.position]!a}", where=place, fix="remove it"
        ) from error
    except (YAMLError, ValueError, OverflowError) as error:
        raise RecipeError(f"not YAML: {' '.join(str(error).split())}", where=f"{where}:1:1", fix=_yaml_fix("")) from error
    return Source(value, builder.keys, builder.values)


def _yaml_fix(what: str) -> str:
    if "'\\t'" in what:
        return "indent by spaces: YAML has no tabs there"
    if "<block end>" in what:
        return "indent it as far as its neighbours"
    if "end of stream" in what:
        return "close the quote or the bracket that is open"
    return "close brackets and quotes before it; put a text that holds : or # or begins with a sign into quotes"


class _Builder:
    """Values from the parser's events, so that no constructor of the library ever runs."""

    def __init__(self, text: str, where: str) -> None:
        self.lines, self.where = text.splitlines(), where
        self.keys: dict[Spot, str] = {}
        self.values: dict[Spot, str] = {(): f"{where}:1:1"}
        self.events: Iterator[Event] = iter(YAML(typ="safe", pure=True).parse(text))

    def document(self) -> Any:
        value: Any = None
        seen = False
        for event in self.events:
            if not isinstance(event, DocumentStartEvent):
                continue
            if seen or (event.version and tuple(event.version) != (1, 2)):
                raise self.error(event, "one document of YAML 1.2 is read", "remove the `---` or `%YAML` line")
            seen, first = True, next(self.events)
            value = self.node(first, ())
            last = next(self.events)
            assert isinstance(last, DocumentEndEvent)
        return value

    def place(self, mark: StringMark) -> str:
        return f"{self.where}:{mark.line + 1}:{mark.column + 1}"

    def error(self, event: Event, what: str, fix: str) -> RecipeError:
        return RecipeError(what, where=self.place(event.start_mark), fix=fix)

    def node(self, event: Event, spot: Spot) -> Any:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise self.error(event, "anchors and aliases (& and *) are not read", "write the value out")
        tag = getattr(event, "ctag", None)
        if tag is not None:
            raise self.error(event, f"tags such as {tag} are not read", "write plain data")
        if len(spot) > _DEEPEST:
            raise self.error(event, f"nested more than {_DEEPEST} deep", "write it flatter")
        self.values[spot] = self.place(event.start_mark)
        if isinstance(event, MappingStartEvent):
            return self.mapping(spot)
        if isinstance(event, SequenceStartEvent):
            return self.sequence(spot)
        assert isinstance(event, ScalarEvent)
        line, column = self.content(event)
        self.values[spot] = f"{self.where}:{line + 1}:{column + 1}"
        value = self.scalar(event)
        if not isinstance(value, str) or event.start_mark.line == event.end_mark.line:
            return value
        text = Text(value)
        text.starts = self.starts(event, value, line, column)
        return text

    def mapping(self, spot: Spot) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for event in self.events:
            if isinstance(event, MappingEndEvent):
                break
            if not isinstance(event, ScalarEvent):
                raise self.error(event, "a key must be text", "write `key: value`")
            key = str(self.node(event, spot) if event.style else event.value)
            inner = (*spot, key)
            if key in made:
                raise self.error(event, f"the key {key} occurs twice; first at {self.keys[inner]}", "remove one of them")
            made[key] = None
            self.keys[inner] = self.place(event.start_mark)
            made[key] = self.node(next(self.events), inner)
        return made

    def sequence(self, spot: Spot) -> list[Any]:
        made: list[Any] = []
        for event in self.events:
            if isinstance(event, SequenceEndEvent):
                break
            self.keys[(*spot, len(made))] = self.place(event.start_mark)
            made.append(self.node(event, (*spot, len(made))))
        return made

    def content(self, event: ScalarEvent) -> tuple[int, int]:
        """Line and column (from 0) of a scalar's first character: behind the quote, or on the line below `|`."""
        mark = event.start_mark
        line, column = mark.line, mark.column + (1 if event.style in ("'", '"') else 0)
        if event.style in ("|", ">"):
            line = next((n for n in range(line + 1, len(self.lines)) if self.lines[n].strip()), line)
            column = len(self.lines[line]) - len(self.lines[line].lstrip()) if line > mark.line else column
        return line, column

    def starts(self, event: ScalarEvent, value: str, line: int, column: int) -> tuple[tuple[int, int, int], ...]:
        """Where each line's share of a scalar begins: folding changes nothing but the white space between lines."""
        end, quoted = event.end_mark, event.style in ("'", '"')
        found = [(0, line + 1, column + 1)]
        after = len(self.lines[line][column:].rstrip())
        for n in range(line + 1, min(end.line + 1, len(self.lines))):
            raw = self.lines[n][: end.column - quoted] if n == end.line else self.lines[n]
            offset = value.find(raw.strip(), after)
            if offset < 0:
                break
            if raw.strip():
                found.append((offset, n + 1, len(raw) - len(raw.lstrip()) + 1))
                after = offset + len(raw.strip())
        return tuple(found)

    def scalar(self, event: ScalarEvent) -> Any:
        text = str(event.value)
        if event.style:
            return text
        if text in _NULL:
            return None
        if text in _TRUTH:
            return _TRUTH[text]
        if len(text) > _LONGEST_NUMBER and (_WHOLE.fullmatch(text) or _REAL.fullmatch(text)):
            raise self.error(event, f"a number of more than {_LONGEST_NUMBER} characters", "write a shorter one, or a text in quotes")
        if _WHOLE.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _NOT_FINITE.fullmatch(text) or (_REAL.fullmatch(text) and abs(float(text)) == float("inf")):
            raise self.error(event, f"{text} is not a finite number", "write a finite one, or a text in quotes")
        return Number(text) if _REAL.fullmatch(text) else text


def plain(value: Any, where: str) -> Any:
    """A Python value as what YAML would have given."""
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return value if isinstance(value, Number) else Number(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item, where) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, where) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    raise RecipeError(
        f"{value!r} is nothing a recipe can hold", where=where, fix="give text, a finite number, true or false, a list or a mapping"
    )


def without_text(value: Any) -> Any:
    """The value with plain floats: what a filter is given."""
    if isinstance(value, dict):
        return {key: without_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_text(item) for item in value]
    return float(value) if isinstance(value, Number) else value


def write(value: dict[str, Any]) -> str:
    """Plain values as YAML 1.2 that `read` gives back equal: one line per item of a section, flow style inside."""
    lines: list[str] = []
    for key, section in value.items():
        if isinstance(section, dict) and any(isinstance(item, dict) for item in section.values()):
            lines.append(f"{_flow(key)}:")
            lines += [f"  {_flow(name)}: {_flow(item)}" for name, item in section.items()]
        else:
            lines.append(f"{_flow(key)}: {_flow(section)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value not in (*_NULL, *_TRUTH) else _quoted(value)
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    return value.text if isinstance(value, Number) else repr(value)


def _quoted(text: str) -> str:
    known = {"\n": "\\n", '"': '\\"', "\\": "\\\\"}
    return '"' + "".join(known.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in text) + '"'
