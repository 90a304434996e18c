import numpy as np
import polars as pl
import pytest

from curate import pieces
from curate.digest import hex_of
from curate.errors import PoolError
from curate.executor import InProcess
from curate.pieces import index_pool, open_pool, pieces_of, pool_key, read_uids
from curate.pool import Pool


def silent(*_):
    pass


def pool_of(folder, *groups, **columns):
    folder.mkdir(exist_ok=True)
    for number, height in enumerate(groups):
        frame = pl.DataFrame({"text": [f"{number} {n}" for n in range(height)], **{k: v[:height] for k, v in columns.items()}})
        frame.write_parquet(folder / f"{number}.parquet", row_group_size=2)
    return Pool.open(folder)


@pytest.mark.parametrize(("most", "expected"), [(1, 6), (2, 6), (4, 4), (5, 3), (100, 3)])
def test_pieces_end_where_groups_do_and_hold_every_row_once(tmp_path, monkeypatch, most, expected):
    monkeypatch.setattr(pieces, "PIECE_ROWS", most)
    pool = pool_of(tmp_path, 5, 0, 3, 1)
    found = pieces_of(pool)
    assert len(found) == expected
    assert [piece.number for piece in found] == list(range(expected))
    rows = [piece.offset + row for piece in found for row in range(piece.start, piece.stop)]
    assert rows == list(range(9))
    assert all(piece.rows <= max(most, 2) and piece.start % 2 == 0 for piece in found)


def test_uids_are_read_once_and_kept(tmp_path, store):
    pool, seen = pool_of(tmp_path / "pool", 3, 2), []
    assert index_pool(pool, store, InProcess(), lambda *given: seen.append(given))
    assert seen == [("uids", 3, 5), ("uids", 5, 5)]
    assert not index_pool(pool, store, InProcess(), lambda *_: pytest.fail("read again"))
    key = pool_key(pool)
    words = [read_uids(store, key, shard) for shard in (0, 1)]
    assert [hex_of(found) for found in words] == [hex_of(pool.uids(shard)[0]) for shard in pool.shards]
    total = store.json(f"{key}/indexed.json")
    every = np.concatenate(words)
    assert total == {"rows": 5, "sums": [int(every[:, word].sum(dtype=np.uint64)) for word in (0, 1)]}
    assert open_pool(store, key).to_json() == pool.to_json()


def test_identical_rows_are_told_apart_over_all_shards(tmp_path, store, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_ROWS", 2)
    for number in (0, 1):
        pl.DataFrame({"text": ["same", "same", str(number)]}).write_parquet(tmp_path / f"{number}.parquet")
    pool = Pool.open(tmp_path)
    index_pool(pool, store, InProcess(), silent)
    words = np.concatenate([read_uids(store, pool_key(pool), shard) for shard in (0, 1)])
    assert len(set(hex_of(words))) == 6


def test_repeated_uids_are_refused_and_nothing_is_written(tmp_path, store, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_ROWS", 2)
    pool = pool_of(tmp_path / "pool", 3, 3, uid=["a", "b", "c"])
    with pytest.raises(PoolError, match=r"3 rows of the uid column 'uid' repeat .*'c' at 0\.parquet row 2 and 'c' at 1\.parquet row 2"):
        index_pool(pool, store, InProcess(), silent)
    assert store.json(f"{pool_key(pool)}/indexed.json") is None
    dropped = Pool.open(tmp_path / "pool", roles={"uid": ""})
    index_pool(dropped, store, InProcess(), silent)
    assert store.json(f"{pool_key(dropped)}/indexed.json")["rows"] == 6


def test_an_interrupted_index_is_finished_by_the_next(tmp_path, store, monkeypatch):
    pool = pool_of(tmp_path / "pool", 3, 2)

    def stopped(*_, **__):
        raise KeyboardInterrupt("stop")

    def die(_, number, total):
        if number == total:
            monkeypatch.setattr(type(store), "put_frame", stopped)

    with pytest.raises(KeyboardInterrupt, match="stop"):
        index_pool(pool, store, InProcess(), die)
    monkeypatch.undo()
    assert index_pool(pool, store, InProcess(), silent)
    assert hex_of(read_uids(store, pool_key(pool), 1)) == hex_of(pool.uids(pool.shards[1])[0])


def test_attempts_of_a_driver_that_died_are_forgotten(tmp_path, store):
    pool = pool_of(tmp_path / "pool", 3, uid=["a", "b", "c"])
    key = pool_key(pool)
    store.put_frame(key, "uids-000000", pl.DataFrame({"high": [1], "low": [2]}, schema={"high": pl.UInt64, "low": pl.UInt64}))
    assert index_pool(pool, store, InProcess(), silent)
    listed = {store.json(name)["key"] for name in store.storage.list(f"{key}/uids/")}
    assert listed == set(store.storage.list(f"{key}/parts/"))
    assert hex_of(read_uids(store, key, 0)) == hex_of(pool.uids(pool.shards[0])[0])
