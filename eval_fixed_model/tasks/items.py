"""A scale's evaluation items: a Parquet of pictures with texts or labels; sweeps read its validation split, claims its test split."""

import functools

import numpy as np
import polars as pl

from curate.digest import row_hash, sha256
from curate.errors import CeterisError
from eval_fixed_model.loops import Split
from eval_fixed_model.records import Classification
from eval_fixed_model.rows.images import pixels
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.tasks import webdataset_items
from eval_fixed_model.tasks.picture_items import Items

COLUMNS = {"task": pl.String, "split": pl.String, "kind": pl.String, "image": pl.Binary, "text": pl.String, "label": pl.String}


def items_of(scale: ImageTextScale, split: Split) -> tuple[Items, ...]:
    """Every task's items in the scale's order of tasks: decoded, once per process, or those of a folder as `webdataset_items` reads them.

    Raises CeterisError naming row and file when the Parquet does not hold what the scale's tasks ask.
    """
    if scale.items.folder is not None:
        return webdataset_items.items_of(scale, split)
    return _decoded(scale, split)


@functools.lru_cache(maxsize=4)
def _decoded(scale: ImageTextScale, split: Split) -> tuple[Items, ...]:
    frame = read_items(scale).with_row_index("number").filter(split=split)
    return tuple(_items(scale, task, frame.filter(task=task)) for task in scale.tasks)


def read_items(scale: ImageTextScale) -> pl.DataFrame:
    """The Parquet as it lies: columns `COLUMNS`, one row an item."""
    path = scale.evaluation_file
    if not path.is_file():
        raise CeterisError("the evaluation items are missing", where=str(path), fix="reinstall, or correct `items.file` of the scale")
    frame = pl.read_parquet(path)
    if dict(frame.schema) != {name: dtype() for name, dtype in COLUMNS.items()}:
        raise CeterisError(f"these are not evaluation items: the columns are {', '.join(COLUMNS)}", where=str(path), fix="write them so")
    return frame


def items_digest(scale: ImageTextScale) -> str:
    """Hex SHA-256 of the items' content in order: of what is asked, not of Parquet bytes. Of a folder, of its files."""
    if scale.items.folder is not None:
        return webdataset_items.digest(scale)
    parts = [row_hash(_bytes(value) for value in row) for row in read_items(scale).iter_rows()]
    return sha256(b"".join(parts))


def _bytes(value: str | bytes | None) -> bytes:
    return b"\0" if value is None else b"\1" + (value.encode() if isinstance(value, str) else value)


def _items(scale: ImageTextScale, task: str, frame: pl.DataFrame) -> Items:
    where = f"{scale.evaluation_file} task {task}"
    if frame.is_empty():
        raise CeterisError("no items", where=where, fix="give every task of the scale items in both splits")
    asked = scale.tasks[task]
    classes = asked.classes if isinstance(asked, Classification) else ()
    kind, needed = ("classification", "label") if classes else ("retrieval", "text")
    known = frame[needed].is_in(classes) if classes else frame[needed].is_not_null()
    sound = (frame["kind"] == kind) & known.fill_null(False) & frame["image"].is_not_null()
    if not sound.all():
        number = frame.filter(~sound)["number"][0]
        raise CeterisError(f"row {number} is not a {kind} item of the scale", where=where, fix=f"give it an image and a known {needed}")
    try:
        images = np.stack([pixels(image, scale.image.resolution, scale.image.resize) for image in frame["image"]])
    except ValueError as error:
        raise CeterisError(f"an evaluation image does not decode: {error}", where=where, fix="write the file again") from error
    labels = np.array([classes.index(label) for label in frame["label"]] if classes else [], np.int64)
    return Items(task, frame["number"].to_numpy(), images, () if classes else tuple(frame["text"]), labels)
