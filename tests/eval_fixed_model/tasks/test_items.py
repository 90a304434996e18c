from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from curate.errors import CeterisError
from eval_fixed_model.records import Items
from eval_fixed_model.scale import Scale, load_scale
from eval_fixed_model.tasks.items import items_digest, items_of, read_items


@pytest.fixture
def rewritten(world, tmp_path: Path) -> Callable[[pl.DataFrame], Scale]:
    """The world's scale with other items beside it."""

    def write(items: pl.DataFrame) -> Scale:
        items.write_parquet(tmp_path / "items.parquet")
        (tmp_path / "small.yaml").write_bytes(world.scale_file.read_bytes())
        return load_scale(tmp_path / "small.yaml")

    return write


def test_the_digest_is_of_content_and_order(world, rewritten) -> None:
    items = read_items(world.scale)
    items.write_parquet(path := world.scale_file.with_name("other.parquet"), compression="uncompressed", row_group_size=10)
    assert items_digest(rewritten(pl.read_parquet(path))) == items_digest(world.scale)
    assert items_digest(rewritten(items.reverse())) != items_digest(world.scale)
    relabelled = items.with_columns(label=pl.when(pl.col("label") == "red").then(pl.lit("blue")).otherwise("label"))
    assert items_digest(rewritten(relabelled)) != items_digest(world.scale)


def test_a_label_the_scale_does_not_know_is_refused(world, rewritten) -> None:
    items = read_items(world.scale).with_columns(label=pl.when(pl.col("label") == "red").then(pl.lit("puce")).otherwise("label"))
    with pytest.raises(CeterisError, match="row 126 is not a classification item") as caught:
        items_of(rewritten(items), "test")  # its first 126 rows are the validation split's
    assert "task colour" in str(caught.value)


def test_items_without_text_image_or_company_are_refused(world, rewritten) -> None:
    items = read_items(world.scale)
    with pytest.raises(CeterisError, match="not a retrieval item"):
        items_of(rewritten(items.with_columns(text=pl.lit(None, pl.String))), "test")
    with pytest.raises(CeterisError, match="not a classification item"):
        items_of(rewritten(items.with_columns(image=pl.lit(None, pl.Binary))), "test")
    with pytest.raises(CeterisError, match="does not decode"):
        items_of(rewritten(items.with_columns(image=pl.lit(b"no picture"))), "test")
    with pytest.raises(CeterisError, match="no items"):
        items_of(rewritten(items.filter((pl.col("task") != "shape") | (pl.col("split") != "test"))), "test")


def test_another_file_is_no_set_of_items(world, rewritten) -> None:
    with pytest.raises(CeterisError, match="the columns are task, split"):
        read_items(rewritten(pl.DataFrame({"a": [1]})))
    with pytest.raises(CeterisError, match="evaluation items are missing"):
        read_items(world.scale.model_copy(update={"items": Items(file="none.parquet")}))
