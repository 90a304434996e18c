"""Whether an image is on a list of hashes: by its file, or nearly, by its picture."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from curate.errors import RecipeError
from curate.model import loaded
from curate.signal import ModelRef, signal
from filters._image import ImageError, decode

if TYPE_CHECKING:
    from filters._hashes import Listed

_KIND = pl.Enum(["md5", "sha1", "sha256", "pdq"])
_WRITES: dict[str, type[pl.DataType] | pl.DataType] = {
    "matched": pl.Boolean,
    "distance": pl.UInt16,
    "kind": _KIND,
    "hash": pl.String,
    "list": pl.String,
}


@signal(version=1, reads=["image"], writes=_WRITES, uses=["numba", "pillow"])
def hash_match(batch: pl.DataFrame, *, model: ModelRef) -> pl.DataFrame:
    """The image's file against the MD5, SHA-1 and SHA-256 hashes of a `hash_list`, its picture against the list's PDQ hashes.

    `matched`: one of its hashes is on the list, `kind` and `hash` (hex) say which. `distance`: in how many of 256 bits its PDQ hash differs
    from the nearest on the list (31 is Meta's distance for a match; unrelated pictures are 128 apart); null where the list has none, and
    for pictures that do not decode or say too little (quality below 50). `list`: the first 16 digits of the list's digest. Nothing of the
    image is kept. A million PDQ hashes cost about a millisecond an image. No image, no answer; what does not decode is no error here.
    """
    from filters._hashes import Listed  # loads a compiler, which no plan needs

    known = loaded(model)
    if not isinstance(known, Listed):
        raise RecipeError("this model is no list of hashes", where="hash_match", fix="give it a hash_list")
    return pl.DataFrame([_row(data, known) for data in batch["image"]], schema=_WRITES, orient="row")


def _row(data: bytes | None, known: "Listed") -> tuple[bool | None, int | None, str | None, str | None, str | None]:
    if data is None:
        return None, None, None, None, None
    found, digest = known.find(data), _picture(data) if "pdq" in known.hashes else None
    distance = None if digest is None else known.distance(digest)
    if found is None and digest is not None and distance == 0:
        found = "pdq", digest.hex()
    return found is not None, distance, *(found or (None, None)), known.name


def _picture(data: bytes) -> bytes | None:
    """The PDQ hash, of pictures that have one of any worth."""
    from filters._hashes import TELLING
    from filters._pdq import pdq

    try:
        digest, quality = pdq(np.asarray(decode(data)))
    except ImageError:
        return None
    return digest if quality >= TELLING else None
