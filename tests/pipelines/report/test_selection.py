"""Funnel, overlaps and distributions of a small run."""

from pathlib import Path

import polars as pl
import pytest

from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from pipelines import verbs
from pipelines.report.evidence import Held
from pipelines.report.selection import _mix, funnel, histograms, mixes, overlaps


def test_every_row_is_kept_or_has_a_reason_at_every_stage(hostile: Run) -> None:
    for step in funnel(Held(hostile)):
        assert step.rows is not None
        assert sum(rows for _, rows in step.by_kind()) == step.rows


def test_every_clause_is_listed_in_its_order_also_one_that_nothing_failed(hostile: Run) -> None:
    basic = next(step for step in funnel(Held(hostile)) if step.stage == "basic")
    assert basic.clauses == 3
    assert [one.text for one in basic.left if one.kind == "dropped"] == [
        "text_length.chars >= 3",
        "image_shape.width >= 16",
        "text_length.words <= 400",
    ]
    assert basic.left[-1].rows == 0


def test_combinations_part_the_pool(hostile: Run) -> None:
    held = Held(hostile)
    names, lines, rest = overlaps(held)
    assert names == ("best", "more")
    assert sum(line.rows for line in lines) + rest == hostile.pool.rows
    inside = {line.inside: line.rows for line in lines}
    assert inside[(True, False)] == hostile.decided("best").kept
    assert set(inside) == {(False, False), (True, False), (False, True)}


def test_bins_hold_every_measured_row_and_whole_numbers_are_said_as_such(hostile: Run) -> None:
    held = Held(hostile)
    found = {of_column[0].column: of_column for of_column in histograms(held)}
    assert set(found) == {"text_length.chars", "image_shape.width", "text_length.words", "pool.quality", "image_shape.height"}
    for column, of_column in found.items():
        assert [one.subset for one in of_column] == ["best", "more"]
        for one in of_column:
            inside = held.of_subset(one.subset)
            values = held.numbers(column)
            assert sum(each["before"] for each in one.bins) == one.before.measured == (values == values).sum()
            assert sum(each["after"] for each in one.bins) == one.after.measured == (values[inside] == values[inside]).sum()
    widths = found["image_shape.width"][0].bins
    assert widths[0]["told"].startswith("8: ")
    assert widths[-1]["told"].startswith("32: ")


def test_mixes_count_each_subset(hostile: Run) -> None:
    found = {mix.column: mix for mix in mixes(Held(hostile))}
    assert set(found) == {"license", "source"}
    source = found["source"]
    assert source.totals[0] == hostile.pool.rows
    assert {value: counts[0] for value, counts in source.lines} == {"pool.example": 20, "<u>other</u>.example": 20}
    assert source.most == max(rows / total for _, counts in source.lines for rows, total in zip(counts, source.totals, strict=True))


def test_the_rarest_values_are_one_line() -> None:
    table = pl.DataFrame({"source": [f"s{n}" for n in range(40)], "pool": range(40, 0, -1), "best": [1] * 40})
    made = _mix("source", table)
    assert made.lines[-1] == ("26 other values", (sum(range(1, 27)), 26))
    assert [sum(counts[at] for _, counts in made.lines) for at in (0, 1)] == [*made.totals]


@pytest.mark.parametrize(
    ("values", "whole", "last", "drawn"),
    [
        ([*range(20)] * 50, True, "19", 19.5),
        ([*[n % 30 for n in range(2000)], 10_000], True, "30 to 10,000", 30.5),
        ([*[n / 100 for n in range(100)] * 20, 50.0], False, "0.99 to 50", 1.0),
        ([1.0, 2.0], False, "1.972 to 2", 2.0),
        ([*[1.0 + n / 1000 for n in range(1000)], 900.0], False, "745 to 900", 900.0),
    ],
)
def test_the_last_bin_holds_what_lies_far_out_and_says_so(
    tmp_path: Path, values: list[float], whole: bool, last: str, drawn: float
) -> None:
    folder = tmp_path / "pool"
    folder.mkdir()
    texts = [f"row {n}" for n in range(len(values))]
    kind = pl.Int64 if whole else pl.Float64
    pl.DataFrame({"text": texts, "value": pl.Series(values, dtype=kind)}).write_parquet(folder / "a.parquet")
    recipe = Recipe.parse('stages:\n  all: {keep: "pool.value >= 0"}\nsubsets: [all]\n', base=tmp_path)
    run = verbs.run(recipe, folder, store=tmp_path / "store", executor=InProcess())
    ((found,),) = histograms(Held(run))
    assert found.bins[-1]["told"].startswith(f"{last}: ")
    assert found.bins[-1]["high"] == pytest.approx(drawn, rel=0.02)
    assert sum(one["before"] for one in found.bins) == len(values)
