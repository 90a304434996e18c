"""Near-duplicates planted in a sample of the user's own texts: how many a run's grouping finds, and whether what it finds is alike."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from curate.errors import CeterisError
from curate.recipe import Recipe
from curate.record import Run
from filters.near_duplicate_text import near_duplicate_text

KIND = "near_duplicate_text"
LEVELS = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
EDGES = (0.4, 0.6, 0.75, 0.85, 0.925, 1.0)  # of bins, and the threshold besides
SHORTEST = 20  # shingles; of fewer a single word makes another text
_Z = 1.959964  # 95% of a normal distribution lie within
_Key = tuple[bytes, bytes]


@dataclass(frozen=True)
class Bin:
    """Planted pairs of a true Jaccard similarity in [low, high): how many agree in a band, how many the bands let expect, and how many
    reach the recipe's threshold, with its 95% interval (Wilson, "Probable inference", 1927)."""

    low: float
    high: float
    pairs: int
    candidates: int
    expected: float
    found: int
    interval: tuple[float, float]


@dataclass(frozen=True)
class Found:
    """Pairs that were called duplicates, how many of them are less alike than the threshold, what the others are a share of with its 95%
    interval, and the least similarity (None: no pair)."""

    pairs: int
    wrong: int
    precision: tuple[float, float]
    least: float | None


@dataclass(frozen=True)
class Audit:
    """Recall by true similarity and precision. `sampled` texts were read, `short` of them too short to be judged.

    `linked`: all pairs of the sample and its copies that reach the threshold; `unplanted`: those among them that were there before;
    `removed`: rows that the run itself dropped (a sample), each with its survivor.
    """

    grouping: str
    threshold: float
    parameters: dict[str, Any]
    sampled: int
    short: int
    bins: list[Bin]
    linked: Found
    unplanted: Found
    removed: Found


class _Judged(NamedTuple):
    """What decides about a run's grouping: its name, the parameters of its sketch and links, its threshold, the stage that asks it."""

    name: str
    sketch: dict[str, Any]
    links: dict[str, Any]
    threshold: float
    stage: str


def audit(run: Run, grouping: str | None = None, *, sample: int = 2000, seed: int = 0) -> Audit:
    """Plant copies in `sample` of the texts that entered the grouping's stage, and link them as the recipe does; writes nothing.

    Every second copy has words replaced here and there, the others one block, so that true similarities spread around `LEVELS`.
    CeterisError: the run has no such grouping of texts, or several and none is named, or no text is long enough.
    """
    how, draw = _judged(run, grouping), random.Random(f"planted {seed}")
    entered = _entered(run, how.stage)
    read = _texts(run, sorted(draw.sample(entered, min(sample, len(entered)))))
    texts = [text for text in read if text is not None]
    exactly = {**how.sketch, "exact": True}
    sketches = near_duplicate_text.sketch.measure(pl.DataFrame({"text": texts}, schema={"text": pl.String}), exactly)
    long = [n for n, size in enumerate(sketches["shingles"].bin.size().fill_null(0).to_list()) if size >= 4 * SHORTEST]
    if not long:
        raise CeterisError(f"none of {len(texts)} sampled texts has {SHORTEST} shingles", where=run.folder, fix="audit longer texts")
    copies = [_copy(texts, long, place, how.sketch, draw) for place in range(len(long))]
    planted = near_duplicate_text.sketch.measure(pl.DataFrame({"text": copies}, schema={"text": pl.String}), exactly)
    both = pl.concat([sketches, planted]).drop("error")
    truth = dict(zip(both["key"].to_list(), both["shingles"].to_list(), strict=True))
    seen = both if how.sketch["exact"] else both.with_columns(shingles=pl.lit(None, pl.Binary))
    # Without a floor every pair that agrees in a band is there, and recall can be held against the bands' own curve.
    pairs = near_duplicate_text.pairs(seen, **{**how.links, "floor": 0.0})
    alike = {(a, b): similarity for a, b, similarity in pairs.iter_rows()}
    ends = [_ordered(sketches["key"][n], key) for n, key in zip(long, planted["key"].to_list(), strict=True) if key is not None]
    edges = sorted({*EDGES, how.threshold}, reverse=True)
    bins = [_bin(low, high, ends, alike, truth, how) for high, low in [(1.0, 1.0), *pairwise(edges)]]
    linked = [pair for pair, similarity in alike.items() if _reaches(similarity, how.threshold)]
    own = set(sketches["key"].to_list())
    unplanted = [pair for pair in linked if pair[0] in own and pair[1] in own]
    return Audit(
        how.name,
        how.threshold,
        {**how.sketch, **how.links},
        len(texts),
        len(texts) - len(long),
        bins,
        linked=_found([_jaccard(truth, pair) for pair in linked], how.threshold),
        unplanted=_found([_jaccard(truth, pair) for pair in unplanted], how.threshold),
        removed=_found(_removed(run, how, exactly, sample, draw), how.threshold),
    )


def _found(true: Sequence[float], threshold: float) -> Found:
    wrong = sum(not _reaches(one, threshold) for one in true)
    return Found(len(true), wrong, wilson(len(true) - wrong, len(true)), min(true, default=None))


def _removed(run: Run, how: _Judged, exactly: Mapping[str, Any], sample: int, draw: random.Random) -> list[float]:
    """True similarities to their survivors of rows that the stage dropped."""
    cut = run.decided(how.stage).cut
    if cut is None or cut.survivors is None:
        return []
    own = pl.col("survivor") < run.pool.rows  # those beyond are rows of the pool that the stage holds its rows against
    pairs = run.store.frame(cut.survivors).filter(own).select("row", "survivor").sort("row").rows()
    pairs = draw.sample(pairs, min(sample, len(pairs)))
    rows = sorted({row for pair in pairs for row in pair})
    sketches = near_duplicate_text.sketch.measure(pl.DataFrame({"text": _texts(run, rows)}, schema={"text": pl.String}), exactly)
    packed = dict(zip(rows, sketches["shingles"].to_list(), strict=True))
    return [_similarity(packed[row], packed[survivor]) for row, survivor in pairs]


def _reaches(similarity: float, threshold: float) -> bool:
    return bool(np.float32(similarity) >= np.float32(threshold))  # evidence is stored in 32 bits


def _judged(run: Run, name: str | None) -> _Judged:
    recipe = Recipe.parse(run.store.json(f"{run.folder}/recipe.json")["text"])
    specs = {one: recipe.signals.get(one) for one in run.facts["groups"]}
    texts = [one for one, spec in specs.items() if (spec.kind if spec else one) == KIND]
    if (name not in texts) if name else len(texts) != 1:
        what = f"this run has {f'no grouping of texts called {name}' if name else f'{len(texts)} groupings of near-duplicate texts'}"
        raise CeterisError(
            what, where=run.folder, fix=f"name one with --grouping: {', '.join(texts)}" if texts else f"use {KIND} in a recipe"
        )
    chosen = name or texts[0]
    facts, spec = run.facts["groups"][chosen], specs[chosen]
    given = spec.parameters if spec else {}
    links = {key: given.get(key, value) for key, value in near_duplicate_text.defaults.items()}
    stage = next(stage for stage, node in run.facts["nodes"].items() if node["grouping"] == chosen)
    return _Judged(chosen, dict(run.facts["measures"][facts["sketch"]]["parameters"]), links, facts["threshold"], stage)


def _entered(run: Run, stage: str) -> list[int]:
    """Numbers of the rows that a stage judged."""
    codes, own = run.codes(stage), [code for code, reason in enumerate(run.decided(stage).reasons) if reason.stage == stage]
    entered: list[int] = np.flatnonzero((codes == 0) | np.isin(codes, own)).tolist()
    return entered


def _texts(run: Run, rows: Sequence[int]) -> list[str | None]:
    """Texts of rows of the pool, by ascending numbers."""
    chosen, start, texts = np.array(rows, np.int64), 0, list[str | None]()
    for shard in run.pool.shards:
        here = chosen[(chosen >= start) & (chosen < start + shard.rows)] - start
        start += shard.rows
        if here.size:
            texts += run.unchanged.read(shard, roles=["text"], rows=here).frame["text"].to_list()
    return texts


def _copy(texts: Sequence[str], long: Sequence[int], place: int, sketch: Mapping[str, Any], draw: random.Random) -> str:
    target, block = LEVELS[place % len(LEVELS)], place // len(LEVELS) % 2 == 0
    text, other = texts[long[place]], texts[draw.choice(long)]
    spaced = len(text) < 12 * max(1, len(text.split()))  # words of twelve and more on average: a script that writes none
    return varied(text, other, target, block=block, spaced=spaced, n=sketch["words" if spaced else "characters"], draw=draw)


def varied(text: str, other: str, target: float, *, block: bool, spaced: bool = True, n: int = 5, draw: random.Random) -> str:
    """A copy with words (characters, unless `spaced`) replaced by those of another text, so that of the n-grams about `target` are shared.

    Of g n-grams each a share s = 2t / (1 + t) must survive for a Jaccard similarity of t. Scattered, an n-gram survives with (1 - p)^n if
    p of the words are replaced; a block of b words takes b + n - 1. What comes out differs where words repeat: measure it.
    """
    cut = r"(\s+)" if spaced else r"()(?<=.)(?=.)"
    pieces, fresh = re.split(cut, text, flags=re.DOTALL), (other.split() if spaced else list(other)) or ["x"]
    places = range(0, len(pieces), 2)
    survive = 2 * target / (1 + target)
    share = (1 - survive) - (n - 1) / len(places) if block else 1 - survive ** (1 / n)
    count = 0 if target >= 1 else min(len(places), max(1, round(share * len(places))))
    first, begin = draw.randrange(len(places) - count + 1), draw.randrange(len(fresh))
    chosen = places[first : first + count] if block else draw.sample(places, count)
    for k, at in enumerate(chosen):
        pieces[at] = fresh[(begin + k) % len(fresh)] if block else draw.choice(fresh)
    return "".join(pieces)


def _ordered(a: bytes, b: bytes) -> _Key:
    return (a, b) if a < b else (b, a)


def _bin(low: float, high: float, ends: Sequence[_Key], alike: Mapping[_Key, float], truth: Mapping[bytes, bytes], how: _Judged) -> Bin:
    true = {number: _jaccard(truth, pair) for number, pair in enumerate(ends)}
    inside = [number for number, value in true.items() if low <= value < high or value == low == high]
    # Equal keys are one text to the grouping: they need no link.
    similar = [1.0 if ends[number][0] == ends[number][1] else alike.get(ends[number]) for number in inside]
    curve = near_duplicate_text.recall or (lambda similarities, **_: [float("nan") for _ in similarities])
    expected = sum(curve([true[number] for number in inside], bands=how.links["bands"], rows=how.links["rows"]))
    found = sum(one is not None and _reaches(one, how.threshold) for one in similar)
    candidates = sum(one is not None for one in similar)
    return Bin(low, high, len(inside), candidates, expected / max(1, len(inside)), found, wilson(found, len(inside)))


def _jaccard(truth: Mapping[bytes, bytes], ends: _Key) -> float:
    return _similarity(truth[ends[0]], truth[ends[1]])


def _similarity(one: bytes, other: bytes) -> float:
    """Jaccard's, of two packed sets of shingles."""
    a, b = (np.frombuffer(packed, "<u4") for packed in (one, other))
    shared = int(np.intersect1d(a, b, assume_unique=True).size)
    return shared / (a.size + b.size - shared)


def wilson(found: int, of: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share; (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    share, spread = found / of, _Z * _Z / of
    middle, half = share + spread / 2, _Z * sqrt(share * (1 - share) / of + spread / (4 * of))
    return (middle - half) / (1 + spread) if found else 0.0, (middle + half) / (1 + spread) if found < of else 1.0
