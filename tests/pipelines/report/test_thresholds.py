"""Curves of rows kept by threshold, against runs with those thresholds."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from pipelines import verbs
from pipelines.report.evidence import Held
from pipelines.report.thresholds import Curve, _grid, curves

RECIPE = """
stages:
  long: {keep: "text_length.words > 3 and pool.quality >= 0.25 and text_length.chars <= 60"}
  best: {after: long, keep: {top: pool.quality, count: 7}}
  worst: {keep: {top: pool.quality asc, fraction: 0.5}}
subsets: [long, best, worst]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty texts, some without a quality, some equal."""
    place = tmp_path_factory.mktemp("thresholds")
    texts = [f"{'word ' * (n % 13)}{n}" for n in range(40)]
    quality = [None if n % 11 == 5 else (n % 8) / 8 for n in range(40)]
    (place / "pool").mkdir()
    pl.DataFrame({"text": texts, "quality": quality}).write_parquet(place / "pool" / "a.parquet")
    return place


def _run(folder: Path, *sets: str) -> Run:
    recipe = Recipe.parse(RECIPE, base=folder)
    for one in sets:
        recipe = recipe.set_text(one)
    return verbs.run(recipe, folder / "pool", store=folder / "store", executor=InProcess())


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Curve]:
    """Of the recipe as it is, by stage and column."""
    return {f"{one.stage} {one.column}": one for one in curves(Held(_run(folder)))}


def test_every_comparison_and_cut_has_a_curve_that_passes_through_what_is_kept(found: dict[str, Curve]) -> None:
    of_long = [f"long {column}" for column in ("text_length.words", "pool.quality", "text_length.chars")]
    assert list(found) == [*of_long, "worst pool.quality", "best pool.quality"]
    for curve in found.values():
        assert curve.now is not None
        now = curve.at.index(curve.now)
        assert curve.least[now] <= curve.kept + curve.ties
        assert curve.least[now] == curve.most[now]
    assert found["worst pool.quality"].sign == "<="


@pytest.mark.parametrize("words", [1, 3, 5, 9])
def test_another_threshold_keeps_what_the_curve_says(folder: Path, found: dict[str, Curve], words: int) -> None:
    rule = f"text_length.words > {words} and pool.quality >= 0.25 and text_length.chars <= 60"
    kept = _run(folder, f"stages.long.keep={rule}").decided("long").kept
    curve = found["long text_length.words"]
    place = curve.at.index(float(words))
    assert curve.least[place] <= kept <= curve.most[place]
    assert curve.least[place] == kept or not curve.exact(place)


@pytest.mark.parametrize("quality", [0.0, 0.125, 0.5, 0.875])
def test_what_later_clauses_say_of_rows_that_enter_is_known_where_it_was_measured(
    folder: Path, found: dict[str, Curve], quality: float
) -> None:
    rule = f"text_length.words > 3 and pool.quality >= {quality} and text_length.chars <= 60"
    kept = _run(folder, f"stages.long.keep={rule}").decided("long").kept
    curve = found["long pool.quality"]
    place = curve.at.index(quality)
    assert (curve.least[place], curve.most[place]) == (kept, kept)  # chars came with words: every row has it


def test_rows_beyond_a_cut_are_counted(folder: Path, found: dict[str, Curve]) -> None:
    curve = found["best pool.quality"]
    for place, at in enumerate(curve.at):
        rule = f"text_length.words > 3 and pool.quality >= 0.25 and text_length.chars <= 60 and pool.quality >= {at}"
        assert curve.least[place] == _run(folder, f"stages.long.keep={rule}").decided("long").kept


def test_rows_without_a_value_are_told_apart(found: dict[str, Curve]) -> None:
    assert found["worst pool.quality"].unmeasured == 4
    assert found["worst pool.quality"].entering == 40


def test_a_combination_and_a_rule_without_numbers_have_no_curve(folder: Path) -> None:
    text = 'stages:\n  a: {keep: "text_length.words is not None"}\n  b: {keep: {random: 5, seed: 1}}\n  c: {any_of: [a, b]}\nsubsets: [c]\n'
    run = verbs.run(Recipe.parse(text, base=folder), folder / "pool", store=folder / "store", executor=InProcess())
    assert curves(Held(run)) == []


def test_few_zeros_leave_a_wide_span_its_logarithmic_axis() -> None:
    values = np.concatenate([np.zeros(3), np.geomspace(1, 5_000, 400).round()])
    for now, first in ((20.0, 1.0), (0.0, 0.0)):
        at = _grid(values, now)
        assert at[0] == first
        assert at[-1] == 5_000
        assert now in at
