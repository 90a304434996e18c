"""The hashes of evaluation images, by task and item: what a pool should not show."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import RecipeError
from curate.model import Made, Weights, model

_COLUMNS = ("image", "jpg", "png", "webp", "bytes")
_AT_ONCE = 256
_NOT_THERE = bytes(16)


@model(version=1, files=("sets",))
def evaluation_images(*, sets: str, bits: int = 31, colours: float = 255.0, quality: int = 50) -> Made:
    """Hash every image of every evaluation set by PDQ, as `perceptual_duplicate` does, and by its pixels.

    `sets` is a Parquet file with a column of images (bytes, or a struct of bytes and path) called image, jpg, png, webp or bytes, a folder
    of image files, or a folder with one of these for each task, called as the task. An item is a row, or a file in order of its path; its
    number, from 0, names it. `bits` is how far apart, of 256, two hashes may be to show one picture: Meta's distance for a match is 31.
    Hashes see no colours; `colours` is how far apart the mean ones of 4 x 4 parts may be (root of the mean squared difference, of 255; a
    re-encoded image lies below 4): with 8 or so, pictures that differ in nothing else are two, and so are a darker copy or a grey one.
    Items of a hash of less than `quality`, such as blank ones, are found only where a pool has equal pixels, and those that cannot be
    decoded not at all: the card lists both by task. No picture can be made from what is kept.
    Raises RecipeError for files that cannot be read or hold no images, and for numbers that cannot be.
    """
    from filters._image import ImageError
    from filters._pdq import BYTES, COLOURS, Told, told

    if not 0 <= bits < 256 or not 0 <= quality <= 100 or not 0 <= colours <= 255:
        fix = "give bits and colours of 0 to 255, and a quality of 0 to 100"
        raise RecipeError(f"bits: {bits}, colours: {colours}, quality: {quality} cannot be", where="evaluation_images", fix=fix)
    items, tasks, unchecked = list[Told](), list[tuple[str, int]](), dict[str, list[int]]()
    for place, images in groupby(_images(Path(sets)), key=lambda one: one[0]):
        first = len(items)
        for _, data in images:
            try:
                items.append(told(data))
            except ImageError:
                items.append(Told(_NOT_THERE, bytes(BYTES), -1, bytes(COLOURS)))
        task = place.stem if place.suffix == ".parquet" else place.name
        if max(one.quality for one in items[first:]) < 0:
            fix = "give each task a Parquet file with a column `image`, or a folder of images alone"
            raise RecipeError(f"no image of the task {task} can be decoded", where=str(place), fix=fix)
        tasks.append((task, len(items) - first))
        plain = [item for item, one in enumerate(items[first:]) if one.quality < quality]
        if plain:
            unchecked[task] = plain
    names = [task for task, _ in tasks]
    if not names or len(set(names)) < len(names):
        what = "two sets are of one task" if len(set(names)) < len(names) else "there are no evaluation images"
        raise RecipeError(
            what, where=sets, fix="give a Parquet file with a column `image`, a folder of images, or a folder with one for each task"
        )
    weights = {
        "hashes": np.frombuffer(b"".join(one.hash for one in items), "<u8").reshape(-1, 4),
        "colours": np.frombuffer(b"".join(one.colours for one in items), np.uint8).reshape(-1, COLOURS),
        "pixels": np.frombuffer(b"".join(one.pixels for one in items), np.uint8).reshape(-1, len(_NOT_THERE)),
        "qualities": np.array([one.quality for one in items], np.int8),
    }
    card = {
        "architecture": {"bits": bits, "colours": colours, "quality": quality, "tasks": tasks},
        "unchecked": unchecked,
        "licence": "that of the evaluation sets; hashes and the mean colours of 4 x 4 parts only",
    }
    return Made(weights, card)


@evaluation_images.loader
def load(weights: Weights, card: dict[str, Any]) -> Any:
    """The `EvaluationImages`, for `image_contamination`."""
    from filters._evaluation_images import EvaluationImages

    shape, pixels = card["architecture"], dict[bytes, list[int]]()
    for item, digest in enumerate(weights["pixels"]):
        pixels.setdefault(digest.tobytes(), []).append(item)
    pixels.pop(_NOT_THERE, None)
    numbers = np.flatnonzero(weights["qualities"] >= shape["quality"])
    begins = np.cumsum([0, *(rows for _, rows in shape["tasks"])])
    hashes = np.ascontiguousarray(weights["hashes"][numbers])
    least = (shape["quality"], shape["bits"], shape["colours"])
    return EvaluationImages(hashes, numbers, weights["colours"], pixels, tuple(task for task, _ in shape["tasks"]), begins, *least)


def _images(sets: Path) -> Iterator[tuple[Path, bytes]]:
    """(where its task lies, image) of every item, a task's items together, in order of names."""
    if not sets.exists():
        raise RecipeError("there is no such place", where=str(sets), fix="give a Parquet file with a column `image`, or a folder")
    inside = sorted(path for path in sets.iterdir() if not path.name.startswith(".")) if sets.is_dir() else [sets]
    by_task = any(path.is_dir() or path.suffix == ".parquet" for path in inside)
    for path in inside:
        if path.suffix == ".parquet":
            yield from ((path, image) for image in _column(path))
        elif path.is_dir():
            yield from ((path, one.read_bytes()) for one in sorted(path.rglob("*")) if one.is_file() and not one.name.startswith("."))
        elif not by_task:
            yield sets, path.read_bytes()


def _column(path: Path) -> Iterator[bytes]:
    """The images of a Parquet file, some at a time; no bytes where there is none."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            name = next((name for name in _COLUMNS if name in schema.names), None)
            if name is None:
                what = f"there is no column image (it has {', '.join(schema.names)})"
                raise RecipeError(what, where=str(path), fix="call the column of images `image`")
            for batch in file.iter_batches(_AT_ONCE, columns=[name]):
                column = batch.column(0)
                if pa.types.is_struct(column.type):
                    column = column.field("bytes")
                yield from (value if isinstance(value, bytes) else b"" for value in column.to_pylist())
    except (pa.ArrowException, OSError, KeyError) as error:
        raise RecipeError(f"the evaluation images cannot be read: {error}", where=str(path), fix="write the file again") from error
