import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from curate.errors import RecipeError
from curate.sketches import Sketches
from filters import _projections
from filters.near_duplicate_embedding import links, near_duplicate_embedding, recall, sketch

Found = dict[tuple[int, int], float]


def _sketched(vectors: np.ndarray | list[bytes | None]) -> pl.DataFrame:
    values = vectors if isinstance(vectors, list) else [row.tobytes() for row in vectors.astype("<f2")]
    return sketch(pl.DataFrame({"features": pl.Series(values, dtype=pl.Binary)}))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _pairs_of_cosine(cosine: float, count: int, width: int, seed: int = 0) -> np.ndarray:
    """Vectors i and i + count have this cosine."""
    rng = np.random.default_rng(seed)
    one = _unit(rng.normal(size=(count, width)))
    other = rng.normal(size=(count, width))
    across = _unit(other - (one * other).sum(1, keepdims=True) * one)
    return np.concatenate([one, cosine * one + (1 - cosine**2) ** 0.5 * across])


@pytest.fixture(scope="module")
def crowded() -> pl.DataFrame:
    """60 directions, with ten others each at cosines of about .99 down to .5."""
    rng = np.random.default_rng(2)
    heads = _unit(rng.normal(size=(60, 48)))
    spread = np.linspace(0.1, 1.7, 10)
    near = [_unit(heads + size * _unit(rng.normal(size=heads.shape))) for size in spread]
    return _sketched(rng.permutation(np.concatenate([heads, *near])))


def _cosines(rows: pl.DataFrame) -> np.ndarray:
    vectors = np.frombuffer(b"".join(rows["vector"]), "<f2").reshape(rows.height, -1).astype(np.float64)
    return _unit(vectors) @ _unit(vectors).T


def _linked(sketches: Sketches, **parameters: object) -> list[tuple[tuple[int, int], float]]:
    return [((i, j), alike) for frame in links(sketches, **parameters) for i, j, alike in frame.iter_rows()]


def _true(rows: pl.DataFrame, floor: float) -> Found:
    cosines = _cosines(rows)
    return {(i, j): float(cosines[i, j]) for i, j in np.argwhere(np.triu(cosines >= floor, 1)).tolist()}


def test_every_pair_found_has_its_cosine_and_no_similar_pair_is_lost(crowded: pl.DataFrame) -> None:
    found, true = dict(_linked(Sketches.of(crowded), floor=0.8)), _true(crowded, 0.8)
    assert len(true) > 500
    assert set(found) <= set(true)
    assert all(alike == np.float32(true[pair]) or abs(alike - true[pair]) < 1e-7 for pair, alike in found.items())
    sure = set(_true(crowded, 0.93))
    assert len(sure) > 150
    assert sure <= set(found)


@pytest.mark.parametrize(("cosine", "width"), [(0.7, 512), (0.85, 96), (0.9, 16)])
def test_recall_is_what_the_curve_says(cosine: float, width: int) -> None:
    count = 3000
    found = _linked(Sketches.of(_sketched(_pairs_of_cosine(cosine, count, width))), floor=cosine - 0.01)
    right = sum(j == i + count for i, j in dict(found))
    (expected,) = recall([cosine])
    assert abs(right / count - expected) < 5 * (expected * (1 - expected) / count) ** 0.5


def test_the_recall_curve_in_numbers() -> None:
    assert recall([-1.0, 0.0, 0.5, 0.8, 0.9, 0.95, 1.0]) == pytest.approx([0, 0.00012, 0.0378, 0.7313, 0.99727, 0.9999999, 1], abs=5e-5)
    assert recall([0.9], bands=1, rows=1) == pytest.approx([0.8564], abs=5e-4)


def test_what_is_found_depends_neither_on_batches_nor_on_order(crowded: pl.DataFrame) -> None:
    """Pairs by key, similarities to the last bit."""
    at_once = near_duplicate_embedding.pairs(crowded, floor=0.5)
    order = np.random.default_rng(0).permutation(crowded.height)
    assert near_duplicate_embedding.pairs(crowded[order], floor=0.5).equals(at_once)
    frames = [crowded[start : start + 7] for start in range(0, crowded.height, 7)]
    every = Sketches.of(*frames)
    assert sorted(set(_linked(Sketches(every.batches, 0), floor=0.5))) == sorted(_linked(Sketches.of(crowded), floor=0.5))


def test_shares_of_the_search_find_together_what_one_finds(crowded: pl.DataFrame) -> None:
    every = Sketches.of(crowded[:300], crowded[300:])
    shared = [_linked(Sketches(every.batches, every.fresh, (share, 3))) for share in range(3)]
    assert {pair for one in shared for pair in one} == set(_linked(every))
    assert all(j >= 300 for one in shared for (_, j), _ in one)


def test_little_memory_finds_the_same(crowded: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sorted(_linked(Sketches.of(crowded), floor=0.5))
    assert len(whole) == len(dict(whole)) > 800
    monkeypatch.setattr(_projections, "PAIRS", 100)
    monkeypatch.setattr(_projections, "CODES", 5 * crowded.height)
    monkeypatch.setattr(_projections, "_TILE", 5)
    assert sorted(set(_linked(Sketches.of(crowded), floor=0.5))) == whole


def test_links_grow_as_rows_arrive(crowded: pl.DataFrame) -> None:
    known, new = crowded[:400], crowded[400:]
    parts = [near_duplicate_embedding.pairs(known), near_duplicate_embedding.pairs(known, new)]
    assert parts[1].height > 0
    assert pl.concat(parts).sort("a", "b").equals(near_duplicate_embedding.pairs(crowded))


def test_vectors_of_one_direction_are_one_and_those_without_have_an_error() -> None:
    one = np.array([0.25, -0.5, 0.75, 0.0], "<f2")
    nothing, endless = np.zeros(4, "<f2"), np.array([1, np.inf, 0, 0], "<f2")
    rows = _sketched([one.tobytes(), (2 * one).tobytes(), (-one).tobytes(), nothing.tobytes(), endless.tobytes(), None])
    assert rows["key"][0] == rows["key"][1] != rows["key"][2]
    assert rows["error"].to_list() == [None, None, None, "not_a_direction", "not_a_direction", None]
    assert rows["key"].is_null().to_list() == [False] * 3 + [True] * 3
    assert near_duplicate_embedding.pairs(rows, floor=-1.0, rows=1)["similarity"].to_list() in ([], [-1.0])
    assert near_duplicate_embedding.pairs(_sketched([None, None])).height == 0


def test_what_cannot_be_compared_is_refused() -> None:
    narrow, wide = _sketched(np.eye(4)), _sketched(np.eye(6))
    with pytest.raises(RecipeError, match="vectors of 4 and of 6 numbers cannot be compared"):
        near_duplicate_embedding.pairs(narrow, wide)
    with pytest.raises(RecipeError, match="holds vectors of 8, 12 bytes"):
        _sketched([bytes(8), bytes(12)])
    with pytest.raises(RecipeError, match="vectors of 9000 numbers; 8192 can be"):
        _sketched([bytes(18_000)])
    with pytest.raises(RecipeError, match="bands: 0, rows: 20 cannot be"):
        near_duplicate_embedding.pairs(narrow, bands=0)


def test_planning_loads_no_compiler() -> None:
    code = "import sys, filters.near_duplicate_embedding\nassert not {'numba', 'llvmlite', 'torch'} & set(sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
