import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from curate.digest import (
    canonical_json,
    digest_of,
    h,
    h_with,
    hex_of,
    order_of,
    row_hash,
    sha256,
    sha256_file,
    sha256_path,
    words_of,
    words_of_hex,
    xxh3_128_of_16,
)

UIDS = st.lists(st.binary(min_size=16, max_size=16), max_size=8)


@given(UIDS, st.integers(0, 2**64 - 1))
def test_vectorised_hash_is_the_librarys(uids, seed):
    assert hex_of(xxh3_128_of_16(words_of(uids), seed)) == [xxhash.xxh3_128_hexdigest(uid, seed) for uid in uids]


@given(UIDS)
def test_words_and_hex_are_the_same_bytes_and_sort_alike(uids):
    words = words_of(uids)
    assert hex_of(words) == [uid.hex() for uid in uids]
    assert np.array_equal(words_of_hex(uid.hex() for uid in uids), words)
    assert hex_of(words[order_of(words)]) == sorted(uid.hex() for uid in uids)


def test_domains_seeds_and_epochs_draw_apart():
    uids = words_of(row_hash([bytes([n])]) for n in range(100))
    draws = [h("tie", 0, uids), h("random", 0, uids), h("random", 1, uids), h("order", 0, uids, 1), h("order", 0, uids, 1, 0)]
    assert len({tuple(map(tuple, draw.tolist())) for draw in draws}) == len(draws)
    assert np.array_equal(h("order", 0, uids, 1), h("order", 0, uids, 1))
    # The chance that one of the ten pairs of independent orders agrees on so many of 100 places is below 1e-6.
    ranks = [order_of(draw) for draw in draws]
    assert all(np.count_nonzero(a == b) < 12 for i, a in enumerate(ranks) for b in ranks[:i])


def test_parts_of_a_row_cannot_flow_into_each_other():
    assert row_hash([b"ab", b"c"]) != row_hash([b"a", b"bc"]) != row_hash([b"abc"])
    assert row_hash([]) != row_hash([b""])
    assert row_hash([b"ab"]) == xxhash.xxh3_128_digest((2).to_bytes(8, "little") + b"ab")


def test_equal_values_have_one_text_and_nan_has_none(tmp_path):
    assert canonical_json({"b": (1, 2), "a": "ü"}) == '{"a":"ü","b":[1,2]}'
    assert digest_of({"b": 1, "a": 2}) == digest_of({"a": 2, "b": 1}) != digest_of({"a": 2, "b": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_file(tmp_path / "x") == sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_folder_is_the_names_and_contents_of_its_files(tmp_path):
    digests = set()
    for name, data in [("a", b"1"), ("b", b"1"), ("a", b"2")]:
        folder = tmp_path / f"{name}{data.decode()}"
        (folder / "deeper").mkdir(parents=True)
        (folder / name).write_bytes(data)
        assert sha256_path(folder / name) == sha256_file(folder / name)
        digests.add(sha256_path(folder))
    twin = tmp_path / "twin"
    twin.mkdir()
    (twin / "a").write_bytes(b"1")
    assert sha256_path(twin) in digests
    assert len(digests) == 3


def test_rows_whose_high_words_meet_are_ordered_by_the_low_and_equal_ones_stay_in_order():
    words = np.random.default_rng(0).integers(0, 3, (500, 2)).astype(np.uint64)
    assert order_of(words).tolist() == np.lexsort((words[:, 1], words[:, 0])).tolist()


def test_pairs_hash_apart_from_each_other_and_from_uids_alone():
    uids = np.random.default_rng(0).integers(0, 2**64, (200, 2), dtype=np.uint64)
    pairs = [(seed, number) for seed in (0, 1) for number in (0, 1, 2**32 - 1)]
    found = np.concatenate([h_with("balance", seed, uids, np.full(200, number, np.uint64)) for seed, number in pairs])
    every = np.concatenate([found, h("balance", 0, uids), h("random", 0, uids), h_with("random", 0, uids, np.zeros(200, np.uint64))])
    assert len(np.unique(every, axis=0)) == len(every)
    again = h_with("balance", 0, uids[::-1], np.full(200, 1, np.uint64))
    assert (again[::-1] == found[200:400]).all()
    assert abs((found[:, 0] >> np.uint64(63)).mean() - 0.5) < 4 * 0.5 / 1_200**0.5
