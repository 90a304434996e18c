"""An index finds exactly the rows that are so, however it was cut; what is damaged is refused, what is not published does not count."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.digest import words_of_hex
from curate.errors import PoolError, StoreError
from curate.executor import InProcess
from curate.index import build as index_build
from curate.index.build import build, can_index, describe
from curate.index.lookup import BLOCK, COLUMNS, Index, folder_of, key_of, open_index, stale, uid_keys
from curate.pieces import index_pool, open_pool, pool_key
from curate.pool import Pool
from curate.storage import LocalStorage
from curate.store import Store

ROWS = 30_000


def silent(*_: object) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Half of the rows are of one host; every tenth has no url, every hundredth the url of the row before."""
    random = np.random.default_rng(5)
    numbers = np.where(np.arange(ROWS) % 100 == 0, np.arange(ROWS) - 1, np.arange(ROWS)).clip(0)
    hosts = [f"host{number % 700}.example" if number % 2 else "big.example" for number in numbers.tolist()]
    urls = [
        None if row % 10 == 3 else f"https://{host}/page/{number}"
        for row, (host, number) in enumerate(zip(hosts, numbers.tolist(), strict=True))
    ]
    words = random.integers(0, 1 << 63, (ROWS, 2))
    uids = [f"{high:016x}{low:016x}" for high, low in words.tolist()]
    return pl.DataFrame({"uid": uids, "text": [f"text {row}" for row in range(ROWS)], "url": urls})


@pytest.fixture(scope="module")
def place(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    frame[:20_000].write_parquet(folder / "0.parquet", row_group_size=5_000)
    frame[20_000:].write_parquet(folder / "1.parquet", row_group_size=5_000)
    return folder


def used(folder: Path, at: Path) -> tuple[Store, str]:
    """A store that has numbered the pool's rows."""
    store = Store.open(at)
    pool = Pool.open(folder)
    index_pool(pool, store, InProcess(), silent)
    return store, pool_key(pool)


def made(store: Store, key: str, columns: tuple[str, ...] = COLUMNS) -> Index:
    with store.writer() as epoch:
        build(store, key, columns, InProcess(), epoch, silent)
    found = open_index(store, key)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def cut(place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str, Index]:
    """An index of many runs and parts, as of a pool of a thousand times the rows."""
    store, key = used(place, tmp_path_factory.mktemp("index") / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_build, "RUN_ROWS", 6_000)
        patch.setattr(index_build, "PART_ROWS", 2 * BLOCK)
        return store, key, made(store, key)


def records(index: Index, column: str) -> np.ndarray:
    parts = sorted(index.parts[column], key=lambda part: (part.start, part.stop))
    return np.concatenate([np.frombuffer(index.store.storage.get(part.key), "<u8").reshape(-1, 2) for part in parts])


def test_every_value_is_found_and_nothing_else(cut, frame) -> None:
    _, _, index = cut
    assert index.columns == ("uid", "url", "host")
    rows: dict[str, list[int]] = {}
    for row, url in enumerate(frame["url"]):
        rows.setdefault(url, []).append(row)
    absent = rows.pop(None)
    found = dict(index.find("url", [key_of(url) for url in rows]))
    assert {url: found[key_of(url)].tolist() for url in rows} == rows
    assert sum(len(numbers) for numbers in found.values()) == ROWS - len(absent)
    ((_, nowhere),) = index.find("url", [key_of("https://nowhere.example/")])
    assert not len(nowhere)
    for uid, row in ((frame["uid"][7], 7), (frame["uid"][-1], ROWS - 1)):
        ((_, numbers),) = index.find("uid", uid_keys(words_of_hex([uid])).tolist())
        assert numbers.tolist() == [row]


def test_uids_that_share_a_word_have_keys_of_their_own() -> None:
    counted = [f"{number:032x}" for number in range(1000)]
    for uids in (counted, [uid[16:] + uid[:16] for uid in counted], [uid[16:] * 2 for uid in counted]):
        assert len(set(uid_keys(words_of_hex(uids)).tolist())) == 1000


def test_a_host_of_half_the_rows_is_cut_and_found_whole(cut, frame) -> None:
    _, _, index = cut
    assert len(index.parts["host"]) > 2
    assert max(part.rows for part in index.parts["host"]) < 6 * BLOCK
    hosts = frame["url"].str.extract("//([^/]+)")
    ((_, numbers),) = index.find("host", [key_of("big.example")])
    assert numbers.tolist() == np.flatnonzero((hosts == "big.example").fill_null(False)).tolist()


def test_how_it_was_cut_changes_no_record(cut, place, tmp_path) -> None:
    store, key = used(place, tmp_path / "store")
    whole = made(store, key)
    assert [len(whole.parts[column]) for column in whole.columns] == [1, 1, 1]
    for column in whole.columns:
        assert np.array_equal(records(whole, column), records(cut[2], column))
    assert describe(store, key) == {column: len(records(whole, column)) for column in whole.columns}
    with store.writer() as epoch:
        assert build(store, key, COLUMNS, InProcess(), epoch, silent) == []


def _damage(store: Store, key: str, how: str) -> None:
    path = store.path(key)
    data = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
        return
    if how == "cut short":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["a bit", "cut short", "gone"])
@pytest.mark.parametrize("column", ["url", "url.fences"])
def test_what_is_damaged_is_refused(place, tmp_path, frame, how, column) -> None:
    store, key = used(place, tmp_path / "store")
    index = made(store, key, ("url",))
    _damage(store, index.parts[column][0].key, how)
    again = open_index(store, key)
    assert again is not None
    with pytest.raises(StoreError, match=r"file of the index is (gone|not what was published)"):
        list(again.find("url", [key_of(url) for url in frame["url"].drop_nulls()]))


def test_an_index_that_was_not_published_does_not_count_and_leaves_nothing(place, tmp_path) -> None:
    store, key = used(place, tmp_path / "store")

    def ended(label: str, *_: object) -> None:
        if label == "parts of the index":
            raise KeyboardInterrupt("ended")

    with store.writer() as epoch, pytest.raises(KeyboardInterrupt, match="ended"):
        build(store, key, COLUMNS, InProcess(), epoch, ended)
    assert store.storage.list(f"{folder_of(store, key)}/parts/")
    assert open_index(store, key) is None
    index = made(store, key)
    listed = {part.key for parts in index.parts.values() for part in parts}
    assert set(store.storage.list(f"{folder_of(store, key)}/parts/")) == listed
    assert not store.storage.list("tmp/")


def test_columns_are_added_and_other_uids_make_another_index(place, tmp_path) -> None:
    store, key = used(place, tmp_path / "store")
    assert made(store, key, ("uid",)).columns == ("uid",)
    assert made(store, key).columns == ("uid", "url", "host")
    folder, facts = folder_of(store, key), store.json(f"{key}/indexed.json")
    store.storage.delete(f"{key}/indexed.json")
    store.put_json(f"{key}/indexed.json", {**facts, "sums": [1, 2]})
    assert open_index(store, key) is None
    assert stale(store, key) == [folder]


def test_a_pool_that_changed_is_not_indexed(frame, tmp_path) -> None:
    (tmp_path / "pool").mkdir()
    frame[:100].write_parquet(tmp_path / "pool" / "0.parquet")
    store, key = used(tmp_path / "pool", tmp_path / "store")
    frame[1:101].write_parquet(tmp_path / "pool" / "0.parquet")
    with store.writer() as epoch, pytest.raises(PoolError, match="holds other content"):
        build(store, key, COLUMNS, InProcess(), epoch, silent)
    assert can_index(open_pool(store, key)) == ("uid", "url", "host")
    with pytest.raises(StoreError, match="not used by a run"):
        folder_of(store, "pools/0000000000000000")


def test_a_look_up_reads_the_fences_and_one_block(cut, frame, monkeypatch) -> None:
    store, key, _ = cut
    read = list[int]()
    get = LocalStorage.get

    def counted(self: LocalStorage, name: str, start: int = 0, length: int | None = None) -> bytes:
        data = get(self, name, start, length)
        if name.endswith(".bin"):
            read.append(len(data))
        return data

    index = open_index(store, key)
    monkeypatch.setattr(LocalStorage, "get", counted)
    list(index.find("url", [key_of(frame["url"][500])]))
    assert len(read) == 2
    assert sum(read) <= 16 * BLOCK + 16 * (ROWS // BLOCK + 10)
