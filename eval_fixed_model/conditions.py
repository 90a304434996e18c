"""The conditions: everything but the data that a score depends on. Two scores are compared only where these are equal."""

import ast
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate.digest import digest_of, sha256, short
from eval_fixed_model.loops import MODULES, loop_of
from eval_fixed_model.scale import Scale

ROOM = Path(__file__).parent
SCORING = "eval_fixed_model.score"

Conditions = Mapping[str, Any]


def conditions(scale: Scale) -> dict[str, Any]:
    """What is held equal: the scale's digest, the source digest of every file of the room that scoring and the modality's loop reach, the
    evaluation items, the first seed's initial weights, library versions, the device kind and the determinism flags."""
    import torch

    from eval_fixed_model.steps import one_deterministic_thread

    loop = loop_of(scale)
    with one_deterministic_thread():
        determinism = {"threads": torch.get_num_threads(), "deterministic algorithms": torch.are_deterministic_algorithms_enabled()}
    first = scale.seed_sequence(1)[0]
    return {
        "scale": scale.digest,
        "code": {**code(SCORING), **code(MODULES[scale.modality])},
        "items": loop.items_digest(scale),
        "initial weights": {str(first): loop.weights_digest(loop.build(scale, first))},
        "versions": {name: str(importlib.import_module(name).__version__) for name in loop.LIBRARIES},
        "device": device_kind(),
        "determinism": determinism,
    }


def conditions_id(held: Conditions) -> str:
    """16 hex digits that name the conditions."""
    return short(digest_of(held))


def differences(a: Conditions, b: Conditions) -> list[str]:
    """The parts that differ, each as `part: a's value, b's value` (digests shortened); empty where the two may be compared."""
    one, other = _flat(a), _flat(b)
    return [
        f"{part}: {_shown(one.get(part))}, {_shown(other.get(part))}" for part in sorted({*one, *other}) if one.get(part) != other.get(part)
    ]


def device_kind() -> str:
    """What computes, as far as it may change floats: the processor's vector capability, as PyTorch sees it."""
    import torch

    return f"cpu-{torch.backends.cpu.get_cpu_capability()}"


def code(entry: str, room: Path = ROOM) -> dict[str, str]:
    """Module -> SHA-256 of its source (line ends normalised), for `entry` and everything inside the room that it imports, however deep."""
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


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {name: value}
    return {path: leaf for key, item in value.items() for path, leaf in _flat(item, f"{name} {key}".strip()).items()}


def _shown(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return short(text) if len(text) == 64 else text
