"""A scale: the frozen, complete record of everything that is held equal while the data varies."""

import difflib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, PrivateAttr, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from curate.digest import digest_of
from curate.errors import CeterisError

SHIPPED = Path(__file__).with_name("scales.yaml")

Fraction = Annotated[float, Field(ge=0, lt=1)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Model(_Record):
    """The judge's architecture: channels of stem and stages, widths of token table and shared space, first and greatest temperature."""

    name: Literal["tiny_conv_bag"]
    channels: tuple[PositiveInt, PositiveInt, PositiveInt]
    token_width: PositiveInt
    embed: PositiveInt
    temperature_first: PositiveFloat
    temperature_most: PositiveFloat


class Image(_Record):
    """What an image becomes: `resolution` pixels square, and the mean and deviation its [0, 1] values are scaled by."""

    resolution: PositiveInt
    resize: Literal["squash-bicubic"]
    mean: float
    std: PositiveFloat


class Tokens(_Record):
    """What a text becomes: `context` word numbers below `vocabulary`, 0 where there is no word."""

    tokenizer: Literal["hashed-words"]
    vocabulary: Annotated[int, Field(ge=2, le=65536)]
    context: PositiveInt


class Optimiser(_Record):
    """AdamW and the norm that gradients are clipped to; only matrices and kernels decay."""

    name: Literal["adamw"]
    learning_rate: PositiveFloat
    beta1: Fraction
    beta2: Fraction
    epsilon: PositiveFloat
    weight_decay: Annotated[float, Field(ge=0)]
    clip_norm: PositiveFloat


class Schedule(_Record):
    """Linear warm-up over a share of the steps, then a half cosine to zero."""

    name: Literal["cosine"]
    warmup: Fraction


class Augmentation(_Record):
    """The most pixels an image is rolled by in each direction."""

    roll: Annotated[int, Field(ge=0)]


class Seeds(_Record):
    """The seed sequence: seed i is `first + i`."""

    first: Annotated[int, Field(ge=0)]


class Classification(_Record):
    """A zero-shot task: the classes, and the sentences (with one `{}`) each class name is put into."""

    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    templates: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class is named twice")
        if any(template.count("{}") != 1 for template in self.templates):
            raise ValueError("every template holds `{}` once")
        return self


class Tasks(_Record):
    """The evaluation Parquet (relative to the scale's file) and what it holds."""

    file: str
    classification: dict[str, Classification]
    retrieval: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every task."""
        return (*self.classification, *self.retrieval)


class Scale(_Record):
    """Everything held equal. Two trainings under one scale differ in their rows and their seed, in nothing else."""

    name: str
    modality: Literal["image-text"]
    model: Model
    image: Image
    tokens: Tokens
    samples_seen: PositiveInt
    batch: Annotated[int, Field(ge=2)]
    order: Literal["exact"]
    optimiser: Optimiser
    schedule: Schedule
    precision: Literal["float32"]
    augmentation: Augmentation
    seeds: Seeds
    tasks: Tasks
    headline: Annotated[tuple[str, ...], Field(min_length=1)]
    delta: PositiveFloat
    analysis: Literal["unpaired"]
    _folder: Path = PrivateAttr(default=SHIPPED.parent)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.samples_seen % self.batch:
            raise ValueError(f"samples_seen {self.samples_seen} is not a multiple of batch {self.batch}")
        unknown = sorted(set(self.headline) - set(self.tasks.names))
        if unknown:
            raise ValueError(f"the headline names unknown tasks: {', '.join(unknown)}")
        if set(self.tasks.classification) & set(self.tasks.retrieval):
            raise ValueError("a task is both classification and retrieval")
        return self

    def __hash__(self) -> int:
        """By content, so that what is read for a scale is read once per process."""
        return hash(self.digest)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the record's data: comments, key order and the place of the file are not in it."""
        return digest_of(self.model_dump(mode="json"))

    @property
    def evaluation_file(self) -> Path:
        """Where the evaluation Parquet lies."""
        return self._folder / self.tasks.file

    @property
    def steps(self) -> int:
        """Optimiser steps of one training."""
        return self.samples_seen // self.batch

    def seed_sequence(self, count: int) -> tuple[int, ...]:
        """The first `count` seeds."""
        return tuple(range(self.seeds.first, self.seeds.first + count))

    def chance(self, task: str, items: int) -> float:
        """Points (0-100) a guess makes on a task: one of its classes, or one of its `items` pairs."""
        return 100.0 / (items if task in self.tasks.retrieval else len(self.tasks.classification[task].classes))


def scales(path: Path = SHIPPED) -> dict[str, Scale]:
    """Every scale of a file by name. Raises CeterisError with file, line or key when the file does not describe scales."""
    if not path.is_file():
        raise CeterisError("no such scale file", where=str(path), fix="name a shipped scale or a YAML file of scales")
    try:
        records = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise CeterisError(f"not YAML: {error.problem}", where=place, fix="correct the line") from error
    if not isinstance(records, dict) or not all(isinstance(record, dict) for record in records.values()):
        raise CeterisError("a scale file maps names to records", where=str(path), fix="see eval_fixed_model/scales.yaml")
    return {str(name): _scale(str(name), record, path) for name, record in records.items()}


def _scale(name: str, record: dict[str, object], path: Path) -> Scale:
    try:
        scale = Scale.model_validate({"name": name, **record})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, (name, *first["loc"])))
        raise CeterisError(
            f"{key}: {first['msg']}", where=str(path), fix="see eval_fixed_model/scales.yaml for a complete scale"
        ) from error
    scale._folder = path.parent
    return scale


def load_scale(name_or_path: str | Path) -> Scale:
    """A shipped scale by name, or the one scale of a YAML file. Raises CeterisError naming the nearest name."""
    if str(name_or_path).endswith((".yaml", ".yml")):
        found = scales(Path(name_or_path))
        if len(found) != 1:
            raise CeterisError(f"{len(found)} scales in one file", where=str(name_or_path), fix="keep one scale in a file given by path")
        return next(iter(found.values()))
    shipped = scales()
    name = str(name_or_path)
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, n=1)
        fix = f"did you mean {near[0]}?" if near else f"the scales are: {', '.join(shipped)}"
        raise CeterisError(f"no scale is called {name!r}", fix=fix)
    return shipped[name]
