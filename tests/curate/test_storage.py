import errno
import os
from pathlib import Path
from threading import Barrier, Thread

import pytest

from curate.errors import StoreError
from curate.storage import ExistsError, LocalStorage, MemoryStorage, open_storage


@pytest.fixture(params=["local", "memory"])
def storage(request, tmp_path):
    return LocalStorage(tmp_path / "store") if request.param == "local" else MemoryStorage(str(tmp_path))


def test_an_object_is_read_whole_or_in_ranges(storage):
    storage.put("a/b", b"0123456789")
    assert storage.get("a/b") == b"0123456789"
    assert storage.get("a/b", 3, 4) == b"3456"
    assert storage.get("a/b", 8) == b"89"
    assert storage.get("a/b", 8, 9) == b"89"
    with pytest.raises(KeyError, match="a/c"):
        storage.get("a/c")


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_store_that_cannot_be_made_says_so(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write: (File exists|Not a directory)") as raised:
        open_storage(str(tmp_path / place))
    assert raised.value.where == str(tmp_path / place)
    assert "--store" in raised.value.fix


@pytest.mark.parametrize("second", [b"other", b"same"])
def test_a_key_is_never_replaced(storage, second):
    first = b"same"
    storage.put("a", first)
    with pytest.raises(ExistsError, match="a"):
        storage.put("a", first if second == first else second)
    assert storage.get("a") == b"same"


def test_one_of_many_writers_wins(storage):
    start, won = Barrier(8), []

    def write(number):
        start.wait()
        try:
            storage.put("key", bytes([number]) * 1000)
        except ExistsError:
            return
        won.append(number)

    threads = [Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert storage.get("key") == bytes(won) * 1000
    assert storage.list("") == ["key"]


def test_keys_are_listed_by_prefix_and_forgotten_by_delete(storage):
    for key in ("b/2", "b/1", "b/10/x", "bc", "a"):
        storage.put(key, b"")
    assert storage.list("b/") == ["b/1", "b/10/x", "b/2"]
    assert storage.list("b") == ["b/1", "b/10/x", "b/2", "bc"]
    assert storage.list("b/1") == ["b/1", "b/10/x"]
    assert storage.list("nothing/here") == []
    storage.delete("b/1")
    storage.delete("b/1")
    assert storage.list("b/1") == ["b/10/x"]


def test_an_address_opens_the_same_storage(storage):
    storage.put("a", b"1")
    assert open_storage(storage.address).get("a") == b"1"


def test_what_fails_leaves_nothing_and_says_what_to_do(tmp_path, monkeypatch):
    storage = LocalStorage(tmp_path)

    def fail(number):
        def link(*_):
            raise OSError(number, os.strerror(number))

        return link

    for number, what in [(errno.ENOSPC, "the disk is full; 3 bytes"), (errno.EPERM, "no hard links"), (errno.EIO, "cannot write: Input")]:
        monkeypatch.setattr(os, "link", fail(number))
        with pytest.raises(StoreError, match=what) as raised:
            storage.put("a/b", b"123")
        assert raised.value.where == str(tmp_path / "a" / "b")
        assert "--store" in raised.value.fix
    assert storage.list("") == []
    assert not list(Path(tmp_path / "tmp").iterdir())
