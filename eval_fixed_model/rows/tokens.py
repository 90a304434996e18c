"""Texts as numbers: their UTF-8 bytes, or what a tokenizer.json makes of them, and the separator between two."""

import functools
import json
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from curate.digest import sha256
from curate.errors import CeterisError
from eval_fixed_model.scale import TextScale

Numbers = npt.NDArray[np.unsignedinteger[Any]]
Offsets = npt.NDArray[np.int64]

SEPARATORS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>")
"""What published tokenizers call the token that ends a document; the first that a tokenizer.json knows separates ours."""


class Encoded(NamedTuple):
    """n texts: all their `numbers` in a row, of which text i has those from offsets[i] to offsets[i + 1]."""

    numbers: Numbers
    offsets: Offsets


class Tokenizer(Protocol):
    """`separator`: the number that stands between documents. `dtype`: of the numbers of texts. `digest`: what it makes of texts."""

    @property
    def separator(self) -> int:
        """Ends a document, and stands before the first of a text that is judged."""

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """Holds every number but, where it is not a text's, the separator."""

    @property
    def digest(self) -> str:
        """Equal where equal texts give equal numbers."""

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Without separators."""

    def utf8(self, encoded: Encoded) -> Encoded:
        """The texts again, as bytes."""


class ByteTokenizer:
    """The bytes of UTF-8, 0 to 255, and the separator 256."""

    separator = 256
    dtype = np.dtype(np.uint8)
    digest = "bytes"

    def encode(self, texts: Sequence[str]) -> Encoded:
        """One number a byte."""
        encoded = [text.encode() for text in texts]
        return Encoded(np.frombuffer(b"".join(encoded), np.uint8), _offsets([len(one) for one in encoded]))

    def utf8(self, encoded: Encoded) -> Encoded:
        """They are."""
        return encoded


class FileTokenizer:
    """A tokenizer.json of Hugging Face's tokenizers, without its truncation, padding, start and end."""

    def __init__(self, file: Path, vocabulary: int) -> None:
        """Raises CeterisError for a file that is none, has no separator, or has more tokens than `vocabulary`."""
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread a process; read when a batch is encoded
        try:
            from tokenizers import Tokenizer as Library
        except ImportError as error:
            raise CeterisError("the package tokenizers is not installed", where=str(file), fix="pip install 'ceteris[text]'") from error
        data = file.read_bytes()
        try:
            self._made = Library.from_str(json.dumps({**json.loads(data), "truncation": None, "padding": None}))
        except Exception as error:  # the library raises nothing narrower
            raise CeterisError(f"this is no tokenizer: {error}", where=str(file), fix="give a tokenizer.json") from error
        found = [number for number in map(self._made.token_to_id, SEPARATORS) if number is not None]
        if not found:
            raise CeterisError("no token ends a document", where=str(file), fix=f"add one of {', '.join(SEPARATORS)} to it")
        size = self._made.get_vocab_size()
        if size > vocabulary:
            raise CeterisError(f"{size} tokens, and the scale has {vocabulary}", where=str(file), fix="give the scale's own tokenizer")
        self.separator: int = found[0]
        self.dtype: np.dtype[np.unsignedinteger[Any]] = np.dtype(np.uint16) if vocabulary <= 1 << 16 else np.dtype(np.uint32)
        self.digest = sha256(data)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """As the library encodes each."""
        numbers = [one.ids for one in self._made.encode_batch_fast(list(texts), add_special_tokens=False)]
        joined = np.fromiter((number for one in numbers for number in one), self.dtype)
        return Encoded(joined, _offsets([len(one) for one in numbers]))

    def decode(self, tokens: Sequence[int]) -> str:
        """Of one text, special tokens left out."""
        return str(self._made.decode(list(tokens)))

    def utf8(self, encoded: Encoded) -> Encoded:
        """As the library decodes each, special tokens left out."""
        cuts = encoded.offsets - encoded.offsets[0]
        every = [encoded.numbers[a:b].tolist() for a, b in pairwise(cuts.tolist())]
        return ByteTokenizer().encode(self._made.decode_batch(every))


def tokenizer_of(scale: TextScale) -> Tokenizer:
    """The scale's tokenizer, made once per process. A file is sought beside the scale's, then where the command runs."""
    if scale.tokens.tokenizer == "bytes":
        return ByteTokenizer()
    file = tokenizer_file(scale)
    return _of_file(file, scale.tokens.vocabulary, sha256(file.read_bytes()))


def tokenizer_file(scale: TextScale) -> Path:
    """Where the tokenizer.json lies. Raises CeterisError where it is at neither place."""
    name = str(scale.tokens.file)
    places = [scale.folder / name, Path.cwd() / name]
    for place in places:
        if place.is_file():
            return place
    fix = f"bring the tokenizer.json of the scale and put it there as {name}"
    raise CeterisError(f"scale {scale.name} needs the tokenizer {name}", where=" or ".join(str(place.parent) for place in places), fix=fix)


@functools.lru_cache(maxsize=4)
def _of_file(file: Path, vocabulary: int, digest: str) -> FileTokenizer:  # noqa: ARG001  # a file with another content is another one
    return FileTokenizer(file, vocabulary)


def _offsets(lengths: Sequence[int]) -> Offsets:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(lengths, np.int64))])
