import fcntl
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import curate
from curate.errors import StoreError
from curate.store import FORMAT, Store, named

FRAME = pl.DataFrame({"row": [0, 1]})


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    return Store.open(tmp_path / "store" if request.param == "local" else f"memory:{tmp_path}")


def test_a_store_of_another_format_is_refused(store):
    assert Store.open(store.address).address == store.address
    store.storage.delete("FORMAT")
    store.storage.put("FORMAT", b"ceteris-store 9")
    with pytest.raises(StoreError, match="has format 'ceteris-store 9'; this Ceteris reads 'ceteris-store 2'") as raised:
        Store.open(store.address)
    assert raised.value.where == store.address
    assert raised.value.fix


def test_opening_a_store_that_is_there_writes_nothing(tmp_path):
    Store.open(tmp_path)
    before = os.stat(tmp_path / "tmp").st_mtime_ns
    assert Store.open(tmp_path).storage.get("FORMAT") == FORMAT.encode()
    assert os.stat(tmp_path / "tmp").st_mtime_ns == before


def test_json_is_stored_once(store):
    assert store.json("a.json") is None
    assert store.put_json("a.json", {"b": [1, None]})
    assert not store.put_json("a.json", {"b": 2})
    assert store.json("a.json") == {"b": [1, None]}


def test_a_part_counts_only_once_it_is_published(store):
    part = store.put_frame("signals/x", "stem", FRAME, scope="shard", stop=2, seconds=0.5)
    other = store.put_frame("signals/x", "stem", FRAME, scope="shard", start=2, stop=4)
    assert store.parts("signals/x") == {}
    store.publish("signals/x", [part], 1)
    assert store.parts("signals/x") == {"shard": [part]}
    store.publish("signals/x", [other, replace(other, scope="second", key=other.key + "2")], 1)
    assert [one.start for one in store.parts("signals/x")["shard"]] == [0, 2]
    assert list(store.parts("signals/x")) == ["shard", "second"]
    assert store.frame(part).equals(FRAME)


def test_a_merged_part_takes_the_place_of_those_it_replaces(store):
    old = [store.put_frame("x", "a", FRAME, scope="s") for _ in range(3)]
    store.publish("x", old, 1)
    merged = store.put_frame("x", "a", FRAME, scope="s", replaces=[old[0].key, old[2].key])
    store.publish("x", [merged], 1)
    assert store.parts("x") == {"s": [old[1], merged]}


def test_damaged_and_missing_parts_say_where_and_what_to_do(store):
    part = store.put_frame("signals/x", "a", FRAME)
    with pytest.raises(StoreError, match="not what its manifest says") as raised:
        store.frame(replace(part, sha256="0" * 64))
    assert (raised.value.where, raised.value.fix) == (f"{store.address}/{part.key}", "delete signals/x; the next run measures it again")
    store.storage.delete(part.key)
    with pytest.raises(StoreError, match="a listed file is gone") as raised:
        store.frame(part)
    assert "signals/x" in raised.value.fix


def test_sweeping_leaves_what_counts_and_deletes_the_rest(store):
    counted, lost = (store.put_frame("signals/x", "a", FRAME, scope="s") for _ in range(2))
    elsewhere = store.put_frame("signals/y", "a", FRAME, scope="s")
    candidate = store.put_frame("tmp/earlier-run/node", "000000", FRAME)
    store.publish("signals/x", [counted], 1)
    assert store.sweep(["signals/x"]) == 1
    left = store.storage.list("")
    assert counted.key in left
    assert elsewhere.key in left
    assert lost.key not in left
    assert candidate.key not in left


HOLD = """
import sys
from curate.store import Store
with Store.open(sys.argv[1]).writer() as epoch:
    print(epoch, flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_told_who_writes_and_a_dead_one_leaves_no_lock(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(curate.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "1\n"
        with pytest.raises(StoreError, match=f"being written by pid {holder.pid} on .*, epoch 1"), Store.open(tmp_path).writer():
            pass
        holder.kill()
        holder.wait()
        with Store.open(tmp_path).writer() as epoch:
            assert epoch == 2
    with Store.open(tmp_path).writer() as epoch:
        assert epoch == 3


@pytest.mark.parametrize(
    ("left", "epoch"), [("", 1), ("pid 12 on ho", 1), ("pid 12 on host, epoch", 1), ("pid 1 on epoch, epoch 41", 42), ("\0\xff", 1)]
)
def test_a_lock_file_in_any_state_can_be_taken(tmp_path, left, epoch):
    store = Store.open(tmp_path)
    store.path("lock").write_bytes(left.encode("latin-1"))
    with store.writer() as taken:
        assert taken == epoch


def test_an_unnamed_owner_is_another_process(tmp_path):
    store = Store.open(tmp_path)
    with store.path("lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="being written by another process"), store.writer():
            pass


def test_a_manifest_that_another_writer_took_is_an_error(store, monkeypatch):
    store.publish("x", [store.put_frame("x", "a", FRAME)], 1)
    monkeypatch.setattr(type(store.storage), "list", lambda *_: [])
    with pytest.raises(StoreError, match="another process publishes to this store"):
        store.publish("x", [store.put_frame("x", "a", FRAME)], 1)


def test_a_store_in_memory_has_no_files():
    with pytest.raises(StoreError, match="needs a store on a local disk"):
        Store.open("memory:nowhere").path("rows")
    assert named("match", "0123456789abcdef0123") == "match-0123456789abcdef"
