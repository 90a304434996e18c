"""Records of a YAML file that a user writes: their first fault, in words, with the line and column where it stands."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from curate.errors import CeterisError, RecipeError
from curate.shape import validated
from curate.yaml_source import Spot

R = TypeVar("R", bound=BaseModel)


def read_yaml(path: Path) -> Any:
    """What a file of scales or of their tasks holds. CeterisError where it is not there, or no YAML."""
    if not path.is_file():
        raise CeterisError("no such scale file", where=str(path), fix="name a shipped scale or a YAML file of scales")
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise CeterisError(f"not YAML: {error.problem}", where=place, fix="correct the line") from error


def record(shape: type[R], value: Any, path: Path, *around: str | int) -> R:
    """The value as such a record; it stands at `around` in the file. CeterisError with file:line:column, the nearest name of a key that is
    not known, and what to write."""

    def at(spot: Spot, **_: bool) -> str:
        return place(path, (*around, *spot))

    try:
        return validated(shape, value, at)
    except RecipeError as error:
        raise CeterisError(error.what, where=error.where, fix=error.fix) from error


def place(path: Path, spot: Spot) -> str:
    """file:line:column of what stands at `spot` in a YAML file, or of the nearest thing around it; in another file where tasks are."""
    node, found = YAML().load(path.read_text(encoding="utf-8")), f"{path}:1:1"
    for number, part in enumerate(spot):
        if isinstance(node, str) and spot[number - 1] == "tasks":  # these have a file of their own
            return place(path.parent / node, spot[number:])
        holds = _holder(node, part)
        if holds is None:  # what lacks, or the kind of what is here
            continue
        line, column = holds.lc.data[part][:2]
        found, node = f"{path}:{line + 1}:{column + 1}", node[part]
    return found


def _holder(node: Any, part: str | int) -> Any:
    """The mapping or list in which a part is written: the node, or one that it takes in with `<<`; None where it lacks."""
    if isinstance(node, CommentedMap | CommentedSeq) and part in (node.lc.data or {}):
        return node
    taken = [one[1] for one in getattr(node, "merge", [])] if isinstance(node, CommentedMap) else []
    return next((found for one in taken if (found := _holder(one, part)) is not None), None)
