"""Images and texts through an image-text model: decoded, resized and tokenised in threads beside the model's own work."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from curate.model import loaded
from curate.threads import share
from filters._image import ImageError, decode
from filters._matcher import Matcher, Pixels
from filters._torch import device_kind, placed, steady

if TYPE_CHECKING:
    import torch
    from torch import Tensor

ROWS_ON_CPU, ROWS_ON_GPU = 16, 256
"""Rows of every call of a model: fixed, since last bits depend on it. 16 are as fast as 64 on a processor, and fewer are padded."""
_AHEAD, _CHUNK = 3, 8  # batches under way; images that a thread takes at a time
_HELD_BYTES = 512 << 20

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Encoded(NamedTuple):
    """Features of unit length, (rows, width); zeros where there are none. `seen`: which rows have an image's; `error`: why not."""

    image: Floats
    text: Floats
    seen: npt.NDArray[np.bool_]
    error: list[str | None]


def encoded(model: str, images: Sequence[bytes | None], texts: Sequence[str | None], device: str = "auto", user: str = "") -> Encoded:
    """Rows through the frozen model of this digest, in batches of a fixed shape: no row's features depend on the others.

    On a processor in float32 on one thread; on a GPU in bfloat16 (float16 before compute capability 8.0) where autocast finds it safe.
    `device` is a signal's parameter or what the plan made of it; `user` names the signal, so that pixels are kept when another comes.
    """
    import torch

    matcher: Matcher = loaded(model)
    _HELD.users.add((user, model))
    kind = device_kind(device) if device in ("auto", "cuda") else device
    place = placed(kind)
    gpu = place.type == "cuda"
    matcher.model.to(place).requires_grad_(gpu)  # autocast keeps the cast of a weight only where it could have a gradient
    size = ROWS_ON_GPU if gpu else ROWS_ON_CPU
    with ThreadPoolExecutor(share()) as pool, steady(strict=not gpu), torch.inference_mode(), _precision(kind):
        said = np.array([row for row, text in enumerate(texts) if text is not None], np.int64)
        tokens = pool.submit(matcher.tokenize, [text for text in texts if text is not None]) if said.size else None
        shown = np.array([row for row, image in enumerate(images) if image is not None], np.int64)
        batches = _batches(pool, matcher, images, shown, size, place)  # the first are decoded while texts are encoded
        ready = next(batches, None)
        text = _texts(matcher, said, tokens.result(), size, place) if tokens else []
        error: list[str | None] = [None] * len(images)
        image = []
        while ready is not None:
            rows, pixels, broken = ready
            image.append((rows, _unit(matcher.model.encode_image(matcher.scaled(pixels.to(place, non_blocking=True))))))
            for row, code in broken:
                error[row] = code
            ready = next(batches, None)
        seen = np.zeros(len(images), bool)
        seen[shown] = [error[row] is None for row in shown]
        width = next((features.shape[1] for _, features in (*image, *text)), 0)
        return Encoded(_laid(image, len(images), width), _laid(text, len(texts), width), seen, error)


def _precision(kind: str) -> AbstractContextManager[object]:
    import torch

    if not kind.startswith("cuda"):
        return nullcontext()
    return torch.autocast("cuda", torch.bfloat16 if float(kind.removeprefix("cuda-")) >= 8.0 else torch.float16)


def _texts(matcher: Matcher, said: Indices, tokens: "Tensor", size: int, place: "torch.device") -> "list[tuple[Indices, Tensor]]":
    """(rows, features) of each batch, of texts that need equally many numbers; the last row again fills a batch up."""
    made = []
    lengths = matcher.lengths(tokens)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        for some in (rows[start : start + size] for start in range(0, rows.size, size)):
            padded = np.pad(some, (0, size - some.size), mode="edge")
            made.append((said[some], _unit(matcher.encode_text(_sent(tokens[padded, : int(length)], place)))))
    return made


def _sent(tokens: "Tensor", place: "torch.device") -> "Tensor":
    """On the device, without waiting for what it is at."""
    return tokens.pin_memory().to(place, non_blocking=True) if place.type == "cuda" else tokens


def _unit(features: "Tensor") -> "Tensor":
    import torch

    return torch.nn.functional.normalize(features.to(torch.float32), dim=-1)


def _laid(parts: "list[tuple[Indices, Tensor]]", rows: int, width: int) -> Floats:
    laid = np.zeros((rows, width), np.float32)
    for some, features in parts:
        laid[some] = features[: some.size].cpu().numpy()
    return laid


def _batches(
    pool: ThreadPoolExecutor, matcher: Matcher, images: Sequence[bytes | None], shown: Indices, size: int, place: "torch.device"
) -> "Iterator[tuple[Indices, Tensor, list[tuple[int, str]]]]":
    """(rows, pixels, errors) of each batch in order, while the next ones are being made; blank where a batch is short or a file broken."""
    import torch

    waiting: deque[tuple[Indices, Tensor, list[Future[list[tuple[int, str]]]]]] = deque()
    see = _seen_by(matcher)

    def fill(rows: Indices, into: Pixels) -> list[tuple[int, str]]:
        broken = []
        for place, row in enumerate(rows.tolist()):
            try:
                into[place] = see(images[row] or b"")
            except ImageError as error:
                into[place] = 0
                broken.append((row, error.code))
        return broken

    for start in range(0, shown.size, size):
        rows = shown[start : start + size]
        pixels = torch.empty((size, *matcher.shape), dtype=torch.uint8, pin_memory=place.type == "cuda")
        array = pixels.numpy()
        array[rows.size :] = 0
        chunks = [slice(first, first + _CHUNK) for first in range(0, rows.size, _CHUNK)]
        waiting.append((rows, pixels, [pool.submit(fill, rows[chunk], array[chunk]) for chunk in chunks]))
        if len(waiting) > _AHEAD:
            yield _finished(*waiting.popleft())
    while waiting:
        yield _finished(*waiting.popleft())


def _finished(
    rows: Indices, pixels: "Tensor", chunks: list[Future[list[tuple[int, str]]]]
) -> "tuple[Indices, Tensor, list[tuple[int, str]]]":
    return rows, pixels, [error for chunk in chunks for error in chunk.result()]


def _seen_by(matcher: Matcher) -> Callable[[bytes], Pixels]:
    """How an image file becomes pixels: kept, once several signals or models of this process look at images."""
    if len(_HELD.users) < 2:
        return lambda data: matcher.pixels(decode(data))
    sight = matcher.sight

    def kept(data: bytes) -> Pixels:
        key = (xxhash.xxh3_128_digest(data), sight)
        found = _HELD.found(key)
        if found is None:
            found = np.array(matcher.pixels(decode(data)))
            _HELD.hold(key, found)
        return found

    return kept


class Held:
    """Pixels by content, at most so many bytes. The engine asks one signal after the other over the same rows, so a full store keeps what
    it has while it is asked for: dropping the oldest would drop every image before the next signal comes to it."""

    def __init__(self, most: int) -> None:
        """Empty."""
        self.most, self.size, self.clock = most, 0, 0
        self.users: set[tuple[str, str]] = set()
        self._pixels: dict[tuple[bytes, str], tuple[int, Pixels]] = {}
        self._lock = threading.Lock()

    def found(self, key: tuple[bytes, str]) -> Pixels | None:
        """What is held under this key."""
        with self._lock:
            self.clock += 1
            held = self._pixels.pop(key, None)
            if held is None:
                return None
            self._pixels[key] = (self.clock, held[1])
            return held[1]

    def hold(self, key: tuple[bytes, str], pixels: Pixels) -> None:
        """Keep, unless it is full of what was asked for lately."""
        with self._lock:
            while self._pixels and self.size + pixels.nbytes > self.most:
                oldest = next(iter(self._pixels))
                if self.clock - self._pixels[oldest][0] <= 4 * len(self._pixels):
                    return
                self.size -= self._pixels.pop(oldest)[1].nbytes
            if pixels.nbytes <= self.most and key not in self._pixels:
                self._pixels[key] = (self.clock, pixels)
                self.size += pixels.nbytes


_HELD = Held(_HELD_BYTES)
