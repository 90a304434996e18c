"""A scale: the frozen, complete record of everything that is held equal while the data varies."""

import difflib
import importlib
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, PrivateAttr, TypeAdapter, model_validator

from curate.digest import digest_of
from curate.errors import CeterisError, nearest
from curate.shape import Unfit
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
    measure_of,
)
from eval_fixed_model.written import place, read_yaml, record

SHIPPED = Path(__file__).with_name("scales")
BESIDE: Any = {"alike": True, "analysis": True, "comparable": True, "headline": {"delta": True}, "seeds": {"looks": True}}
"""What of a record changes no training and no question, only what is concluded from scores: it is no part of the conditions, and is written
down with every evaluation and verdict."""


def _multiple(number: int, of: int) -> int:
    """The nearest whole multiple that is not nothing."""
    return max(1, round(number / of)) * of


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
            raise Unfit(f"the headline names unknown tasks: {', '.join(unknown)}", nearest(unknown[0], self.tasks), ("headline", "tasks"))
        return self

    def _sound(self, steps: int, tokenizers: tuple[str, ...]) -> Self:
        """Unfit for a tokenizer that is not the modality's, and for checkpoints from before the first step."""
        named, last = self.tokens.tokenizer, self.last_checkpoints
        if named not in tokenizers:
            what = f"the tokenizer {named} is for the other modality"
            raise Unfit(what, f"write {' or '.join(tokenizers)}", ("tokens", "tokenizer"))
        if last and (last.count - 1) * last.every >= steps:
            what = f"{last.count} checkpoints {last.every} steps apart do not lie in {steps} steps"
            raise Unfit(what, "give fewer, or closer together", ("last_checkpoints",))
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
            what, near = f"{self.samples_seen} pairs are not a multiple of batch {self.batch}", _multiple(self.samples_seen, self.batch)
            raise Unfit(what, f"write samples_seen: {near}", ("samples_seen",))
        if self.augmentation.roll > self.image.resolution:
            what = f"images of {self.image.resolution} pixels cannot be rolled by {self.augmentation.roll}"
            raise Unfit(what, f"give {self.image.resolution} or less", ("augmentation", "roll"))
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
            what, near = f"{self.tokens_seen} tokens are not a multiple of the {step} of a batch", _multiple(self.tokens_seen, step)
            raise Unfit(what, f"write tokens_seen: {near}", ("tokens_seen",))
        if self.order != "exact":
            raise Unfit("documents are packed in exact order", "write order: exact", ("order",))
        if isinstance(self.model, ByteNgrams) and self.tokens.tokenizer == "file":
            what = "the model byte_ngrams reads bytes: its words and n-grams are of them"
            raise Unfit(what, "write tokenizer: bytes", ("tokens", "tokenizer"))
        for name, task in self.tasks.items():
            if task.kind == "short_answer" and task.most_tokens >= self.tokens.context:
                what = f"{task.most_tokens} tokens of an answer leave no room for a question in {self.tokens.context}"
                raise Unfit(what, f"give less than {self.tokens.context}", ("tasks", name, "most_tokens"))
        return self._sound(self.steps, ("bytes", "file"))

    @property
    def steps(self) -> int:
        """Optimiser steps of one training."""
        return self.tokens_seen // (self.batch * self.tokens.context)


Scale = ImageTextScale | TextScale
_MODALITIES: dict[Any, type[Scale]] = {"image-text": ImageTextScale, "text": TextScale}
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
    records = read_yaml(path)
    if not isinstance(records, dict) or not all(isinstance(record, dict) for record in records.values()):
        raise CeterisError("a scale file maps names to records", where=str(path), fix="see eval_fixed_model/scales/tiny.yaml")
    return {str(name): _scale(str(name), record, path) for name, record in records.items() if not str(name).startswith("_")}


def _scale(name: str, about: dict[str, Any], path: Path) -> Scale:
    """A record, whose tasks may stand in a file of their own."""
    tasks, modality = about.get("tasks"), about.get("modality")
    if isinstance(tasks, str):
        about = {**about, "tasks": read_yaml(path.parent / tasks)}
    if modality not in _MODALITIES:
        what = f"{modality!r} is no modality" if "modality" in about else f"the scale {name} needs the key modality"
        near = nearest(str(modality), _MODALITIES) if "modality" in about else "write `modality: text` or `modality: image-text`"
        fix = f"{near}; eval_fixed_model/scales/tiny.yaml has a complete scale of each"
        raise CeterisError(what, where=place(path, (name, "modality")), fix=fix)
    scale = record(_MODALITIES[modality], {"name": name, **about}, path, name)
    _refuse_mixed_headline(scale, path, name)
    scale._folder = path.parent
    return scale


def _refuse_mixed_headline(scale: Scale, path: Path, name: str) -> None:
    """CeterisError where a task of the headline is not measured in what the headline is: its mean would be of unlike things."""
    headline, of = scale.headline, {task: measure_of(record) for task, record in scale.tasks.items()}
    wrong = [task for task in headline.tasks if of[task] != headline.measure]
    if not wrong:
        return
    task, measure = wrong[0], of[wrong[0]]
    what = f"the headline is measured in {headline.measure}, and its task {task} ({scale.tasks[task].kind}) in {measure}"
    if len(wrong) == len(headline.tasks):
        raise CeterisError(what, where=place(path, (name, "headline", "measure")), fix=f"write `measure: {measure}`")
    left = ", ".join(task for task in headline.tasks if task not in wrong)
    fix = f"write `tasks: [{left}]`: every task of a headline has one measure, {headline.measure} here"
    raise CeterisError(what, where=place(path, (name, "headline", "tasks")), fix=fix)


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
