"""Face boxes, however a pool stores them."""

import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.boxes import boxes_of
from curate.pool import Pool

BOXES = [[[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 1.0, 1.0]], [], None, [[0.0, 0.0, 0.25, 0.5]]]
TEXTS = ["[[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 1.0, 1.0]]", "[]", None, "[[0.0, 0.0, 0.25, 0.5]]"]


@pytest.mark.parametrize(
    "type_",
    [
        pa.list_(pa.list_(pa.float64())),
        pa.large_list(pa.list_(pa.float64())),
        pa.list_(pa.list_(pa.float64(), 4)),
        pa.string(),
    ],
)
def test_parquet_boxes_are_a_role(tmp_path, type_):
    values = [value and json.dumps(value) for value in BOXES[:1] + BOXES[2:]] if type_ == pa.string() else BOXES
    texts = TEXTS[:1] + TEXTS[2:] if type_ == pa.string() else TEXTS
    pq.write_table(pa.table({"text": ["a"] * len(values), "face_bboxes": pa.array(values, type_)}), tmp_path / "a.parquet")
    pool = Pool.open(tmp_path)
    assert pool.roles == {"face_boxes": "face_bboxes", "text": "text"}
    read = pool.read(pool.shards[0], roles=["face_boxes"])
    assert (read.frame["face_boxes"].to_list(), read.faults) == (texts, {})
    assert pool.describe()["sample"][0]["face_boxes"] == texts[0]


def test_boxes_in_json_lines(tmp_path):
    lines = [{"text": "a", "faces": value} for value in [*BOXES, [[1, 2, 3]], [[True, 1, 2, 3]], [[1e999, 0, 0, 0]]]]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    pool = Pool.open(tmp_path, roles={"face_boxes": "faces"})
    read = pool.read(pool.shards[0], roles=["face_boxes"])
    assert read.frame["face_boxes"].to_list() == [*TEXTS, None, None, None]
    codes = [*[None] * 4, "wrong_type", "wrong_type", "not_finite"]
    assert read.faults["face_boxes"].to_list() == codes


def test_shards_without_a_face_are_no_drift(tmp_path):
    for name, values in {"0": [[], None], "1": BOXES[:2], "2": [None, None]}.items():
        pq.write_table(pa.table({"text": ["a", "b"], "face_bboxes": pa.array(values)}), tmp_path / f"{name}.parquet")
    pool = Pool.open(tmp_path)
    found = pl.concat([pool.read(shard, roles=["face_boxes"]).frame for shard in pool.shards])
    assert found["face_boxes"].to_list() == ["[]", None, TEXTS[0], "[]", None, None]


def test_boxes_as_text():
    values = ["[[1,2,3,4]]", "[[", 5, "[1]", "null", b"\xff", b"[]"]
    found, codes = boxes_of(values)
    assert found.to_list() == ["[[1.0, 2.0, 3.0, 4.0]]", None, None, None, None, None, "[]"]
    assert codes.to_list() == [None, "bad_json", "wrong_type", "wrong_type", None, "invalid_utf8", None]
