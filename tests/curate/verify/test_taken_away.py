"""What `verify` says where rows that were taken down come back, or were never refused."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from curate.digest import words_of_hex
from curate.executor import InProcess
from curate.pool import Pool
from curate.store import Store
from curate.verify.findings import Finding
from curate.verify.store import Asked, verify_store
from tests.curate.takedown.small_store import GONE, done, made_rows, select, urls_of, write

KEPT = "rows/scale-0123456789abcdef"
"""A folder of rows to train on."""
TORN = "rows/scale-1123456789abcdef"
"""One that was not finished."""


def _found(store: Store, **asked: Any) -> list[Finding]:
    others: Callable[[str], bool] = lambda key: key.startswith("rows/")  # noqa: E731
    return verify_store(store, Asked(**asked), InProcess(), lambda *_: None, others)[0].findings


def _listed(uids: list[str]) -> bytes:
    held = io.BytesIO()
    np.save(held, words_of_hex(uids), allow_pickle=False)
    return held.getvalue()


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return made_rows()


@pytest.fixture(scope="module")
def own(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return write(rows, tmp_path_factory.mktemp("back") / "pool")


@pytest.fixture(scope="module")
def before(own: Pool, rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a run, and rows to train on."""
    store = Store.open(tmp_path_factory.mktemp("back-store") / "store")
    select(own, store)
    for name, data in {"uids.npy": _listed(rows["uid"].to_list()), "tokens.npy": b"tokens of all rows", "rows.json": b"{}"}.items():
        store.storage.put(f"{KEPT}/{name}", data)
    store.storage.put(f"{TORN}/tokens.npy", b"tokens of some rows")
    return store


@pytest.fixture(scope="module")
def taken(before: Store, rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("back-taken") / "store"
    shutil.copytree(before.address, folder)
    done(Store.open(folder), urls_of(rows))
    return folder


@pytest.fixture
def after(taken: Path, tmp_path: Path) -> Store:
    """It without the rows, to harm."""
    shutil.copytree(taken, tmp_path / "store")
    return Store.open(tmp_path / "store")


def test_after_a_take_down_nothing_is_wrong(after: Store, own: Pool) -> None:
    assert (_found(after), _found(after, full=True)) == ([], [])
    select(own, after)
    assert _found(after, full=True) == []


def test_a_file_that_was_taken_away_is_found_under_its_name_and_under_any_other(after: Store, before: Store) -> None:
    left = sorted(set(before.storage.list("")) - set(after.storage.list("")))
    assert {"decisions", "signals", "links", "pools", "subsets", "rows"} <= {key.split("/")[0] for key in left}
    for key in left:
        after.storage.put(key, before.storage.get(key))
    assert {one.where for one in _found(after)} == set(left)
    for key in left:
        after.storage.delete(key)
    part = next(key for key in left if key.startswith("decisions/") and "/parts/" in key)
    other = f"{part.rpartition('-')[0]}-{'0' * 32}.parquet"
    after.storage.put(other, before.storage.get(part))
    (one,) = _found(after)
    assert (one.where, one.what) == (other, f"it holds what {part} held before rows were taken down")


def test_rows_to_train_on_that_came_back_are_found_also_in_another_folder(after: Store, rows: pl.DataFrame) -> None:
    after.storage.put(f"{KEPT}/members/{'0' * 16}.npy", _listed(["0" * 32]))  # of a folder that left nothing comes again
    assert [one.where for one in _found(after)] == [f"{KEPT}/members/{'0' * 16}.npy"]
    after.storage.delete(f"{KEPT}/members/{'0' * 16}.npy")
    folder = "rows/scale-2123456789abcdef"
    after.storage.put(f"{folder}/rows.json", b"{}")
    after.storage.put(f"{folder}/uids.npy", _listed([uid for number, uid in enumerate(rows["uid"]) if number not in GONE]))
    assert _found(after) == []
    listed = rows["uid"][: GONE[3] + 1].to_list()
    after.storage.put(f"{folder}/members/{'1' * 16}.npy", _listed([*listed, listed[0]]))  # one of them twice
    (one,) = _found(after)
    assert (one.where, one.what) == (f"{folder}/members/{'1' * 16}.npy", "it lists 5 rows that were taken down")


def _settled(store: Store, value: dict[str, Any]) -> str:
    (key,) = [key for key in store.storage.list("pools/") if key.endswith("/settled.json")]
    store.storage.delete(key)
    store.put_json(key, value)
    return key


def test_how_far_a_pool_was_held_against_requests_is_looked_at(after: Store, rows: pl.DataFrame, tmp_path: Path) -> None:
    for value, what in (
        ({"requests": 2}, "held against 2 requests, and there were 1"),
        ({"requests": "all"}, "held against all requests"),
        ({"requests": 1, "pool": "pools/0123456789abcdef"}, "it speaks of pools/0123456789abcdef"),
    ):
        key = _settled(after, value)
        (one,) = _found(after)
        assert one.where == key
        assert what in one.what
    after.storage.delete(key)
    assert [(one.where, "gone" in one.what) for one in _found(after)] == [(key, True)]


def test_a_pool_that_is_said_to_have_been_held_against_requests_and_was_not_is_found(
    after: Store, rows: pl.DataFrame, tmp_path: Path
) -> None:
    same = write(rows.head(40), tmp_path / "same", shards=1)
    renamed = write(rows.head(40).with_columns(uid=pl.col("uid").str.reverse()), tmp_path / "renamed", shards=1)
    for pool in (same, renamed):
        shutil.move(after.path("revocations"), tmp_path / "aside")  # so that they are opened as if nothing had been asked
        select(pool, after)
        shutil.move(tmp_path / "aside", after.path("revocations"))
        after.put_json(f"pools/{pool.id[:16]}/settled.json", {"requests": 1})
    for asked, pools in ((False, {same.id}), (True, {same.id, renamed.id})):
        found = [one for one in _found(after, full=asked) if one.where.endswith("/settled.json")]
        assert {one.where for one in found} == {f"pools/{one[:16]}/settled.json" for one in pools}
        assert all(one.what == "5 rows of 0.parquet are named by a request for take-down, and are not refused" for one in found)
    after.storage.delete(found[0].where)
    after.storage.delete(found[1].where)
    for pool in (same, renamed):
        select(pool, after)
    assert [one for one in _found(after, full=True) if one.where.endswith("/settled.json")] == []


def test_of_a_pool_whose_files_changed_uids_are_held_against_requests_and_not_what_lies_there_now(
    after: Store, rows: pl.DataFrame, tmp_path: Path
) -> None:
    pool = write(rows.head(40), tmp_path / "pool", shards=2)
    select(pool, after)
    rows[0:40:2].reverse().write_parquet(tmp_path / "pool" / "0.parquet")
    seed = next(seed for seed in range(99) if [Asked(share=0.5, seed=seed).draws(one.digest) for one in pool.shards] == [False, True])
    assert [one.where for one in _found(after, full=True)] == [str(tmp_path / "pool" / "0.parquet")]
    assert _found(after, full=True, share=0.5, seed=seed) == []
    other = write(rows.head(9), tmp_path / "other", shards=1)
    shutil.move(after.path("revocations"), tmp_path / "asked")
    select(other, after)
    shutil.move(tmp_path / "asked", after.path("revocations"))
    after.put_json(f"pools/{other.id[:16]}/settled.json", {"requests": 1})
    (tmp_path / "other" / "0.parquet").unlink()
    rows[9:18].write_parquet(tmp_path / "other" / "0.parquet")
    assert f"pools/{other.id[:16]}/settled.json" in {one.where for one in _found(after, full=True)}


def test_a_shard_that_lost_only_rows_that_were_taken_down_is_a_note_and_any_other_change_is_wrong(
    rows: pl.DataFrame, tmp_path: Path
) -> None:
    pool, after = write(rows, tmp_path / "pool"), Store.open(tmp_path / "of-its-own")
    select(pool, after)
    done(after, urls_of(rows))
    first, file = rows[0::3], tmp_path / "pool" / "0.parquet"
    mine = [row for row in range(first.height) if row * 3 in GONE]
    left = first.filter(~pl.int_range(pl.len()).is_in(mine))
    for there, still in ((left, ""), (first.filter(~pl.int_range(pl.len()).is_in(mine[1:])), "; 1 of them are there still")):
        there.write_parquet(file)
        found, _ = verify_store(after, Asked(full=True), InProcess(), lambda *_: None)
        assert found.findings == []
        (note,) = [note for note in found.notes if note.startswith(str(file))]
        assert f"it holds its other {left.height} rows: {len(mine)} were taken down by request 1{still};" in note
        (unfit,) = [note for note in found.notes if "was not judged again" in note]
        assert f"its rules read {file}, which lost rows that were taken down" in unfit
    for there in (
        left[1:],
        left.reverse(),
        pl.concat([left, rows[1:2]]),
        pl.concat([left, left[:1]]),
        left.with_columns(uid=pl.col("uid").str.reverse()),
    ):
        there.write_parquet(file)
        assert [(one.where, one.place) for one in _found(after)] == [(str(file), "")]
    select(Pool.open(tmp_path / "pool", roles={"text": "url"}), after)
    left[1:].write_parquet(file)
    assert len({one.place for one in _found(after) if one.where == str(file)}) == 2


def test_what_was_not_looked_at_is_said(after: Store) -> None:
    (part,) = after.storage.list("revocations/parts/")
    after.storage.delete(part)
    found, _ = verify_store(after, Asked(), InProcess(), lambda *_: None)
    assert part in {one.where for one in found.findings}
    assert any("came back was not looked at" in note for note in found.notes)
