"""A model: content-addressed weights and a card, made once, then frozen; signals receive its digest."""

import functools
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import safetensors
import safetensors.numpy

from curate.digest import canonical_json, sha256
from curate.errors import CeterisError
from curate.signal import by_path, evidence_of

Weights = dict[str, npt.NDArray[Any]]


class Made(NamedTuple):
    """What making a model gives: named arrays, and a JSON-able card (architecture, training, held-out quality, licence)."""

    weights: Weights
    card: dict[str, Any]


@dataclass
class Model:
    """A way to make a model and to load it. `rows` are the recipe keys that name its training pools, trusted rows first; `files` the keys
    that may name files or folders. `over` is "pool" where it is made from the pool that the recipe selects from. `evidence` are the
    parameters that name evidence: its frames hold such a column beside the roles. `trusts`: rows of its first training pool leave the pool.
    """

    name: str
    module: str
    version: int
    reads: tuple[str, ...]
    rows: tuple[str, ...]
    files: tuple[str, ...]
    make: Callable[..., Made]
    defaults: dict[str, Any]
    required: tuple[str, ...]
    over: Literal["", "pool"] = ""
    evidence: tuple[str, ...] = ()
    trusts: bool = True
    load: Callable[[Weights, dict[str, Any]], Any] | None = None

    def loader(self, function: Callable[[Weights, dict[str, Any]], Any]) -> Callable[[Weights, dict[str, Any]], Any]:
        """Declare how weights and card become the object that signals use."""
        self.load = function
        return function

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        """Travel by module path."""
        return by_path(self.module, self.name)

    def __call__(self, *rows: pl.DataFrame | Iterable[pl.DataFrame], **parameters: Any) -> Made:
        """Make it: the plain function, for use without an engine."""
        return self.make(*rows, **parameters, **{name: name for name in self.evidence})


def model(
    *,
    version: int,
    reads: Sequence[str] = (),
    rows: Sequence[str] = (),
    files: Sequence[str] = (),
    over: Literal["", "pool"] = "",
    trusts: bool = True,
) -> Callable[[Callable[..., Made]], Model]:
    """Declare a model. For each of `rows` the function takes a frame of the roles in `reads`, in uid order; all else are keywords.

    With `over="pool"` its first argument is an iterator of frames of those roles, with nulls, that brings every row of the pool once, some
    thousands at a time. What is made must not depend on their order or on where one frame ends, and must not need them all in memory.
    Such a model counts, it trusts nothing: no row leaves the pool for having been seen.

    A keyword annotated `Evidence` names evidence of the rows: every frame then has a column called like it. Rows of the first training pool
    leave the pool that is judged, unless `trusts` is False. Where a model over the pool has a keyword `sample`, the rows it is brought are
    drawn by their uids, that share of the pool: no others are measured for it.
    """

    def declare(function: Callable[..., Made]) -> Model:
        evidence = evidence_of(function)
        every = inspect.signature(function).parameters.values()
        keywords = [p for p in every if p.kind is p.KEYWORD_ONLY and p.name not in evidence]
        defaults = {p.name: p.default for p in keywords if p.default is not p.empty}
        required = tuple(p.name for p in keywords if p.default is p.empty)
        names = (tuple(reads), tuple(rows), tuple(files))
        if both := {*reads} & {*evidence}:
            raise TypeError(f"{function.__module__}.{function.__name__}: {min(both)} is a role and evidence; call the parameter otherwise")
        return Model(function.__name__, function.__module__, version, *names, function, defaults, required, over, evidence, trusts)

    return declare


def digest_of_weights(weights: Weights) -> str:
    """SHA-256 of names, dtypes, shapes and bytes, in name order: of what the weights are, not of how a file lays them out."""
    parts = [(name, str(w.dtype), list(w.shape), sha256(np.ascontiguousarray(w).tobytes())) for name, w in sorted(weights.items())]
    return sha256(canonical_json(parts).encode())


def digest_of_model(weights: Weights, card: Mapping[str, Any]) -> str:
    """What signals are given: SHA-256 of the weights and of the card's `architecture`, which is all of the card that a loader may use.

    Equal weights in another architecture (another activation, preprocessing or tokeniser) measure otherwise.
    """
    return sha256(canonical_json([digest_of_weights(weights), card.get("architecture")]).encode())


def pack(made: Made) -> tuple[bytes, bytes]:
    """A made model as the bytes of weights.safetensors and card.json."""
    return safetensors.numpy.save({k: np.asarray(v, order="C") for k, v in made.weights.items()}), canonical_json(made.card).encode()


_SHELF: dict[str, tuple[Callable[[Weights, dict[str, Any]], Any], Path]] = {}


def shelve(digest: str, load: Callable[[Weights, dict[str, Any]], Any], folder: Path) -> None:
    """Tell this process where the frozen model with this digest lies and how to load it."""
    _SHELF[digest] = (load, folder)


@functools.lru_cache(maxsize=8)
def loaded(digest: str) -> Any:
    """The loaded model with this digest (`digest_of_model`), once per process."""
    if digest not in _SHELF:
        raise CeterisError(f"no model {digest[:16]} is at hand", fix="name it under `models:` in the recipe")
    load, folder = _SHELF[digest]
    try:
        weights = safetensors.numpy.load_file(folder / "weights.safetensors")
        card: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise CeterisError(
            f"the stored weights cannot be read: {error}", where=str(folder), fix="delete the folder and run again"
        ) from error
    if digest_of_model(weights, card) != digest:
        raise CeterisError("the stored weights are not the ones they were", where=str(folder), fix="delete the folder and run again")
    return load(weights, card)
