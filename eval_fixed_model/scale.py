"""A scale: the frozen, complete record of everything that is held equal while the data varies."""

import difflib
import importlib
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, PrivateAttr, TypeAdapter, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from curate.digest import digest_of
from curate.errors import CeterisError
from eval_fixed_model.records import (
    Augmentation,
    ByteNgrams,
    Headline,
    Image,
    Items,
    LastCheckpoints,
    Llama,
    OpenClip,
    Optimiser,
    Perturbed,
    PositiveInt,
    Real,
    Record,
    Schedule,
    Seeds,
    Task,
    TinyConvBag,
    Tokens,
    Whole,
)

SHIPPED = Path(__file__).with_name("scales")
BESIDE: Any = {"alike": True, "analysis": True, "comparable": True, "headline": {"delta": True}, "seeds": {"looks": True}}
"""What of a record changes no training and no question, only what is concluded from scores: it is no part of the conditions, and is written
down with every evaluation and verdict."""


class _Scale(Record):
    """What scales of every modality say. Two trainings under one scale differ in their rows and their seed, in nothing else.

    `alike`: how far the variances of arms' runs resemble each other, in degrees of freedom of the scaled inverse chi-square that they are
    drawn from (null: they are equal), as `curate calibrate` measures it; 5 is for scales of which nobody knows. `comparable` says in which
    ways results differ from those of the scale's original, where it has one.
    """

    name: str
    batch: Annotated[Whole, Field(ge=2)]
    order: Literal["exact", "blocked"]
    optimiser: Optimiser
    schedule: Schedule
    precision: Literal["float32", "bfloat16"]
    seeds: Seeds
    items: Items
    tasks: dict[str, Task]
    tokens: Tokens
    headline: Headline
    analysis: Literal["unpaired", "paired"]
    alike: Annotated[Real, Field(ge=0.1, allow_inf_nan=False)] | None = 5.0
    last_checkpoints: LastCheckpoints | None = None
    comparable: str | None = None
    _folder: Path = PrivateAttr(default=SHIPPED)

    @model_validator(mode="after")
    def _headline_is_known(self) -> Self:
        unknown = sorted(set(self.headline.tasks) - set(self.tasks))
        if unknown:
            raise ValueError(f"the headline names unknown tasks: {', '.join(unknown)}")
        return self

    def _sound(self, steps: int, tokenizers: tuple[str, ...]) -> Self:
        """ValueError for a tokenizer that is not the modality's, and for checkpoints from before the first step."""
        named, last = self.tokens.tokenizer, self.last_checkpoints
        if named not in tokenizers:
            raise ValueError(f"the tokenizer {named} is for the other modality; this one has {' and '.join(tokenizers)}")
        if last and (last.count - 1) * last.every >= steps:
            raise ValueError(f"{last.count} checkpoints {last.every} steps apart do not lie in {steps} steps")
        return self

    def __hash__(self) -> int:
        """By content, so that what is read for a scale is read once per process."""
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of what decides a training and what is asked: all but `BESIDE`, comments, key order, the place of the file and what
        is left at its default."""
        return digest_of(self.conditioned())

    @cached_property
    def whole_digest(self) -> str:
        """The same of the record with `BESIDE`: what scores were made under before the two were parted name their scale by."""
        return digest_of(self.kept())

    def kept(self) -> dict[str, Any]:
        """The record, JSON-able."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def conditioned(self) -> dict[str, Any]:
        """The part that trainings and questions depend on: a file of scales may change, and what was trained under it does not."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude=BESIDE)

    def beside(self) -> dict[str, Any]:
        """The other part, defaults written out."""
        return self.model_dump(mode="json", include=BESIDE)

    @property
    def folder(self) -> Path:
        """Where the scale's file lies."""
        return self._folder

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A changed scale, with a digest of its own."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("digest", "whole_digest"):
            copied.__dict__.pop(name, None)
        return copied

    @property
    def evaluation_file(self) -> Path:
        """Where the evaluation Parquet lies: beside the scale's file, else, for one that the user brings, where the command runs. Raises
        CeterisError where the scale's items are a folder."""
        if self.items.file is None:
            raise CeterisError(f"scale {self.name} has no file of items", fix="its items are a folder that you bring")
        beside = self._folder / self.items.file
        return beside if beside.is_file() else Path(self.items.file)

    def seed_sequence(self, count: int) -> tuple[int, ...]:
        """The first `count` seeds."""
        return tuple(range(self.seeds.first, self.seeds.first + count))

    def chance(self, task: str, items: int) -> float | None:
        """Points (0-100) a guess makes on a task: one of its classes, or one of its `items` pairs; None where there is no guessing."""
        record = self.tasks[task]
        match record.kind:
            case "classification" | "retrieval" if record.chance is not None:
                return record.chance
            case "classification" if record.classes:
                return 100.0 / len(record.classes)
            case "retrieval":
                return 100.0 / items
            case "multiple_choice":
                return 100.0 / record.choices
            case "short_answer":
                return 0.0
        return None


class ImageTextScale(_Scale):
    """Pairs of image and text: `batch` and `samples_seen` count pairs."""

    modality: Literal["image-text"]
    model: Annotated[TinyConvBag | OpenClip, Field(discriminator="name")]
    image: Image
    samples_seen: PositiveInt
    augmentation: Augmentation
    perturbed: Perturbed | None = None

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        if self.samples_seen % self.batch:
            raise ValueError(f"samples_seen {self.samples_seen} is not a multiple of batch {self.batch}")
        if self.augmentation.roll > self.image.resolution:
            raise ValueError(f"images of {self.image.resolution} pixels cannot be rolled by {self.augmentation.roll}")
        return self._sound(self.steps, ("hashed-words", "clip"))

    @property
    def steps(self) -> int:
        """Optimiser steps of one training."""
        return self.samples_seen // self.batch


class TextScale(_Scale):
    """Documents: `batch` counts sequences of `tokens.context` tokens."""

    modality: Literal["text"]
    model: Annotated[ByteNgrams | Llama, Field(discriminator="name")]
    tokens_seen: PositiveInt

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        step = self.batch * self.tokens.context
        if self.tokens_seen % step:
            raise ValueError(f"tokens_seen {self.tokens_seen} is not a multiple of the {step} tokens of a batch")
        if self.order != "exact":
            raise ValueError("documents are packed in exact order")
        if isinstance(self.model, ByteNgrams) and self.tokens.tokenizer == "file":
            raise ValueError("the model byte_ngrams reads bytes: its words and n-grams are of them")
        for name, task in self.tasks.items():
            if task.kind == "short_answer" and task.most_tokens >= self.tokens.context:
                raise ValueError(
                    f"task {name}: {task.most_tokens} tokens of an answer leave no room for a question in {self.tokens.context}"
                )
        return self._sound(self.steps, ("bytes", "file"))

    @property
    def steps(self) -> int:
        """Optimiser steps of one training."""
        return self.tokens_seen // (self.batch * self.tokens.context)


Scale = ImageTextScale | TextScale
_SCALE: TypeAdapter[Scale] = TypeAdapter(Annotated[Scale, Field(discriminator="modality")])
S = TypeVar("S", ImageTextScale, TextScale)


def of_modality(scale: Scale, kind: type[S]) -> S:
    """The scale, where it is of this kind; else CeterisError."""
    if not isinstance(scale, kind):
        raise CeterisError(f"scale {scale.name} is for {scale.modality}", fix="name a scale of the other modality")
    return scale


@lru_cache(maxsize=64)
def shipped() -> dict[str, Scale]:
    """Every scale that comes with the package, by name."""
    return {name: scale for path in sorted(SHIPPED.glob("*.yaml")) for name, scale in scales(path).items()}


def scales(path: Path) -> dict[str, Scale]:
    """Every scale of a file by name. Raises CeterisError with file, line or key when the file does not describe scales."""
    records = _yaml(path)
    if not isinstance(records, dict) or not all(isinstance(record, dict) for record in records.values()):
        raise CeterisError("a scale file maps names to records", where=str(path), fix="see eval_fixed_model/scales/tiny.yaml")
    return {str(name): _scale(str(name), record, path) for name, record in records.items() if not str(name).startswith("_")}


def _yaml(path: Path) -> Any:
    if not path.is_file():
        raise CeterisError("no such scale file", where=str(path), fix="name a shipped scale or a YAML file of scales")
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise CeterisError(f"not YAML: {error.problem}", where=place, fix="correct the line") from error


def _scale(name: str, record: dict[str, Any], path: Path) -> Scale:
    """A record, whose tasks may stand in a file of their own."""
    tasks = record.get("tasks")
    if isinstance(tasks, str):
        record = {**record, "tasks": _yaml(path.parent / tasks)}
    try:
        scale = _SCALE.validate_python({"name": name, **record})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        spot = (name, *[part for part in first["loc"] if part not in ("image-text", "text")])
        fix = "see eval_fixed_model/scales/tiny.yaml for a complete scale"
        raise CeterisError(f"{'.'.join(map(str, spot))}: {first['msg']}", where=_place(path, spot), fix=fix) from error
    scale._folder = path.parent
    return scale


def _place(path: Path, spot: tuple[int | str, ...]) -> str:
    """file:line:column of what stands at `spot` in a scale file, or of the nearest thing around it."""
    node, place = YAML().load(path.read_text(encoding="utf-8")), str(path)
    for part in spot:
        marks = (node.lc.data or {}) if isinstance(node, CommentedMap | CommentedSeq) else {}
        if part not in marks:  # what lacks, or the kind of what is here
            continue
        line, column = marks[part][:2]
        place, node = f"{path}:{line + 1}:{column + 1}", node[part]
    return place


def kept_scale(record: dict[str, Any], beside: Mapping[str, Any], folder: Path) -> Scale:
    """The scale that `conditioned` and `beside` wrote down; its file lay in `folder`."""
    parts = {name: {**record[name], **value} if isinstance(value, Mapping) else value for name, value in beside.items()}
    scale = _SCALE.validate_python({**record, **parts})
    scale._folder = folder
    return scale


def load_scale(name_or_path: str | Path) -> Scale:
    """A shipped scale by name, or the one scale of a YAML file. Raises CeterisError naming the nearest name.

    `NAME-partial` is the scale NAME with those tasks only whose evaluation sets are there (`webdataset_items.partial`).
    """
    if str(name_or_path).endswith((".yaml", ".yml")):
        found = scales(Path(name_or_path))
        if len(found) != 1:
            raise CeterisError(f"{len(found)} scales in one file", where=str(name_or_path), fix="keep one scale in a file given by path")
        return next(iter(found.values()))
    name = str(name_or_path)
    whole = name.removesuffix("-partial")
    if whole != name and whole in shipped():
        # By name, so that what reads pictures is no condition of scores on texts.
        reader: Any = importlib.import_module("eval_fixed_model.tasks.webdataset_items")
        return reader.partial(of_modality(shipped()[whole], ImageTextScale))  # type: ignore[no-any-return]
    if name not in shipped():
        near = difflib.get_close_matches(name, shipped(), n=1)
        fix = f"did you mean {near[0]}?" if near else f"the scales are: {', '.join(shipped())}"
        raise CeterisError(f"no scale is called {name!r}", fix=fix)
    return shipped()[name]
