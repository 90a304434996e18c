import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.digest import hex_of, sha256, words_of
from curate.errors import StoreError
from curate.store import Store
from curate.subset import Subset, load, save

UIDS = words_of(bytes([n * 37 % 251]) * 16 for n in range(20))


@given(st.permutations(range(20)))
def test_order_of_arrival_changes_nothing(order):
    copies = np.arange(1, 21, dtype=np.uint32)
    assert Subset.of(UIDS[order]).digest == Subset.of(UIDS).digest
    assert Subset.of(UIDS[order], copies[order]).digest == Subset.of(UIDS, copies).digest


def test_digest_is_of_uids_and_copies():
    one = Subset.of(UIDS)
    assert one.hex == sorted(hex_of(UIDS))
    assert len(one) == 20
    assert len({one.digest, Subset.of(UIDS[1:]).digest, Subset.of(UIDS, np.full(20, 2, np.uint32)).digest, Subset.of(UIDS[:0]).digest}) == 4


@pytest.mark.parametrize("rows", [0, 20])
def test_equal_subsets_are_one_file(tmp_path, rows):
    store = Store.open(tmp_path)
    digest = save(store, Subset.of(UIDS[:rows]))
    assert save(store, Subset.of(UIDS[:rows][::-1])) == digest
    assert len(store.storage.list("subsets/")) == 1
    found = load(store, digest)
    assert found.digest == digest
    assert found.hex == sorted(hex_of(UIDS[:rows]))
    assert found.copies.tolist() == [1] * rows


def test_a_file_that_holds_another_subset_is_refused(tmp_path):
    store = Store.open(tmp_path)
    digest, other = save(store, Subset.of(UIDS)), save(store, Subset.of(UIDS[1:]))
    store.storage.delete(f"subsets/{digest[:16]}.parquet")
    with pytest.raises(StoreError, match="the subset is gone") as raised:
        load(store, digest)
    assert raised.value.where == f"{store.address}/subsets/{digest[:16]}.parquet"
    store.storage.put(f"subsets/{digest[:16]}.parquet", store.storage.get(f"subsets/{other[:16]}.parquet"))
    with pytest.raises(StoreError, match="not what its digest says"):
        load(store, digest)
    with pytest.raises(StoreError, match="not what its digest says"):
        save(store, Subset.of(UIDS))


def test_what_goes_into_a_digest_stays_as_it_is():
    copies = np.arange(1, 21, dtype=np.uint32)
    assert Subset.of(UIDS).digest == "de16cde11787efd6de3dfbcca10feaa633ae62b0314e2a40ec0c3c44e639c527"
    assert Subset.of(UIDS, copies).digest == "443082b3da9fbeacd3d1f959843541a95029a8f44bfbc2e59b3ae4eead8a69fa"
    order = sorted(range(20), key=lambda n: (int(UIDS[n, 0]), int(UIDS[n, 1])))  # as docs/formats.md says
    said = b"".join(UIDS[n].astype(">u8").tobytes() for n in order) + b"".join(int(copies[n]).to_bytes(4, "big") for n in order)
    assert Subset.of(UIDS, copies).digest == sha256(said)
