"""Null counts from Parquet footers, against pyarrow's own reading of whole ones; damaged ones do no harm."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.footer import null_counts
from curate.shard_files import Probe, Unreadable, probe

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def written(path, **options):
    rows = [{"bytes": None if n % 3 else b"x", "path": f"{n}.jpg" if n % 2 else None} for n in range(50)]
    numbers = pa.array([n if n % 7 else None for n in range(50)])
    lists = pa.array([[n] if n % 5 else None for n in range(50)])
    table = pa.table(
        {"image": pa.array(rows, IMAGE), "flag": pa.array([True] * 50), "n": numbers, "x": numbers.cast(pa.float64()), "l": lists}
    )
    pq.write_table(table.replace_schema_metadata({"huggingface": '{"info": {}}' * 20}), path, row_group_size=20, **options)
    return path


@pytest.mark.parametrize(
    "options",
    [{}, {"write_statistics": False}, {"write_statistics": ["n"]}, {"compression": "none", "write_page_index": True}, {"version": "1.0"}],
)
def test_null_counts_are_what_pyarrow_says(tmp_path, options):
    path = written(tmp_path / "a.parquet", **options)
    metadata = pq.read_metadata(path)
    expected = []
    for group in (metadata.row_group(n) for n in range(metadata.num_row_groups)):
        chunks = [group.column(n) for n in range(group.num_columns)]
        expected.append({chunk.path_in_schema: chunk.statistics.null_count if chunk.statistics else None for chunk in chunks})
    assert null_counts(path) == expected
    assert len(expected) == 3


def test_footer_of_no_rows_is_read(tmp_path):
    pq.write_table(pa.table({"n": pa.array([], pa.int8())}), tmp_path / "a.parquet")
    assert null_counts(tmp_path / "a.parquet") == [{"n": None}]


def test_every_damage_to_a_footer_is_survived(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": pa.array([{"bytes": b"x", "path": None}], IMAGE)}), path, store_schema=False)
    data = path.read_bytes()
    size = int.from_bytes(data[-8:-4], "little")
    found = set()
    for place in range(len(data) - 8 - size, len(data) - 4):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        found.add(type(probe(tmp_path, "parquet", "a.parquet")))
    assert found == {Probe, Unreadable}


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\xff" * 40, b"\x19\xfc\xff\xff\xff\x7f", b"\x1c" * 5000])
def test_footer_that_is_none_is_refused(tmp_path, damage):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + damage + len(damage).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(ValueError, match=r"the footer's row groups cannot be read"):
        null_counts(path)
