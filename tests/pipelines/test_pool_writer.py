"""A pool is written in row groups and shards, in order, whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.errors import CeterisError
from pipelines.pool_writer import GROUP, GROUPS_PER_SHARD, write_pool

SCHEMA = pa.schema([("text", pa.string()), ("n", pa.int64())])


def _rows(count: int) -> Iterator[dict[str, object]]:
    return ({"text": f"document {n}", "n": n} for n in range(count))


def test_rows_keep_their_order_over_groups_and_shards(tmp_path: Path) -> None:
    count = GROUP * GROUPS_PER_SHARD + GROUP + 7
    assert write_pool(tmp_path / "pool", _rows(count), SCHEMA) == count
    files = [pq.ParquetFile(path) for path in sorted((tmp_path / "pool").iterdir())]
    assert [file.metadata.num_row_groups for file in files] == [GROUPS_PER_SHARD, 2]
    assert [n for file in files for n in file.read()["n"].to_pylist()] == list(range(count))
    assert files[0].metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[dict[str, object]]:
        yield from _rows(GROUP + 1)
        raise ZeroDivisionError("halfway")

    with pytest.raises(ZeroDivisionError, match="halfway"):
        write_pool(tmp_path / "pool", failing(), SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_and_nothing_is_no_pool(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x", encoding="ascii")
    with pytest.raises(CeterisError, match="not empty"):
        write_pool(tmp_path, _rows(1), SCHEMA)
    with pytest.raises(CeterisError, match="nothing to write"):
        write_pool(tmp_path / "pool", iter(()), SCHEMA)
    with pytest.raises(CeterisError, match="cannot write there"):
        write_pool(tmp_path / "mine" / "pool", _rows(1), SCHEMA)
