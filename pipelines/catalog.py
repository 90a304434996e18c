"""The filters at hand: every public file of filters/, and of any folder the user adds."""

import ast
import functools
import hashlib
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

import filters
from curate.catalogue import OWN, Catalogue, Entry, Filter
from curate.errors import CeterisError, nearest
from curate.grouping import Grouping
from curate.signal import Signal

SHIPPED = Path(filters.__file__).parent


def catalogue(extra: Sequence[Path] = ()) -> Catalogue:
    """File name = filter name. A name that exists twice is an error; nothing is imported."""
    found: dict[str, Entry] = {}
    for folder in (SHIPPED, *extra):
        if not folder.is_dir():
            raise CeterisError("there is no such folder of filters", where=str(folder), fix="point --filters at a folder of filter files")
        for path in sorted(folder.glob("[!_]*.py")):
            name = path.stem
            if name in found:
                raise CeterisError(f"two filters are called {name}", where=str(path), fix="rename one of the files (and the object in it)")
            shipped = folder == SHIPPED
            found[name] = Entry(name, f"filters.{name}" if shipped else name, _source(path), None if shipped else str(folder.resolve()))
    return found


def _source(path: Path) -> str:
    """SHA-256 over a filter's file and the private files beside it that it reaches by import."""
    seen: dict[str, bytes] = {}
    waiting = [path]
    while waiting:
        one = waiting.pop()
        if one.name in seen or not one.is_file():
            continue
        seen[one.name] = one.read_bytes()
        waiting += [path.parent / f"{name}.py" for name in _private(one, seen[one.name])]
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + seen[name] + b"\0")
    return digest.hexdigest()


@functools.lru_cache(maxsize=1024)
def _private(path: Path, source: bytes) -> tuple[str, ...]:
    """The private modules that a file imports; many filters share one."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise CeterisError(f"this is not Python: {error}", where=f"{path}:{line}", fix="correct the file, or move it away") from error
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return tuple(name for name in (full.rsplit(".", 1)[-1] for full in names) if name.startswith("_"))


def described(entries: Catalogue) -> list[dict[str, str]]:
    """Every filter loaded and put in words: filter, kind, reads, writes, parameters."""
    return [_described(name, entry.load()) for name, entry in sorted(entries.items())]


def told(entries: Catalogue, name: str) -> str:
    """What a filter says of itself: what it measures, its parameters, errors and sources. CeterisError if there is none of that name."""
    if name not in entries:
        raise CeterisError(f"there is no filter called {name}", where=name, fix=f"{nearest(name, entries)} {OWN}")
    found = entries[name].load()
    if isinstance(found, Grouping):
        parts = [found.sketch.function, *([found.links] if found.links else [])]
        return "\n\n".join(inspect.getdoc(part) or "" for part in parts)
    if isinstance(found, Signal):
        classes = [f"`{name}`, ascending: {', '.join(of.categories)}." for name, of in found.writes.items() if isinstance(of, pl.Enum)]
        return "\n\n".join([inspect.getdoc(found.function) or "", *classes])
    return inspect.getdoc(found.make) or ""


def _described(name: str, found: Filter) -> dict[str, str]:
    if isinstance(found, Signal):
        writes = ", ".join(f"{name}.{column} ({dtype.base_type()})" for column, dtype in found.writes.items())
        models = {key: " or ".join([*built_in, "a model"]) for key, built_in in found.models.items()}
        evidence = dict.fromkeys(found.evidence, "evidence")
        return _line(name, "signal", _reads(found), writes, {**evidence, **found.defaults, **models})
    if isinstance(found, Grouping):
        evidence = dict.fromkeys(found.sketch.evidence, "evidence")
        parameters = {**evidence, **found.sketch.defaults, **found.defaults, **({"threshold": found.threshold} if found.links else {})}
        return _line(name, "grouping", _reads(found.sketch), "group, similarity, survivor", parameters)
    evidence = dict.fromkeys(found.evidence, "evidence")
    parameters = {**evidence, **found.defaults, **dict.fromkeys([*found.required, *found.rows], "required")}
    return _line(name, "model", found.reads, "weights", parameters)


def _reads(found: Signal) -> list[str]:
    return [*found.reads, *(f"{role} (optional)" for role in found.optional)]


def _line(name: str, kind: str, reads: Sequence[str], writes: str, parameters: Mapping[str, object]) -> dict[str, str]:
    given = ", ".join(f"{key}: {value}" for key, value in parameters.items())
    return {"filter": name, "kind": kind, "reads": ", ".join(reads), "writes": writes, "parameters": given}
