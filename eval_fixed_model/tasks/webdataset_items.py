"""Evaluation sets in a folder that the user brings, read in place: CLIP_benchmark's webdataset layout, and Parquet of `datasets`.

A scale's `items.folder` (from the folder in which the command runs; CETERIS_ITEMS names another place) holds one folder a set, called as a
task's `folder` says:

- `test/nshards.txt` and `test/0.tar` onwards, whose samples have an image and a label (`.cls`) or captions (`.txt`, one a line), and
  `.npy` metadata where the set has groups; `classnames.txt` and `zeroshot_classification_templates.txt` (with `{c}`), one a line
  (https://github.com/LAION-AI/CLIP_benchmark, `build_wds_dataset`);
- or `*.parquet`, as `set_tables` says.
"""

import functools
import hashlib
import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curate.digest import sha256
from curate.errors import CeterisError
from curate.tars import TarError, members_of, split
from eval_fixed_model.loops import Split
from eval_fixed_model.records import Classification, Retrieval
from eval_fixed_model.scale import ImageTextScale
from eval_fixed_model.tasks import set_tables
from eval_fixed_model.tasks.picture_items import Decoded, Items, owners_of

PLACE = "CETERIS_ITEMS"
_IMAGES = ("webp", "png", "jpg", "jpeg")
_FETCH = (
    "fetch them, as DataComp's download_evalsets.py does (wds_NAME_test from https://huggingface.co/datasets/djghosh/wds_NAME_test; the "
    "others from nlphuji there, saved as Parquet), or name the scale with -partial behind it to go without"
)
_AGAIN = "fetch the set again"


class Part(NamedTuple):
    """A member of a sample: the tar, and where its content lies."""

    tar: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Its content. CeterisError where the tar has changed."""
        handle = os.open(self.tar, os.O_RDONLY)
        try:
            data = os.pread(handle, self.size, self.offset)
        finally:
            os.close(handle)
        if len(data) != self.size:
            raise CeterisError("the tar has become shorter", where=str(self.tar), fix="fetch the set again")
        return data


def items_of(scale: ImageTextScale, split: Split) -> tuple[Items, ...]:
    """Every task's items, in the scale's order of tasks; pictures are decoded as they are asked for. Numbered on from task to task.

    Raises CeterisError naming the sets that are missing, or what is wrong with one; these sets have a test split only.
    """
    if split != "test":
        raise CeterisError(f"sets in a folder have no {split} split", where=str(place(scale)), fix="tune on another scale")
    if gone := missing(scale):
        raise CeterisError(f"{len(gone)} evaluation sets are missing: {', '.join(gone)}", where=str(place(scale)), fix=_FETCH)
    every: list[Items] = []
    for name, task in scale.tasks.items():
        start = 0 if not every else int(every[-1].numbers.max()) + 1
        if not isinstance(task, Classification | Retrieval) or task.folder is None:
            raise CeterisError(f"task {name} names no folder", where=f"scale {scale.name}", fix="name the folder of its set")
        folder = place(scale) / task.folder
        if list(folder.glob("*.parquet")):
            every.append(set_tables.items(name, task, folder, scale.image, start))
        elif isinstance(task, Classification):
            every.append(_classification(name, task, folder, scale, start))
        else:
            every.append(_retrieval(name, folder, scale, start))
    return tuple(every)


def place(scale: ImageTextScale) -> Path:
    """The folder of a scale's sets."""
    return Path(os.environ.get(PLACE) or scale.items.folder or ".")


def missing(scale: ImageTextScale) -> list[str]:
    """Tasks whose set is not there."""
    return [name for name, task in scale.tasks.items() if not _is_there(place(scale) / (getattr(task, "folder", None) or name))]


def partial(scale: ImageTextScale) -> ImageTextScale:
    """The scale with only those tasks whose set is there: another scale, whose name and whose note say so, so that its scores are compared
    with none of the whole one. The scale itself where nothing is missing; CeterisError where no headline task is left."""
    if scale.items.folder is None:
        raise CeterisError(f"the items of scale {scale.name} come with it", fix="name the scale itself")
    gone = missing(scale)
    if not gone:
        return scale
    left = {name: task for name, task in scale.tasks.items() if name not in gone}
    headline = tuple(name for name in scale.headline.tasks if name in left)
    if not headline:
        raise CeterisError("none of the scale's evaluation sets is there", where=str(place(scale)), fix=_FETCH)
    note = f"partial: {len(headline)} of {len(scale.headline.tasks)} headline tasks; missing: {', '.join(gone)}"
    changes = {
        "name": f"{scale.name}-partial",
        "tasks": left,
        "headline": scale.headline.model_copy(update={"tasks": headline}),
        "comparable": "; ".join(filter(None, (scale.comparable, note))),
    }
    return scale.model_copy(update=changes)


def digest(scale: ImageTextScale) -> str:
    """Hex SHA-256 of every file of the scale's sets, by name: they are read whole, once for each time a file changes."""
    folders = dict.fromkeys(place(scale) / (getattr(task, "folder", None) or name) for name, task in scale.tasks.items())
    files = [(folder.name, file) for folder in folders for file in sorted(folder.rglob("*")) if _counts(file.relative_to(folder))]
    lines = [
        f"{name}/{file.relative_to(place(scale) / name).as_posix()} {_digest(file, *_stat(file))}" for name, file in files if file.is_file()
    ]
    return sha256("\n".join(lines).encode())


def _counts(file: Path) -> bool:
    return not any(part.startswith(".") for part in file.parts)


def _stat(file: Path) -> tuple[int, int]:
    about = file.stat()
    return about.st_size, about.st_mtime_ns


@functools.lru_cache(maxsize=4096)
def _digest(file: Path, _size: int, _time: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_there(folder: Path) -> bool:
    return (folder / "test" / "nshards.txt").is_file() or any(folder.glob("*.parquet"))


def _classification(name: str, task: Classification, folder: Path, scale: ImageTextScale, start: int) -> Items:
    samples = _samples(folder, "classification")
    classes = _lines(folder / "classnames.txt", task.objective)
    templates = [line.replace("{c}", "{}") for line in _lines(folder / "zeroshot_classification_templates.txt", task.objective)]
    metadata = _metadata(samples, folder) if task.labels is not None or task.groups is not None else np.empty((len(samples), 0), np.int64)
    try:
        labels = np.array(
            [int(_part(sample, "cls", folder).read()) for sample in samples] if task.labels is None else metadata[:, task.labels]
        )
        groups = () if task.groups is None else tuple(map(str, metadata[:, task.groups].tolist()))
    except (ValueError, IndexError) as error:
        raise CeterisError(f"a label or a group cannot be read: {error}", where=str(folder), fix="fetch the set again") from error
    labels = labels.astype(np.int64)
    if not 0 <= labels.min() <= labels.max() < len(classes):
        raise CeterisError(f"labels reach from {labels.min()} to {labels.max()}, of {len(classes)} classes", where=str(folder), fix=_AGAIN)
    numbers = np.arange(start, start + len(samples), dtype=np.uint32)
    return Items(name, numbers, _pictures(samples, folder, scale), (), labels, tuple(classes), tuple(templates), groups)


def _retrieval(name: str, folder: Path, scale: ImageTextScale, start: int) -> Items:
    samples = _samples(folder, "retrieval")
    captions = [_part(sample, "txt", folder).read().decode("utf-8").splitlines() for sample in samples]
    owners = owners_of(captions, str(folder))
    texts = tuple(line for lines in captions for line in lines)
    numbers = np.arange(start, start + len(samples), dtype=np.uint32)
    return Items(name, numbers, _pictures(samples, folder, scale), texts, np.empty(0, np.int64), owners=owners)


def _pictures(samples: list[dict[str, Part]], folder: Path, scale: ImageTextScale) -> Decoded:
    pictures = [next((sample[ending] for ending in _IMAGES if ending in sample), None) for sample in samples]
    found = [picture for picture in pictures if picture is not None]
    if len(found) != len(samples):
        raise CeterisError("a sample has no picture", where=f"{folder} sample {pictures.index(None)}", fix=_AGAIN)
    return Decoded(len(found), lambda place: found[place].read(), scale.image, str(folder))


def _samples(folder: Path, kind: str) -> list[dict[str, Part]]:
    """The members of every sample by ending, in order; CeterisError where the set is of another kind or cannot be read."""
    about = folder / "dataset_type.txt"
    said = about.read_text(encoding="utf-8").strip().lower() if about.is_file() else "classification"
    if (said == "retrieval") != (kind == "retrieval"):
        raise CeterisError(f"the set is for {said}, the task for {kind}", where=str(about), fix="correct the task's kind or folder")
    try:
        shards = int((folder / "test" / "nshards.txt").read_text(encoding="utf-8"))
    except ValueError as error:
        raise CeterisError("this is no number of shards", where=str(folder / "test" / "nshards.txt"), fix=_AGAIN) from error
    samples: list[dict[str, Part]] = []
    for tar in (folder / "test" / f"{number}.tar" for number in range(shards)):
        try:
            samples += _listed(tar, *_stat(tar))
        except (OSError, TarError) as error:
            raise CeterisError(f"the shard cannot be read: {error}", where=str(tar), fix=_AGAIN) from error
    if not samples:
        raise CeterisError("no samples", where=str(folder), fix=_AGAIN)
    return samples


@functools.lru_cache(maxsize=64)
def _listed(tar: Path, _size: int, _time: int) -> list[dict[str, Part]]:
    samples: dict[str, dict[str, Part]] = {}
    for member in members_of(tar):
        key, _ = split(member.name)
        if key and member.code is None:
            ending = member.name.rpartition("/")[2].partition(".")[2].lower()
            samples.setdefault(key, {})[ending] = Part(tar, member.offset, member.size)
    return list(samples.values())


def _metadata(samples: list[dict[str, Part]], folder: Path) -> npt.NDArray[np.int64]:
    """(n, columns): the array in each sample's `.npy`."""
    arrays = [np.load(io.BytesIO(_part(sample, "npy", folder).read()), allow_pickle=False) for sample in samples]
    return np.stack(arrays).reshape(len(samples), -1).astype(np.int64)


def _part(sample: dict[str, Part], ending: str, folder: Path) -> Part:
    if ending not in sample:
        raise CeterisError(f"a sample has no .{ending}", where=str(folder), fix=_AGAIN)
    return sample[ending]


def _lines(file: Path, objective: str | None) -> list[str]:
    """The file's lines; of `objective: line` only those of this one, without it."""
    if not file.is_file():
        raise CeterisError("the set has no such file", where=str(file), fix=_AGAIN)
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    if objective is None:
        return lines
    return [line.partition(":")[2] for line in lines if line.partition(":")[0] == objective]
