"""Rows as the trainer reads them: decoded once to the scale's resolution, kept in three memory-mapped arrays."""

import functools
import io
import json
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from PIL import Image

from curate.digest import UInt64s, hex_of, row_hash
from curate.errors import CeterisError, PoolError
from eval_fixed_model.loops import Reads
from eval_fixed_model.records import Image as ImageRecord
from eval_fixed_model.records import Resize, Tokens
from eval_fixed_model.rows.arrays import Indices, Positions, has_twice, header
from eval_fixed_model.scale import ImageTextScale

Bytes = npt.NDArray[np.uint8]
TokenNumbers = npt.NDArray[np.uint16]

_ROWS = 1 << 10
NO_IMAGE, NO_TEXT, UNDECODABLE = "no_image", "no_text", "undecodable_image"
# What Pillow's readers raise on damaged files; tests feed them damage to see that this is all.
_UNDECODABLE = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, struct.error, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Rows:
    """n rows at one scale: `images` (n, 3, r, r) uint8, `tokens` (n, context) uint16, `uids` (n, 2) words.

    `rejected` lists the rows that no arm can train on (uid as hex, code): they leave every arm alike.
    """

    scale_digest: str
    images: Bytes
    tokens: TokenNumbers
    uids: UInt64s
    rejected: pl.DataFrame

    @staticmethod
    def open(folder: Path) -> "Rows":
        """Map a folder that `materialise` has finished. Raises CeterisError when it has not."""
        marker = folder / "rows.json"
        if not marker.is_file():
            raise CeterisError(
                "no finished rows lie here", where=str(folder), fix="materialise them again; an interrupted run leaves such folders"
            )
        images, tokens = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in ("images.npy", "tokens.npy"))
        uids = np.load(folder / "uids.npy", allow_pickle=False)
        about = json.loads(marker.read_text(encoding="utf-8"))
        if not len(images) == len(tokens) == len(uids) == about["rows"]:
            raise CeterisError("the arrays are not the ones that were written", where=str(folder), fix="delete the folder and run again")
        return Rows(about["scale"], images, tokens, uids, pl.read_parquet(folder / "rejected.parquet"))

    @functools.cached_property
    def _positions(self) -> Positions:
        return Positions(self.uids)

    def indices(self, uids: UInt64s) -> Indices:
        """Positions of these uids, in the order given, copies included; those that are not here (rejected) are left out."""
        return self._positions.of(uids)


def materialise(reads: Reads, scale: ImageTextScale, folder: Path) -> Rows:
    """Decode every row once and write images.npy, tokens.npy, uids.npy and rejected.parquet into `folder`; rows.json is written last.

    `reads` yields uids (n, 2) and frames of `image` (encoded) and `text`. Rows without image or text, or with an image that does
    not decode, are rejected with a code. Raises PoolError when a uid comes twice. Memory: what one read brings, the pixels of `_ROWS`
    rows, and 16 bytes a row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.json").unlink(missing_ok=True)
    resolution, context = scale.image.resolution, scale.tokens.context
    kept: list[UInt64s] = [np.empty((0, 2), np.uint64)]
    codes: list[pl.DataFrame] = [pl.DataFrame(schema={"uid": pl.String, "code": pl.String})]
    with (folder / "images.npy").open("wb") as images, (folder / "tokens.npy").open("wb") as tokens:
        header(images, np.dtype(np.uint8), (0, 3, resolution, resolution))
        header(tokens, np.dtype(np.uint16), (0, context))
        for uids, frame in _parts(reads):
            texts = frame["text"].to_list()
            made = [taken(image, text, scale.image) for image, text in zip(frame["image"].to_list(), texts, strict=True)]
            good = np.array([not isinstance(row, str) for row in made], bool)
            images.write(b"".join(row.tobytes() for row in made if not isinstance(row, str)))
            tokens.write(tokenise([text or "" for text, fine in zip(texts, good, strict=True) if fine], scale.tokens).tobytes())
            kept.append(uids[good])
            codes.append(
                pl.DataFrame({"uid": hex_of(uids[~good]), "code": [row for row in made if isinstance(row, str)]}, schema=codes[0].schema)
            )
        every = np.concatenate(kept)
        header(images, np.dtype(np.uint8), (len(every), 3, resolution, resolution))
        header(tokens, np.dtype(np.uint16), (len(every), context))
    if has_twice(every):
        raise PoolError("a uid was read twice", where=str(folder), fix="read each row of the pool once")
    np.save(folder / "uids.npy", every, allow_pickle=False)
    pl.concat(codes).write_parquet(folder / "rejected.parquet")
    (folder / "rows.json.new").write_text(json.dumps({"rows": len(every), "scale": scale.digest}), encoding="utf-8")
    (folder / "rows.json.new").replace(folder / "rows.json")
    return Rows.open(folder)


def _parts(reads: Reads) -> Iterator[tuple[UInt64s, pl.DataFrame]]:
    """The same rows, `_ROWS` at most at a time: decoded, a row group may be many times as large as it is in the pool."""
    for uids, frame in reads:
        for start in range(0, len(frame), _ROWS):
            yield uids[start : start + _ROWS], frame[start : start + _ROWS]


def pixels(encoded: bytes, resolution: int, resize: Resize = "squash-bicubic") -> Bytes:
    """An encoded image as (3, r, r) uint8: RGB (alpha dropped), turned upright, by Pillow's antialiased bicubic.

    `squash-bicubic` squeezes it to the square; `shortest-bicubic-centre` brings its shorter side to r and cuts the middle out, as
    open_clip's evaluation does (of RGB images the same pixels). Raises ValueError when it does not decode, or has more than Pillow's
    `MAX_IMAGE_PIXELS` (which warns of a decompression bomb).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata beside a picture that decodes
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(encoded)) as image:
                rgb, turn = image.convert("RGB"), _turn(image)
                square = _squashed(rgb, resolution) if resize == "squash-bicubic" else _middle(rgb, resolution)
    except _UNDECODABLE as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    upright = square if turn is None else square.transpose(turn)
    return np.ascontiguousarray(np.asarray(upright, np.uint8).transpose(2, 0, 1))


def _squashed(image: Image.Image, resolution: int) -> Image.Image:
    return image.resize((resolution, resolution), Image.Resampling.BICUBIC)


def _middle(image: Image.Image, resolution: int) -> Image.Image:
    short = min(image.size)
    width, height = (resolution * side // short for side in image.size)
    if width * height > (Image.MAX_IMAGE_PIXELS or width * height):
        raise Image.DecompressionBombError(f"{width} x {height} pixels once its shorter side is {resolution}")
    left, top = round((width - resolution) / 2), round((height - resolution) / 2)
    return image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + resolution, top + resolution))


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What makes a picture stand upright, by its EXIF orientation; damaged metadata says nothing."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except _UNDECODABLE:
        return None


def tokenise(texts: Sequence[str], tokens: Tokens) -> TokenNumbers:
    """Texts as (n, context) numbers, the rest cut. `clip`: CLIP's byte pairs, as open_clip makes them, between their two marks; 0 behind.
    `hashed-words`: casefolded words, each hashed to 1..vocabulary-1; 0 where there is no word. Raises CeterisError for any other."""
    if tokens.tokenizer == "clip":
        numbers: TokenNumbers = _byte_pairs(tokens.context)(list(texts)).numpy().astype(np.uint16)
        return numbers
    if tokens.tokenizer != "hashed-words":
        raise CeterisError(f"captions have no tokenizer called {tokens.tokenizer}", fix="the scale takes clip or hashed-words")
    out = np.zeros((len(texts), tokens.context), np.uint16)
    for row, text in enumerate(texts):
        words = [_number(word, tokens.vocabulary) for word in _first_words(text, tokens.context)]
        out[row, : len(words)] = words
    return out


@functools.lru_cache(maxsize=4)
def _byte_pairs(context: int) -> Callable[[list[str]], Any]:
    from open_clip import SimpleTokenizer  # imports torch

    tokenizer: Callable[[list[str]], Any] = SimpleTokenizer(context_length=context)
    return tokenizer


def _first_words(text: str, count: int) -> list[str]:
    return [match.group() for match, _ in zip(_WORD.finditer(text.casefold()), range(count), strict=False)]


@functools.lru_cache(maxsize=1 << 16)
def _number(word: str, vocabulary: int) -> int:
    return 1 + int.from_bytes(row_hash([word.encode("utf-8", "surrogatepass")])[:8], "big") % (vocabulary - 1)


def taken(image: bytes | None, text: str | None, into: ImageRecord) -> Bytes | str:
    """A row's `pixels`, or the code that says why no arm can train on it."""
    if image is None:
        return NO_IMAGE
    if text is None:
        return NO_TEXT
    try:
        return pixels(image, into.resolution, into.resize)
    except ValueError:
        return UNDECODABLE
