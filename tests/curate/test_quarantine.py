from pathlib import Path

import polars as pl

from curate.executor import InProcess
from curate.pool import Pool
from curate.quarantine import SCHEMA, quarantined
from curate.recipe import Recipe
from curate.record import Run
from curate.run import run
from curate.store import Store
from pipelines.catalog import catalogue


def _run(folder: Path, stages: str) -> Run:
    recipe = Recipe.parse(f"{{stages: {{{stages}}}, subsets: [a], errors_at_most: 1.0}}")
    store = Store.open(folder / "store")
    return Run(store, run(recipe, Pool.open(folder / "pool"), catalogue(), store, InProcess(), lambda *_: None).folder)


def _pool(folder: Path, **columns: object) -> None:
    (folder / "pool").mkdir()
    pl.DataFrame(columns).write_parquet(folder / "pool" / "good.parquet")


def test_an_unreadable_file_is_one_line(tmp_path: Path) -> None:
    _pool(tmp_path, text=["one two", "three"])
    (tmp_path / "pool" / "torn.parquet").write_bytes((tmp_path / "pool" / "good.parquet").read_bytes()[:-9])
    found = quarantined(_run(tmp_path, 'a: {keep: "text_length.words > 0"}'))
    assert dict(found.schema) == SCHEMA
    (line,) = found.to_dicts()
    assert (line["file"], line["row"], line["stage"]) == ("torn.parquet", None, None)
    assert line["code"]
    assert ";" in line["detail"]


def test_rows_name_their_file_uid_stage_evidence_and_code(tmp_path: Path) -> None:
    images = [{"bytes": b"no image", "path": None}, {"bytes": b"", "path": None}]
    _pool(tmp_path, uid=["x", "y"], image=images, text=["one two", "three"])
    run = _run(
        tmp_path,
        'a: {keep: "image_shape.width > 0"}, b: {keep: {one_per: near_duplicate_image}}, c: {after: a, keep: "text_length.words > 0"}',
    )
    found = quarantined(run)
    assert found["row"].to_list() == [0, 1, 0, 1]
    assert found["stage"].to_list() == ["a", "a", "b", "b"]
    assert found["evidence"].unique(maintain_order=True).to_list() == ["image_shape", "near_duplicate_image.sketch"]
    assert found["code"].unique().to_list() == ["not_an_image"]
    assert set(found["uid"].to_list()) == set(run.subset("pool").hex)


def test_a_column_of_the_pool_that_is_not_finite(tmp_path: Path) -> None:
    _pool(tmp_path, text=["a", "b", "c"], x=[1.0, float("nan"), float("inf")])
    found = quarantined(_run(tmp_path, 'a: {keep: "pool.x > 0"}'))
    assert found.select("row", "evidence", "code").rows() == [(1, "pool.x", "not_finite"), (2, "pool.x", "not_finite")]


def test_a_signal_that_nothing_was_left_to_ask_says_nothing(tmp_path: Path) -> None:
    _pool(tmp_path, text=["a", "b"], x=[float("nan"), 0.0])
    found = quarantined(_run(tmp_path, 'a: {keep: "pool.x > 0 and text_length.words > 0"}'))
    assert found.select("row", "evidence", "code").rows() == [(0, "pool.x", "not_finite")]


def test_nothing_in_quarantine(tmp_path: Path) -> None:
    _pool(tmp_path, text=["a", "b"])
    assert quarantined(_run(tmp_path, 'a: {keep: "text_length.words > 0"}')).is_empty()
