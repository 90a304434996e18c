"""A signal: a row-local function from a batch of roles to declared columns. It measures and never judges."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NewType, get_args

import polars as pl

from curate.errors import CeterisError, SignalBugError

ModelRef = NewType("ModelRef", str)
"""Annotates a signal parameter that names a model of the recipe; the signal receives the weights' digest.

`Literal["a", "b"] | ModelRef`, with a default: what is built in has these names, and the signal receives them as they are.
"""

Evidence = NewType("Evidence", str)
"""Annotates a parameter that names evidence, `SIGNAL.column` of the recipe or `pool.COLUMN`.

The function's frame holds the values in a column called like the parameter, and the parameter is that column's name: `batch[features]`.
Vectors are Binary there: little-endian float16.
"""

ROWS_PER_CALL, BYTES_PER_CALL = 4096, 1 << 20
"""A call without a fixed batch has at most so many rows, or more of them where they are small."""
NOT_FINITE = "not_finite"
_KINDS: dict[str, pl.DataType] = {"image": pl.Binary()}
"""Of roles that are no text, as `Pool.read` gives them."""


@dataclass(frozen=True)
class Signal:
    """A measurement with everything its fingerprint needs. Made by `@signal`, called through `measure`."""

    name: str
    module: str
    version: int
    reads: tuple[str, ...]
    optional: tuple[str, ...]
    writes: dict[str, pl.DataType]
    uses: tuple[str, ...]
    batch: int | None
    function: Callable[..., pl.DataFrame]
    defaults: dict[str, Any]
    models: dict[str, tuple[str, ...]]
    evidence: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()
    device: Callable[[str], str] | None = None
    tolerance: float = 1e-5

    def __call__(self, rows: pl.DataFrame, **parameters: Any) -> pl.DataFrame:
        """Measure rows: the plain function, for use without an engine. Optional roles that `rows` lack are null."""
        lacking = [pl.lit(None, _KINDS.get(role, pl.String())).alias(role) for role in self.optional if role not in rows.columns]
        return self.measure(rows.with_columns(lacking), parameters)

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        """Travel by module path."""
        return by_path(self.module, self.name)

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role the function sees, in order."""
        return (*self.reads, *self.optional)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of the frame that the function sees: roles, then evidence."""
        return (*self.roles, *self.evidence)

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter and its default; None where it has none."""
        return {**self.defaults, **dict.fromkeys((*self.models, *self.evidence))}

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The declared columns and `error`."""
        return {**self.writes, "error": pl.String()}

    def measure(self, rows: pl.DataFrame, parameters: Mapping[str, Any]) -> pl.DataFrame:
        """Evidence for `rows` (the columns named by `columns`): `schema`'s columns, same rows, same order.

        With a fixed batch shape every call sees exactly `batch` rows, the last one repeated, so that a row's floats never depend on how
        many mates it has. NaN and infinity become null with error `not_finite`. What the function
        raises is a bug (SignalBugError), but for a CeterisError: parameters or a model that cannot be.
        """
        frame = rows.select(self.columns)
        parameters = {**parameters, **{name: name for name in self.evidence}}
        size = self.batch or max(ROWS_PER_CALL, frame.height * BYTES_PER_CALL // max(int(frame.estimated_size()), 1))
        parts = [self._call(frame.slice(start, size), parameters) for start in range(0, frame.height, size)]
        return pl.concat(parts) if parts else pl.DataFrame(schema=self.schema)

    def _call(self, frame: pl.DataFrame, parameters: Mapping[str, Any]) -> pl.DataFrame:
        given = frame
        if self.batch and frame.height < self.batch:
            given = pl.concat([frame, *[frame.tail(1)] * (self.batch - frame.height)], rechunk=True)
        try:
            made = self.function(given, **parameters)
        except CeterisError:
            raise  # a parameter or a model that cannot be, said by the signal itself
        except Exception as error:
            raised = f"signal {self.name} raised {type(error).__name__}: {error}"
            raise SignalBugError(f"{raised} (at {_line(error, self.function.__code__.co_filename)})") from error
        return self._checked(made, given.height).head(frame.height)

    def _checked(self, made: object, height: int) -> pl.DataFrame:
        if not isinstance(made, pl.DataFrame):
            raise SignalBugError(f"signal {self.name} returned a {type(made).__name__}, not a frame", fix="return a polars DataFrame")
        if "error" not in made.columns:
            made = pl.DataFrame([*made.get_columns(), pl.Series("error", [None], dtype=pl.String).new_from_index(0, made.height)])
        found = dict(made.schema)
        if found != self.schema or made.height != height:
            raise SignalBugError(
                f"signal {self.name} must return {height} rows of {_names(self.schema)}; it returned {made.height} rows of {_names(found)}",
                fix="declare every returned column in `writes` and return one row for each row given, in order",
            )
        floats = [name for name, dtype in self.writes.items() if dtype.is_float()]
        if not floats:
            return made if list(found) == list(self.schema) else made.select(list(self.schema))
        bad = pl.any_horizontal([~pl.col(name).is_finite().fill_null(True) for name in floats])
        return made.select(
            *[pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) if name in floats else pl.col(name) for name in self.writes],
            pl.when(bad & pl.col("error").is_null()).then(pl.lit(NOT_FINITE)).otherwise(pl.col("error")).alias("error"),
        )


def signal(
    *,
    version: int,
    reads: Sequence[str],
    writes: Mapping[str, type[pl.DataType] | pl.DataType],
    optional: Sequence[str] = (),
    uses: Sequence[str] = (),
    batch: int | None = None,
    vectors: Sequence[str] = (),
    device: Callable[[str], str] | None = None,
    tolerance: float = 1e-5,
) -> Callable[[Callable[..., pl.DataFrame]], Signal]:
    """Declare a signal: the roles it reads (`optional` ones arrive as null columns where a pool lacks them), the columns it writes,
    the packages whose release may change its answers, and, for float models, the fixed batch shape. `vectors` are its Binary columns that
    hold vectors, as `Evidence` has them: they leave in exports as lists of floats.

    `tolerance` is how far floats may move when code or packages change, and the stored evidence still stand. A signal that can use
    a GPU has a parameter `device`, and `device` says what a value of that means on this machine: "" for the processor, or `cuda-` and the
    compute capability. The plan puts the kind of device in the parameter's place, so that it is in the fingerprint and reaches workers.

    The function's keyword-only parameters are the signal's parameters; each has a default, except those annotated `ModelRef` or `Evidence`.
    Raises TypeError at import when the function's signature says otherwise.
    """

    def declare(function: Callable[..., pl.DataFrame]) -> Signal:
        defaults, models = parameters_of(function)
        types = {name: dtype() if isinstance(dtype, type) else dtype for name, dtype in writes.items()}
        if both := {*reads, *optional} & {*evidence_of(function)}:
            raise TypeError(f"{function.__module__}.{function.__name__}: {min(both)} is a role and evidence; call the parameter otherwise")
        return Signal(
            function.__name__,
            function.__module__,
            version,
            tuple(reads),
            tuple(optional),
            types,
            tuple(uses),
            batch,
            function,
            defaults,
            models,
            evidence_of(function),
            tuple(vectors),
            device,
            tolerance,
        )

    return declare


def parameters_of(function: Callable[..., Any], positional: int = 1) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """The defaults of a function's keyword-only parameters, and those that are models, each with the names of what is built in."""
    every = list(inspect.signature(function).parameters.values())
    defaults: dict[str, Any] = {}
    models: dict[str, tuple[str, ...]] = {}
    for parameter in every[positional:]:
        if parameter.kind is not parameter.KEYWORD_ONLY:
            raise TypeError(f"{function.__module__}.{function.__name__}: parameter {parameter.name} must be keyword-only")
        choices = get_args(parameter.annotation)
        if parameter.annotation is ModelRef or ModelRef in choices:
            models[parameter.name] = tuple(name for choice in choices for name in get_args(choice))
        if parameter.annotation in (ModelRef, Evidence):
            continue
        if parameter.default is parameter.empty:
            raise TypeError(f"{function.__module__}.{function.__name__}: parameter {parameter.name} needs a default")
        defaults[parameter.name] = parameter.default
    return defaults, models


def evidence_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The keyword-only parameters that name evidence."""
    every = inspect.signature(function).parameters.values()
    return tuple(one.name for one in every if one.annotation is Evidence and one.kind is one.KEYWORD_ONLY)


def by_path(module: str, name: str) -> tuple[object, tuple[str, ...]]:
    """How a filter is pickled: by the module it lies in (and the folder, for a user's own), so that workers run the code they have."""
    folder = "" if "." in module else str(Path(str(sys.modules[module].__file__)).parent)
    return (_import, (module, name, folder))


def _import(module: str, name: str, folder: str) -> Any:
    if folder and folder not in sys.path:
        sys.path.insert(0, folder)
    return getattr(importlib.import_module(module), name)


def _line(error: Exception, file: str) -> str:
    """Where in the filter's own file an exception came from; file:line."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}:{lines[-1]}" if lines else file


def _names(schema: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {dtype}" for name, dtype in schema.items()) + "}"
