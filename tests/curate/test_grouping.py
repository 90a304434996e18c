import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.grouping import grouping, keep_one
from curate.signal import signal

SIMILARITIES = st.sampled_from([0.3, 0.79, 0.8, 0.85, 0.9, 1.0])


@st.composite
def worlds(draw):
    """Rows, best first, in classes of equal keys, and links between classes; every pair of classes at most once."""
    count = draw(st.integers(1, 6))
    rows = [*range(count), *draw(st.lists(st.integers(0, count - 1), max_size=6))]
    classes = draw(st.permutations(rows))
    pairs = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=10))
    links = {
        tuple(draw(st.permutations(pair))): draw(SIMILARITIES) for pair in {tuple(sorted(pair)) for pair in pairs} if pair[0] != pair[1]
    }
    return classes, links


def decided(classes, links, keeper, threshold=0.8):
    a, b = (np.array([pair[side] for pair in links], np.int64) for side in (0, 1))
    survivor, similarity = keep_one(np.array(classes, np.int64), (a, b, np.array(list(links.values()), np.float32)), threshold, keeper)
    return [(int(s), round(float(x), 4)) for s, x in zip(survivor, similarity, strict=True)]


def similarity_of(classes, links, threshold=0.8):
    """The verified similarity of two rows, 0 where there is none."""

    def between(one, other):
        if classes[one] == classes[other]:
            return 1.0
        found = links.get((classes[one], classes[other]), links.get((classes[other], classes[one]), 0.0))
        return found if found >= threshold else 0.0

    return between


@given(worlds())
def test_direct_drops_a_row_for_the_best_kept_row_that_it_is_like(world):
    classes, links = world
    between, kept, expected = similarity_of(classes, links), [], []
    for row in range(len(classes)):
        best = next((other for other in kept if between(row, other)), row)
        kept += [row] if best == row else []
        expected.append((best, between(row, best)))
    assert decided(classes, links, "direct") == expected


@given(worlds())
def test_components_drop_all_but_the_best_row_of_a_chain(world):
    classes, links = world
    between, rows = similarity_of(classes, links), range(len(classes))
    component = {row: row for row in rows}
    for _ in rows:
        component = {row: min(component[other] for other in rows if between(row, other)) for row in rows}
    best_link = [max((between(row, other) for other in rows if classes[other] != classes[row]), default=0.0) for row in rows]
    alike = [1.0 if classes[component[row]] == classes[row] else best_link[row] for row in rows]
    assert decided(classes, links, "components") == list(zip(component.values(), alike, strict=True))


def test_a_chain_shows_the_difference():
    links = {(0, 1): 0.9, (1, 2): 0.85}
    assert decided([0, 1, 2], links, "direct") == [(0, 1.0), (0, 0.9), (2, 1.0)]
    assert decided([0, 1, 2], links, "components") == [(0, 1.0), (0, 0.9), (0, 0.85)]


@pytest.mark.parametrize("keeper", ["direct", "components"])
def test_no_rows_and_no_links(keeper):
    assert decided([], {}, keeper) == []
    assert decided([0, 1], {}, keeper) == [(0, 1.0), (1, 1.0)]


def test_the_threshold_is_compared_in_the_precision_of_what_is_stored():
    assert decided([0, 1], {(0, 1): 0.95}, "direct", 0.95) == [(0, 1.0), (0, 0.95)]


@signal(version=1, reads=["text"], writes={"key": pl.Binary})
def key(batch):
    return batch


@signal(version=1, reads=["text"], writes={"name": pl.String})
def keyless(batch):
    return batch


def by_bits(sketches, *, bits=6, floor=0.5):
    return iter(())


def floorless(sketches):
    return iter(())


def positional(sketches, floor=0.5):
    return iter(())


def test_a_grouping_says_at_import_what_it_lacks():
    assert grouping("g", version=1, sketch=key).threshold == 1.0
    assert grouping("g", version=1, sketch=key, links=by_bits).defaults == {"bits": 6, "floor": 0.5}
    with pytest.raises(TypeError, match="g: the sketch must write a Binary column `key`"):
        grouping("g", version=1, sketch=keyless)
    with pytest.raises(TypeError, match="g: links needs a keyword-only parameter `floor`"):
        grouping("g", version=1, sketch=key, links=floorless)
    with pytest.raises(TypeError, match="parameter floor must be keyword-only"):
        grouping("g", version=1, sketch=key, links=positional)


def test_one_chain_of_all_rows_in_any_order_is_one_component():
    chain = np.random.default_rng(0).permutation(100_000)
    links = chain[:-1], chain[1:], np.full(chain.size - 1, 0.9, np.float32)
    survivor, similarity = keep_one(np.arange(chain.size), links, 0.8, "components")
    assert not survivor.any()
    assert similarity.tolist() == [1.0] + [np.float32(0.9)] * (chain.size - 1)
