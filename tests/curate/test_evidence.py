import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from curate import evidence
from curate.errors import NondeterminismError, SignalBugError
from curate.evidence import Contents, aligned, measure_rows
from curate.pieces import Piece
from curate.plan import Measure
from curate.pool import Pool
from curate.signal import signal

TEXTS = ["a", "bb", None, "dddd", "e", "ff", "ggg"]


@signal(version=1, reads=["text"], optional=["license"], writes={"chars": pl.UInt32})
def chars(batch):
    if "BUG" in batch["text"].to_list():
        raise ValueError("a bug")
    return batch.select(chars=pl.col("text").str.len_chars(), error=pl.when(pl.col("text") == "e").then(pl.lit("too_short")))


CHARS = Measure("length", "chars", chars, {}, "0123456789abcdef0123")


def pool_of(folder, texts=TEXTS):
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"text": texts, "license": ["MIT"] * len(texts)}), folder / "a.parquet", row_group_size=3)
    return Pool.open(folder)


def test_rows_of_several_groups_are_measured_in_order(tmp_path):
    pool = pool_of(tmp_path)
    found = measure_rows(Contents(pool, pool.shards[0]), CHARS, np.array([1, 2, 3, 4, 6]))
    expected = {"row": [1, 2, 3, 4, 6], "chars": [2, None, 4, 1, 3], "error": [None, None, None, "too_short", None]}
    assert_frame_equal(found, pl.DataFrame(expected, schema={"row": pl.UInt64, "chars": pl.UInt32, "error": pl.String}))


def test_unreadable_roles_are_errors_and_never_reach_the_signal(tmp_path):
    texts = pa.array([b"a", b"\xff", b"BUG", b"d"], pa.binary())
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", row_group_size=2)
    pool = Pool.open(tmp_path)
    assert measure_rows(Contents(pool, pool.shards[0]), CHARS, np.array([0, 1]))["error"].to_list() == [None, "text:invalid_utf8"]
    assert measure_rows(Contents(pool, pool.shards[0]), CHARS, np.array([1]))["error"].to_list() == ["text:invalid_utf8"]


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_texts_are_read_once_while_they_are_few_and_rows_are_always_the_right_ones(tmp_path, monkeypatch, held):
    monkeypatch.setattr(evidence, "HELD_BYTES", held)
    reads, read = [], Pool.read
    monkeypatch.setattr(Pool, "read", lambda *given, **more: reads.append(more["roles"]) or read(*given, **more))
    pool = pool_of(tmp_path)
    contents = Contents(pool, pool.shards[0])
    asked = ([1, 2, 4, 6], [2, 6], [1], [0, 1, 2], [4], [1, 2, 4, 6])
    found = [measure_rows(contents, CHARS, np.array(rows)) for rows in asked]
    often = len(reads)
    alone = [measure_rows(Contents(pool, pool.shards[0]), CHARS, np.array(rows)) for rows in asked]
    for one, other in zip(found, alone, strict=True):
        assert_frame_equal(one, other)
    assert often == (4 if held else len(reads) - often)


def test_faults_of_texts_that_were_kept_are_those_of_their_rows(tmp_path):
    texts = pa.array([b"a", b"\xff", b"c", b"d"], pa.binary())
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    contents = Contents(pool := Pool.open(tmp_path), pool.shards[0])
    assert measure_rows(contents, CHARS, np.arange(4))["error"].to_list() == [None, "text:invalid_utf8", None, None]
    assert measure_rows(contents, CHARS, np.array([1, 2]))["error"].to_list() == ["text:invalid_utf8", None]


@pytest.mark.parametrize("single", [True, False])
def test_a_bug_names_signal_file_rows_and_module(tmp_path, single):
    pool = pool_of(tmp_path / "shards", ["a", "b", "c", "d", "BUG", "f"])
    pool = Pool.open(tmp_path / "shards" / "a.parquet") if single else pool
    with pytest.raises(SignalBugError, match="signal chars raised ValueError: a bug") as raised:
        measure_rows(Contents(pool, pool.shards[0]), CHARS, np.array([0, 3, 4]))
    assert raised.value.where == "a.parquet, rows 3 to 4"
    assert raised.value.fix == f"this is a bug in {chars.module}"


def part(*rows):
    return pl.DataFrame([*rows], schema={"row": pl.UInt64, "chars": pl.UInt32, "error": pl.String}, orient="row")


PIECE = Piece(0, 0, 2, 6, 0)


def test_parts_are_laid_over_their_rows_and_not_measured_is_not_null():
    found = aligned([part((0, 9, None), (2, 1, None), (5, None, "bad")), part((3, None, None), (6, 9, None))], CHARS, PIECE, None)
    assert found.to_dict(as_series=False) == {
        "chars": [1, None, None, None],
        "error": [None, None, None, "bad"],
        "measured": [True, True, False, True],
    }
    again = aligned([part((4, 7, None))], CHARS, PIECE, found)
    assert again["chars"].to_list() == [1, None, 7, None]
    assert again["measured"].all()


def test_without_parts_nothing_is_measured():
    found = aligned([], CHARS, PIECE, None)
    assert found.height == 4
    assert not found["measured"].any()
    assert found.drop("measured").schema == pl.Schema(chars.schema)


def test_rows_measured_twice_must_agree():
    assert aligned([part((3, 1, None)), part((3, 1, None))], CHARS, PIECE, None)["chars"].to_list() == [None, 1, None, None]
    for other in (part((3, 2, None)), part((3, None, None)), part((3, 1, "bad"))):
        with pytest.raises(NondeterminismError, match="signal chars gave row 3 two different answers") as raised:
            aligned([part((3, 1, None)), other], CHARS, PIECE, None)
        assert raised.value.where == CHARS.folder == "signals/chars-0123456789abcdef"
        with pytest.raises(NondeterminismError, match="row 3"):
            aligned([other], CHARS, PIECE, aligned([part((3, 1, None))], CHARS, PIECE, None))


def test_classes_come_back_from_their_stored_text():
    kinds = pl.Enum(["b", "a"])
    measure = Measure("kind", "kind", signal(version=1, reads=[], writes={"kind": kinds})(lambda batch: batch), {}, "x")
    stored = pl.DataFrame({"row": [2], "kind": ["a"], "error": [None]}, schema_overrides={"error": pl.String})
    assert aligned([stored], measure, PIECE, None)["kind"].dtype == kinds
