"""The store that provenance is measured on: what its pool is, and that its runs are two of one recipe."""

from pathlib import Path

import polars as pl

from benchmarks import provenance_store
from curate.pool import Pool
from curate.store import Store
from pipelines.provenance.index import runs_of

ROWS, SHARD = 1500, 1000


def test_the_pool_has_uids_addresses_sources_and_licences_and_a_larger_one_begins_with_it(tmp_path: Path) -> None:
    provenance_store.write(tmp_path / "small", ROWS, 3, SHARD)
    pool = Pool.open(tmp_path / "small" / "pool")
    assert (pool.rows, len(pool.shards), set(pool.roles)) == (ROWS, 2, {"uid", "text", "url", "source", "license"})
    rows = pl.read_parquet(tmp_path / "small" / "pool" / "*.parquet")
    assert rows["uid"].n_unique() == ROWS
    assert 0 < ROWS - rows["url"].n_unique() < ROWS / 20
    assert rows["source"].n_unique() == len(provenance_store.SOURCES)
    assert rows.group_by(rows["url"].str.extract("//([^/]+)/")).agg(pl.col("source").n_unique()).get_column("source").max() == 1
    assert 0 < rows["license"].null_count() < ROWS / 4
    provenance_store.write(tmp_path / "large", 2 * SHARD, 3, SHARD)
    assert pl.read_parquet(tmp_path / "large" / "pool" / "*.parquet").head(ROWS).equals(rows)


def test_two_runs_of_one_recipe_differ_in_their_cut(tmp_path: Path) -> None:
    provenance_store.write(tmp_path, ROWS, 3, SHARD)
    assert len(provenance_store.curate(tmp_path)) == 2
    latest, first = runs_of(Store.open(tmp_path / provenance_store.STORE))
    assert len(latest.facts["nodes"]) == len(first.facts["nodes"]) == 4
    assert len(latest.subset("open")) == len(first.subset("open"))
    assert 0 < len(latest.subset("long")) < len(first.subset("long"))
