"""Pools of tars as webdataset and img2dataset write them: read in place, and what becomes of everything in them that is broken."""

import gzip
import json
import os
import shutil
import tarfile

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.errors import PoolError
from curate.pool import Pool
from curate.tars import members_of
from tests.curate.test_tars import special, tar

JPEG = b"\xff\xd8\xff"


def about(n):
    return {
        "uid": f"{n:032x}",
        "url": f"https://a.b/{n}",
        "width": n,
        "license": "MIT" if n % 2 else None,
        "face_bboxes": [[0.1, 0.2, 0.3, 0.4]],
    }


def sample(n, image=JPEG, ending="jpg", **changed):
    members = [
        (f"{n:09d}.{ending}", image + b"%d" % n),
        (f"{n:09d}.txt", f"caption {n}".encode()),
        (f"{n:09d}.json", json.dumps({**about(n), "key": "of the json", **changed}, indent=4).encode()),
    ]
    return members


def webdataset(folder, shards=2, rows=5):
    folder.mkdir(exist_ok=True)
    for shard in range(shards):
        tar(folder / f"{shard:05d}.tar", [member for n in range(rows) for member in sample(shard * rows + n)])
    return folder


def img2dataset(folder, shards=2, rows=6):
    """The last row of each shard could not be fetched; members come in another order than rows."""
    folder.mkdir(exist_ok=True)
    for shard in range(shards):
        table, members = [], []
        for n in range(shard * rows, shard * rows + rows):
            failed = n % rows == rows - 1
            status = {"status": "failed_to_download" if failed else "success", "error_message": "404" if failed else None}
            table.append({**about(n), "caption": f"caption {n}", "key": f"{n:09d}", **status})
            members = members if failed else [*sample(n), *members]
        tar(folder / f"{shard:05d}.tar", members)
        pq.write_table(pa.Table.from_pylist(table), folder / f"{shard:05d}.parquet", row_group_size=4)
        (folder / f"{shard:05d}_stats.json").write_text("{}")
    return folder


def whole(pool, **asked):
    reads = [pool.read(shard, **asked) for shard in pool.shards]
    return pl.concat([read.frame for read in reads]), [read.faults for read in reads]


def test_a_webdataset_pool_is_read_in_place(tmp_path):
    pool = Pool.open(webdataset(tmp_path / "pool", rows=1500))
    assert (pool.layout, pool.modality, pool.rows, pool.unreadable) == ("webdataset", "image-text", 3000, ())
    roles = {name: name for name in ("image", "license", "uid", "url")}
    assert pool.roles == {**roles, "text": "txt", "face_boxes": "face_bboxes"}
    assert [shard.groups for shard in pool.shards] == [(1024, 476)] * 2
    assert pool.columns == {
        **dict.fromkeys(["uid", "url", "license", "key", "txt"], pl.String()),
        "width": pl.Float64(),
    }
    frame, faults = whole(pool, roles=["uid", "text", "image", "url", "license", "face_boxes", "source"], columns=["key", "width"])
    assert faults == [{}, {}]
    assert frame["text"].to_list() == [f"caption {n}" for n in range(3000)]
    assert frame["image"].to_list() == [JPEG + b"%d" % n for n in range(3000)]
    assert frame["uid"].to_list() == [about(n)["uid"] for n in range(3000)]
    assert frame["license"].to_list() == [about(n)["license"] for n in range(3000)]
    assert frame["pool.key"].to_list() == [f"{n:09d}" for n in range(3000)]
    assert frame["pool.width"].to_list() == list(range(3000))
    assert set(frame["face_boxes"]) == {"[[0.1, 0.2, 0.3, 0.4]]"}
    some = pool.read(pool.shards[1], roles=["text", "image"], rows=[0, 1023, 1024, 1499]).frame
    assert some["text"].to_list() == [f"caption {1500 + n}" for n in (0, 1023, 1024, 1499)]
    assert Pool.from_json(pool.to_json()) == pool
    assert pool.uids(pool.shards[1], 1, 3)[0].tolist() == [[0, 1501], [0, 1502]]
    assert not list(tmp_path.rglob("*.jpg"))


def test_an_img2dataset_pool_is_its_tables_with_the_images_beside_them(tmp_path):
    folder = img2dataset(tmp_path / "pool")
    pool = Pool.open(folder)
    assert (pool.layout, pool.modality, pool.rows, pool.unreadable) == ("img2dataset", "image-text", 12, ())
    assert pool.roles["text"] == "caption"
    assert [shard.path for shard in pool.shards] == ["00000.parquet", "00001.parquet"]
    assert pool.shards[0].size == sum((folder / f"00000.{ending}").stat().st_size for ending in ("parquet", "tar"))
    frame, faults = whole(pool, roles=["image", "text"], columns=["status", "key", "width"])
    assert faults == [{}, {}], "what could not be fetched is a row without an image"
    assert frame["image"].to_list() == [None if n % 6 == 5 else JPEG + b"%d" % n for n in range(12)]
    assert frame["text"].to_list() == [f"caption {n}" for n in range(12)]
    assert frame["pool.status"].to_list() == ["failed_to_download" if n % 6 == 5 else "success" for n in range(12)]
    assert pool.read(pool.shards[1], roles=["image"], rows=[1, 4]).frame["image"].to_list() == [JPEG + b"7", JPEG + b"10"]
    one = Pool.open(folder / "00001.parquet")
    assert (one.layout, one.rows, one.shards[0].digest) == ("img2dataset", 6, pool.shards[1].digest)
    alone = Pool.open(folder, layout="webdataset")
    assert (alone.layout, alone.rows, alone.roles["text"]) == ("webdataset", 10, "txt")


def test_without_metadata_a_row_is_its_content(tmp_path):
    members = [(f"{n}.{ending}", data) for n in range(3) for ending, data in (("png", b"\x89PNG%d" % (n // 2)), ("txt", b"same"))]
    tar(tmp_path / "a.tar", members)
    pool = Pool.open(tmp_path)
    assert (pool.roles, pool.columns) == ({"image": "image", "text": "txt"}, {"key": pl.String(), "txt": pl.String()})
    words = pool.uids(pool.shards[0])[0].tolist()
    assert words[0] == words[1] != words[2]


def test_captions_in_the_json_alone(tmp_path):
    tar(tmp_path / "a.tar", [("0.jpg", JPEG), ("0.json", b'{"caption": "a cat"}')])
    pool = Pool.open(tmp_path)
    assert pool.roles == {"image": "image", "text": "caption"}
    assert whole(pool, roles=["text"])[0]["text"].to_list() == ["a cat"]


def test_samples_that_lack_or_break_a_part_are_rows(tmp_path):
    members = [
        *sample(0),
        *sample(1)[1:],  # no image
        ("2.jpg", JPEG),  # nothing else
        ("3.txt", b"\xff\xfe"),
        ("3.json", b"[1, 2]"),
        ("4.json", b'{"width": NaN, "uid": null}'),
        ("5.json", b'{"width": 1'),
        ("6.cls", b"7"),
        ("README", b"junk"),
        ("__MACOSX/._7.jpg", b"junk"),
        (special("8.jpg", tarfile.SYMTYPE, "../../etc/passwd"), b""),
        ("8.txt", b"a link"),
        ("../9.jpg", JPEG),
        ("a.jpg", JPEG),
        ("a.png", JPEG),
        ("b.txt", b""),
    ]
    tar(tmp_path / "a.tar", members)
    pool = Pool.open(tmp_path)
    read = pool.read(pool.shards[0], roles=["image", "text", "uid"], columns=["width", "key"])
    keys = ["000000000", "000000001", "2", "3", "4", "5", "6", "8", "../9", "a", "b"]
    assert read.frame["pool.key"].to_list() == keys
    assert read.frame["image"].to_list() == [JPEG + b"0", None, JPEG, *[None] * 8]
    assert read.frame["text"].to_list() == ["caption 0", "caption 1", *[None] * 5, "a link", None, None, ""]
    faults = {name: {keys[row]: code for row, code in enumerate(codes) if code} for name, codes in read.faults.items()}
    assert faults == {
        "image": {"8": "not_a_file", "../9": "unsafe_name", "a": "two_images"},
        "text": {"3": "invalid_utf8"},
        "uid": {"3": "bad_json", "5": "bad_json"},
        "pool.width": {"3": "bad_json", "4": "not_finite", "5": "bad_json"},
    }


def test_rows_and_members_of_a_pair_that_do_not_match(tmp_path):
    folder = tmp_path / "pool"
    folder.mkdir()
    rows = [
        {"key": key, "status": status, "caption": "x"} for key, status in [("0", "success"), ("1", "success"), ("2", "bad"), (None, "bad")]
    ]
    rows += [{"key": "3", "status": "success", "caption": "x"}, {"key": "4", "status": "success", "caption": "x"}]
    pq.write_table(pa.Table.from_pylist(rows), folder / "0.parquet")
    again = [("3.jpg", b"one"), ("4.txt", b""), ("3.jpg", b"two")]
    tar(folder / "0.tar", [("0.jpg", JPEG), ("2.jpg", b"there all the same"), *again, ("9.jpg", b"nobody's")])
    cache = tmp_path / "cache.json"
    for _ in range(2):  # the second time from the cache
        pool = Pool.open(folder, cache=cache)
        assert [(each.path, each.code, each.detail) for each in pool.unreadable] == [
            ("0.tar", "members_without_row", "1 of its samples have no row in the table beside it, the first '9'")
        ]
        read = pool.read(pool.shards[0], roles=["image"])
        assert read.frame["image"].to_list() == [JPEG, None, b"there all the same", None, None, None]
        assert read.faults["image"].to_list() == [None, "missing_member", None, None, "duplicate_member", "missing_member"]


def test_a_pair_whose_tar_breaks_keeps_its_rows(tmp_path):
    folder = img2dataset(tmp_path / "pool")
    data = (folder / "00000.tar").read_bytes()
    (folder / "00000.tar").write_bytes(data[:3000])
    pool = Pool.open(folder)
    assert [(each.path, each.code) for each in pool.unreadable] == [("00000.tar", "truncated")]
    assert pool.rows == 12
    _, faults = whole(pool, roles=["image", "text"])
    assert [list(each) for each in faults] == [["image"], []]
    assert faults[0]["image"].to_list() == ["unreadable"] * 6


def test_halves_of_pairs_are_listed(tmp_path):
    folder = img2dataset(tmp_path / "pool", shards=4)
    (folder / "00001.tar").unlink()
    (folder / "00002.parquet").unlink()
    pool = Pool.open(folder)
    assert [(each.path, each.code) for each in pool.unreadable] == [("00001.parquet", "no_tar"), ("00002.tar", "no_table")]
    assert all(each.fix for each in pool.unreadable)
    assert (pool.rows, [shard.path for shard in pool.shards]) == (12, ["00000.parquet", "00003.parquet"])


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("truncated", lambda path: path.write_bytes(path.read_bytes()[:3000])),
        ("bad_header", lambda path: path.write_bytes(path.read_bytes()[:1024].replace(b"000", b"100", 1) + path.read_bytes()[1024:])),
        ("bad_header", lambda path: path.write_text("<html>" * 1000)),
        ("empty_file", lambda path: path.write_bytes(b"")),
        ("compressed_tar", lambda path: path.write_bytes(gzip.compress(path.read_bytes()))),
        ("compressed_tar", lambda path: path.rename(path.with_suffix(".tar.gz")).write_bytes(gzip.compress(b"x" * 999))),
    ],
)
def test_files_that_are_no_whole_tars_are_listed(tmp_path, code, spoil):
    folder = webdataset(tmp_path / "pool")
    spoil(folder / "00000.tar")
    pool = Pool.open(folder)
    assert (pool.rows, [shard.path for shard in pool.shards]) == (5, ["00001.tar"])
    assert [(each.code, each.path.startswith("00000.tar"), bool(each.fix)) for each in pool.unreadable] == [(code, True, True)]


def test_a_tar_without_samples_has_no_rows(tmp_path):
    folder = webdataset(tmp_path / "pool")
    tar(folder / "0.tar", [])
    pool = Pool.open(folder)
    assert [shard.rows for shard in pool.shards] == [0, 5, 5]
    assert pool.unreadable == ()


def test_a_changed_tar_is_another_pool(tmp_path):
    folder = img2dataset(tmp_path / "pool")
    cache = tmp_path / "cache.json"
    before = Pool.open(folder, cache=cache)
    assert Pool.open(folder, cache=cache).digest_level == "stat"
    data = bytearray((folder / "00000.tar").read_bytes())
    at = next(member.offset for member in members_of(folder / "00000.tar"))
    data[at + 3] ^= 1
    (folder / "00000.tar").write_bytes(data)
    after = Pool.open(folder, cache=cache)
    assert (after.digest_level, after.id == before.id) == ("full", False)
    with pytest.raises(PoolError, match=r"holds other content"):
        before.refuse_changes(cache)
    (folder / "00000.tar").write_bytes(data[: len(data) // 2])
    _, faults = whole(after, roles=["image"])
    assert faults[0]["image"].to_list() == ["unreadable"] * 6
    webs = Pool.open(webdataset(tmp_path / "webs"))
    (tmp_path / "webs" / "00000.tar").unlink()
    assert set(webs.read(webs.shards[0], roles=["image"], columns=["width"]).faults) == {"image", "pool.width"}


def test_a_tar_beside_a_table_without_keys_is_refused(tmp_path):
    folder = webdataset(tmp_path / "pool", shards=1)
    pq.write_table(pa.table({"text": ["a"]}), folder / "00000.parquet")
    with pytest.raises(PoolError, match=r"a tar lies beside it, and it has no column `key`"):
        Pool.open(folder)
    (folder / "00000.parquet").rename(folder / "other.parquet")
    with pytest.raises(PoolError, match=r"both Parquet \(other.parquet\) and tars \(00000.tar\)"):
        Pool.open(folder)
    assert Pool.open(folder, layout="webdataset").rows == 5


def test_the_same_pool_from_any_place(tmp_path):
    folder = webdataset(tmp_path / "pool")
    pool = Pool.open(folder)
    shutil.copytree(folder, tmp_path / "copy")
    os.utime(tmp_path / "copy" / "00000.tar", (0, 0))
    assert Pool.open(tmp_path / "copy").id == pool.id
