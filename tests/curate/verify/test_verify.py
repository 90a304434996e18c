"""What `verify` makes of a store of the engine: no false alarm, and what was cut, moved or left is said."""

import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl
import pytest

from curate.digest import sha256
from curate.errors import StoreError
from curate.executor import InProcess
from curate.seal import unsealed
from curate.store import Store
from curate.verify.store import Asked, quiet, verify_store
from pipelines.provenance.index import index
from tests.curate.conftest import RECIPE
from tests.curate.verify.forging import OTHER, verified, whats


def test_a_sound_store_has_no_findings(whole):
    found = verified(whole)
    assert (whats(found), found.notes) == ([], [])
    nodes = 5 + 1 + 6  # the changed threshold is one more node, and those below it
    assert found.checked["runs"] == 3
    assert found.checked["decisions"] >= 12 * nodes
    assert found.head == sha256(whole.storage.get("ledger/00000003.json"))


class Elsewhere(InProcess):
    """As other processes would: tasks and answers travel."""

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for number, task in enumerate(pickle.loads(pickle.dumps(list(tasks)))):
            yield number, pickle.loads(pickle.dumps(function(task)))


def test_workers_elsewhere_find_the_same(whole):
    assert verify_store(whole, Asked(), Elsewhere(), lambda *_: None)[0] == verified(whole)


def test_nothing_is_written(whole):
    before = {path: path.stat().st_mtime_ns for path in whole.path("").rglob("*")}
    verified(whole, full=True)
    assert {path: path.stat().st_mtime_ns for path in whole.path("").rglob("*")} == before


def test_a_store_in_memory(do, pool):
    store = Store.open("memory:verified")
    do(RECIPE, pool, store)
    assert whats(verified(store)) == []


def test_one_run_and_a_sample(whole):
    one = verified(whole, run="recipe")
    assert one.checked["runs"] == 3
    with pytest.raises(StoreError, match="no run called other"):
        verified(whole, run="other")
    every = verified(whole)
    shares = [verified(whole, share=0.5, seed=seed).checked["decisions"] for seed in range(6)]
    assert all(decisions in (0, *shares) for decisions in shares)
    assert min(shares) < every.checked["decisions"]
    assert 0 < max(shares) <= every.checked["decisions"]


@pytest.mark.parametrize(
    "point", ["run.before_publish", "run.before_decisions", "run.before_subset", "run.before_ledger", "run.after_decisions"]
)
def test_interrupted_and_resumed(do, pool, store, monkeypatch, point):
    changed = "signals: {longer: {length: {limit: 2}}}\n" + OTHER.replace("length.chars > 1", "longer.chars > 1")

    def stop(reached: str) -> None:
        if reached == point:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        for module in ("store", "decisions", "subset", "run"):
            patch.setattr(f"curate.{module}.reach", stop)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            do(changed, pool, store)
    assert whats(verified(store)) == []
    do(changed, pool, store)
    found = verified(store)
    assert whats(found) == []
    assert found.checked["runs"] == 4


def test_heads_tell_what_was_cut(store):
    head = verified(store).head
    assert verified(store, head=head).sound
    run_head = store.json("ledger/00000002.json")["head"]
    assert verified(store, head=run_head).sound
    last = store.json("ledger/00000003.json")["run"]
    store.storage.delete("ledger/00000003.json")
    assert [one.where for one in verified(store).findings] == [f"{last}/ledger.jsonl"]
    for key in store.storage.list(f"{last}/"):
        store.storage.delete(key)
    assert verified(store).sound  # with all its traces a run can be taken away
    assert any("never came by the head" in line for line in whats(verified(store, head=head)))
    assert verified(store, head=run_head).sound


def test_shards_that_changed_or_left_are_found(do, store, pool):
    file = pool.root / "0.parquet"
    sound, times = file.read_bytes(), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    try:
        file.write_bytes(sound[:-20] + b"x" + sound[-19:])
        assert f"{file}: the shard" in whats(verified(store))[0]
        file.unlink()
        assert whats(verified(store)) == [f"{file}: the shard is gone"]
        assert any("was not judged again: it rests on" in note for note in verified(store).notes)
        file.with_name("aside").write_bytes(b"")
    finally:
        file.write_bytes(sound)
        os.utime(file, ns=times)
        file.with_name("aside").unlink(missing_ok=True)
    assert verified(store, full=True).sound
    shutil.move(pool.root, pool.root.with_name("moved"))
    try:
        assert whats(verified(store)) == [f"{pool.root}: the pool is gone from here"]
    finally:
        shutil.move(pool.root.with_name("moved"), pool.root)


def test_foreign_and_left_over_files(store):
    store.storage.put("notes.txt", b"mine")
    store.storage.put("tmp/x", b"left")
    part = store.put_frame("/".join(store.storage.list("signals/")[0].split("/")[:2]), "attempt", pl.DataFrame({"row": [1]}))
    found = verified(store)
    assert whats(found) == ["notes.txt: no store holds a file of this name"]
    assert any(part.key in note for note in found.notes)
    assert any("under tmp/" in note for note in found.notes)


def test_a_store_of_before_there_were_seals(store):
    for key in store.storage.list(""):
        if key.endswith(".json") and not key.startswith("pools/files"):
            value = unsealed(store.storage.get(key), where="")
            store.storage.delete(key)
            store.storage.put(key, json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
    assert any("records have no seal" in line for line in whats(verified(store)))


def test_a_store_that_is_written_is_left_alone(store):
    with store.writer(), pytest.raises(StoreError, match="this store is being written"), quiet(store):
        pass
    with quiet(store), quiet(store):
        pass


def test_an_index_that_does_not_say_what_it_is_of_is_found(store):
    index(store)
    assert verified(store).sound
    (about,) = [key for key in store.storage.list("indexes/") if key.endswith("/about.json")]
    store.storage.delete(about)
    assert whats(verified(store)) == [f"{about}: it is gone, and parts of its index are there"]
    for key in store.storage.list("indexes/"):
        store.storage.delete(key)
    assert verified(store).sound
