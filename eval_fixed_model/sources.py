"""Which files of the room a loop reaches: their sources are among the conditions of its scores."""

import ast
from functools import lru_cache
from pathlib import Path

from curate.digest import sha256

ROOM = Path(__file__).parent


def code(entry: str, room: Path = ROOM) -> dict[str, str]:
    """Module -> SHA-256 of its source (line ends normalised), for `entry` and everything inside the room that it imports, however deep.

    This room's is read once per process, as the code that runs in it is.
    """
    return dict(_own(entry)) if room == ROOM else _read(entry, room)


@lru_cache(maxsize=16)
def _own(entry: str) -> dict[str, str]:
    return _read(entry, ROOM)


def _read(entry: str, room: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        path = _file(module, room)
        if module in found or path is None:
            continue
        text = path.read_text(encoding="utf-8")
        found[module] = sha256(text.encode())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        waiting.append(module.rpartition(".")[0])
    return dict(sorted(found.items()))


def _file(module: str, room: Path) -> Path | None:
    """The file of a module, where it is one of the room's."""
    first, *rest = module.split(".")
    if first != room.name:
        return None
    base = room.joinpath(*rest)
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)
