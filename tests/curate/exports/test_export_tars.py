"""Subsets as webdataset shards: every sample once, in one random order, with where it came from; equal subsets in equal bytes."""

import json
import resource
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.digest import hex_of, sha256_file
from curate.errors import CeterisError
from curate.exports import tars as export_tars
from curate.exports.export import Blurring, Redaction, export
from curate.pool import Pool
from curate.record import Run
from curate.store import Store
from curate.subset import Subset, save
from tests.curate.test_tars import tar

IMAGES = [b"\xff\xd8\xffjpeg", b"\x89PNGpng", b"RIFF\0\0\0\0WEBPwebp", b"GIF89a", b"\0\0\0\0ftypavif", b"what?", b""]
RECIPE = '{errors_at_most: 1.0, stages: {a: {keep: "length.chars > 1 and pool.width < 90"}}, subsets: [a]}'


def rows(count=60):
    return [
        {
            "uid": f"{n:032x}",
            "image": None if n == 7 else {"bytes": IMAGES[n % len(IMAGES)] + b"%d" % n, "path": None},
            "text": f"caption {n}",
            "url": f"https://a.b/{n}",
            "license": "MIT" if n % 2 else None,
            "width": n,
            "face_bboxes": None if n % 5 == 0 else [[0.0, 0.0, 0.5, 0.5]] * (n % 3),
        }
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def run(do, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tars")
    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    table = pa.Table.from_pylist(rows())
    table = table.set_column(1, schema.field(0), pa.array([row["image"] for row in rows()], schema.field(0).type))
    (folder / "pool").mkdir()
    pq.write_table(table.slice(0, 40), folder / "pool" / "0.parquet", row_group_size=16)
    pq.write_table(table.slice(40), folder / "pool" / "1.parquet")
    store = Store.open(folder / "store")
    return Run(store, do(RECIPE, Pool.open(folder / "pool"), store).folder)


def samples(folder):
    """key to {ending: bytes}, in the order of the files."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(Path(folder).glob("*.tar")):
        with tarfile.open(path) as archive:
            for info in archive:
                assert (info.mtime, info.uid, info.gid, info.uname, info.mode) == (0, 0, 0, "", 0o644)
                key, ending = info.name.split(".")
                found.setdefault(key, {})[ending] = archive.extractfile(info).read()
    return found


def repeated(run, copies):
    """The run as another whose subset has its rows so many times each."""
    chosen, folder = run.subset("a"), f"{run.folder}-{sum(copies)}"
    digest = save(run.store, replace(Subset(chosen.uids, chosen.copies), copies=np.array(copies, np.uint32)))
    facts = run.store.json(f"{run.folder}/run.json")
    run.store.put_json(f"{folder}/run.json", {**facts, "subsets": {**facts["subsets"], "a": digest}})
    return Run(run.store, folder)


def test_every_sample_leaves_as_it_is_with_where_it_came_from(run, tmp_path, monkeypatch):
    monkeypatch.setattr(export_tars, "ROWS_PER_TAR", 25)
    about = export(run, "a", tmp_path / "out", "webdataset")
    assert about["files"] == ["00000.tar", "00001.tar", "00002.tar"]
    assert (about["rows"], about["written"], about["without_image"], about["without_text"]) == (60, 60, 1, 0)
    assert json.loads((tmp_path / "out" / "export.json").read_text()) == about
    assert about["sha256"] == {name: sha256_file(tmp_path / "out" / name) for name in about["files"]}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*about["files"], "export.json"])
    found = samples(tmp_path / "out")
    assert sorted(found) == run.subset("a").hex
    endings = ["jpg", "png", "webp", "gif", "avif", "img", "img"]
    for n, row in enumerate(rows()):
        sample = found[row["uid"]]
        if n == 7:
            assert set(sample) == {"txt", "json"}
        else:
            assert sample[endings[n % 7]] == row["image"]["bytes"]
        assert sample["txt"].decode() == row["text"]
        said = json.loads(sample["json"])
        place = ("0.parquet", n) if n < 40 else ("1.parquet", n - 40)
        assert (said["uid"], said["shard"], said["row"], said["copies"]) == (row["uid"], *place, 1)
        assert (said["pool"], said["run"], said["recipe"]) == (run.pool.id, about["run"], run.facts["recipe"])
        assert (said["digest"], said["subset"]) == (run.subset("a").digest, "a")
        assert (said["url"], said.get("license")) == (row["url"], row["license"])
        assert said["evidence"] == {"length.chars": len(row["text"]), "pool.width": n}
        assert said.get("face_bboxes") == row["face_bboxes"]


def test_the_order_is_random_and_the_same(run, tmp_path, monkeypatch):
    export(run, "a", tmp_path / "one", "webdataset")
    order = list(samples(tmp_path / "one"))
    assert order != sorted(order)
    ranks = np.array([int(uid, 16) for uid in order])
    assert abs(np.corrcoef(ranks, np.arange(60))[0, 1]) < 0.4
    monkeypatch.setattr(export_tars, "ROWS_PER_BUCKET", 7)  # several buckets
    export(run, "a", tmp_path / "two", "webdataset")
    assert (tmp_path / "one" / "00000.tar").read_bytes() == (tmp_path / "two" / "00000.tar").read_bytes()


def test_our_own_reader_sees_the_same_rows(run, tmp_path):
    export(run, "a", tmp_path / "out", "webdataset")
    pool = Pool.open(tmp_path / "out")
    assert (pool.layout, pool.unreadable) == ("webdataset", ())
    read = pool.read(pool.shards[0], roles=["uid", "image", "text", "url", "license", "face_boxes"])
    assert read.faults == {}
    was = pl.concat(
        [run.pool.read(shard, roles=["uid", "image", "text", "url", "license", "face_boxes"]).frame for shard in run.pool.shards]
    )
    assert read.frame.sort("uid").equals(was.sort("uid"))
    assert sorted(hex_of(pool.uids(pool.shards[0])[0])) == run.subset("a").hex


def test_rows_that_a_subset_holds_several_times_leave_so_often(run, tmp_path):
    copies = [1 + n % 3 for n in range(60)]
    held = repeated(run, copies)
    about = export(held, "a", tmp_path / "out", "webdataset")
    assert (about["rows"], about["with_copies"], about["written"]) == (60, sum(copies), sum(copies))
    found = samples(tmp_path / "out")
    wanted = [f"{n:032x}" if times == 1 else f"{n:032x}-{copy}" for n, times in enumerate(copies) for copy in range(times)]
    assert sorted(found) == sorted(wanted)
    order = list(found)
    apart = [abs(order.index(f"{n:032x}-0") - order.index(f"{n:032x}-1")) for n, times in enumerate(copies) if times > 1]
    assert np.mean(apart) > 15, "copies are not neighbours"
    export(held, "a", tmp_path / "npy", "npy")
    assert [int(low) for _, low in np.load(tmp_path / "npy" / "subset.npy")] == np.repeat(range(60), copies).tolist()
    export(held, "a", tmp_path / "uids", "uids")
    assert (tmp_path / "uids" / "uids.txt").read_text().split() == hex_of(np.repeat(run.subset("a").uids, copies, axis=0))
    export(held, "a", tmp_path / "parquet", "parquet")
    assert pl.read_parquet(tmp_path / "parquet" / "*.parquet").sort("uid")["copies"].to_list() == copies
    export(held, "a", tmp_path / "lines", "jsonl.zst")
    pool = Pool.open(tmp_path / "lines")
    assert pool.read(pool.shards[0], columns=["copies"]).frame["pool.copies"].to_list() == copies


def test_json_lines_leave_compressed(run, tmp_path):
    about = export(run, "a", tmp_path / "out", "jsonl.zst", Redaction("words", lambda texts: (texts.str.replace("caption", "c"), {"c": 1})))
    assert (about["files"], about["redaction"]) == (["a-00000.jsonl.zst"], "words")
    pool = Pool.open(tmp_path / "out")
    assert pool.roles == {name: name for name in ("uid", "text", "license", "url")} | {"face_boxes": "face_bboxes"}
    read = pool.read(pool.shards[0], roles=["uid", "text", "license"], columns=["width"]).frame
    assert read.rows() == [(f"{n:032x}", f"c {n}", "MIT" if n % 2 else None, float(n)) for n in range(60)]


def shout(image, boxes):
    return (None, "broken_image") if image.endswith(b"9") else (b"blurred " + image, None)


@pytest.mark.parametrize("layout", ["webdataset", "parquet"])
def test_images_leave_blurred_where_there_are_boxes(run, tmp_path, layout):
    about = export(run, "a", tmp_path / "out", layout, blurring=Blurring("faces", shout))
    if layout == "parquet":
        frame = pl.read_parquet(tmp_path / "out" / "*.parquet").sort("uid")
        found = [None if image is None else image["bytes"] for image in frame["image"]]
    else:
        held = samples(tmp_path / "out")
        found = [next((held[uid][ending] for ending in held[uid] if ending not in ("txt", "json")), None) for uid in sorted(held)]
    faces = [0 if n % 5 == 0 else n % 3 for n in range(60)]
    images = [row["image"] and row["image"]["bytes"] for row in rows()]
    wanted = [image if image is None or not faces[n] else shout(image, [])[0] for n, image in enumerate(images)]
    assert found == wanted
    changed = [n for n, image in enumerate(wanted) if image is not None and image.startswith(b"blurred")]
    assert (about["blurring"], about["blurred_images"], about["blurred"]) == ("faces", len(changed), sum(faces[n] for n in changed))
    assert (about["unchecked_images"], about["left_out"]) == (12, {"broken_image": wanted.count(None) - 1})
    assert json.loads((tmp_path / "out" / "export.json").read_text()) == about


def test_what_has_no_boxes_or_images_is_refused(run, finished, tmp_path):
    blurring = Blurring("faces", shout)
    with pytest.raises(CeterisError, match=r"this pool has no role image"):
        export(finished, "best", tmp_path / "out", "parquet", blurring=blurring)
    with pytest.raises(CeterisError, match=r"the layout uids holds no images"):
        export(run, "a", tmp_path / "out", "uids", blurring=blurring)
    with pytest.raises(CeterisError, match=r"webdataset holds images, and this pool has none"):
        export(finished, "best", tmp_path / "out", "webdataset")
    assert not (tmp_path / "out").exists()


def test_boxes_that_cannot_be_read_keep_their_image_back():
    blurring = Blurring("faces", shout)
    found = blurring.encoded(
        [b"a", b"b", None, b"c"], pl.Series(["[]", None, "[]", None], dtype=pl.String), pl.Series([None, "bad_json", None, None])
    )
    assert found == [b"a", None, None, b"c"]
    assert (blurring.left_out, blurring.unchecked) == ({"bad_json": 1}, 1)


@pytest.mark.parametrize("layout", ["webdataset", "npy"])
def test_a_file_that_cannot_be_written_leaves_nothing(run, tmp_path, layout):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    run.unchanged  # noqa: B018  (what is remembered of it is written before)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(CeterisError, match=r"cannot write there: File too large") as raised:
            export(run, "a", tmp_path / "out", layout)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (raised.value.where, bool(raised.value.fix)) == (str(tmp_path / "out"), True)
    assert list(tmp_path.iterdir()) == []


def test_copies_run_as_a_pool_and_lead_back_to_their_row(run, do, tmp_path):
    copies = [1 + n % 3 for n in range(60)]
    export(repeated(run, copies), "a", tmp_path / "out", "webdataset", evidence={"size": "length.chars"})
    told = {key: json.loads(sample["json"]) for key, sample in samples(tmp_path / "out").items()}
    assert len({one["uid"] for one in told.values()}) == sum(copies)
    for key, one in told.items():
        row, _, number = key.partition("-")
        assert one.get("copy_of", one["uid"]) == row
        assert one.get("copy", 0) == int(number or 0)
        assert (one["uid"] == row) == (number in ("", "0"))
        assert one["size"] == one["evidence"]["length.chars"]
    pool = Pool.open(tmp_path / "out")
    store = Store.open(tmp_path / "store")
    again = Run(store, do("{errors_at_most: 1.0, stages: {a: {}}, subsets: [a]}", pool, store).folder)
    assert len(again.subset("a")) == sum(copies)
    twice = export(repeated(again, [2] * sum(copies)), "a", tmp_path / "twice", "webdataset")
    uids = {json.loads(sample["json"])["uid"] for sample in samples(tmp_path / "twice").values()}
    assert len(uids) == twice["written"] == 2 * sum(copies)


def test_evidence_leaves_in_json(run, tmp_path):
    export(run, "a", tmp_path / "tars", "webdataset", evidence={"size": "length.chars", "length.kind": "length.kind"})
    for sample in samples(tmp_path / "tars").values():
        said = json.loads(sample["json"])
        assert (said["size"], said["length.kind"]) == (len(sample["txt"]), "long")
    export(run, "a", tmp_path / "lines", "jsonl.zst", evidence={"size": "length.chars"})
    pool = Pool.open(tmp_path / "lines")
    read = pool.read(pool.shards[0], roles=["text"], columns=["size"]).frame
    assert read["pool.size"].to_list() == read["text"].str.len_chars().to_list()
    for layout, name in (("webdataset", "uid"), ("webdataset", "url"), ("jsonl.zst", "width")):
        with pytest.raises(CeterisError, match=f"the rows have a column {name} already"):
            export(run, "a", tmp_path / "not", layout, evidence={name: "length.chars"})


ABOUT = {"license": "MIT", "width": 3, "caption": "another, mail l@l.l"}


def run_on_tars(folder, do, members):
    (folder / "pool").mkdir(exist_ok=True)
    tar(folder / "pool" / "0.tar", members)
    store = Store.open(folder / "store")
    return Run(store, do("{errors_at_most: 1.0, stages: {a: {}}, subsets: [a]}", Pool.open(folder / "pool"), store).folder)


@pytest.fixture
def tars(do, tmp_path):
    """Rows whose boxes are there, none, null, absent, without json, of broken json, and of a wrong kind."""
    known = [{"face_bboxes": boxes} for boxes in ([[0.1, 0.1, 0.5, 0.5]], [], None)]
    said = [*(json.dumps({**ABOUT, **each}).encode() for each in known), json.dumps(ABOUT).encode(), None, b'{"face_bboxes": [[0.1']
    said += [json.dumps({**ABOUT, "face_bboxes": boxes}).encode() for boxes in ("left", [[0, 0, 0, 10**400]])]
    members = []
    for n, data in enumerate(said):
        members += [(f"{n}.jpg", IMAGES[0] + b"%d" % n), (f"{n}.txt", f"caption l{n}".encode())]
        members += [] if data is None else [(f"{n}.json", data)]
    return run_on_tars(tmp_path, do, members)


@pytest.mark.parametrize("layout", ["webdataset", "parquet"])
@pytest.mark.parametrize("first", [None, "webdataset", "parquet"])
def test_an_image_whose_boxes_cannot_be_read_stays_back_also_after_an_export(tars, do, tmp_path, layout, first):
    run = tars
    if first:
        export(tars, "a", tmp_path / "first", first)
        store = Store.open(tmp_path / "again")
        run = Run(store, do("{errors_at_most: 1.0, stages: {a: {}}, subsets: [a]}", Pool.open(tmp_path / "first"), store).folder)
    about = export(run, "a", tmp_path / "out", layout, blurring=Blurring("faces", shout))
    assert (about["unchecked_images"], about["blurred_images"], sum(about["left_out"].values())) == (3, 1, 3)
    if not first:
        assert about["left_out"] == {"bad_json": 2, "not_finite": 1}
    pool = Pool.open(tmp_path / "out")
    found = pl.concat([pool.read(shard, roles=["text", "image"]).frame for shard in pool.shards]).sort("text")["image"].to_list()
    assert found == [b"blurred " + IMAGES[0] + b"0", *(IMAGES[0] + b"%d" % n for n in range(1, 5)), None, None, None]


@pytest.mark.parametrize("layout", ["parquet", "jsonl.zst"])
def test_rows_of_tars_open_with_the_same_roles(tars, tmp_path, layout):
    export(tars, "a", tmp_path / "out", layout)
    pool = Pool.open(tmp_path / "out")
    roles = {"text": "text", "uid": "uid", "license": "license", "face_boxes": "face_bboxes"}
    assert pool.roles == (roles | {"image": "image"} if layout == "parquet" else roles)
    read = pool.read(pool.shards[0], roles=["text", "face_boxes"], columns=["original_caption"])
    was = tars.pool.read(tars.pool.shards[0], roles=["text", "face_boxes"], columns=["caption"])
    assert read.frame.rows() == was.frame.rows()
    faults = [each.faults["face_boxes"].is_not_null().to_list() for each in (read, was)]
    assert faults == [[n > 4 for n in range(8)]] * 2
    if layout == "parquet":
        assert pq.read_schema(tmp_path / "out" / "a-00000.parquet").field("face_bboxes").type.value_type.value_type == pa.float64()
    about = export(tars, "a", tmp_path / "redacted", layout, Redaction("ells", lambda texts: (texts.str.replace("l", "_"), {"ells": 1})))
    assert about["redacted_rows"] == 8
    pool = Pool.open(tmp_path / "redacted")
    assert "caption" not in pool.columns
    assert "original_caption" not in pool.columns


def test_parquet_of_an_img2dataset_pool_opens_with_the_same_roles(do, tmp_path):
    table = [{**ABOUT, "key": f"{n}", "status": "success", "uid": f"{n:032x}", "face_bboxes": [[0.0, 0.0, 1.0, 0.5]]} for n in range(3)]
    (tmp_path / "pool").mkdir()
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "pool" / "0.parquet")
    run = run_on_tars(tmp_path, do, [(f"{n}.jpg", IMAGES[0] + b"%d" % n) for n in range(3)])
    export(run, "a", tmp_path / "out", "parquet")
    pool = Pool.open(tmp_path / "out")
    assert (pool.layout, pool.roles) == (run.pool.layout, run.pool.roles) == ("img2dataset", run.pool.roles)
    roles = ["uid", "text", "image", "face_boxes"]
    assert pool.read(pool.shards[0], roles=roles).frame.rows() == run.pool.read(run.pool.shards[0], roles=roles).frame.rows()
