"""What planted copies say of a grouping: a good one, one of few bands, one that estimates; and the copies themselves."""

import random
from pathlib import Path

import polars as pl
import pytest

from curate import InProcess, Recipe
from curate.errors import CeterisError
from curate.record import Run
from pipelines import planted, verbs

WORDS = [f"{a}{b}{c}" for a in ("ka", "lo", "mi", "ru") for b in ("ben", "dar", "fel", "gus", "hit") for c in ("a", "e", "in", "or", "us")]
RECIPE = """
signals:
  exactly: {near_duplicate_text: {exact: true, threshold: 0.8}}
  roughly: {near_duplicate_text: {threshold: 0.8}}
  rarely: {near_duplicate_text: {bands: 2, rows: 64, threshold: 0.8, exact: true}}
stages:
  long: {keep: "text_length.words >= 30"}
  one: {after: long, keep: {one_per: exactly}}
  two: {after: long, keep: {one_per: roughly}}
  three: {after: long, keep: {one_per: rarely}}
subsets: [one, two, three]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """600 texts of 60 to 400 words, each fifth followed by one that differs from it in a few words, and some short or missing ones."""
    folder, draw = tmp_path_factory.mktemp("planted"), random.Random(7)
    texts: list[str | None] = [None, "", "too short"]
    for number in range(600):
        words = draw.choices(WORDS, k=draw.randint(60, 400))
        texts.append(" ".join(words))
        if number % 5 == 0:
            for place in draw.sample(range(len(words)), len(words) // 45):
                words[place] = "elsewhere"
            texts.append(" ".join(words))
    (folder / "pool").mkdir()
    pl.DataFrame({"text": texts}).write_parquet(folder / "pool" / "a.parquet", row_group_size=200)
    return verbs.run(Recipe.parse(RECIPE), folder / "pool", store=folder / "store", executor=InProcess())


def _files(run: Run) -> dict[str, int]:
    root = Path(run.store.path(""))
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_recall_follows_the_bands_and_nothing_less_alike_is_linked(run: Run) -> None:
    before = _files(run)
    found = planted.audit(run, "exactly", sample=500, seed=3)
    assert _files(run) == before
    assert (found.sampled, found.short, found.threshold) == (500, 0, 0.8)
    assert sum(one.pairs for one in found.bins) > 450
    by_low = {one.low: one for one in found.bins}
    assert by_low[1.0].found == by_low[1.0].pairs > 50
    for one in found.bins:
        assert one.pairs > 10
        assert one.interval[0] <= one.found / one.pairs <= one.interval[1]
        low, high = planted.wilson(one.candidates, one.pairs)
        assert low - 0.02 <= one.expected <= high + 0.02
        assert one.found == (one.candidates if one.low >= 0.8 else 0)
    assert by_low[0.8].expected > 0.94 > by_low[0.75].expected > by_low[0.6].expected
    assert found.linked.wrong == found.removed.wrong == 0
    assert found.linked.pairs > 200
    assert 0 < found.removed.pairs == sum(reason["rows"] for line in run.funnel() if line["stage"] == "one" for reason in line["reasons"])
    assert found.removed.least is not None
    assert found.removed.least >= 0.8


def test_the_same_seed_plants_the_same_and_another_does_not(run: Run) -> None:
    once = planted.audit(run, "exactly", sample=100, seed=1)
    assert planted.audit(run, "exactly", sample=100, seed=1) == once
    assert planted.audit(run, "exactly", sample=100, seed=2) != once


def test_a_grouping_of_few_bands_is_seen_to_miss(run: Run) -> None:
    found = planted.audit(run, "rarely", sample=500)
    missed = {one.low: one.pairs - one.found for one in found.bins}
    assert missed[1.0] == 0
    assert missed[0.85] > 0.9 * next(one.pairs for one in found.bins if one.low == 0.85)


def test_estimated_similarities_are_seen_to_be_wrong(run: Run) -> None:
    found = planted.audit(run, "roughly", sample=500)
    assert found.linked.wrong > 0
    assert found.linked.least is not None
    assert found.linked.least < 0.8
    assert found.linked.precision[0] < (found.linked.pairs - found.linked.wrong) / found.linked.pairs < found.linked.precision[1]


def test_which_grouping_must_be_clear(run: Run) -> None:
    with pytest.raises(CeterisError, match="3 groupings") as several:
        planted.audit(run)
    assert "exactly, rarely, roughly" in several.value.fix
    with pytest.raises(CeterisError, match="called nearly"):
        planted.audit(run, "nearly")


@pytest.mark.parametrize("target", planted.LEVELS)
@pytest.mark.parametrize("block", [True, False])
def test_copies_are_about_as_alike_as_asked(target: float, block: bool) -> None:
    draw = random.Random(0)
    words = [[f"{word}{n}" for n, word in enumerate(draw.choices(WORDS, k=400))] for _ in range(2)]
    signs = [[chr(draw.randrange(0x4E00, 0x9000)) for _ in range(400)] for _ in range(2)]
    for pair, spaced in ((words, True), (signs, False)):
        text, other = ((" " if spaced else "").join(one) for one in pair)
        copy = planted.varied(text, other, target, block=block, spaced=spaced, draw=draw)
        grams = [set(zip(*((one.split() if spaced else one)[i:] for i in range(5)), strict=False)) for one in (text, copy)]
        assert len(grams[0] & grams[1]) / len(grams[0] | grams[1]) == pytest.approx(target, abs=0.06)


def test_white_space_stays_in_a_copy() -> None:
    text = "one two\n\n  three\tfour five six seven eight nine ten\n"
    copy = planted.varied(text, "x", 0.5, block=False, draw=random.Random(1))
    assert copy != text
    assert [one for one in copy if one.isspace()] == [one for one in text if one.isspace()]


def test_wilson() -> None:
    assert planted.wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)  # Wilson 1927 by hand: (.5 + .19207 +- .36470) / 1.38415
    assert planted.wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert planted.wilson(10, 10) == pytest.approx((0.7225, 1), abs=1e-4)
    assert planted.wilson(0, 0) == (0, 1)
