import polars as pl
import pyarrow.parquet as pq
import pytest

from curate import frames
from curate.verify.page_checks import damage

FRAME = pl.DataFrame({"row": range(5000), "text": [f"text {n}" for n in range(5000)], "score": [n / 7 for n in range(5000)]})
SOUND = "its footer, or bytes between its pages"


@pytest.fixture(scope="module")
def data() -> bytes:
    return bytes(frames.to_bytes(FRAME))


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_pages_that_are_as_their_checksums_say_leave_the_footer(data):
    assert damage(data) == SOUND


@pytest.mark.parametrize("column", FRAME.columns)
def test_a_damaged_page_is_named_by_its_column_and_lines(data, column, tmp_path):
    (tmp_path / "x.parquet").write_bytes(data)
    chunk = pq.read_metadata(tmp_path / "x.parquet").row_group(0).column(FRAME.columns.index(column))
    last = (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size - 1
    assert damage(_flipped(data, last)).startswith(f"column {column}, row group 0, lines ")
    assert damage(_flipped(data, last)).endswith(" to 4999")


def test_what_is_cut_off_or_no_parquet_is_said(data):
    assert damage(data[:-1]) == damage(b"") == damage(b"PAR1") == "its end, which is cut off or overwritten"
    assert damage(b"\0" * 20 + b"\xff\xff\xff\x7fPAR1") == "its footer"
    assert damage(data[:4] + data[200:]).startswith("column row, row group 0")


def test_no_flipped_byte_is_too_much(data):
    for place in range(0, len(data), 7):
        assert damage(_flipped(data, place))
