"""What `curate pool` says of rows that cannot be read, of empty texts, of uids, and of files that are no part of the pool."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.errors import PoolError
from curate.faults import look, naming, spots
from curate.pool import Pool
from curate.shard_files import aside

LINES = b'\n{"id": "a", "text": "fine"}\nno json\n{"id": "b", "text": "caf\xe9"}\n{"id": "c", "text": " "}\n{"id": "d"}\n[1]\n'


@pytest.fixture
def lines(tmp_path: Path) -> Pool:
    (tmp_path / "a.jsonl").write_bytes(LINES)
    return Pool.open(tmp_path)


def test_every_fault_is_counted_and_named_by_its_line(lines: Pool) -> None:
    found = {(one.role, one.code): (one.rows, one.at) for one in look(lines).faults}
    assert found == {
        ("", "bad_json"): (2, ("line 3", "line 7")),
        ("text", "invalid_utf8"): (1, ("line 4",)),
        ("text", "no_text"): (1, ("line 6",)),
        ("text", "empty_text"): (1, ("line 5",)),
    }


def test_texts_that_are_files_are_named_by_their_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("fine")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9")
    (tmp_path / "sub/c.txt").write_text("")
    (tmp_path / "d.txt").symlink_to(tmp_path / "nowhere")
    pool = Pool.open(tmp_path)
    assert pool.rows == 4
    found = {(one.file, one.code, *one.at) for one in look(pool).faults}
    assert found == {(".", "invalid_utf8", "b.txt"), (".", "unreadable", "d.txt"), ("sub", "empty_text", "sub/c.txt")}


def test_uids_that_repeat_are_told_before_a_run_refuses_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pl.DataFrame({"uid": ["1", name], "text": ["x", "y"]}).write_parquet(tmp_path / f"{name}.parquet")
    assert "'1' at a.parquet row 0 and '1' at b.parquet row 0" in look(Pool.open(tmp_path)).uids
    assert look(Pool.open(tmp_path, roles={"uid": ""})).uids == ""
    for row, told in ((0, False), (1, True)):
        said = look(Pool.open(tmp_path), refused=lambda shard, row=row: np.array([row] if shard.path == "b.parquet" else [], np.int64)).uids
        assert "repeat another row's uid" in said
        assert ("'1' at" in said) == told


def test_a_column_called_id_is_told_to_be_no_uid(lines: Pool) -> None:
    assert naming(lines).endswith("to name them by 'id', give `--role uid=id` to plan and run")
    assert naming(Pool.open(lines.root, roles={"uid": "id", "text": "text"})) == ""


def test_a_large_pool_is_looked_at_from_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jsonl").write_text('{"text": ""}\n' * 3)
    monkeypatch.setattr("curate.faults.ROWS", 6)
    pool = Pool.open(tmp_path)
    assert (look(pool).looked, look(pool, every=True).looked) == (6, 9)
    assert [one.file for one in look(pool).faults] == ["a.jsonl", "b.jsonl"]


def test_a_file_that_grew_shorter_names_no_line(lines: Pool) -> None:
    (lines.root / "a.jsonl").write_text('{"text": "one"}\n')
    assert spots(lines, lines.shards[0], [0, 3]) == ["", ""]


def test_what_is_left_aside_is_told(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.csv", "c.CSV", "_d.jsonl", "README", "_notes"):
        (tmp_path / name).write_text('{"text": "x"}\n')
    (tmp_path / "loop").symlink_to(tmp_path)
    assert aside(tmp_path, "jsonl") == {".csv": (2, "b.csv"), "": (1, "README"), "hidden": (1, "_d.jsonl")}


def test_files_read_with_a_table_are_not_left_aside(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.npz", "a.tar", "b.npz"):
        (tmp_path / name).touch()
    assert aside(tmp_path, "parquet") == {".npz": (1, "b.npz")}


def test_a_link_that_leads_nowhere_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "nowhere")
    assert [one.path for one in Pool.open(tmp_path).unreadable] == ["b.jsonl"]


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "shut").mkdir()
    listed = os.scandir

    def refuse(path: Path) -> object:  # the tests may run as root, whom no permission stops
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(PoolError, match="cannot be listed: Permission denied"):
        Pool.open(tmp_path)


def test_tables_that_are_not_read_are_told_how_to_become_some(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nx\n")
    with pytest.raises(PoolError, match=r"\.csv is not read: write it as Parquet"):
        Pool.open(tmp_path)


def test_a_file_that_may_not_be_read_is_not_called_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"text": "x"}\n')
    opened = Path.open

    def refuse(path: Path, *how: str) -> object:
        if path.name == "b.jsonl":
            raise PermissionError(13, "Permission denied")
        return opened(path, *how)

    monkeypatch.setattr(Path, "open", refuse)
    (one,) = Pool.open(tmp_path).unreadable
    assert (one.path, one.code, one.fix) == ("b.jsonl", "unreadable_file", "make the file readable, or remove it")
