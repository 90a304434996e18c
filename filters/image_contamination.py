"""Which evaluation images an image shows."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import RecipeError
from curate.model import loaded
from curate.signal import ModelRef, signal
from filters._image import ImageError

if TYPE_CHECKING:
    from filters._evaluation_images import EvaluationImages

_WRITES = {
    "items": pl.UInt32,
    "task": pl.String,
    "item": pl.UInt32,
    "distance": pl.UInt16,
    "similarity": pl.Float32,
    "colours": pl.Float32,
    "exact": pl.Boolean,
    "hits": pl.Binary,
}


@signal(version=1, reads=["image"], writes=_WRITES, uses=["numba", "pillow"])
def image_contamination(batch: pl.DataFrame, *, model: ModelRef) -> pl.DataFrame:
    """The evaluation images that an image is, re-encoded or resized or not; `model` is an `evaluation_images`, which says how near is near.

    `items`: how many of them it shows: hashes and colours as near as the model allows, or equal pixels. `exact`: whether it has the very
    pixels of one. The item of the nearest hash, of equally near ones the first, is named even where it is far: its `task`, its number
    `item` there, the `distance` of the hashes in bits of 256, their `similarity`, 1 - distance / 256, and how far apart the `colours` are,
    of 255. These are null where hashes say nothing: the quality of the image's own is too low, and its pixels are no item's. `hits`: the
    numbers of all items shown, through all tasks in name order, ascending little-endian uint32.

    `keep: "image_contamination.items == 0"` drops every image that shows an item; mirrored, turned or cropped by more than some percent it
    is another. A null image has none. Errors: those of decoding (not_an_image, too_large, truncated_image, broken_image). Raises
    RecipeError if the model is another.
    """
    from filters._evaluation_images import EvaluationImages

    known = loaded(model)
    if not isinstance(known, EvaluationImages):
        raise RecipeError("this model holds no evaluation images", where="image_contamination", fix="give it an evaluation_images")
    room = np.empty(max(len(known.hashes), 1), np.int64)
    rows = [_row(data, known, room) for data in batch["image"]]
    return pl.DataFrame(rows, schema={**_WRITES, "error": pl.String}, orient="row")


def _row(data: bytes | None, known: "EvaluationImages", room: npt.NDArray[np.int64]) -> tuple[Any, ...]:
    from filters._hamming import nearest  # these two load a compiler, which no plan needs
    from filters._pdq import apart, told

    nothing = (None,) * len(_WRITES)
    if data is None:
        return (*nothing, None)
    try:
        own = told(data)
    except ImageError as error:
        return (*nothing, error.code)
    equal, colours = known.pixels.get(own.pixels, []), np.frombuffer(own.colours, np.uint8)
    best, distance, near = -1, 256, np.empty(0, np.int64)
    if own.quality >= known.quality:
        best, distance, count = nearest(known.hashes, np.frombuffer(own.hash, "<u8"), known.bits, room)
        near = known.numbers[room[:count]]
    hits = np.union1d(near[apart(known.colours[near], colours) <= known.apart], np.array(equal, np.int64))
    packed = hits.astype("<u4").tobytes() if hits.size else None
    if best < 0 and not equal:
        return (hits.size, None, None, None, None, None, False, packed, None)
    item, distance = (equal[0], 0) if equal else (int(known.numbers[best]), distance)
    task = int(np.searchsorted(known.begins, item, side="right")) - 1
    place = (known.tasks[task], item - int(known.begins[task]))
    return (hits.size, *place, distance, 1 - distance / 256, float(apart(known.colours[item], colours)), bool(equal), packed, None)
