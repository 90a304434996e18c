"""What each JSON file of a package must look like; what does not is an error that names the file and the place in it."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from curate.errors import CeterisError
from curate.shape import Shape, Strict, validated
from curate.yaml_source import Spot

_AGAIN = "ask whoever sent it for another copy, or pack it again"


class ManifestShape(Strict):
    """manifest.json; `by` is the release that wrote README and NOTICE."""

    format: str
    by: str
    subset: str
    digest: str
    rows: int
    samples: int
    recipe: str
    pool: str
    signals: dict[str, str]
    models: dict[str, str]
    without: int
    identity: str
    run: str
    head: str
    files: dict[str, str]


class _Shard(Strict):
    path: str
    size: int
    rows: int
    digest: str


class _Unreadable(Strict):
    path: str
    code: str


class PoolShape(Strict):
    """A pool, without where it lies."""

    id: str
    layout: str
    modality: str
    roles: dict[str, str]
    rows: int
    shards: list[_Shard]
    unreadable: list[_Unreadable]


class PoolsShape(Strict):
    """pools.json: the run's pool, and by model those that it was trained on."""

    pool: PoolShape
    models: dict[str, list[PoolShape]]


class CodeShape(BaseModel):
    """What measured last: libraries with their releases, and other words."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    versions: dict[str, str] = Field(default_factory=dict)


class SignalShape(Strict):
    """A signal as the run used it (`facts.Measured`)."""

    filter: str
    version: int
    fingerprint: str
    parameters: dict[str, Any]
    code: CodeShape
    folder: str


class ModelShape(Strict):
    """A model that the recipe trained or loaded."""

    kind: str
    id: str
    weights: str
    card: dict[str, Any]


class SignalsShape(Strict):
    """signals.json: `sources` of filters by name, evidence, models."""

    name: str
    sources: dict[str, str]
    signals: dict[str, SignalShape]
    models: dict[str, ModelShape]


class NodeShape(Strict):
    """A stage of the subset, as far as documents speak of it."""

    parents: list[str]
    combinator: str
    rule: str | None
    grouping: str | None
    columns: list[str]


class JudgementShape(Strict):
    """A line of a verdict (`facts.Judgement`)."""

    candidate: str
    control: str
    answer: str
    difference: float
    low: float | None
    high: float | None
    seeds: str
    scale: str
    measure: str
    conditions: str
    places: int


class _Counted(Strict):
    value: str
    rows: int


class _Mix(Strict):
    column: str
    rows: list[_Counted]


class CardShape(Strict):
    """card.json: what the README says beyond the other files. `models`: those that the subset's stages asked for; `mixes`: rows by the
    values of a column; `judgements`: what the packer's scores say; `answers`: what a person said."""

    node: str
    nodes: dict[str, NodeShape]
    models: list[str]
    mixes: list[_Mix]
    judgements: list[JudgementShape]
    answers: dict[str, str | list[str]]


def text_of(path: Path) -> str:
    """A file of a package as text. CeterisError where it is no UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CeterisError(f"this file cannot be read: {error}", where=str(path), fix=_AGAIN) from error


def json_of(text: str, where: str) -> Any:
    """A JSON value. CeterisError naming the place where it is none: numbers that JSON has not, halves of characters, and what is nested
    without end are refused, too."""
    try:
        value = json.loads(text, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CeterisError(f"this is no JSON: {what}", where=where, fix=_AGAIN) from error
    return value


def read_json(path: Path, shape: type[Shape]) -> Shape:
    """A JSON file of a package. CeterisError naming file and key where it is none, or of another shape."""
    value = json_of(text_of(path), str(path))
    try:
        return validated(shape, value, partial(_place, path))
    except CeterisError as error:
        raise CeterisError(error.what, where=error.where, fix=error.fix or _AGAIN) from error


def _place(path: Path, spot: Spot, *, key: bool = False) -> str:
    return f"{path}: {'key ' if key else ''}{'.'.join(map(str, spot)) or 'the whole'}"


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
