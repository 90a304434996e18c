"""The conditions: everything but the data that a score depends on. Two scores are compared only where these are equal."""

import importlib
from collections.abc import Mapping
from typing import Any

from curate.digest import digest_of, short
from eval_fixed_model.loops import MODULES, loop_of
from eval_fixed_model.scale import Scale
from eval_fixed_model.sources import code

SCORING = "eval_fixed_model.score"

Conditions = Mapping[str, Any]


def conditions(scale: Scale, device: str | None = None, processes: int = 1, micro: int | None = None) -> dict[str, Any]:
    """What is held equal: the scale's digest, the source digest of every file of the room that scoring and the modality's loop reach, the
    evaluation items, the first seed's initial weights, library versions, the device kind and the determinism flags. `device` is the
    kind that trains; the processor of this machine unless it is given. `processes` that share a batch, and `micro` rows that each of them
    computes at once, change the order of sums as threads do: they are among the flags where a batch is not one process's in one piece."""
    import torch

    from eval_fixed_model.training.place import kind_of
    from eval_fixed_model.training.steps import one_deterministic_thread

    loop = loop_of(scale)
    with one_deterministic_thread():
        determinism = {"threads": torch.get_num_threads(), "deterministic algorithms": torch.are_deterministic_algorithms_enabled()}
    determinism |= ({"processes": processes} if processes > 1 else {}) | ({"rows at once": micro} if micro else {})
    first = scale.seed_sequence(1)[0]
    return {
        "scale": scale.digest,
        **software(scale),
        "items": loop.items_digest(scale),
        "initial weights": {str(first): loop.weights_digest(loop.build(scale, first))},
        "device": device or kind_of("cpu"),
        "determinism": determinism,
    }


def software(scale: Scale) -> dict[str, dict[str, str]]:
    """Of this machine: `code`, the source digest of every file of the room that scoring and the modality's loop reach, and the `versions`
    of the libraries that the loop names."""
    versions = {name: str(importlib.import_module(name).__version__) for name in loop_of(scale).libraries(scale)}
    return {"code": {**code(SCORING), **code(MODULES[scale.modality])}, "versions": versions}


def conditions_id(held: Conditions) -> str:
    """16 hex digits that name the conditions."""
    return short(digest_of(held))


def differences(a: Conditions, b: Conditions) -> list[str]:
    """The parts that differ, each as `part: a's value, b's value` (digests shortened); empty where the two may be compared."""
    one, other = _flat(a), _flat(b)
    return [
        f"{part}: {_shown(one.get(part))}, {_shown(other.get(part))}" for part in sorted({*one, *other}) if one.get(part) != other.get(part)
    ]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {name: value}
    return {path: leaf for key, item in value.items() for path, leaf in _flat(item, f"{name} {key}".strip()).items()}


def _shown(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return short(text) if len(text) == 64 else text
