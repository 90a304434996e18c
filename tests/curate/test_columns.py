"""A piece's own columns: what the pool itself reads, whatever was asked before."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from curate.columns import Columns
from curate.pieces import Piece
from curate.pool import Pool


@pytest.fixture
def pool(tmp_path):
    rows = {"text": list("abcdefgh"), "n": range(8), "score": [0.5, None, float("nan"), 1.0, 2.0, None, 3.0, 4.0], "lang": list("xyxyxyxy")}
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet", row_group_size=3)
    return Pool.open(tmp_path)


@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4], [1], [0, 2, 4], []])
@pytest.mark.parametrize("names", [["n"], ["score", "n"], ["lang", "score", "lang"], ["lang"]])
def test_columns_are_those_of_the_pool(pool, rows, names):
    piece, shard = Piece(0, 0, 3, 8, 0), pool.shards[0]
    own = Columns(pool, piece)
    chosen = np.array(rows, np.int64)
    for _ in range(2):
        found, plain = own.read(list(dict.fromkeys(names)), chosen), pool.read(shard, columns=list(dict.fromkeys(names)), rows=3 + chosen)
        assert_frame_equal(found.frame, plain.frame)
        for name, codes in plain.faults.items():
            assert found.faults[name].to_list() == codes.to_list()
        assert all(codes.null_count() == len(codes) for name, codes in found.faults.items() if name not in plain.faults)


def test_numbers_are_read_once(pool, monkeypatch):
    own, asked = Columns(pool, Piece(0, 0, 0, 3, 0)), []
    read = Pool.read
    monkeypatch.setattr(Pool, "read", lambda self, *args, **given: asked.append(given["columns"]) or read(self, *args, **given))
    assert own.read(["n"], np.array([2]))[0]["pool.n"].to_list() == [2]
    assert own.read(["n", "score"], np.array([0, 2]))[1]["pool.score"].to_list() == [None, "not_finite"]
    assert own.read(["score", "n"], np.array([1]))[0].row(0) == (None, 1)
    assert asked == [["n"], ["score"]]
