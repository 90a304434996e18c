"""Pools as the field writes them, and what becomes of everything in them that is broken."""

import gzip
import json
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import PoolError
from curate.pool import Pool

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TEXTS = ["a red cube", "", "  ", "ein roter Würfel", "红色立方体", "مكعب أحمر", "kanji 立方 \U0001f9ca", "line\nbreak"]


def write(path, *, group=None, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return path


def uids(count, first=0):
    return [f"{first + n:032x}" for n in range(count)]


def pictures(count):
    return pa.array([{"bytes": b"\xff\xd8\xff" + bytes([n]), "path": f"{n}.jpg"} for n in range(count)], type=IMAGE)


def read_all(pool, **asked):
    return pl.concat([pool.read(shard, **asked).frame for shard in pool.shards])


def test_hugging_face_image_text_pool(tmp_path):
    write(tmp_path / "data" / "train-00000-of-00002.parquet", group=3, image=pictures(8), text=TEXTS, width=list(range(8)))
    write(tmp_path / "data" / "train-00001-of-00002.parquet", image=pictures(2), text=["x", "y"], width=[8, 9])
    pool = Pool.open(tmp_path)
    assert (pool.layout, pool.modality, pool.rows) == ("huggingface-image-text", "image-text", 10)
    assert pool.roles == {"image": "image", "text": "text"}
    assert pool.columns == {"text": pl.String(), "width": pl.Int64()}
    assert [shard.groups for shard in pool.shards] == [(3, 3, 2), (2,)]
    read = pool.read(pool.shards[0], roles=["text", "image", "license"], columns=["width"], start=2, stop=5)
    assert read.frame.to_dict(as_series=False) == {
        "text": TEXTS[2:5],
        "image": [b"\xff\xd8\xff" + bytes([n]) for n in (2, 3, 4)],
        "license": [None] * 3,
        "pool.width": [2, 3, 4],
    }
    assert read.faults == {}


def test_commonpool_metadata_pool(tmp_path):
    write(
        tmp_path / "00000000.parquet",
        uid=uids(4),
        url=[f"https://example.org/{n}.jpg" for n in range(4)],
        text=TEXTS[:4],
        original_width=[640, 1, None, 9],
        original_height=[480, 1, None, 9],
        clip_b32_similarity_score=pa.array([0.1, 0.2, 0.3, 0.4], pa.float32()),
        clip_l14_similarity_score=pa.array([0.4, 0.3, 0.2, 0.1], pa.float32()),
        face_bboxes=[[[0.1, 0.2, 0.3, 0.4]], [], [], []],
        sha256=["00"] * 4,
    )
    pool = Pool.open(tmp_path)
    assert (pool.layout, pool.modality) == ("datacomp-commonpool", "metadata")
    assert pool.roles == {"uid": "uid", "url": "url", "text": "text", "face_boxes": "face_bboxes"}
    assert pool.columns["clip_l14_similarity_score"] == pl.Float32()
    assert "face_bboxes" not in pool.columns
    words, originals = pool.uids(pool.shards[0])
    assert words.tolist() == [[0, n] for n in range(4)]
    assert originals is None


def test_plain_text_parquet_pool(tmp_path):
    write(tmp_path / "docs.parquet", text=TEXTS)
    pool = Pool.open(tmp_path / "docs.parquet")
    assert (pool.layout, pool.modality, pool.roles) == ("plain-text", "text", {"text": "text"})
    assert read_all(pool, roles=["text"])["text"].to_list() == TEXTS


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst", "json.gz"])
def test_json_lines_pool(tmp_path, ending):
    lines = "".join(
        json.dumps({"text": text, "score": n, "meta": {"n": n}}, ensure_ascii=n % 2 == 0) + "\n" for n, text in enumerate(TEXTS)
    )
    path = tmp_path / f"part.{ending}"
    if ending.endswith(".gz"):
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        with pa.OSFile(str(path), "wb") as file:
            sink = pa.CompressedOutputStream(file, "zstd") if ending.endswith("zst") else file
            sink.write(lines.encode())
            sink.close()
    pool = Pool.open(tmp_path)
    assert (pool.layout, pool.rows, pool.columns) == ("plain-text", len(TEXTS), {"text": pl.String(), "score": pl.Float64()})
    frame = read_all(pool, roles=["text"], columns=["score"])
    assert frame.to_dict(as_series=False) == {"text": TEXTS, "pool.score": [float(n) for n in range(len(TEXTS))]}
    assert pool.read(pool.shards[0], roles=["text"], rows=[1, 6]).frame["text"].to_list() == [TEXTS[1], TEXTS[6]]


def test_text_folder_pool_has_one_row_a_file(tmp_path):
    (tmp_path / "b").mkdir()
    for name, data in {
        "one.txt": b"first",
        "two.txt": b"\xff\xfe broken",
        "b/three.txt": b"third",
        "_draft.txt": b"hidden",
    }.items():
        (tmp_path / name).write_bytes(data)
    pool = Pool.open(tmp_path)
    assert (pool.layout, pool.rows, [shard.path for shard in pool.shards]) == ("text-folder", 3, [".", "b"])
    read = pool.read(pool.shards[0], roles=["text"], columns=["path"])
    assert read.frame.rows() == [("first", "one.txt"), (None, "two.txt")]
    assert read.faults["text"].to_list() == [None, "invalid_utf8"]


def test_image_column_may_hold_plain_bytes(tmp_path):
    write(tmp_path / "a.parquet", jpg=pa.array([b"\x89PNG1", None], pa.binary()), caption=["x", "y"])
    pool = Pool.open(tmp_path)
    assert (pool.layout, pool.roles) == ("image-text", {"image": "jpg", "text": "caption"})
    assert read_all(pool, roles=["image"])["image"].to_list() == [b"\x89PNG1", None]


def test_truncated_parquet_is_listed_and_the_other_shards_are_used(tmp_path):
    whole = write(tmp_path / "a.parquet", text=["x", "y"])
    (tmp_path / "b.parquet").write_bytes(whole.read_bytes()[:-20])
    pool = Pool.open(tmp_path)
    assert [shard.path for shard in pool.shards] == ["a.parquet"]
    assert [(file.path, file.code) for file in pool.unreadable] == [("b.parquet", "truncated")]
    assert pool.unreadable[0].fix


@pytest.mark.parametrize(
    ("data", "code", "detail"),
    [
        (b"", "empty_file", "0 bytes"),
        (b"<!DOCTYPE html><title>404</title>", "not_parquet", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "not_parquet", "Git LFS"),
        (b"PAR1 nothing that could be a footer PAR1", "bad_footer", ""),
    ],
)
def test_file_that_is_no_parquet_is_listed(tmp_path, data, code, detail):
    write(tmp_path / "a.parquet", text=["x"])
    (tmp_path / "b.parquet").write_bytes(data)
    (found,) = Pool.open(tmp_path).unreadable
    assert (found.path, found.code) == ("b.parquet", code)
    assert detail in found.detail


def test_pool_without_a_readable_file_is_refused(tmp_path):
    (tmp_path / "only.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(PoolError, match=r"none of 1 data files can be read; the first is truncated"):
        Pool.open(tmp_path)
    with pytest.raises(PoolError, match=r"no such file or folder"):
        Pool.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PoolError, match=r"no data file \(looked for \.parquet"):
        Pool.open(tmp_path / "empty")


def test_damaged_pages_cost_only_their_own_column_and_group(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"row {n}" for n in range(40)], "license": [f"licence {n}" for n in range(40)]})
    pq.write_table(table, path, row_group_size=20, write_page_checksum=True, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    place = data.index(b"row 27")
    data[place] ^= 1
    path.write_bytes(data)
    pool = Pool.open(tmp_path)
    read = pool.read(pool.shards[0], roles=["text", "license"])
    assert read.frame["text"].to_list() == [f"row {n}" for n in range(20)] + [None] * 20
    assert read.faults["text"].to_list() == [None] * 20 + ["unreadable"] * 20
    assert "license" not in read.faults
    assert read.frame["license"].to_list() == [f"licence {n}" for n in range(40)]


def test_no_flipped_bit_in_checked_pages_gives_another_value(tmp_path):
    path = tmp_path / "a.parquet"
    whole = pl.DataFrame({"text": [f"row {n}" for n in range(60)], "pool.score": [n / 7 for n in range(60)]})
    table = pa.table({"text": whole["text"].to_arrow(), "score": whole["pool.score"].to_arrow()})
    pq.write_table(table, path, row_group_size=20, write_page_checksum=True, compression="zstd")
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for place in range(4, footer, 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        pool = Pool.open(path)
        read = pool.read(pool.shards[0], roles=["text"], columns=["score"])
        for name in whole.columns:
            faulty = read.faults.get(name, pl.Series([None] * 60, dtype=pl.String)).is_not_null()
            assert read.frame[name].is_null().equals(faulty)
            assert read.frame[name].filter(~faulty).equals(whole[name].filter(~faulty))


def test_missing_text_role_names_the_columns_and_the_override(tmp_path):
    write(tmp_path / "a.parquet", image=pictures(1), alt_text=["x"])
    with pytest.raises(PoolError, match=r"no text column among image, alt_text") as raised:
        Pool.open(tmp_path)
    assert "--role text=COLUMN" in raised.value.fix
    assert Pool.open(tmp_path, roles={"text": "alt_text"}).roles == {"image": "image", "text": "alt_text"}


def test_column_of_a_role_missing_from_one_shard_names_the_shard(tmp_path):
    write(tmp_path / "a.parquet", text=["x"], license=["MIT"])
    write(tmp_path / "b.parquet", text=["y"])
    with pytest.raises(PoolError, match=r"b\.parquet: column 'license' \(role license\) is missing; found text"):
        Pool.open(tmp_path)


def test_two_candidates_for_a_role_name_both_and_the_override(tmp_path):
    write(tmp_path / "a.parquet", text=["x"], Caption=["y"])
    with pytest.raises(PoolError, match=r"2 columns could be the role text: text, Caption") as raised:
        Pool.open(tmp_path)
    assert "roles: {text: text}" in raised.value.fix
    assert "--role text=text` (or Caption)" in raised.value.fix
    pool = Pool.open(tmp_path, roles={"text": "Caption"})
    assert read_all(pool, roles=["text"])["text"].to_list() == ["y"]


def test_empty_shard_takes_part(tmp_path):
    write(tmp_path / "a.parquet", uid=pa.array([], pa.string()), text=pa.array([], pa.string()))
    write(tmp_path / "b.parquet", uid=uids(2), text=["x", "y"])
    pool = Pool.open(tmp_path)
    assert [shard.rows for shard in pool.shards] == [0, 2]
    assert pool.read(pool.shards[0], roles=["text"]).frame.shape == (0, 1)
    assert pool.uids(pool.shards[0])[0].shape == (0, 2)
    assert pool.describe()["sample"][0]["text"] == "x"


def test_pool_of_no_rows_opens(tmp_path):
    write(tmp_path / "a.parquet", text=pa.array([], pa.string()))
    (tmp_path / "b").mkdir()
    pool = Pool.open(tmp_path)
    assert pool.rows == 0
    assert pool.uids(pool.shards[0])[0].shape == (0, 2)
    assert pool.describe()["sample"] == []


def test_null_nul_and_ten_megabyte_texts_are_read_as_they_are(tmp_path):
    texts = [None, "nul \0 inside", "é" * 5_000_000, ""]
    write(tmp_path / "a.parquet", text=texts)
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    for path in (tmp_path / "a.parquet", tmp_path / "lines"):
        pool = Pool.open(path)
        read = pool.read(pool.shards[0], roles=["text"])
        assert read.frame["text"].to_list() == texts
        assert read.faults == {}
        words = pool.uids(pool.shards[0])[0]
        assert len(np.unique(words, axis=0)) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [pa.float32(), pa.float64()])
def test_score_that_is_not_finite_is_null_with_a_code(tmp_path, value, dtype):
    write(tmp_path / "a.parquet", text=["x", "y", "z"], score=pa.array([0.5, value, None], dtype))
    pool = Pool.open(tmp_path)
    read = pool.read(pool.shards[0], columns=["score"])
    assert read.frame["pool.score"].to_list() == [0.5, None, None]
    assert read.faults["pool.score"].to_list() == [None, "not_finite", None]


def test_text_that_is_no_utf8_is_null_with_a_code(tmp_path):
    raw = pa.array([b"fine", b"\xff\xfe", b"caf\xc3\xa9", None], pa.binary())
    write(tmp_path / "a.parquet", text=raw)
    pa_text = pa.Array.from_buffers(pa.string(), 4, raw.buffers(), null_count=1)
    write(tmp_path / "b" / "b.parquet", text=pa_text)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "c.jsonl").write_bytes(b'{"text": "fine"}\n{"text": "\xff\xfe"}\n{"text": "caf\xc3\xa9"}\n{"text": null}\n')
    for path in (tmp_path / "a.parquet", tmp_path / "b", tmp_path / "c"):
        pool = Pool.open(path)
        read = pool.read(pool.shards[0], roles=["text"])
        assert read.frame["text"].to_list() == ["fine", None, "café", None]
        assert read.faults["text"].to_list() == [None, "invalid_utf8", None, None]


def test_bad_json_line_stays_a_row_with_a_code(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"uid": "u0", "text": "x", "score": 1}\n{"uid": "u1", "text": \n[1]\n{"uid": "u3", "text": "z", "score": NaN}\n'
    )
    pool = Pool.open(tmp_path)
    read = pool.read(pool.shards[0], roles=["text"], columns=["score"])
    assert read.frame["text"].to_list() == ["x", None, None, "z"]
    assert read.faults["text"].to_list() == [None, "bad_json", "bad_json", None]
    assert read.faults["pool.score"].to_list() == [None, "bad_json", "bad_json", "not_finite"]
    words, originals = pool.uids(pool.shards[0])
    assert originals.to_list() == ["u0", None, None, "u3"]
    assert len(np.unique(words, axis=0)) == 4


def test_images_beside_the_shard_are_read_and_never_from_outside_the_pool(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"outside")
    pool_root = tmp_path / "pool"
    (pool_root / "img").mkdir(parents=True)
    (pool_root / "img" / "a.jpg").write_bytes(b"inside")
    (pool_root / "img" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    paths = ["img/a.jpg", "img/gone.jpg", "../secret.jpg", str(tmp_path / "secret.jpg"), "img/link.jpg", "img", "nul\0.jpg", None]
    write(pool_root / "a.parquet", image=paths, text=[str(n) for n in range(8)])
    pool = Pool.open(pool_root)
    read = pool.read(pool.shards[0], roles=["image"])
    assert read.frame["image"].to_list() == [b"inside", *[None] * 7]
    assert read.faults["image"].to_list() == [
        None,
        "missing_file",
        *["outside_pool"] * 3,
        "missing_file",
        "missing_file",
        None,
    ]
    before = pool.id
    (pool_root / "img" / "a.jpg").write_bytes(b"changed inside")
    assert Pool.open(pool_root).id != before


def test_image_struct_without_bytes_is_read_from_its_path(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"from the file")
    rows = [{"bytes": b"held", "path": "0.jpg"}, {"bytes": None, "path": "1.jpg"}, {"bytes": None, "path": None}, None]
    write(tmp_path / "a.parquet", image=pa.array(rows, IMAGE), text=list("abcd"))
    pool = Pool.open(tmp_path)
    read = pool.read(pool.shards[0], roles=["image"])
    assert read.frame["image"].to_list() == [b"held", b"from the file", None, None]
    assert read.faults == {}


@pytest.mark.parametrize(
    ("other", "match"),
    [
        ({"text": [1.5]}, r"b\.parquet: column 'text' drifts: found Float64, expected String"),
        ({"text": ["y"], "score": ["high"]}, r"b\.parquet: column 'score' drifts: found String, expected Int64"),
        ({"text": ["y"], "score": [True]}, r"b\.parquet: column 'score' drifts: found Boolean, expected Int64"),
    ],
)
def test_schema_drift_names_file_column_found_and_expected(tmp_path, other, match):
    write(tmp_path / "a.parquet", text=["x"], score=[1])
    write(tmp_path / "b.parquet", **other)
    with pytest.raises(PoolError, match=match):
        Pool.open(tmp_path)


def test_wider_numbers_and_all_null_columns_are_no_drift(tmp_path):
    write(tmp_path / "a.parquet", text=["x"], score=pa.array([1], pa.int32()), more=pa.nulls(1))
    write(tmp_path / "b.parquet", text=["y"], score=pa.array([0.5], pa.float32()), more=["z"])
    write(tmp_path / "c.parquet", text=["z"])
    pool = Pool.open(tmp_path)
    assert pool.columns == {"text": pl.String(), "score": pl.Float64(), "more": pl.String()}
    assert read_all(pool, columns=["score", "more"]).rows() == [(1.0, None), (0.5, "z"), (None, None)]
    assert pool.read(pool.shards[2], columns=["score"]).faults["pool.score"].to_list() == ["no_column"]


@pytest.mark.parametrize(
    ("array", "dtype", "values"),
    [
        (pa.array([0, None], pa.timestamp("ns", "-02:15")), pl.Datetime("us", "UTC"), [datetime(1970, 1, 1, tzinfo=UTC), None]),
        (pa.array([1, None], pa.timestamp("s")), pl.Datetime("us"), [datetime(1970, 1, 1, 0, 0, 1), None]),
        (pa.array([2**62, None], pa.timestamp("ms")), pl.Datetime("us"), [None, None]),
        (pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)), pl.Float64(), [1.5, None]),
        (pa.array([Decimal("1.50"), None], pa.decimal256(50, 2)), pl.Float64(), [1.5, None]),
        (pa.array([1.5, None], pa.float16()), pl.Float32(), [1.5, None]),
        (pa.array(["x", None]).dictionary_encode(), pl.String(), ["x", None]),
        (pa.array([7, None], pa.uint8()).dictionary_encode(), pl.UInt8(), [7, None]),
        (pa.array(["x", None], pa.string_view()), pl.String(), ["x", None]),
        (pa.array([date(2024, 2, 29), None], pa.date64()), pl.Date(), [date(2024, 2, 29), None]),
        (pa.array([2**64 - 1, None], pa.uint64()), pl.UInt64(), [2**64 - 1, None]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_every_scalar_type_is_read(tmp_path, array, dtype, values):
    write(tmp_path / "a.parquet", text=["x", "y"], value=array)
    pool = Pool.open(tmp_path)
    found = pool.read(pool.shards[0], columns=["value"]).frame["pool.value"]
    assert (pool.columns["value"], found.dtype) == (dtype, dtype)
    assert found.to_list() == values


@pytest.mark.parametrize("kind", [pa.time32("s"), pa.duration("s"), pa.list_(pa.int8()), pa.map_(pa.string(), pa.int8()), pa.binary(4)])
def test_other_types_are_no_pool_columns_and_do_no_harm(tmp_path, kind):
    write(tmp_path / "a.parquet", text=["x"], value=pa.nulls(1, kind))
    pool = Pool.open(tmp_path)
    assert pool.columns == {"text": pl.String()}
    assert read_all(pool, roles=["text"])["text"].to_list() == ["x"]


def test_two_columns_of_one_name_are_refused(tmp_path):
    pq.write_table(pa.table([pa.array(["x"]), pa.array(["y"])], names=["text", "text"]), tmp_path / "a.parquet")
    with pytest.raises(PoolError, match=r"a\.parquet: 2 columns are called 'text'"):
        Pool.open(tmp_path)


def test_parquet_and_json_lines_together_are_refused(tmp_path):
    write(tmp_path / "a.parquet", text=["x"])
    (tmp_path / "b.jsonl").write_text('{"text": "y"}\n')
    with pytest.raises(PoolError, match=r"both Parquet \(a\.parquet\) and JSON lines \(b\.jsonl\)"):
        Pool.open(tmp_path)
    assert Pool.open(tmp_path / "b.jsonl").rows == 1


def test_hidden_files_and_folder_loops_are_not_data(tmp_path):
    write(tmp_path / "a.parquet", text=["x"])
    write(tmp_path / "_temporary" / "b.parquet", text=["y"])
    write(tmp_path / ".cache" / "c.parquet", text=["z"])
    (tmp_path / "again").symlink_to(tmp_path)
    assert [shard.path for shard in Pool.open(tmp_path).shards] == ["a.parquet"]


def test_same_pool_whatever_the_order_on_disk_and_wherever_it_lies(tmp_path):
    def make(root, names):
        for name in names:
            number = int(name[1])
            write(root / name, group=2, text=[f"{name} {n}" for n in range(5)], score=[number] * 5)
        return Pool.open(root)

    names = [f"s{n}.parquet" for n in range(9)]
    first, second = make(tmp_path / "one", names), make(tmp_path / "else" / "two", [names[n] for n in (4, 8, 0, 7, 2, 1, 6, 3, 5)])
    assert first.id == second.id
    assert first.shards == second.shards
    for one, other in zip(first.shards, second.shards, strict=True):
        assert first.uids(one)[0].tolist() == second.uids(other)[0].tolist()
    assert read_all(first, roles=["text"]).equals(read_all(second, roles=["text"]))


def test_shards_follow_the_order_of_their_paths(tmp_path):
    names = ["z.parquet", "a/z.parquet", "a.parquet", "b/a.parquet", "a/b/c.parquet", "B.parquet"]
    for name in names:
        write(tmp_path / name, text=[name])
    assert [shard.path for shard in Pool.open(tmp_path).shards] == sorted(names)


def test_pool_travels_as_json_without_looking_at_a_file(tmp_path):
    path = write(tmp_path / "a.parquet", group=2, uid=uids(3), text=["x", "y", "z"], score=pa.array([1, 2, 3], pa.float32()))
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    pool = Pool.open(tmp_path)
    held = json.loads(json.dumps(pool.to_json()))
    path.rename(tmp_path / "elsewhere")
    again = Pool.from_json(held)
    (tmp_path / "elsewhere").rename(path)
    assert (again.id, again.columns, again.unreadable) == (pool.id, pool.columns, pool.unreadable)
    assert again.read(again.shards[0], roles=["text"], columns=["score"]).frame.equals(read_all(pool, roles=["text"], columns=["score"]))


def test_cache_spares_unchanged_files_and_sees_every_change(tmp_path):
    path = write(tmp_path / "pool" / "a.parquet", text=["x", "y"])
    cache = tmp_path / "cache" / "files.json"
    first = Pool.open(tmp_path / "pool", cache=cache)
    again = Pool.open(tmp_path / "pool", cache=cache)
    assert (first.digest_level, again.digest_level) == ("full", "stat")
    assert (again.id, again.shards) == (first.id, first.shards)
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    data = path.read_bytes().replace(b"y", b"z")
    path.write_bytes(data)
    os.utime(path, ns=times)
    changed = Pool.open(tmp_path / "pool", cache=cache)
    assert changed.digest_level == "full"
    assert changed.id != first.id
    cache.write_text("damaged {")
    assert Pool.open(tmp_path / "pool", cache=cache).id == changed.id


def test_null_uids_are_refused_naming_file_and_rows(tmp_path):
    write(tmp_path / "a.parquet", uid=["u0", None, "u2", None], text=list("abcd"))
    pool = Pool.open(tmp_path)
    with pytest.raises(PoolError, match=r"a\.parquet: the uid column 'uid' is null in 2 rows: 1, 3"):
        pool.uids(pool.shards[0])


def test_rows_outside_the_shard_are_refused(tmp_path):
    write(tmp_path / "a.parquet", text=["x", "y"])
    pool = Pool.open(tmp_path)
    for rows in ([2], [-1], [1, 0]):
        with pytest.raises(PoolError, match=r"rows must be sorted and lie within 0 \.\. 1"):
            pool.read(pool.shards[0], roles=["text"], rows=rows)


def test_unknown_pool_column_gets_the_nearest(tmp_path):
    write(tmp_path / "a.parquet", text=["x"], similarity=[0.5])
    pool = Pool.open(tmp_path)
    with pytest.raises(PoolError, match=r"no column 'similarty' for rules; did you mean 'similarity'"):
        pool.read(pool.shards[0], columns=["similarty"])


def test_description_shows_no_image_bytes_and_cuts_long_texts(tmp_path):
    write(tmp_path / "a.parquet", image=pictures(2), text=["x" * 10_000, "y"])
    shown = Pool.open(tmp_path).describe()
    assert json.loads(json.dumps(shown)) == shown
    assert shown["sample"][0] == {"image": "JPEG, 4 bytes", "text": "x" * 200 + "..."}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The same 50 rows as Parquet in groups of 7 and as JSON lines."""
    root: Path = tmp_path_factory.mktemp("written")
    rows = [{"text": f"text {n}" if n % 5 else None, "score": n / 8} for n in range(50)]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, root / "a.parquet", row_group_size=7)
    (root / "lines").mkdir()
    (root / "lines" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [Pool.open(root / "a.parquet"), Pool.open(root / "lines")], pl.DataFrame(rows)


@given(rows=st.lists(st.integers(0, 49), unique=True).map(sorted))
def test_any_choice_of_rows_reads_as_the_whole_does(written, rows):
    pools, whole = written
    for pool in pools:
        frame = pool.read(pool.shards[0], roles=["text"], columns=["score"], rows=np.array(rows, np.int64)).frame
        assert frame.rows() == whole[rows].rows()
