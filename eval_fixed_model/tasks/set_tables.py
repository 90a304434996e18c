"""Evaluation sets that lie as Parquet, as the `datasets` package saves them (pictures as structs of bytes and path).

Retrieval: columns `image` and `caption` (a text or several). WinoGAViL (arXiv 2207.12576): `cue`, `candidates` (names), `associations`
(those that belong to the cue) and `candidate_images`.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from curate.errors import CeterisError
from eval_fixed_model.records import Classification, Image, Retrieval
from eval_fixed_model.tasks.picture_items import Decoded, Items, owners_of


class _Cell(NamedTuple):
    """Where a picture stands: file, row group, row in it, and which of the row's."""

    file: Path
    group: int
    row: int
    which: int


def items(name: str, task: Classification | Retrieval, folder: Path, image: Image, start: int) -> Items:
    """One task's items, numbered from `start`: pictures with captions, or cues. CeterisError where the columns are others."""
    if not isinstance(task, Retrieval):
        raise CeterisError("sets for classification are read from tars", where=str(folder), fix="fetch the set in its webdataset layout")
    columns = ("cue", "candidates", "associations") if task.metric == "jaccard" else ("caption",)
    pictured = "candidate_images" if task.metric == "jaccard" else "image"
    rows: list[tuple[_Cell, dict[str, Any]]] = []
    for file in sorted(folder.glob("*.parquet")):
        table = pq.ParquetFile(file)
        if lacking := [column for column in (*columns, pictured) if column not in table.schema_arrow.names]:
            raise CeterisError(f"no column {', '.join(lacking)}", where=str(file), fix="save the set as the `datasets` package reads it")
        for group in range(table.num_row_groups):
            read = table.read_row_group(group, columns=list(columns)).to_pylist()
            rows += [(_Cell(file, group, number, 0), row) for number, row in enumerate(read)]
    return _cues(name, task, rows, image, start) if task.metric == "jaccard" else _captions(name, rows, image, start, str(folder))


def _captions(name: str, rows: list[tuple[_Cell, dict[str, Any]]], image: Image, start: int, where: str) -> Items:
    said = [[row["caption"]] if isinstance(row["caption"], str) else list(row["caption"] or ()) for _, row in rows]
    owners = owners_of(said, where)
    numbers = np.arange(start, start + len(rows), dtype=np.uint32)
    pictures = _pictures([cell for cell, _ in rows], "image", image)
    return Items(name, numbers, pictures, tuple(text for texts in said for text in texts), np.empty(0, np.int64), owners=owners)


def _cues(name: str, task: Retrieval, rows: list[tuple[_Cell, dict[str, Any]]], image: Image, start: int) -> Items:
    asked = [(cell, row) for cell, row in rows if len(row["candidates"]) >= (task.candidates or 0)]
    if not asked:
        raise CeterisError(f"no cue has {task.candidates} pictures", where=name, fix="fetch the set again")
    sizes = [len(row["candidates"]) for _, row in asked]
    owners = np.repeat(np.arange(len(asked)), sizes)
    labels = np.array([candidate in row["associations"] for _, row in asked for candidate in row["candidates"]], np.int64)
    cells = [cell._replace(which=which) for (cell, _), size in zip(asked, sizes, strict=True) for which in range(size)]
    texts = tuple(_sentence(row["cue"]) for _, row in asked)
    return Items(name, (owners + start).astype(np.uint32), _pictures(cells, "candidate_images", image), texts, labels, owners=owners)


def _sentence(cue: str) -> str:
    """As DataComp asks it: `A fox`, `An owl`."""
    return f"{'An' if cue.lower()[:1] in tuple('aeiou') else 'A'} {cue.lower()}"


def _pictures(cells: list[_Cell], column: str, image: Image) -> Decoded:
    def read(place: int) -> bytes:
        cell = cells[place]
        value = _group(cell.file, cell.group, column)[cell.row].as_py()
        picture = value[cell.which] if isinstance(value, list) else value
        data = picture["bytes"] if isinstance(picture, dict) else picture
        if not isinstance(data, bytes):
            raise CeterisError("the picture is not in the file", where=f"{cell.file} row group {cell.group} row {cell.row}", fix=_EMBED)
        return data

    return Decoded(len(cells), read, image, str(cells[0].file.parent))


@functools.lru_cache(maxsize=2)
def _group(file: Path, group: int, column: str) -> Any:
    return pq.ParquetFile(file).read_row_group(group, columns=[column]).column(column)


_EMBED = "save the set with the pictures' bytes, not their paths"
