"""A pool that every machine has: the documentation of its installed Python packages and of Python itself, with their licences as written.

One row per document: a package's long description, the docstring of a module, class or function, or a topic of `help()`. Sources are
parsed, never imported. The same environment gives the same files. Vendored code is under the licence of the package that carries it here.
"""

import ast
import gc
import importlib.metadata
import platform
import re
import sysconfig
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from curate.errors import CeterisError
from pipelines.pool_writer import write_pool

PYTHON = "python"
SCHEMA = pa.schema([(name, pa.string()) for name in ("uid", "text", "source", "license", "url", "kind", "path", "version", "license_text")])
"""`uid` is SOURCE:dotted.name; `license` joins License-Expression, License and the licence classifiers as they stand; `license_text`, the
files of the licence, stands at descriptions only."""

_LICENSE_FILE = re.compile(r"(?:licen[cs]e|copying)", re.IGNORECASE)
_HOMES = ("homepage", "home", "home page", "documentation", "repository", "source", "source code")
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
Progress = Callable[[str, int, int], None]


class _File(NamedTuple):
    """A source file: its path as the distribution lists it, and where it lies."""

    path: str
    at: Path


@dataclass(frozen=True)
class _Source:
    """A distribution, or Python: what all its rows say alike, its description if it has one, and its files in order."""

    common: dict[str, str | None]
    description: dict[str, str | None] | None
    files: list[_File]


@dataclass
class Made:
    """What was written: rows, characters of text, and the source files that could not be read, each with why."""

    rows: int = 0
    characters: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def make(folder: Path, progress: Progress, packages: Sequence[str] | None = None) -> Made:
    """Write the pool into a new folder. `packages`: only these distributions (`python`: Python itself); None: all that are installed.

    CeterisError: a package that is not installed, or a folder that is not empty.
    """
    made, collecting = Made(), gc.isenabled()
    gc.disable()  # syntax trees hold no cycles, and looking for some takes a third of the time
    try:
        made.rows = write_pool(folder, _rows(_sources(packages), made, progress), SCHEMA)
    finally:
        if collecting:
            gc.enable()
    return made


def _sources(packages: Sequence[str] | None) -> list[_Source]:
    installed: dict[str, importlib.metadata.Distribution] = {}
    for distribution in importlib.metadata.distributions():
        if distribution.metadata["Name"]:
            installed.setdefault(_normal(distribution.metadata["Name"]), distribution)  # the first on the path is what Python imports
    wanted = {_normal(name) for name in packages} if packages is not None else {PYTHON, *installed}
    if missing := sorted(wanted - {PYTHON, *installed}):
        raise CeterisError(
            f"not installed: {', '.join(missing)}", fix=f"install it, or choose from: {PYTHON}, {', '.join(sorted(installed))}"
        )
    return [_library() if name == PYTHON else _distribution(installed[name]) for name in sorted(wanted)]


def _normal(name: str) -> str:
    """As PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _distribution(found: importlib.metadata.Distribution) -> _Source:
    about: Any = found.metadata  # a Message, of which importlib.metadata's protocol shows a part
    files = sorted({str(path): path for path in found.files or []}.items())
    licences = [path.locate() for name, path in files if _is_licence(name, about)]
    common = {"source": about["Name"], "version": about["Version"], "license": _licence(about), "url": _home(about)}
    text = about["Description"]
    described = {"text": text, "kind": "description", "path": "METADATA", "license_text": _joined(licences)} if text else None
    return _Source(
        common, described, [_File(name, Path(path.locate())) for name, path in files if path.suffix == ".py" and ".." not in path.parts]
    )


def _licence(about: Message) -> str | None:
    said = [
        about["License-Expression"],
        about["License"],
        *(line for line in about.get_all("Classifier", []) if line.startswith("License ::")),
    ]
    return "; ".join(one for one in said if one) or None


def _home(about: Message) -> str | None:
    labelled = dict(line.split(", ", 1) for line in reversed(about.get_all("Project-URL", [])) if ", " in line)
    known = {label.lower(): url for label, url in labelled.items()}
    return about["Home-page"] or next((known[label] for label in _HOMES if label in known), next(iter(reversed(labelled.values())), None))


def _is_licence(name: str, about: Message) -> bool:
    folder, _, rest = name.partition("/")
    listed = rest.removeprefix("licenses/") in about.get_all("License-File", [])
    return folder.endswith((".dist-info", ".egg-info")) and (listed or _LICENSE_FILE.match(rest.rsplit("/", 1)[-1]) is not None)


def _joined(files: Sequence[Any]) -> str | None:
    texts = [Path(file).read_text(encoding="utf-8", errors="replace") for file in files if Path(file).is_file()]
    return "\n\n".join(texts) or None


def _library() -> _Source:
    """Python itself, under the licence its documentation names (docs.python.org/3/license.html)."""
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = sorted(path.relative_to(root) for path in root.rglob("*.py"))
    own = [path for path in paths if not {"site-packages", "dist-packages"} & set(path.parts)]
    version = platform.python_version()
    url = f"https://docs.python.org/{'.'.join(version.split('.')[:2])}/"
    common: dict[str, str | None] = {"source": PYTHON, "version": version, "license": "PSF-2.0", "url": url}
    return _Source(common, None, [_File(path.as_posix(), root / path) for path in own])


def _rows(sources: Sequence[_Source], made: Made, progress: Progress) -> Iterator[dict[str, str | None]]:
    total, done = sum(len(source.files) for source in sources), 0
    for source in sources:
        name, seen = source.common["source"], Counter[str]()
        for row in [source.description] if source.description else []:
            seen["METADATA"] += 1
            yield _row(made, {**source.common, **row, "uid": f"{name}:METADATA"})
        for file in source.files:
            for dotted, kind, text in _documents(file, made):
                seen[dotted] += 1
                again = f"#{seen[dotted]}" if seen[dotted] > 1 else ""  # overloads, setters, branches of an if
                yield _row(made, {**source.common, "text": text, "kind": kind, "path": file.path, "uid": f"{name}:{dotted}{again}"})
            done += 1
            progress("python docs", done, total)


def _row(made: Made, row: dict[str, str | None]) -> dict[str, str | None]:
    """The row with every value in UTF-8: Python's strings may hold halves of surrogate pairs, which Parquet's may not."""
    valid = {name: value if value is None else value.encode("utf-8", "backslashreplace").decode() for name, value in row.items()}
    made.characters += len(valid["text"] or "")
    return valid


def _documents(file: _File, made: Made) -> Iterator[tuple[str, str, str]]:
    """(dotted name, kind, text) of a file, in its order."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old escapes in other people's strings
            tree = ast.parse(file.at.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        made.unreadable.append((str(file.at), f"{type(error).__name__}: {error}"))
        return
    module = file.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if module == "pydoc_data.topics":
        yield from ((f"{module}.{topic}", "topic", text) for topic, text in _topics(tree))
    waiting: list[tuple[ast.AST, str]] = [(tree, module)]
    while waiting:
        node, name = waiting.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "module" if isinstance(node, ast.Module) else "class" if isinstance(node, ast.ClassDef) else "function"
            name = name if kind == "module" else f"{name}.{node.name}"  # type: ignore[union-attr]  # a module has no name
            if text := ast.get_docstring(node):
                yield name, kind, text
        waiting += [(child, name) for block in _BLOCKS for child in _block(node, block)][::-1]


def _block(node: ast.AST, name: str) -> list[ast.AST]:
    """The statements of one of a statement's blocks; none for what is no list, such as a lambda's body."""
    found = getattr(node, name, None)
    return found if isinstance(found, list) else []


def _topics(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "topics":
            yield from sorted(ast.literal_eval(node.value).items())
