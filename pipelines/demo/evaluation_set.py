"""Write the evaluation Parquet of scale tiny-image-text: `python -m pipelines.demo.evaluation_set [DIGITS]`.

The file is committed as data, so that no release of an image library moves it; this says how it was made. Pictures come from the demo's
scenes under seeds of their own, 64 px in at most 48 colours; retrieval texts have templates that neither pool nor trusted pairs use.
The handwritten digits at the end were written by people: DIGITS is the test part of UCI's "Optical Recognition of Handwritten Digits"
(`optdigits.tes`, or scikit-learn's copy of it, `digits.csv.gz`); without it they are taken from the committed file.
"""

import io
import random
import sys
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipelines.demo import captions, scenes

SPLITS = ("validation", "test")
ITEMS = {"single": 1000, "count": 900, "relation": 300, "retrieval": 500}

_FILE = "tasks/tiny_image_text.parquet"
_SIDE, _PALETTE = 64, 48
_DIGITS, _VALIDATION = "handwritten_digits", 360
_INK, _PAPER, _MARGIN = np.array([40, 60, 200]), np.array([245, 245, 245]), 2
_COLUMNS = ("task", "split", "kind", "image", "text", "label")
_SCHEMA = pa.schema([(name, pa.binary() if name == "image" else pa.string()) for name in _COLUMNS])


class Leakable(NamedTuple):
    """A test item that a pool may leak: its row number in the Parquet, picture and text."""

    row: int
    image: bytes
    text: str


def leakable() -> list[Leakable]:
    """The retrieval pairs of the committed test split, in file order."""
    with resources.as_file(resources.files("eval_fixed_model") / _FILE) as path:
        items = pq.read_table(path, columns=["task", "split", "image", "text"]).to_pylist()
    wanted = ((i, item) for i, item in enumerate(items) if (item["task"], item["split"]) == ("retrieval", "test"))
    return [Leakable(i, item["image"], item["text"]) for i, item in wanted]


def make_evaluation_set(path: Path, seed: int = 0, digits: Path | None = None) -> None:
    """Write the Parquet: task, split, kind, image (PNG), text (retrieval only), label (classification only, a class name).

    Tasks shape and colour ask about the same pictures, of single things. `digits` as this module says.
    """
    rows = [item for split in SPLITS for item in _split_items(split, random.Random(f"evaluation {split} {seed}"))]
    rows += _committed_digits() if digits is None else handwritten(digits)
    path.parent.mkdir(parents=True, exist_ok=True)
    # One dictionary page holds every distinct picture, so that a picture two tasks share is stored once.
    pq.write_table(
        pa.Table.from_pylist(rows, schema=_SCHEMA), path, compression="zstd", row_group_size=len(rows), dictionary_pagesize_limit=1 << 26
    )


def _split_items(split: str, rng: random.Random) -> list[dict[str, Any]]:
    items = []
    singles = [scenes.sample_count(rng, 1)._replace(thing=i % len(scenes.OBJECTS)) for i in range(ITEMS["single"])]
    images = [_png(scenes.draw(scene, rng)) for scene in singles]
    for scene, image in zip(singles, images, strict=True):
        items.append(_item("shape", split, image, label=scenes.OBJECTS[scene.thing]))
    for scene, image in zip(singles, images, strict=True):
        items.append(_item("colour", split, image, label=scenes.COLOURS[scene.colour]))
    for i in range(ITEMS["count"]):
        scene = scenes.sample_count(rng, 1 + i % 4)
        items.append(_item("count", split, _png(scenes.draw(scene, rng)), label=captions.COUNT_WORDS[scene.number - 1]))
    for i in range(ITEMS["relation"]):
        scene = scenes.sample_relation(rng)._replace(relation=i % len(scenes.RELATIONS))
        items.append(_item("relation", split, _png(scenes.draw(scene, rng)), label=scenes.RELATIONS[i % len(scenes.RELATIONS)]))
    for scene in _distinct(ITEMS["retrieval"], rng):
        text = captions.english(scene, captions.EVALUATION, rng)
        items.append(_item("retrieval", split, _png(scenes.draw(scene, rng)), text=text))
    return items


def handwritten(source: Path) -> list[dict[str, Any]]:
    """Items of lines of 64 numbers from 0 to 16 (8 x 8 pixels, 16 is ink) and a digit, as PNGs of 12 px: blue ink on paper, with a margin.

    So drawn, judges trained on the demo's good pairs are right more often than by chance; chosen on the validation split, the first 360
    lines. Neighbours tend to be of one writer, so a random split would have every writer in both.
    """
    lines = np.loadtxt(source, delimiter=",", dtype=np.int64)
    shares = np.arange(17)[:, None] / 16
    colours = np.rint(shares * _INK + (1 - shares) * _PAPER).astype(np.uint8)
    counts = np.pad(lines[:, :64].reshape(-1, 8, 8), ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN))).astype(np.uint8)
    items = []
    for i, (picture, digit) in enumerate(zip(counts, lines[:, 64].tolist(), strict=True)):
        image = Image.fromarray(picture).convert("P")
        image.putpalette(colours.tobytes())
        items.append(_item(_DIGITS, SPLITS[i >= _VALIDATION], _encoded(image), label=f"digit {digit}"))
    return items


def _committed_digits() -> list[dict[str, Any]]:
    with resources.as_file(resources.files("eval_fixed_model") / _FILE) as path:
        return [item for item in pq.read_table(path).to_pylist() if item["task"] == _DIGITS]


def _distinct(number: int, rng: random.Random) -> list[scenes.Scene]:
    """Scenes of which no two hold the same things, colours and number, whatever the background or who stands where."""
    found: dict[object, scenes.Scene] = {}
    while len(found) < number:
        scene = scenes.sample(rng)
        first, second = (scene.thing, scene.colour), (scene.other, scene.other_colour)
        content = {first} if scene.relation is None else {first, second}
        found.setdefault((scene.number, frozenset(content)), scene)
    return list(found.values())


def _item(task: str, split: str, image: bytes, *, text: str | None = None, label: str | None = None) -> dict[str, Any]:
    kind = "retrieval" if text is not None else "classification"
    return {"task": task, "split": split, "kind": kind, "image": image, "text": text, "label": label}


def _png(picture: Image.Image) -> bytes:
    return _encoded(picture.resize((_SIDE, _SIDE), Image.Resampling.BOX).quantize(_PALETTE, dither=Image.Dither.NONE))


def _encoded(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> None:
    """Write the file into the package's source tree."""
    with resources.as_file(resources.files("eval_fixed_model")) as room:
        make_evaluation_set(room / _FILE, digits=Path(sys.argv[1]) if len(sys.argv) > 1 else None)


if __name__ == "__main__":
    main()
