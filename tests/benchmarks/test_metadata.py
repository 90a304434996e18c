"""CommonPool's metadata on a few thousand rows: all engines that are here write one file, and the pool is what it says."""

import importlib.util
from pathlib import Path

import polars as pl
import pytest

from benchmarks import metadata, metadata_pool
from curate.pool import Pool

ROWS, SHARD = 2500, 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("metadata")
    metadata_pool.write(made, ROWS, 3, SHARD)
    return made


def test_the_pool_is_commonpool_s_and_a_larger_one_begins_with_it(folder: Path, tmp_path: Path) -> None:
    pool = Pool.open(folder)
    assert (pool.layout, pool.rows, len(pool.shards)) == ("datacomp-commonpool", ROWS, 3)
    rows = pl.read_parquet(folder / "*.parquet")
    assert rows["uid"].n_unique() == ROWS
    assert rows["uid"].str.contains(r"^[0-9a-f]{32}$").all()
    assert rows["sha256"].str.len_bytes().unique().to_list() == [64]
    assert rows.schema["face_bboxes"] == pl.List(pl.List(pl.Float64))
    assert 0 < rows["clip_l14_similarity_score"].null_count() < ROWS / 50
    metadata_pool.write(tmp_path, ROWS + SHARD, 3, SHARD)
    assert pl.read_parquet(tmp_path / "*.parquet").head(ROWS).equals(rows)


@pytest.mark.parametrize("documents", [ROWS, SHARD + 1])
def test_all_engines_write_the_same_bytes(folder: Path, documents: int) -> None:
    there = [name for name, one in metadata.WORKLOAD.engines.items() if not one.package or importlib.util.find_spec(one.package)]
    found = {name: metadata.WORKLOAD.engines[name].load(folder, "documents", documents)() for name in there if "commands" not in name}
    assert {"ceteris", "plain Python"} <= found.keys()
    assert metadata.check(folder, "documents", documents, found)["documents"] == documents
    found["plain Python"] = {**found["plain Python"], "rows": 1}
    with pytest.raises(AssertionError, match="the same file"):
        metadata.check(folder, "documents", documents, found)
