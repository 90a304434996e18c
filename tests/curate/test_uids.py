"""Row identity: from a uid column, from content, and what is refused."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from curate.digest import hex_of, row_hash
from curate.errors import PoolError
from curate.pool import Pool
from curate.uids import number_duplicates, refuse_duplicates, uids_of_content, uids_of_strings


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def words_of(pool):
    return [pool.uids(shard)[0] for shard in pool.shards]


def test_hex_uids_are_their_sixteen_bytes_and_others_are_hashed():
    texts = ["0" * 31 + "a", "FF" * 16, "row-17", "g" * 32, "", "é" * 16, "0" * 33]
    words, originals = uids_of_strings(pl.Series("uid", texts))
    assert hex_of(words[:2]) == [texts[0], "ff" * 16]
    assert hex_of(words[2:]) == [row_hash([b"uid", text.encode()]).hex() for text in texts[2:]]
    assert originals.to_list() == [None, None, *texts[2:]]


def test_no_uid_at_all_is_no_special_case():
    words, originals = uids_of_strings(pl.Series("uid", [], dtype=pl.String))
    assert words.shape == (0, 2)
    assert originals is None


@given(st.lists(st.binary(min_size=16, max_size=16)))
def test_any_sixteen_bytes_survive_as_hex(uids):
    words, originals = uids_of_strings(pl.Series("uid", [uid.hex() for uid in uids], dtype=pl.String))
    assert hex_of(words) == [uid.hex() for uid in uids]
    assert originals is None


ROWS = st.lists(st.tuples(*[st.none() | st.text(max_size=3)] * 2), max_size=8)


@given(ROWS)
@example([(None, "\x01"), ("\x01", None)])
def test_content_uids_are_equal_exactly_for_equal_rows(rows):
    frame = pl.DataFrame(rows, schema={"text": pl.String, "url": pl.String}, orient="row")
    words = hex_of(uids_of_content(frame))
    assert hex_of(uids_of_content(frame.select("url", "text"))) == words
    assert len(set(words)) == len(set(rows))
    assert all((words[i] == words[j]) == (rows[i] == rows[j]) for i in range(len(rows)) for j in range(i))


def test_rows_without_a_uid_column_are_numbered_among_identical_ones(tmp_path):
    write(tmp_path / "a.parquet", text=["same", "other", "same"])
    write(tmp_path / "b.parquet", text=["same", None])
    pool = Pool.open(tmp_path)
    plain = words_of(pool)
    numbered = number_duplicates(plain)
    assert [len(words) for words in numbered] == [3, 2]
    assert len({tuple(row) for words in numbered for row in words.tolist()}) == 5
    assert numbered[0][:2].tolist() == plain[0][:2].tolist()
    assert numbered[1][1].tolist() == plain[1][1].tolist()
    assert [words.tolist() for words in number_duplicates(words_of(pool))] == [words.tolist() for words in numbered]


def test_numbering_depends_only_on_how_many_are_identical(tmp_path):
    for name, shards in {"one": [["x", "x", "y"], ["x"]], "two": [["y"], ["x"], ["x", "x"]]}.items():
        for number, texts in enumerate(shards):
            write(tmp_path / name / f"{number}.parquet", text=texts)
    found = [np.concatenate(number_duplicates(words_of(Pool.open(tmp_path / name)))).tolist() for name in ("one", "two")]
    assert sorted(found[0]) == sorted(found[1])


def test_no_shards_have_no_duplicates():
    assert number_duplicates([]) == []


def test_image_bytes_decide_content_uids(tmp_path):
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": data, "path": f"{n}.png"} for n, data in enumerate([b"one", b"two", b"one", None])]
    write(tmp_path / "a.parquet", image=pa.array(rows, image), text=["t"] * 4)
    words = words_of(Pool.open(tmp_path))[0].tolist()
    assert words[0] == words[2]
    assert len({tuple(row) for row in words}) == 3


def test_duplicate_uids_are_refused_naming_files_and_rows(tmp_path):
    write(tmp_path / "a.parquet", uid=["u0", "u1", "u2"], text=["x"] * 3)
    write(tmp_path / "b.parquet", uid=["u3", "u1", "u1"], text=["y"] * 3)
    pool = Pool.open(tmp_path)
    with pytest.raises(PoolError, match=r"2 rows of the uid column 'uid' repeat another row's uid") as raised:
        refuse_duplicates(pool, words_of(pool))
    assert "'u1' at a.parquet row 1 and 'u1' at b.parquet row 1" in raised.value.what
    assert "--role uid=COLUMN" in raised.value.fix


def test_same_uid_in_two_cases_of_hex_is_a_duplicate(tmp_path):
    write(tmp_path / "a.parquet", uid=["ab" * 16, "AB" * 16], text=["x", "y"])
    pool = Pool.open(tmp_path)
    with pytest.raises(PoolError, match=r"a\.parquet row 0 and .* at a\.parquet row 1"):
        refuse_duplicates(pool, words_of(pool))


def test_unique_uids_and_pools_without_a_uid_column_are_not_refused(tmp_path):
    write(tmp_path / "a.parquet", uid=["u0", "u1"], text=["same", "same"])
    for roles in ({}, {"uid": ""}):
        pool = Pool.open(tmp_path, roles=roles)
        refuse_duplicates(pool, words_of(pool))


def test_dolma_ids_count_inside_their_source(tmp_path):
    write(tmp_path / "a.parquet", id=["1", "1", "2"], text=["x", "y", "z"], source=["books", "web", None], added=["2024"] * 3)
    pool = Pool.open(tmp_path)
    words, originals = pool.uids(pool.shards[0])
    assert pool.layout == "dolma"
    refuse_duplicates(pool, [words])
    assert originals.to_list() == ["books/1", "web/1", "/2"]


def test_whole_number_uids_are_their_text(tmp_path):
    write(tmp_path / "a.parquet", uid=[10, 11], text=["x", "y"])
    pool = Pool.open(tmp_path)
    words, originals = pool.uids(pool.shards[0])
    assert originals.to_list() == ["10", "11"]
    assert hex_of(words) == [row_hash([b"uid", text.encode()]).hex() for text in ("10", "11")]


def test_uid_that_cannot_be_read_gets_its_place(tmp_path):
    write(tmp_path / "a.parquet", uid=pa.array([b"u0", b"\xff", b"\xfe"], pa.binary()), text=["x", "y", "z"])
    pool = Pool.open(tmp_path)
    words, originals = pool.uids(pool.shards[0])
    assert originals.to_list() == ["u0", None, None]
    assert len(np.unique(words, axis=0)) == 3
    refuse_duplicates(pool, [words])
