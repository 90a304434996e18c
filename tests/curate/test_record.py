import numpy as np
import pytest
from polars.testing import assert_frame_equal

from curate.digest import hex_of
from curate.errors import CeterisError, StoreError
from curate.ledger import append_head
from curate.record import Run
from curate.store import Store


def test_a_run_is_read_back_from_its_folder(finished):
    run = Run.open(finished.store.path(finished.folder))
    assert run.facts == finished.facts
    assert list(run.facts["nodes"])[:4] == ["pool", "some", "best", "unique"]
    assert list(run.facts["subsets"]) == ["pool", "best", "unique", "both", "rest"]
    with pytest.raises(StoreError, match="no finished run here") as raised:
        Run.open(finished.store.path("runs/none"))
    assert "curate run" in raised.value.fix


def test_the_latest_run_of_a_name(tmp_path):
    store = Store.open(tmp_path)
    with pytest.raises(StoreError, match="this store has no run\n"):
        Run.latest(store)
    for folder in ("runs/a-1111", "runs/a-b-2222", "runs/a-3333", "runs/c-4444"):
        append_head(store, folder, "0" * 64)
    names = {None: "runs/c-4444", "a": "runs/a-3333", "a-b": "runs/a-b-2222", "a-1111": "runs/a-1111"}
    assert {name: Run.latest(store, name).folder for name in names} == names
    with pytest.raises(StoreError, match="no run called b") as raised:
        Run.latest(store, "b")
    assert "a-1111, a-3333, a-b-2222, c-4444" in raised.value.fix


def test_subsets_are_the_uids_of_the_rows_that_are_in(finished):
    for name in ("best", "unique", "both", "rest"):
        chosen = finished.subset(name)
        assert chosen.name == name
        assert chosen.run is finished
        assert chosen.hex == sorted(hex_of(finished.uids()[finished.codes(name) == 0]))
    assert finished.subset("pool").hex == sorted(hex_of(finished.uids()))


def test_the_pool_as_a_subset_lies_in_no_file_and_is_checked(finished, monkeypatch):
    digests = {name: finished.subset(name).digest for name in finished.facts["subsets"]}
    assert digests == finished.facts["subsets"]
    files = {f"subsets/{digest[:16]}.parquet" for name, digest in digests.items() if name != "pool"}
    assert set(finished.store.storage.list("subsets/")) == files
    assert finished.store.json(f"{finished.facts['pool']}/subset.json") == {"digest": digests["pool"]}
    monkeypatch.setattr(Run, "uids", lambda _: np.zeros((12, 2), np.uint64))
    with pytest.raises(StoreError, match="not those that the digest of its subset says"):
        finished.subset("pool")


def test_evidence_is_in_pool_order_with_rows_counted_over_the_pool(finished, texts):
    found = finished.evidence("length")
    assert found["row"].to_list() == list(range(12))
    assert found["chars"].to_list() == [3, 3, 4, None, 3, 2, 5, 11, 11, 0, 1, 3]
    assert found["error"].to_list() == [None] * 6 + ["shouted"] + [None] * 5
    sketches = finished.evidence("alike.sketch")
    assert sketches["row"].to_list() == np.flatnonzero(finished.codes("some") == 0).tolist()
    assert_frame_equal(found, Run.open(finished.store.path(finished.folder)).evidence("length"))


def test_what_a_run_lacks_is_said_with_what_it_has(finished):
    for ask, what, fix in [
        (lambda: finished.subset("bset"), "no subset bset", "pool, best, unique, both, rest"),
        (lambda: finished.decided("bset"), "no stage bset", "pool, some, best"),
        (lambda: finished.evidence("lenght"), "no signal lenght", "length"),
    ]:
        with pytest.raises(CeterisError, match=what) as raised:
            ask()
        assert fix in raised.value.fix
        assert raised.value.where == finished.folder
