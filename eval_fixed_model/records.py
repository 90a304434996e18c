"""The parts of a scale, as records: what a scale file may say, and what it means."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from curate.shape import Unfit

Whole = Annotated[int, Strict()]
Real = Annotated[float, Strict()]
"""Numbers as they are written: `true` is none, though Python takes it for 1, nor is a text."""
PositiveInt = Annotated[Whole, Field(gt=0)]
PositiveFloat = Annotated[Real, Field(gt=0)]
NonNegativeInt = Annotated[Whole, Field(ge=0)]
NonNegativeFloat = Annotated[Real, Field(ge=0)]
Fraction = Annotated[Real, Field(ge=0, lt=1)]
Points = Annotated[Real, Field(ge=0, lt=100)]
Resize = Literal["squash-bicubic", "shortest-bicubic-centre"]


class Record(BaseModel):
    """Frozen, and nothing in it that is not named here."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TinyConvBag(Record):
    """A judge of images and texts: channels of stem and stages, widths of token table and shared space, first and greatest temperature."""

    name: Literal["tiny_conv_bag"]
    channels: tuple[PositiveInt, PositiveInt, PositiveInt]
    token_width: PositiveInt
    embed: PositiveInt
    temperature_first: PositiveFloat
    temperature_most: PositiveFloat


class OpenClip(Record):
    """One of open_clip's architectures, by its name there, or by a `config` like open_clip's JSON files; and the greatest temperature."""

    name: Literal["open_clip"]
    architecture: str
    config: dict[str, Any] | None = None
    temperature_most: PositiveFloat


class ByteNgrams(Record):
    """A judge of bytes: a decoder whose input is the byte and hashes of what ends there, which share a table of `rows` rows: the n-grams,
    for each n in `orders`; with `words` 1 also the word so far, with 2 that and the word so far with the one before."""

    name: Literal["byte_ngrams"]
    width: PositiveInt
    inner: PositiveInt
    layers: PositiveInt
    heads: PositiveInt
    orders: tuple[PositiveInt, ...]
    words: Annotated[Whole, Field(ge=0, le=2)]
    rows: PositiveInt

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _heads_fit(self.width, self.heads)
        return self


class Llama(Record):
    """A decoder in Llama's layout: widths of the residual stream and of the feed-forward part, layers, heads, heads of keys and values."""

    name: Literal["llama"]
    width: PositiveInt
    inner: PositiveInt
    layers: PositiveInt
    heads: PositiveInt
    key_value_heads: PositiveInt
    tied: bool

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _heads_fit(self.width, self.heads)
        if self.heads % self.key_value_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.key_value_heads} heads of keys and values evenly")
        return self


def _heads_fit(width: int, heads: int) -> None:
    """ValueError where a head has no even number of the width's numbers, which rotary positions turn in pairs."""
    if width % (2 * heads):
        raise ValueError(f"width {width} does not give each of {heads} heads an even number")


class Image(Record):
    """What an image becomes: `resolution` pixels square, and the mean and deviation its [0, 1] values are scaled by."""

    resolution: PositiveInt
    resize: Resize
    mean: Real | tuple[Real, Real, Real]
    std: PositiveFloat | tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class Tokens(Record):
    """What a text becomes: `context` numbers below `vocabulary`. `hashed-words`: 0 where there is no word. `clip`: CLIP's byte pairs.
    `bytes`: 256 bytes and a separator. `file`: a tokenizer.json that the user brings, of this name."""

    tokenizer: Literal["hashed-words", "clip", "bytes", "file"]
    vocabulary: Annotated[Whole, Field(ge=2)]
    context: PositiveInt
    file: str | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.tokenizer == "file") != (self.file is not None):
            raise ValueError("`file` belongs to the tokenizer `file`")
        if self.tokenizer == "bytes" and self.vocabulary < 257:
            raise ValueError(f"a vocabulary of {self.vocabulary} does not hold 256 bytes and a separator")
        if self.tokenizer == "hashed-words" and self.vocabulary > 1 << 16:
            raise ValueError(f"hashed words are kept in 16 bits, which do not hold a vocabulary of {self.vocabulary}")
        return self


class Optimiser(Record):
    """AdamW and the norm that gradients are clipped to; only matrices and kernels decay."""

    name: Literal["adamw"]
    learning_rate: PositiveFloat
    beta1: Fraction
    beta2: Fraction
    epsilon: PositiveFloat
    weight_decay: NonNegativeFloat
    clip_norm: PositiveFloat | None = None
    z_loss: NonNegativeFloat = 0.0


class Schedule(Record):
    """Linear warm-up over a share of the steps (or so many), then `cosine`: half a cosine; or `constant_then_decay`: constant until the
    last share `decay` of the steps, then linear. Both fall to the learning rate `last`."""

    name: Literal["cosine", "constant_then_decay"]
    warmup: Fraction = 0.0
    warmup_steps: PositiveInt | None = None
    decay: Annotated[Real, Field(gt=0, le=1)] | None = None
    last: NonNegativeFloat = 0.0

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.name == "constant_then_decay") != (self.decay is not None):
            raise ValueError("`decay` belongs to constant_then_decay")
        if self.warmup and self.warmup_steps:
            raise ValueError("a warm-up is a share of the steps or a number of them")
        return self


class Augmentation(Record):
    """`roll`: the most pixels an image is rolled by in each direction. `crop`: the least share of the area a random crop keeps."""

    roll: Annotated[Whole, Field(ge=0)] = 0
    crop: Annotated[Real, Field(gt=0, le=1)] = 1.0


class Seeds(Record):
    """The seed sequence: seed i is `first + i`. `looks`: after how many seeds `--until-verdict` looks at the verdict."""

    first: Annotated[Whole, Field(ge=0)]
    looks: tuple[PositiveInt, ...] = (3, 5, 8, 12, 20)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.looks or list(self.looks) != sorted(set(self.looks)):
            raise Unfit("looks ascend", "write such as `looks: [3, 5, 8]`", ("looks",))
        return self


class Items(Record):
    """Where the evaluation items lie: a Parquet relative to the scale's file, or a folder of sets in CLIP_benchmark's webdataset layout,
    which the user brings."""

    file: str | None = None
    folder: str | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.file is None) == (self.folder is None):
            raise Unfit(
                "items are a file or a folder, one of the two", "write `items: {folder: questions}` or `items: {file: pictures.parquet}`"
            )
        return self


class Classification(Record):
    """A zero-shot task: the classes, and the sentences (with one `{}`) each class name is put into; a set in a folder brings its own.

    Of a set in a folder, `labels` and `groups` are columns of its metadata (`.npy`): the labels, where they are not in `.cls`, and the
    groups whose worst is sought; `objective` is the prefix of the class names and templates that count. `chance` is in points.
    `near_chance`: small models hardly do better than that. `reported_only`: the set's own benchmark has it in no mean.
    """

    kind: Literal["classification"]
    classes: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    metric: Literal["accuracy", "mean_per_class_recall", "macro_f1", "worst_group", "worst_group_at_5"] = "accuracy"
    folder: str | None = None
    objective: str | None = None
    labels: Annotated[Whole, Field(ge=0)] | None = None
    groups: Annotated[Whole, Field(ge=0)] | None = None
    chance: Points | None = None
    near_chance: bool = False
    reported_only: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.folder is None and (len(self.classes) < 2 or not self.templates):
            raise ValueError("a task has two classes and a template at least")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class is named twice")
        if any(template.count("{}") != 1 for template in self.templates):
            raise ValueError("every template holds `{}` once")
        return self


class Retrieval(Record):
    """For each image its text among all, and for each text its image; `jaccard`: the pictures that belong to a word (WinoGAViL), asked
    where there are `candidates` pictures at least."""

    kind: Literal["retrieval"]
    metric: Literal["recall_at_1", "jaccard"] = "recall_at_1"
    folder: str | None = None
    candidates: PositiveInt | None = None
    chance: Points | None = None
    reported_only: bool = False


class Perturbed(Record):
    """Robustness: the first `items` of each headline task, asked again with pictures and texts perturbed (`tasks.perturbed`)."""

    items: PositiveInt
    images: tuple[Literal["noise", "blur", "contrast", "jpeg"], ...] = ()
    texts: tuple[Literal["typos", "capitals", "order"], ...] = ()


class Likelihood(Record):
    """Held-out texts: bits per byte."""

    kind: Literal["likelihood"]


class MultipleChoice(Record):
    """Texts with so many continuations, one of them right; the likelier one is chosen, by its sum or, `per byte`, its mean."""

    kind: Literal["multiple_choice"]
    choices: Annotated[Whole, Field(ge=2)]
    likelihood: Literal["sum", "per byte"] = "sum"


class ShortAnswer(Record):
    """Questions answered in a few words, compared by their normal form."""

    kind: Literal["short_answer"]
    most_tokens: PositiveInt = 64


Task = Annotated[Classification | Retrieval | Likelihood | MultipleChoice | ShortAnswer, Field(discriminator="kind")]

Measure = Literal["points", "bits per byte"]


def measure_of(task: Task) -> Measure:
    """What a task's main metric is measured in: more points are better, fewer bits."""
    return "bits per byte" if task.kind == "likelihood" else "points"


class Headline(Record):
    """The plain mean of these tasks' main metrics, what it is measured in, and the difference below which two subsets are equivalent."""

    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    measure: Measure
    delta: PositiveFloat

    @property
    def better(self) -> Literal["higher", "lower"]:
        """Which way is better."""
        return "higher" if self.measure == "points" else "lower"


class LastCheckpoints(Record):
    """A score is the mean over so many checkpoints, `every` so many steps apart, the last of them the end."""

    count: PositiveInt
    every: PositiveInt
