"""A small world with known truth: coloured shapes, captions that name both, and a scale that learns them in a second."""

import io
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw
from ruamel.yaml import YAML

from curate.digest import UInt64s, words_of
from eval_fixed_model.rows.images import Rows, materialise
from eval_fixed_model.scale import Scale, load_scale
from tests.eval_fixed_model.trainings import Asked

ROOT = Path(__file__).parents[2]
COLOURS = {
    "red": (200, 40, 40),
    "green": (40, 170, 60),
    "blue": (40, 60, 200),
    "yellow": (220, 210, 40),
    "white": (240, 240, 240),
    "black": (10, 10, 10),
}
SHAPES = ("square", "disc", "cross")
THINGS = list(itertools.product(COLOURS, SHAPES))


def _draw(colour: str, shape: str, rng: np.random.Generator) -> bytes:
    image = Image.new("RGB", (24, 24), tuple(int(level) for level in rng.integers(90, 150, 3)))
    pen, x, y = ImageDraw.Draw(image), int(rng.integers(2, 8)), int(rng.integers(2, 8))
    if shape == "square":
        pen.rectangle((x, y, x + 13, y + 13), COLOURS[colour])
    elif shape == "disc":
        pen.ellipse((x, y, x + 13, y + 13), COLOURS[colour])
    else:
        pen.rectangle((x + 5, y, x + 8, y + 13), COLOURS[colour])
        pen.rectangle((x, y + 5, x + 13, y + 8), COLOURS[colour])
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _items(split: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for task, place in (("colour", 0), ("shape", 1)):
        for thing in THINGS * 3:
            image = _draw(*thing, rng)
            items += [{"task": task, "kind": "classification", "image": image, "text": None, "label": thing[place]}]
    for colour, shape in THINGS:
        text = f"the {shape} is {colour}"
        items.append({"task": "retrieval", "kind": "retrieval", "image": _draw(colour, shape, rng), "text": text, "label": None})
    return [{"split": split, **item} for item in items]


class World(NamedTuple):
    """The scale with its file, and rows with true captions: uids, encoded images, texts."""

    scale_file: Path
    scale: Scale
    uids: UInt64s
    images: list[bytes]
    texts: list[str]

    def materialised(self, folder: Path, texts: list[str] | None = None) -> Rows:
        """The rows, read in one batch, with these texts instead of their own."""
        return materialise([(self.uids, pl.DataFrame({"image": self.images, "text": texts or self.texts}))], self.scale, folder)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, write_scale: Callable[..., Path]) -> World:
    folder, rng = tmp_path_factory.mktemp("world"), np.random.default_rng(0)
    items = [*_items("validation", rng), *_items("test", rng)]
    schema = {"task": pl.String, "split": pl.String, "kind": pl.String, "image": pl.Binary, "text": pl.String, "label": pl.String}
    pl.DataFrame(items, schema=schema).write_parquet(folder / "items.parquet")
    tasks = {
        "colour": {"kind": "classification", "classes": list(COLOURS), "templates": ["one {} square", "one {} disc", "one {} cross"]},
        "shape": {"kind": "classification", "classes": list(SHAPES), "templates": ["one red {}", "one blue {}"]},
        "retrieval": {"kind": "retrieval"},
    }
    file = write_scale(
        folder / "small.yaml",
        image__resolution=16,
        model__channels=[8, 16, 16],
        model__token_width=32,
        model__embed=32,
        tokens__vocabulary=512,
        tokens__context=8,
        samples_seen=6400,
        augmentation__roll=1,
        items={"file": "items.parquet"},
        tasks=tasks,
        headline__tasks=["colour", "shape", "retrieval"],
    )
    things = [THINGS[i] for i in rng.integers(0, len(THINGS), 400)]
    uids = words_of([rng.bytes(16) for _ in things])
    images = [_draw(*thing, rng) for thing in things]
    return World(file, load_scale(file), uids, images, [f"a {colour} {shape} on grey" for colour, shape in things])


@pytest.fixture(scope="session")
def rows_folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows") / "true"
    world.materialised(folder)
    return folder


@pytest.fixture(scope="session")
def ten_steps(world: World, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """The world's scale for ten steps, each a point of the curve, its rows, and pieces of 24 pairs."""
    folder = tmp_path_factory.mktemp("ten")
    record = YAML(typ="safe", pure=True).load(world.scale_file.read_text(encoding="utf-8"))["small"]
    record |= {"samples_seen": 640, "items": {"file": str(world.scale.evaluation_file)}}
    with (folder / "ten.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump({"ten": record}, file)
    world._replace(scale=load_scale(folder / "ten.yaml")).materialised(folder / "rows")
    return Asked(folder / "ten.yaml", folder / "rows", 24)


@pytest.fixture(scope="session")
def ended_and_joined(ten_steps: Asked, world: World, rows_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a process of its own left what `tests.eval_fixed_model.trainings` found."""
    folder = tmp_path_factory.mktemp("trainings")
    arguments = [folder, world.scale_file, rows_folder, ten_steps.scale, ten_steps.rows]
    subprocess.run([sys.executable, "-m", "tests.eval_fixed_model.trainings", *map(str, arguments)], check=True, cwd=ROOT, timeout=600)
    return folder


@pytest.fixture(scope="session")
def scale_file(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 batches of 40: two epochs of 400 rows, and a part of the third."""
    record = {**world.scale.kept(), "samples_seen": 960, "batch": 40, "order": "blocked"}
    record["items"] = {"file": str(world.scale.evaluation_file)}
    file = tmp_path_factory.mktemp("blocked") / "blocked.yaml"
    del record["name"]
    with file.open("w", encoding="utf-8") as into:
        YAML(typ="safe", pure=True).dump({"blocked": record}, into)
    return file
