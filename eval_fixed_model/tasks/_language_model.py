"""What text tasks ask: a network that gives each token a probability after those before it, and the tokens that texts are to it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from curate.errors import CeterisError

SEPARATOR = 256
_FLOATS, _PLACES = 1 << 25, 1 << 13  # of one call: logits (128 MB) and tokens, as many as caches of processors like
_SHARED = 32  # tokens of a prompt that are worth a call of their own
_NONE = np.empty(0, np.float32)


class Tokenizer(Protocol):
    """The tokens of texts: `prefix` is what a text's first token follows, `opening` what stands before a prompt, `ends` end an answer."""

    @property
    def prefix(self) -> int:
        """A token that stands before every text in training."""

    @property
    def opening(self) -> tuple[int, ...]:
        """May be empty."""

    @property
    def ends(self) -> frozenset[int]:
        """May be empty."""

    def encode(self, text: str) -> list[int]:
        """Without `prefix` and `opening`."""

    def decode(self, tokens: Sequence[int]) -> str:
        """What `encode` had, where the tokens are whole characters."""


class Bytes:
    """UTF-8, and a separator between documents."""

    prefix = SEPARATOR
    opening: tuple[int, ...] = ()  # as exported folders have it: in training a window begins anywhere in a document
    ends = frozenset({SEPARATOR})

    def encode(self, text: str) -> list[int]:
        """Its bytes."""
        return list(text.encode("utf-8"))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text, with U+FFFD for what is no character."""
        return bytes(token for token in tokens if token < SEPARATOR).decode("utf-8", errors="replace")


class HuggingFace:
    """One of transformers: a prompt has the tokens that it puts before one, and a text follows its bos_token, else its eos_token."""

    def __init__(self, tokenizer: Any, ends: Sequence[int] = ()) -> None:
        """`ends`: tokens that end an answer beside its eos_token.

        Raises CeterisError for a tokenizer with neither token, or that puts some behind a text: nothing could follow a prompt.
        """
        self._tokenizer = tokenizer
        first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        if first is None:
            raise CeterisError("the tokenizer has no token for where a text begins or ends", fix="give it a bos_token or an eos_token")
        whole, plain = tokenizer.encode("a b"), self.encode("a b")
        if whole[len(whole) - len(plain) :] != plain:
            raise CeterisError("the tokenizer puts tokens behind a text", fix="change its post-processor")
        self.prefix: int = first
        self.opening: tuple[int, ...] = tuple(whole[: len(whole) - len(plain)])
        self.ends: frozenset[int] = frozenset(ends) | ({tokenizer.eos_token_id} - {None})

    def encode(self, text: str) -> list[int]:
        """Without special tokens."""
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def decode(self, tokens: Sequence[int]) -> str:
        """Without special tokens."""
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))


class Scored(NamedTuple):
    """Of the tokens asked about: float32 log-probabilities in nats, (n,), and whether each is the likeliest at its place."""

    nats: npt.NDArray[np.float32]
    greedy: bool


class Greedy(NamedTuple):
    """What the likeliest tokens say, and their log-probability in nats."""

    text: str
    nats: float


class _Wanted(NamedTuple):
    """`tokens` that follow the last places before `end` of a row of a batch."""

    name: int
    row: int
    end: int
    tokens: Sequence[int]


@dataclass(frozen=True)
class LanguageModel:
    """A network from (n, t) tokens to (n, t, vocabulary) logits, the plain tensor or its `.logits`, that reads `context` tokens at most.

    `cached`: it is one of transformers' and takes back what it kept of the tokens before (`past_key_values`).
    """

    network: Callable[..., Any]
    tokenizer: Tokenizer
    context: int
    vocabulary: int
    device: str = "cpu"
    cached: bool = False

    def text(self, text: str) -> Scored:
        """How likely a whole text is; see `texts`."""
        return self.texts([text])[0]

    def texts(self, texts: Sequence[str]) -> list[Scored]:
        """How likely whole texts are, the first token after `prefix`: every token once, after as many before it as `windows` says."""
        tokens = [[self.tokenizer.prefix, *self.tokenizer.encode(text)] for text in texts]
        return self._scored([(one, 1) for one in tokens])

    def continuations(self, pairs: Sequence[tuple[str, str]]) -> list[Scored]:
        """How likely each (prompt, continuation)'s continuation is.

        Spaces at the prompt's end belong to the continuation. Both are made tokens together, and those beyond the prompt's own count are
        the continuation's. An empty prompt is `prefix`. What is too long loses its beginning (lm-evaluation-harness, `TemplateLM`).
        """
        joined = [self._joined(prompt, continuation) for prompt, continuation in pairs]
        together: dict[tuple[int, ...], list[int]] = {}
        for place, (tokens, begin) in enumerate(joined):
            if self.cached and begin >= _SHARED and len(tokens) - begin > 1 and len(tokens) <= self.context:
                together.setdefault(tuple(tokens[:begin]), []).append(place)
        found: dict[int, Scored] = {}
        for prompt, places in together.items():
            if len(places) > 1:
                found |= zip(places, self._after(prompt, [joined[place][0][len(prompt) :] for place in places]), strict=True)
        others = [place for place in range(len(joined)) if place not in found]
        found |= zip(others, self._scored([joined[place] for place in others]), strict=True)
        return [found[place] for place in range(len(joined))]

    def greedy(self, prompt: str, most: int, stops: Sequence[str]) -> Greedy:
        """The likeliest token after the prompt, and again, until the text holds a stop (cut off there), an end token, or `most` tokens.

        The prompt loses its beginning where `context` has no room for `most` tokens after it. CeterisError if it would lose everything.
        """
        room = self.context - most
        if room < 1:
            raise CeterisError(f"{most} tokens of an answer leave no room for a question in {self.context}", fix="lower most_tokens")
        tokens = (self._prompt(prompt) or [self.tokenizer.prefix])[-room:]
        made: list[int] = []
        total, kept, said = 0.0, None, ""
        while len(made) < most:
            logits, kept = self._next(tokens + made, kept)
            token = int(logits.argmax())
            total += float(torch.log_softmax(logits, -1)[token])
            if token in self.tokenizer.ends:
                break
            made.append(token)
            said = self.tokenizer.decode(made)
            if any(stop in said for stop in stops):
                break
        cut = min([len(said), *(said.index(stop) for stop in stops if stop in said)])
        return Greedy(said[:cut], total)

    def _prompt(self, prompt: str) -> list[int]:
        return [*self.tokenizer.opening, *self.tokenizer.encode(prompt)]

    def _joined(self, prompt: str, continuation: str) -> tuple[list[int], int]:
        if not continuation:
            raise CeterisError("an empty continuation has no probability", fix="give every choice and answer a text")
        bare = prompt.rstrip()
        if not bare:
            tokens = self.tokenizer.encode(prompt + continuation)
            return (tokens if tokens[0] == self.tokenizer.prefix else [self.tokenizer.prefix, *tokens]), 1
        tokens, begin = self._prompt(prompt + continuation), len(self._prompt(bare))
        if begin >= len(tokens):
            raise CeterisError(f"{continuation!r} adds no token to its prompt", fix="begin choices and answers with another character")
        return tokens, begin

    @torch.inference_mode()
    def _next(self, tokens: list[int], kept: Any) -> tuple[Tensor, Any]:
        """float32 logits (vocabulary,) of the token after these."""
        if not self.cached:
            return _logits(self.network(torch.tensor([tokens], device=self.device)))[0, -1].float(), None
        new = tokens if kept is None else tokens[-1:]
        out = self.network(input_ids=torch.tensor([new], device=self.device), past_key_values=kept, use_cache=True)
        return out.logits[0, -1].float(), out.past_key_values

    @torch.inference_mode()
    def _after(self, prompt: Sequence[int], endings: list[list[int]]) -> list[Scored]:
        """How likely each ending is after the prompt, which is read once."""
        first = self.network(input_ids=torch.tensor([prompt], device=self.device), use_cache=True, logits_to_keep=1)
        first.past_key_values.batch_repeat_interleave(len(endings))
        following = torch.full((len(endings), max(map(len, endings))), self.tokenizer.prefix)
        for row, ending in enumerate(endings):
            following[row, : len(ending)] = torch.tensor(ending)
        following = following.to(self.device)
        rest = self.network(input_ids=following[:, :-1], past_key_values=first.past_key_values, use_cache=True)
        logits = torch.cat([first.logits.expand(len(endings), -1, -1), rest.logits], 1).float()
        nats = torch.log_softmax(logits, -1).gather(2, following[..., None])[..., 0].cpu().numpy()
        greedy = (logits.argmax(-1) == following).cpu().numpy()
        return [Scored(nats[row, : len(one)], bool(greedy[row, : len(one)].all())) for row, one in enumerate(endings)]

    @torch.inference_mode()
    def _scored(self, asked: Sequence[tuple[list[int], int]]) -> list[Scored]:
        """Of each (tokens, begin) those from `begin` on. Equal reads, such as those of choices of one token, are read once."""
        parts = [(number, *window) for number, (tokens, begin) in enumerate(asked) for window in windows(tokens, begin, self.context)]
        reads: dict[tuple[int, ...], list[int]] = {}
        for place, (_, read, _) in enumerate(parts):
            reads.setdefault(tuple(read), []).append(place)
        found: dict[int, Scored] = {}
        for batch in _batches(sorted(reads, key=len, reverse=True), min(_PLACES, _FLOATS // self.vocabulary)):
            wanted = [_Wanted(place, row, len(read), parts[place][2]) for row, read in enumerate(batch) for place in reads[read]]
            found |= self._read(batch, wanted)
        whole: list[list[Scored]] = [[] for _ in asked]
        for place, (number, _, _) in enumerate(parts):
            whole[number].append(found[place])
        return [Scored(np.concatenate([_NONE, *(one.nats for one in each)]), all(one.greedy for one in each)) for each in whole]

    def _read(self, batch: list[tuple[int, ...]], wanted: list[_Wanted]) -> dict[int, Scored]:
        """`name` -> what the network, having read the rows of the batch, says of what is wanted."""
        padded = np.full((len(batch), len(batch[0])), self.tokenizer.prefix)
        for row, read in enumerate(batch):
            padded[row, : len(read)] = read
        many = [len(one.tokens) for one in wanted]
        rows = torch.from_numpy(np.repeat([one.row for one in wanted], many))
        places = torch.from_numpy(np.concatenate([np.arange(one.end - len(one.tokens), one.end) for one in wanted]))
        following = torch.from_numpy(np.concatenate([np.array(one.tokens) for one in wanted])).to(self.device)
        logits = _logits(self.network(torch.from_numpy(padded).to(self.device)))
        logits = logits[rows.to(self.device), places.to(self.device)].float()
        greedy = (logits.argmax(-1) == following).cpu().numpy()
        nats = torch.log_softmax(logits, -1).gather(1, following[:, None])[:, 0].cpu().numpy()
        cuts = np.cumsum(many)[:-1]
        parts = zip(wanted, np.split(nats, cuts), np.split(greedy, cuts), strict=True)
        return {one.name: Scored(own, bool(same.all())) for one, own, same in parts}


def windows(tokens: Sequence[int], begin: int, context: int) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """(read, predicted): the tokens from `begin` >= 1 on, `context` at a time, each predicted once, by the end of what is read.

    What is read are the `context` tokens before the last one predicted: so full windows stand side by side, and the last looks back as far
    as it can. For a text after its prefix this is lm-evaluation-harness's rolling log-likelihood with a context of 1; for a continuation
    no longer than `context`, its cut of what is too long.
    """
    for start in range(begin, len(tokens), context):
        end = min(start + context, len(tokens))
        yield tokens[max(0, end - 1 - context) : end - 1], tokens[start:end]


def from_folder(folder: Path, device: str = "cpu") -> LanguageModel:
    """A causal model of transformers with its tokenizer, as its folder says; nothing is downloaded and no code in it is run.

    Raises CeterisError where there is none, or where transformers is not installed.
    """
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise CeterisError("transformers is not installed", where=str(folder), fix="pip install 'ceteris[text]'") from error
    if not (folder / "config.json").is_file():
        raise CeterisError("no Hugging Face model lies here: there is no config.json", where=str(folder), fix="name an exported model")
    try:
        network: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype="auto")
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CeterisError(f"this model cannot be read: {error}", where=str(folder), fix="export it again, with its tokenizer") from error
    context = getattr(network.config, "max_position_embeddings", None) or getattr(network.config, "n_positions", None)
    if context is None:
        raise CeterisError("its config.json does not say how many tokens it reads", where=str(folder), fix="set max_position_embeddings")
    network = network.to(device).eval()
    named = getattr(network.generation_config, "eos_token_id", None)
    ends = named if isinstance(named, list) else [named] if named is not None else []
    return LanguageModel(network, HuggingFace(tokenizer, ends), context, network.config.vocab_size, device, cached=True)


def _logits(out: Any) -> Tensor:
    logits: Tensor = out if isinstance(out, Tensor) else out.logits
    return logits


def _batches(reads: list[tuple[int, ...]], places: int) -> Iterator[list[tuple[int, ...]]]:
    """Of descending lengths, so many that padded they have `places` tokens at most; one at least."""
    at = 0
    while at < len(reads):
        many = max(1, places // len(reads[at]))
        yield reads[at : at + many]
        at += many
