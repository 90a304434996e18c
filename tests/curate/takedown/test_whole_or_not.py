"""A take-down happens whole or not at all, whoever dies, reads or writes meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate import failpoint
from curate.audit import why
from curate.errors import StoreError
from curate.exports.export import export
from curate.exports.parquet import write_parquet
from curate.plan import POOL
from curate.record import Run
from curate.store import Store
from curate.takedown.request import look, take_down
from curate.takedown.revoked import revoked
from tests.curate.takedown.small_store import GONE, done, select, uids_of, urls_of, write


def _state(store: Store) -> Any:
    """What a store says, whatever its files are called."""
    made = Run.latest(store)
    groups = {}
    for folder in {group["folder"] for group in made.facts["groups"].values()}:
        for scope, parts in store.parts(folder).items():
            groups[folder, scope] = pl.concat([store.frame(part) for part in sorted(parts, key=lambda part: part.start)]).to_dicts()
    evidence = {name: made.evidence(name).to_dicts() for name in made.facts["measures"]}
    subsets = {name: made.subset(name).hex for name in made.facts["subsets"]}
    decided = {name: made.codes(name).tolist() for name in made.facts["nodes"] if name != POOL}
    refused = {digest: rows[0].tolist() for digest, rows in revoked(store).by_shard.items()}
    heads = len(store.storage.list("ledger/"))
    return [groups, evidence, subsets, decided, refused, made.funnel(), made.uids().tolist(), heads]


def _parts_by_folder(store: Path) -> dict[str, int]:
    return {str(path.relative_to(store)): len(list(path.iterdir())) for path in store.rglob("parts")}


class _Died(BaseException):
    pass


def test_ended_anywhere_it_is_as_before_or_done_by_whoever_comes_next(
    before: tuple[Path, str], after: Store, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(after.address, tmp_path / "done")
    key = tmp_path / "done" / "revocations" / "key"
    passed: list[str] = []

    def attempt(folder: Path, at: int) -> None:
        """A take-down under the same key that dies at its at-th step."""
        shutil.copytree(before[0], folder)
        (folder / "revocations").mkdir()
        shutil.copy2(key, folder / "revocations" / "key")
        found = look(Store.open(folder), urls_of(rows))
        passed.clear()

        def reach(point: str) -> None:
            passed.append(point)
            if len(passed) == at:
                raise _Died(f"died at {point}")

        with monkeypatch.context() as patch:
            for module in ("curate.storage", "curate.store", "curate.journal", "curate.subset"):
                patch.setattr(f"{module}.reach", reach)
            take_down(found, who="somebody", reason="asked", time="2026-01-02T03:04:05+00:00")

    attempt(tmp_path / "whole", 10**9)
    steps = list(passed)
    commit = steps.index("revoke.after_commit") + 1
    assert {"revoke.before_commit", "revoke.applying", "revoke.before_head", "revoke.before_finish"} <= set(steps)
    old, new = _state(Store.open(before[0])), _state(Store.open(tmp_path / "whole"))
    assert new == _state(after)
    chosen = sorted({1, commit - 1, commit, commit + 1, len(steps) - 1, len(steps), *range(commit + 9, len(steps), len(steps) // 6)})
    for at in chosen:
        folder = tmp_path / f"at-{at}"
        with pytest.raises(_Died, match="died at"):
            attempt(folder, at)
        found = _state(Store.open(folder))
        assert found == (new if at >= commit - 1 and (folder / "revocations/000001/tombstone.json").is_file() else old), steps[at - 1]
        assert not (folder / "revocations/pending.json").exists()
        if found == old:
            done(Store.open(folder), urls_of(rows))
            assert _state(Store.open(folder)) == new
            assert _parts_by_folder(folder) == _parts_by_folder(tmp_path / "whole")  # what the ended attempt wrote is gone
        shutil.rmtree(folder)


@pytest.mark.parametrize("point", ["revoke.after_commit", "revoke.applying:20"])
def test_killed_it_is_done_by_the_next_command(
    point: str, before: tuple[Path, str], rows: pl.DataFrame, after: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    shutil.copytree(before[0], folder)
    (folder / "revocations").mkdir()
    shutil.copy2(after.path("revocations/key"), folder / "revocations" / "key")
    (tmp_path / "urls.txt").write_text("\n".join(rows["url"][list(GONE)]), encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from curate.store import Store; from curate.takedown.request import look, take_down\n"
        "from curate.takedown.named_rows import Plain\n"
        "found = look(Store.open(sys.argv[1]), Plain(urls=frozenset(Path(sys.argv[2]).read_text().split())))\n"
        "take_down(found, who='somebody', reason='asked', time='2026-01-02T03:04:05+00:00')\n"
    )
    environment = {**os.environ, "CETERIS_FAILPOINT": point, "PYTHONPATH": str(Path(failpoint.__file__).parents[1])}
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "urls.txt")]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert (folder / "revocations/pending.json").is_file()
    assert _state(Store.open(folder)) == _state(after)


def test_who_reads_while_it_is_done_is_refused(store: Store) -> None:
    store.put_json("revocations/pending.json", {"records": {}, "texts": {}, "delete": [], "head": ["runs/x", "0"]})
    with store.writer(), pytest.raises(StoreError, match="being written"):
        Store.open(store.address)


def test_a_pool_that_came_since_the_look_is_not_overlooked(store: Store, rows: pl.DataFrame, tmp_path: Path) -> None:
    found = look(store, urls_of(rows))
    select(write(rows.with_columns(uid=pl.col("uid").str.reverse()), tmp_path / "other", 1), store)
    with pytest.raises(StoreError, match="since the rows were looked for"):
        take_down(found, who="w", reason="", time="t")
    assert not revoked(store)


def test_an_export_under_way_while_rows_are_taken_down_comes_to_nothing(
    store: Store, before: tuple[Path, str], rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(*arguments: Any) -> list[str]:
        files = write_parquet(*arguments)
        done(store, urls_of(rows))
        return files

    monkeypatch.setattr("curate.exports.export.write_parquet", slowly)
    with pytest.raises(StoreError, match="while they were written"):
        export(Run(store, before[1]), "pool", tmp_path / "out", "parquet")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]
    assert not store.storage.list("exports/")


def test_who_has_opened_the_store_before_reads_all_as_it_was_or_is_or_is_told_why_not(
    store: Store, before: tuple[Path, str], rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, told, seen = uids_of(rows)[0], list[StoreError](), list[str]()
    opened = Run(store, before[1])
    folders = [measure["folder"] for measure in opened.facts["measures"].values()]
    stale = [part for folder in folders for parts in store.parts(folder).values() for part in parts]
    asked: list[Callable[[Run], object]] = [
        lambda run: seen.append(json.dumps(why(run, uid))),
        lambda run: run.evidence("text_length"),
        lambda run: [run.codes(name) for name in run.facts["nodes"] if name != POOL],
        lambda run: [run.subset(name) for name in run.facts["subsets"]],
        lambda run: run.funnel(),
        lambda run: run.uids(),
        lambda _: [store.frame(part) for part in stale],
    ]

    def reach(point: str) -> None:
        seen.append(point)
        if point in ("revoke.applying", "revoke.before_head", "revoke.before_finish"):
            for run, ask in product((opened, Run(store, before[1])), asked):
                try:
                    ask(run)
                except StoreError as error:
                    told.append(error)

    monkeypatch.setattr("curate.journal.reach", reach)
    done(store, urls_of(rows))
    assert {one.what for one in told} == {"rows are being taken down", "rows were taken down since this was begun"}
    assert {one.fix[:9] for one in told} == {"ask again"}
    assert len(seen) > 50
    assert not [one for one in seen[seen.index("revoke.applying") :] if rows["text"][0] in one]
    for ask in (asked[-1], asked[3]):
        with pytest.raises(StoreError, match="rows were taken down since this was begun"):
            ask(opened)
    for ask in asked[:-1]:
        ask(Run(store, before[1]))
