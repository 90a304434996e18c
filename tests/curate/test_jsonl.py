"""JSON lines: what is a row, what a broken one becomes, and what a hostile file may cost."""

import gzip
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import jsonl
from curate.pool import Pool


def lines_of(path):
    return [line for batch in jsonl.batches(path) for line in batch]


def test_blank_lines_byte_order_mark_and_carriage_returns_are_no_rows(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n   \n{"a": 2}\n\n{"a": 3}')
    assert [jsonl.parse(line) for line in lines_of(path)] == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_lines_longer_than_a_chunk_stay_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"text": "x" * size} for size in (1, 3_000_000, 1 << 20, 0)]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert [jsonl.parse(line) for line in lines_of(path)] == rows


def test_line_over_the_limit_becomes_one_bad_row(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "LINE_LIMIT", 2 << 20)
    path = tmp_path / "a.jsonl"
    rows = [json.dumps({"text": text}) for text in ("x", "y" * (8 << 20), "z")]
    for order in ([0, 1, 2], [0, 2, 1]):
        path.write_text("\n".join(rows[n] for n in order))
        found = [jsonl.parse(line) for line in lines_of(path)]
        assert [row and row["text"] for row in found] == [("x", None, "z")[n] for n in order]


def test_end_of_a_line_over_the_limit_is_no_row_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "LINE_LIMIT", 2 << 20)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"y" * (4 << 20) + b'{"text": "the end"}\n{"text": "next"}\n')
    assert [jsonl.parse(line) for line in lines_of(path)] == [None, {"text": "next"}]


def test_groups_read_in_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "LINES_PER_GROUP", 10)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": str(n)}) + "\n" for n in range(25)))
    pool = Pool.open(tmp_path)
    shard = pool.shards[0]
    assert shard.groups == (10, 10, 5)
    for start, stop in ((20, 25), (0, 10), (9, 21), (10, 10), (3, 4)):
        found = pool.read(shard, roles=["text"], start=start, stop=stop).frame["text"].to_list()
        assert found == [str(n) for n in range(start, stop)]


@pytest.mark.parametrize("line", [b"", b"[1, 2]", b"7", b"null", b'{"a": ', b"{'a': 1}", b'{"a": 1} extra', b"[" * 100_000])
def test_line_that_is_no_object_is_no_row(line):
    assert jsonl.parse(line) is None


def test_bytes_that_are_no_utf8_spoil_only_their_value():
    rows = [jsonl.parse(b'{"a": "\xff", "b": "fine"}'), jsonl.parse(rb'{"a": "\ud800", "b": "fine"}')]
    assert jsonl.series(rows, "a", "String")[1].to_list() == ["invalid_utf8"] * 2
    assert jsonl.series(rows, "b", "String")[0].to_list() == ["fine"] * 2


@pytest.mark.parametrize(
    ("value", "kind", "expected", "code"),
    [
        (1, "Float64", 1.0, None),
        (True, "Float64", None, "wrong_type"),
        ("1", "Float64", None, "wrong_type"),
        (float("nan"), "Float64", None, "not_finite"),
        (10**400, "Float64", None, "not_finite"),
        (None, "Float64", None, None),
        (1, "Boolean", None, "wrong_type"),
        (False, "Boolean", False, None),
        (1.5, "String", "1.5", None),
        (True, "String", "true", None),
        ([], "String", None, "wrong_type"),
        ({"a": 1}, "Float64", None, "wrong_type"),
    ],
)
def test_value_in_the_dtype_of_its_kind_or_a_code(value, kind, expected, code):
    values, codes = jsonl.series([{"a": value}, None, {}], "a", kind)
    assert values.to_list() == [expected, None, None]
    assert codes.to_list() == [code, "bad_json", None]


def test_kinds_of_a_sample():
    rows = [{"a": 1, "b": None, "c": "x", "d": [1], "f": [1]}, None, {"a": 0.5, "b": True, "c": 2, "d": None, "e": None, "f": "y"}]
    kinds = {"a": "Float64", "b": "Boolean", "c": "String", "d": "nested JSON", "f": "String", "e": "Null"}
    assert jsonl.kinds(rows) == kinds


def test_lines_are_numbered_with_the_blank_ones(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\n{"a": 1}\r\n\r\n{"a": 2}\n   \n\n{"a": 3}')
    assert jsonl.line_numbers(path, [0, 2]) == [2, 7]


def test_one_row_of_another_type_is_that_rows_fault(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n{"text": ["a"]}\n{"text": 5}\n')
    pool = Pool.open(tmp_path)
    frame, faults = pool.read(pool.shards[0], roles=["text"])
    assert frame["text"].to_list() == ["fine", None, "5"]
    assert faults["text"].to_list() == [None, "wrong_type", None]


def test_truncated_compressed_file_is_listed_and_the_others_used(tmp_path):
    data = gzip.compress("".join(json.dumps({"text": str(n) * n}) + "\n" for n in range(500)).encode())
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    (tmp_path / "b.jsonl.gz").write_bytes(data[: len(data) // 2])
    (tmp_path / "c.jsonl.gz").write_bytes(b"not gzip at all")
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(b"<html>\n</html>\n"))
    pool = Pool.open(tmp_path)
    assert (pool.rows, [shard.path for shard in pool.shards]) == (500, ["a.jsonl.gz"])
    assert {file.path: file.code for file in pool.unreadable} == {
        "b.jsonl.gz": "truncated",
        "c.jsonl.gz": "bad_compression",
        "d.jsonl.gz": "not_jsonl",
    }


def test_compression_bomb_is_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "RATIO_FLOOR", 1 << 20)
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n')
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "' + bytes(16 << 20) + b'"}\n', 9))
    pool = Pool.open(tmp_path)
    assert pool.rows == 1
    assert [(file.path, file.code) for file in pool.unreadable] == [("b.jsonl.gz", "bomb")]


VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.lists(st.integers(), max_size=2)


@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=5), kind=st.sampled_from(["String", "Float64", "Boolean"]))
def test_every_value_is_given_or_null_with_a_code(rows, kind):
    read = [jsonl.parse(json.dumps(row).encode()) for row in rows]
    values, codes = jsonl.series(read, "a", kind)
    assert values.dtype == {"String": pl.String, "Float64": pl.Float64, "Boolean": pl.Boolean}[kind]
    for row, value, code in zip(rows, values, codes, strict=True):
        assert (value is None) == (code is not None or row.get("a") is None)
