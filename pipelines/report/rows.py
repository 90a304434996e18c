"""Rows to look at: drawn from those kept and dropped, those nearest to each threshold, and duplicates beside the rows they left for.

What a row says comes from `why`, the one door to rows: rows that it does not tell of are not shown. Pictures are decoded and written anew.
"""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from PIL import Image

from curate.audit import story
from curate.index.search import place_of
from curate.plan import POOL, parted
from curate.record import Run
from filters._image import ImageError, decode, shape
from pipelines import show
from pipelines.captions import name_entries
from pipelines.provenance.fate import barred, barred_of
from pipelines.provenance.index import by_pool, runs_of
from pipelines.provenance.survivors import unnamed
from pipelines.report.evidence import Floats, Held, Mask
from pipelines.report.thresholds import Curve

Numbers = npt.NDArray[np.int64]

AT_MOST = 360
"""Cards on one page, shared out fairly: a group that has rows shows some of them, however many groups there are."""
KEPT, DROPPED, NEAR, PAIRS = 12, 6, 4, 5
SIDE = 112
PIXELS_AT_MOST = 40_000_000
"""Larger pictures are not decoded to be shown small: 120 MB as RGB."""
QUALITY = 72
ROLES = ("text", "url", "source", "license")


@dataclass(frozen=True)
class Card:
    """One row: its uid and place, what its roles say, every stage's verdict in words, all its values, and its picture as a data address
    (None: it has none, or none that can be decoded, which `fault` says)."""

    uid: str
    original: str
    shard: str
    row: int
    roles: dict[str, str]
    fate: tuple[tuple[str, str, str], ...]
    values: tuple[tuple[str, Any], ...]
    subsets: tuple[str, ...]
    picture: str | None = None
    size: tuple[int, int] | None = None
    fault: str = ""


@dataclass(frozen=True)
class Shown:
    """Cards under one heading: single rows, or `pairs` of a row that left and the one it left for. `of` is how many such rows there are."""

    id: str
    kind: str
    title: str
    about: str
    of: int
    cards: tuple[tuple[Card, str], ...] = ()
    pairs: tuple[tuple[Card, Card | None, str], ...] = ()

    @property
    def shown(self) -> int:
        """How many of them are here."""
        return len(self.cards) + len(self.pairs)


@dataclass(frozen=True)
class Line:
    """A row to be shown: its pool-wide number, what is said of it here, the one it left for, and where it stands among the others."""

    number: int
    place: float
    told: str = ""
    survivor: int | None = None


@dataclass(frozen=True)
class Picked:
    """A group before its rows are read: `lines` are what it would show, the most telling first."""

    shown: Shown
    lines: tuple[Line, ...]

    @property
    def cards(self) -> int:
        """How many cards that would be."""
        return len(self.lines) * (2 if self.shown.kind == "duplicates" else 1)

    def read(self, rows: "Rows", cards: int) -> Shown:
        """The group with so many cards at most, and one row at least, in order."""
        pairs = self.shown.kind == "duplicates"
        lines = sorted(self.lines[: max(cards // 2 if pairs else cards, 1)], key=lambda line: line.place)
        made = [(card, rows.card(line.survivor), line.told) for line in lines if (card := rows.card(line.number)) is not None]
        if pairs:
            return replace(self.shown, pairs=tuple(made))
        return replace(self.shown, cards=tuple((card, told) for card, _, told in made))


@dataclass
class Rows:
    """The cards of one page: each row is read once."""

    held: Held
    known: dict[int, Card | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Which rows are never drawn: those that were taken down, and those that any run on this pool restricts."""
        run = self.held.run
        self.open: Mask = np.ones(run.pool.rows, bool)
        self.open[barred_of(run)] = False
        self.plain = unnamed(run.store, by_pool(runs_of(run.store)), barred)

    def card(self, number: int | None) -> Card | None:
        """The row with this pool-wide number; None where it must not be shown, or is of another pool."""
        if number is None or number >= self.open.size:
            return None
        if number not in self.known:
            self.known[number] = self._card(number) if self.open[number] else None
        return self.known[number]

    def _card(self, number: int) -> Card | None:
        """The row as `why` tells it, with its picture; None where it tells nothing of its content."""
        run = self.held.run
        found = story(run, place_of(run.pool, number))
        return card_of(run, name_entries(run, found | {"stages": self.plain(found["stages"])}))


def card_of(run: Run, story: dict[str, Any]) -> Card | None:
    """What `why` told of a row of this run, with its picture; None for a row of which only the address may be told."""
    if "shard" not in story or not any(role in story for role in run.pool.roles if role != "uid"):
        return None
    fate = tuple((stage, verdict["kind"], show.told(stage, verdict, story["values"])) for stage, verdict in story["stages"].items())
    roles = {role: str(story[role]) for role in (*ROLES, *run.pool.roles) if role not in ("image", "uid", "face_boxes") and story.get(role)}
    picture, size, fault = _picture(run, story) if "image" in run.pool.roles else (None, None, "")
    values = tuple((name, value) for name, value in story["values"].items() if not _is_bytes(run, name))
    where = story["uid"], str(story.get("original", "")), story["shard"], story["row"]
    return Card(*where, roles, fate, values, tuple(story["subsets"]), picture, size, fault)


def _is_bytes(run: Run, column: str) -> bool:
    name, field = parted(column)
    return bool(run.facts["measures"].get(name, {}).get("columns", {}).get(field) == "Binary")


def _picture(run: Run, story: dict[str, Any]) -> tuple[str | None, tuple[int, int] | None, str]:
    """The picture of a row that may be shown, small and written anew as WebP; or why there is none."""
    shard = next(one for one in run.pool.shards if one.path == story["shard"])
    read = run.unchanged.read(shard, roles=["image"], rows=[story["row"]])
    data = read.frame["image"][0]
    if data is None:
        return None, None, str(read.faults["image"][0]) if "image" in read.faults else "no image"
    try:
        return thumbnail(data)
    except ImageError as error:
        return None, None, error.code


def thumbnail(data: bytes, side: int = SIDE) -> tuple[str, tuple[int, int], str]:
    """An encoded image as a data address of at most `side` pixels a side, and the size it has. Raises ImageError."""
    width, height = shape(data)
    if width * height > PIXELS_AT_MOST:
        raise ImageError("too_large")
    image = decode(data)
    size = image.size
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(out, "WEBP", quality=QUALITY, method=4)  # pixels alone: no metadata leaves
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}", size, ""


def browse(held: Held, curves: Sequence[Curve]) -> list[Shown]:
    """Every group of rows to look at: kept by each subset, dropped by each reason, nearest to each threshold, and duplicates."""
    if held.gone:
        return []
    rows = Rows(held)
    order = ["kept", "dropped", "no evidence", "quarantined", "near", "duplicates"]
    picked = [one for one in (*_kept(rows), *_dropped(rows), *_near(rows, curves), *_duplicates(rows)) if one.lines]
    cards = fair_share([one.cards for one in picked], AT_MOST)
    read = [one.read(rows, cards) for one in sorted(picked, key=lambda one: order.index(one.shown.kind))]
    return [one for one in read if one.shown]


def fair_share(wanted: Sequence[int], at_most: int) -> int:
    """How many each may have, such that all have as many as they want or equally many, and together no more than `at_most`; at least 1."""
    most = max(wanted, default=1)
    return next((share for share in range(most, 1, -1) if sum(min(one, share) for one in wanted) <= at_most), 1)


def _draw(mask: Mask, count: int) -> tuple[Line, ...]:
    """As many rows, drawn by chance, the same each time."""
    there = np.flatnonzero(mask)
    drawn = np.random.default_rng(0).choice(there, min(count, there.size), replace=False)
    return tuple(Line(number, number) for number in drawn.tolist())


def _kept(rows: Rows) -> Iterator[Picked]:
    for name in reversed(rows.held.subsets()):
        mask = rows.held.of_subset(name) & rows.open
        yield Picked(Shown(f"kept-{name}", "kept", name, f"rows in the subset {name}, drawn by chance", int(mask.sum())), _draw(mask, KEPT))


def _dropped(rows: Rows) -> Iterator[Picked]:
    held = rows.held
    for stage in held.run.facts["nodes"]:
        if stage == POOL:
            continue
        codes = held.codes(stage)
        for code, reason in enumerate(held.run.decided(stage).reasons):
            mask = (codes == code) & rows.open
            if reason.stage != stage or reason.kind in ("in", "restricted") or not mask.any():
                continue
            about = f"rows, {reason.kind} at {stage} by {reason.text}, drawn by chance"
            shown = Shown(f"left-{stage}-{code}", reason.kind, f"{stage}: {reason.text}", about, int(mask.sum()))
            yield Picked(shown, _draw(mask, DROPPED))


def _near(rows: Rows, curves: Sequence[Curve]) -> Iterator[Picked]:
    for number, curve in enumerate(curves):
        if curve.now is None:
            continue
        values = rows.held.numbers(curve.column)
        judged = curve.judged & rows.open & ~np.isnan(values)
        passing = _passes(values, curve)
        sides = [_nearest(values, judged & side, curve.now).tolist() for side in (passing, ~passing)]
        both = [side[at] for at in range(NEAR) for side in sides if at < len(side)]  # the nearest of each side first
        up = -1 if curve.sign.startswith(">") else 1
        lines = tuple(Line(row, up * values[row], _against(values[row], bool(passing[row]), curve)) for row in both)
        about = f"rows judged, the nearest on both sides of {curve.column} {curve.sign} {curve.now:.6g}"
        title = f"{curve.stage}: {curve.column} {curve.sign} {curve.now:.4g}"
        yield Picked(Shown(f"near-{number}", "near", title, about, int(judged.sum())), lines)


def _against(value: float, passes: bool, curve: Curve) -> str:
    return f"{value:.6g} {'passes' if passes else 'fails'} {curve.sign} {curve.now:.6g}"


def _passes(values: Floats, curve: Curve) -> Mask:
    assert curve.now is not None
    compared = {">=": np.greater_equal, ">": np.greater, "<=": np.less_equal, "<": np.less}[curve.sign](values, curve.now)
    return np.asarray(compared, bool)


def _nearest(values: Floats, mask: Mask, to: float) -> Numbers:
    there = np.flatnonzero(mask)
    return there[np.argsort(np.abs(values[there] - to), kind="stable")[:NEAR]]


def _duplicates(rows: Rows) -> Iterator[Picked]:
    held = rows.held
    for stage, node in held.run.facts["nodes"].items():
        cut = held.run.decided(stage).cut if stage != POOL else None
        if cut is None or cut.survivors is None:
            continue
        found = held.run.store.frame(cut.survivors).sort("similarity", "row").select("row", "survivor", "similarity")
        found = found.filter(pl.Series(rows.open).gather(found["row"]))
        if not found.height:
            continue
        threshold = held.run.facts["groups"].get(node["grouping"], {}).get("threshold")
        places = dict.fromkeys([0, *np.linspace(0, found.height - 1, PAIRS).astype(int).tolist(), *range(min(PAIRS, found.height))])
        picked = [(place, *found.row(place)) for place in places]
        lines = tuple(Line(row, place, f"similarity {alike:.3f}", survivor) for place, row, survivor, alike in picked)
        at = "" if threshold is None else f", at a threshold of {threshold:g}"
        about = f"rows that left {stage} for one that is like them{at}; the least alike first, then across the range"
        yield Picked(Shown(f"twins-{stage}", "duplicates", f"{stage}: {node['grouping']}", about, found.height), lines)
