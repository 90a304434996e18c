"""Rows are found alike with an index and without, by whatever they are known by."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.digest import hex_of
from curate.errors import CeterisError, PoolError
from curate.executor import InProcess
from curate.index.build import build
from curate.index.lookup import COLUMNS, key_of, open_index
from curate.index.search import locate, place_of, search
from curate.pieces import index_pool, pool_key, read_uids
from curate.pool import Pool
from curate.store import Store

URLS = ["https://a.example/1", "http://A.EXAMPLE:8080/2", None, "https://b.example/1", "https://a.example/1", "no address"]


def numbered(pool: Pool, at: Path) -> tuple[Store, str]:
    store = Store.open(at)
    index_pool(pool, store, InProcess(), lambda *_: None)
    return store, pool_key(pool)


@pytest.fixture(params=["scan", "index"])
def store(request, tmp_path):
    """What makes a store of a pool's folder: with its index, or without."""

    def opened(folder: Path) -> tuple[Store, str, Pool]:
        pool = Pool.open(folder)
        made, key = numbered(pool, tmp_path / "store")
        if request.param == "index":
            with made.writer() as epoch:
                build(made, key, COLUMNS, InProcess(), epoch, lambda *_: None)
        return made, key, pool

    return opened


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Documents of two sources, whose ids are unique inside a source only, in two files and three row groups."""
    frame = pl.DataFrame(
        {
            "id": ["x", "y", "0" * 32, "x", "y", "z"],
            "text": ["one [two", "three", None, "one two", "ONE", ""],
            "source": ["web", "web", "web", "book", "book", "book"],
            "added": ["2020"] * 6,
            "url": URLS,
        }
    )
    (tmp_path / "documents").mkdir()
    frame[:4].write_parquet(tmp_path / "documents" / "0.parquet", row_group_size=2)
    frame[4:].write_parquet(tmp_path / "documents" / "1.parquet")
    return tmp_path / "documents"


def test_rows_are_found_by_url_host_source_and_text(documents, store) -> None:
    made, key, pool = store(documents)
    assert pool.layout == "dolma"
    found = {
        ("url", "https://a.example/1"): [0, 4],
        ("url", "https://a.example"): [],
        ("host", "a.example"): [0, 1, 4],
        ("host", "example"): [],
        ("source", "book"): [3, 4, 5],
        ("text", "one [t"): [0],
        ("text", "one"): [0, 3],
    }
    for (by, value), numbers in found.items():
        hit = search(made, key, by, value)
        assert hit.numbers.tolist() == numbers, (by, value)
        assert hit.indexed == (by in ("url", "host") and bool(made.storage.list("indexes/")))


def test_a_host_is_found_however_it_is_written(tmp_path, store) -> None:
    (tmp_path / "hosts").mkdir()
    urls = ["http://b\u00fccher.example/1", "http://xn--bcher-kva.example/2", "http://b%C3%BCcher.Example/3", "http://other.example/4"]
    pl.DataFrame({"text": list("abcd"), "url": urls}).write_parquet(tmp_path / "hosts" / "0.parquet")
    made, key, _ = store(tmp_path / "hosts")
    for written in ("B\u00dcCHER.example", "xn--bcher-kva.example", "b%c3%bccher.example."):
        assert search(made, key, "host", written).numbers.tolist() == [0, 1, 2], written


def test_rows_are_found_by_uid_however_it_is_written(documents, store) -> None:
    made, key, pool = store(documents)
    uids = hex_of(np.concatenate([read_uids(made, key, shard) for shard in range(2)]))
    for number, uid in enumerate(uids):
        for written in (uid, uid.upper()):
            assert locate(made, key, written) == place_of(pool, number)
    assert locate(made, key, "web/x") == place_of(pool, 0)
    assert locate(made, key, "book/x") == place_of(pool, 3)
    assert locate(made, key, "x") is None
    assert locate(made, key, "f" * 32) is None
    with pytest.raises(CeterisError, match="no row number 6"):
        place_of(pool, 6)


def test_rows_are_found_by_the_bytes_of_an_image(tmp_path, store) -> None:
    (tmp_path / "images").mkdir()
    images = [b"\x89PNG one", b"\x89PNG two", None, b"\x89PNG one"]
    frame = pl.DataFrame({"image": [{"bytes": image, "path": None} for image in images], "text": ["a", "b", "c", "d"]})
    frame.with_columns(pl.col("image").cast(pl.Struct({"bytes": pl.Binary, "path": pl.String}))).write_parquet(
        tmp_path / "images" / "0.parquet"
    )
    made, key, _ = store(tmp_path / "images")
    assert search(made, key, "image", b"\x89PNG one").numbers.tolist() == [0, 3]
    assert not len(search(made, key, "image", b"\x89PNG").numbers)
    with pytest.raises(CeterisError, match="no role url"):
        search(made, key, "url", "https://a.example/1")


def test_a_pool_that_changed_is_not_searched(documents, store) -> None:
    made, key, _ = store(documents)
    pl.read_parquet(documents / "1.parquet").with_columns(url=pl.lit("https://c.example/")).write_parquet(documents / "1.parquet")
    with pytest.raises(PoolError, match="holds other content"):
        search(made, key, "url", "https://a.example/1")


def test_the_index_finds_rows_that_were_taken_down_by_keys_that_say_nothing(documents, tmp_path) -> None:
    pool = Pool.open(documents)
    made, key = numbered(pool, tmp_path / "store")
    with made.writer() as epoch:
        frame = pl.DataFrame({"row": [0], "request": [1]}, schema={"row": pl.UInt64, "request": pl.UInt32})
        made.publish("revoked", [made.put_frame("revoked", "list", frame, scope=pool.shards[0].digest)], epoch)
        build(made, key, COLUMNS, InProcess(), epoch, lambda *_: None)
    assert search(made, key, "url", "https://a.example/1").numbers.tolist() == [0, 4]
    assert search(made, key, "host", "a.example").numbers.tolist() == [0, 1, 4]
    held = open_index(made, key)
    for column, value in (("url", "https://a.example/1"), ("host", "a.example")):
        ((_, plainly),) = held.find(column, [key_of(value)])
        assert 0 not in plainly
    assert locate(made, key, "web/x") is None
    assert locate(made, key, hex_of(read_uids(made, key, 0))[0]) == place_of(pool, 0)
