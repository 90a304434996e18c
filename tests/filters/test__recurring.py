import numpy as np
import pytest

from filters._recurring import Tally, recurring, tally


def _pool(seed: int) -> list[tuple[int, list[int]]]:
    """Documents by their hash, and the things in them: few things are in many documents, most in one."""
    rng = np.random.default_rng(seed)
    things = rng.integers(0, 2**64, 4000, dtype=np.uint64)
    often = rng.zipf(1.3, 6000) % 4000
    cuts = np.sort(rng.integers(0, 6000, 900))
    documents = rng.integers(0, 2**64, 901, dtype=np.uint64)
    return [(int(document), things[part].tolist()) for document, part in zip(documents, np.split(often, cuts), strict=True)]


def _expected(pool: list[tuple[int, list[int]]]) -> tuple[dict[int, tuple[int, int]], int]:
    found: dict[int, list[int]] = {}
    for document, things in pool:
        for thing in set(things):
            found.setdefault(thing, []).append(document)
    return {thing: (len(within), min(within)) for thing, within in found.items() if len(within) > 1}, len(found)


def _tallies(pool: list[tuple[int, list[int]]], size: int) -> list[Tally]:
    made = []
    for start in range(0, len(pool), size):
        part = pool[start : start + size]
        rows = np.repeat(np.arange(len(part)), [len(things) for _, things in part])
        hashes = np.array([thing for _, things in part for thing in things], np.uint64)
        made.append(tally(hashes, np.array([document for document, _ in part], np.uint64)[rows], rows))
    return made


@pytest.mark.parametrize("at_once", [1 << 22, 1000, 64], ids=["in memory", "some runs", "many runs"])
@pytest.mark.parametrize("size", [7, 100, 1000])
def test_counts_and_owners_are_those_of_a_dictionary(size: int, at_once: int) -> None:
    pool = _pool(size)
    expected, distinct = _expected(pool)
    found, total = recurring(_tallies(pool, size), at_once)
    assert total == distinct
    assert len(expected) > 300
    assert {h: (c, o) for h, c, o in zip(*(column.tolist() for column in found), strict=True)} == expected
    assert np.all(np.diff(found.hashes) > 0)


def test_order_and_cuts_change_nothing() -> None:
    pool = _pool(1)
    once, _ = recurring(_tallies(pool, 50), 500)
    turned, _ = recurring(_tallies(pool[::-1], 33), 200)
    assert all(np.array_equal(one, other) for one, other in zip(once, turned, strict=True))


def test_nothing_recurs_in_nothing() -> None:
    for tallies in ([], _tallies([(1, []), (2, [])], 1)):
        found, total = recurring(tallies)
        assert ([column.tolist() for column in found], total) == ([[], [], []], 0)
