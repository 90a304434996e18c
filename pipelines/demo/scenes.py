"""What the demo's pictures show: one to four things of one kind, or two things in a spatial relation, drawn at 96 px."""

import math
import random
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 96
SHAPES = ("circle", "square", "triangle", "diamond", "star", "cross", "ring", "crescent", "heart", "arrow")
OBJECTS = (*SHAPES, *(f"digit {n}" for n in range(10)))
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "pink", "brown")
RELATIONS = ("left of", "right of", "above", "below")
BACKGROUNDS = ("plain", "dark", "shaded", "grainy", "striped", "checked")

_RGB = ((214, 32, 36), (36, 158, 60), (36, 76, 214), (238, 214, 32), (128, 36, 168), (244, 134, 20), (246, 144, 190), (126, 78, 36))
_FONT_SHARE, _RELATION_SHARE = 0.3, 0.3
_COUNTS, _COUNT_WEIGHTS = (1, 2, 3, 4), (4, 2, 2, 2)

Point = tuple[float, float]


class Scene(NamedTuple):
    """What a picture shows, as numbers into the tuples above. `relation` is None for `number` things of one kind."""

    thing: int
    colour: int
    number: int
    background: int
    relation: int | None = None
    other: int = 0
    other_colour: int = 0


def sample(rng: random.Random) -> Scene:
    """Any scene, as the pool holds them."""
    return sample_relation(rng) if rng.random() < _RELATION_SHARE else sample_count(rng, rng.choices(_COUNTS, _COUNT_WEIGHTS)[0])


def sample_count(rng: random.Random, number: int) -> Scene:
    """A scene of `number` equal things."""
    return Scene(rng.randrange(len(OBJECTS)), rng.randrange(len(COLOURS)), number, rng.randrange(len(BACKGROUNDS)))


def sample_relation(rng: random.Random) -> Scene:
    """A scene of two different things beside or above each other."""
    thing, other = rng.sample(range(len(OBJECTS)), 2)
    colour, other_colour = rng.sample(range(len(COLOURS)), 2)
    return Scene(thing, colour, 1, rng.randrange(len(BACKGROUNDS)), rng.randrange(len(RELATIONS)), other, other_colour)


def draw(scene: Scene, rng: random.Random) -> Image.Image:
    """An RGB picture of `SIDE` x `SIDE` pixels; place, size, tilt, tint and grain come from `rng`, so no two are equal."""
    picture = _background(BACKGROUNDS[scene.background], rng)
    pen = ImageDraw.Draw(picture)
    if scene.relation is not None:
        _draw_pair(pen, scene, rng)
        return picture
    for centre, radius in _places(scene.number, rng):
        _draw_thing(pen, scene.thing, _tinted(_RGB[scene.colour], rng, 16), centre, radius, rng)
    return picture


def _draw_pair(pen: ImageDraw.ImageDraw, scene: Scene, rng: random.Random) -> None:
    near, far = 25 + rng.uniform(-5, 5), 71 + rng.uniform(-5, 5)
    along = (near, far) if RELATIONS[scene.relation or 0] in ("left of", "above") else (far, near)
    for place, thing, colour in zip(along, (scene.thing, scene.other), (scene.colour, scene.other_colour), strict=True):
        across = 48 + rng.uniform(-12, 12)
        centre = (place, across) if (scene.relation or 0) < 2 else (across, place)
        _draw_thing(pen, thing, _tinted(_RGB[colour], rng, 16), centre, rng.uniform(13, 19), rng)


def _places(count: int, rng: random.Random) -> list[tuple[Point, float]]:
    """Centres and radii that never overlap: anywhere for one thing, cells of a jittered 2 x 2 grid for more."""
    if count == 1:
        return [((48 + rng.uniform(-16, 16), 48 + rng.uniform(-16, 16)), rng.uniform(15, 29))]
    cells = rng.sample([(x, y) for x in (26, 70) for y in (26, 70)], count)
    radius = rng.uniform(11, 17)
    return [((x + rng.uniform(-5, 5), y + rng.uniform(-5, 5)), radius) for x, y in cells]


def _tinted(colour: tuple[int, int, int], rng: random.Random, by: int) -> tuple[int, int, int]:
    red, green, blue = (min(255, max(0, c + rng.randint(-by, by))) for c in colour)
    return red, green, blue


def _background(kind: str, rng: random.Random) -> Image.Image:
    level = rng.randint(24, 60) if kind == "dark" else rng.randint(196, 240)
    tint = _tinted((level, level, level), rng, 14)
    other = _tinted((level - 34, level - 34, level - 34), rng, 14)
    if kind == "shaded":
        mask = Image.linear_gradient("L").rotate(90 * rng.randrange(4)).resize((SIDE, SIDE))
        return Image.composite(Image.new("RGB", (SIDE, SIDE), tint), Image.new("RGB", (SIDE, SIDE), other), mask)
    if kind == "grainy":
        grain = np.frombuffer(rng.randbytes(24 * 24 * 3), np.uint8).reshape(24, 24, 3) // 8
        return Image.fromarray(np.array(other, np.uint8) + grain).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    picture = Image.new("RGB", (SIDE, SIDE), tint)
    if kind in ("striped", "checked"):
        _pattern(ImageDraw.Draw(picture), kind, other, rng)
    return picture


def _pattern(pen: ImageDraw.ImageDraw, kind: str, colour: tuple[int, int, int], rng: random.Random) -> None:
    step, start = rng.randint(8, 14), rng.randrange(8)
    for i, x in enumerate(range(start - 2 * step, SIDE, step)):
        if kind == "striped":
            if i % 2:
                pen.rectangle((x, 0, x + step - 1, SIDE), fill=colour)
            continue
        for j, y in enumerate(range(start - 2 * step, SIDE, step)):
            if (i + j) % 2:
                pen.rectangle((x, y, x + step - 1, y + step - 1), fill=colour)


def _draw_thing(pen: ImageDraw.ImageDraw, thing: int, fill: tuple[int, int, int], centre: Point, radius: float, rng: random.Random) -> None:
    angle = math.radians(rng.uniform(-14, 14))
    x, y = centre
    if thing >= len(SHAPES):
        digit = thing - len(SHAPES)
        if rng.random() < _FONT_SHARE:
            pen.text(centre, str(digit), fill=fill, anchor="mm", font=ImageFont.load_default(round(2.6 * radius)))
            return
        width = max(3, round(radius * rng.uniform(0.28, 0.4)))
        for stroke in _DIGITS[digit]:
            pen.line(_placed(stroke, centre, radius, angle), fill=fill, width=width, joint="curve")
        return
    name = SHAPES[thing]
    if name == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    elif name == "ring":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=fill, width=max(3, round(radius * 0.34)))
    else:
        pen.polygon(_placed(_OUTLINES[name], centre, radius, angle), fill=fill)


def _placed(points: list[Point], centre: Point, radius: float, angle: float) -> list[Point]:
    cos, sin = radius * math.cos(angle), radius * math.sin(angle)
    return [(centre[0] + px * cos - py * sin, centre[1] + px * sin + py * cos) for px, py in points]


def _arc(x: float, y: float, wide: float, high: float, start: float, end: float, steps: int = 10) -> list[Point]:
    """Points on an ellipse, from `start` to `end` degrees, clockwise from the right as y grows downwards."""
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(x + wide * math.cos(a), y + high * math.sin(a)) for a in angles]


def _star() -> list[Point]:
    return [(r * math.sin(math.pi * i / 5), -r * math.cos(math.pi * i / 5)) for i in range(10) for r in [1.05 if i % 2 == 0 else 0.42]]


_OUTLINES: dict[str, list[Point]] = {
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "triangle": [(0, -1), (0.98, 0.8), (-0.98, 0.8)],
    "diamond": [(0, -1.1), (0.68, 0), (0, 1.1), (-0.68, 0)],
    "star": _star(),
    "cross": [
        (-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3),
        (0.3, 1), (-0.3, 1), (-0.3, 0.3), (-1, 0.3), (-1, -0.3), (-0.3, -0.3),
    ],
    "crescent": [*_arc(0, 0, 1, 1, 60, 300, 16), *_arc(0.42, 0, 0.72, 0.87, 277, 83, 14)],
    "heart": [*_arc(-0.48, -0.35, 0.5, 0.5, 150, 360), *_arc(0.48, -0.35, 0.5, 0.5, 180, 390), (0, 1)],
    "arrow": [(-1, -0.28), (0.15, -0.28), (0.15, -0.8), (1, 0), (0.15, 0.8), (0.15, 0.28), (-1, 0.28)],
}  # fmt: skip

_DIGITS: list[list[list[Point]]] = [
    [_arc(0, 0, 0.55, 0.9, -90, 270, 18)],
    [[(-0.35, -0.55), (0.05, -0.9), (0.05, 0.9)]],
    [[*_arc(0, -0.4, 0.55, 0.5, -170, 30), (-0.55, 0.9), (0.6, 0.9)]],
    [[*_arc(-0.05, -0.45, 0.5, 0.45, -160, 90)], [*_arc(-0.05, 0.42, 0.58, 0.48, -90, 160)]],
    [[(0.3, 0.9), (0.3, -0.9), (-0.6, 0.35), (0.65, 0.35)]],
    [[(0.5, -0.9), (-0.4, -0.9), (-0.45, -0.1), *_arc(-0.02, 0.35, 0.55, 0.52, -120, 150)]],
    [[(0.35, -0.9), *_arc(0, 0.35, 0.55, 0.55, -170, 190, 18)]],
    [[(-0.55, -0.9), (0.55, -0.9), (-0.1, 0.9)]],
    [_arc(0, -0.45, 0.42, 0.42, 90, 450, 14), _arc(0, 0.45, 0.52, 0.47, -90, 270, 14)],
    [[*_arc(0, -0.35, 0.55, 0.55, 10, 370, 18), (0.3, 0.9)]],
]
