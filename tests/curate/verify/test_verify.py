"""What `verify` makes of a store of the engine: no false alarm, and decisions that cannot have come from the evidence."""

import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate import frames, ledger
from curate.digest import sha256
from curate.errors import StoreError
from curate.executor import InProcess
from curate.pool import Pool
from curate.seal import unsealed
from curate.store import Store
from curate.verify.store import Asked, Verification, quiet, verify_store
from tests.curate.conftest import RECIPE

OTHER = """
errors_at_most: 0.2
stages:
  web:   {keep: "pool.source == 'web' and length.chars > 1"}
  even:  {keep: {balance: pool.source, at_most: 3, seed: 1}}
  drawn: {after: web, keep: {soft_cap: pool.quality, penalty: 0.1, count: 4, seed: 2}}
  twice: {after: even, keep: {repeat: 2}}
  mixed: {any_of: [twice, drawn]}
  few:   {keep: {random: 0.5, seed: 3}}
subsets: [web, even, mixed, few]
"""


def _verified(store: Store, **asked: Any) -> Verification:
    return verify_store(store, Asked(**asked), InProcess(), lambda *_: None)[0]


def _whats(found: Verification) -> list[str]:
    return [str(one) for one in found.findings]


@pytest.fixture(scope="module")
def pool(texts: Pool, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """The pool of texts, in a folder that may be harmed."""
    folder = tmp_path_factory.mktemp("own") / "pool"
    shutil.copytree(texts.root, folder)
    return Pool.open(folder)


@pytest.fixture(scope="module")
def whole(do, pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two recipes, one of them with a changed threshold too, in one store."""
    store = Store.open(tmp_path_factory.mktemp("verified") / "store")
    for recipe in (RECIPE, RECIPE.replace("fraction: 0.5", "fraction: 0.3"), OTHER):
        do(recipe, pool, store)
    return store


@pytest.fixture
def store(whole: Store, tmp_path: Path) -> Store:
    """It, to harm."""
    shutil.copytree(whole.path(""), tmp_path / "store")
    return Store.open(tmp_path / "store")


def test_a_sound_store_has_no_findings(whole):
    found = _verified(whole)
    assert (_whats(found), found.notes) == ([], [])
    nodes = 5 + 1 + 6  # the changed threshold is one more node, and those below it
    assert found.checked["runs"] == 3
    assert found.checked["decisions"] >= 12 * nodes
    assert found.head == sha256(whole.storage.get("ledger/00000003.json"))


class Elsewhere(InProcess):
    """As other processes would: tasks and answers travel."""

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for index, task in enumerate(pickle.loads(pickle.dumps(list(tasks)))):
            yield index, pickle.loads(pickle.dumps(function(task)))


def test_workers_elsewhere_find_the_same(whole):
    assert verify_store(whole, Asked(), Elsewhere(), lambda *_: None)[0] == _verified(whole)


def test_nothing_is_written(whole):
    before = {path: path.stat().st_mtime_ns for path in whole.path("").rglob("*")}
    _verified(whole, full=True)
    assert {path: path.stat().st_mtime_ns for path in whole.path("").rglob("*")} == before


def test_a_store_in_memory(do, pool):
    store = Store.open("memory:verified")
    do(RECIPE, pool, store)
    assert _whats(_verified(store)) == []


def test_one_run_and_a_sample(whole):
    one = _verified(whole, run="recipe")
    assert one.checked["runs"] == 3
    with pytest.raises(StoreError, match="no run called other"):
        _verified(whole, run="other")
    every = _verified(whole)
    shares = [_verified(whole, share=0.5, seed=seed).checked["decisions"] for seed in range(6)]
    assert all(decisions in (0, *shares) for decisions in shares)
    assert min(shares) < every.checked["decisions"]
    assert 0 < max(shares) <= every.checked["decisions"]


@pytest.mark.parametrize(
    "point", ["run.before_publish", "run.before_decisions", "run.before_subset", "run.before_ledger", "run.after_decisions"]
)
def test_interrupted_and_resumed(do, pool, store, monkeypatch, point):
    changed = "signals: {longer: {length: {limit: 2}}}\n" + OTHER.replace("length.chars > 1", "longer.chars > 1")

    def stop(reached: str) -> None:
        if reached == point:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        for module in ("store", "decisions", "subset", "run"):
            patch.setattr(f"curate.{module}.reach", stop)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            do(changed, pool, store)
    assert _whats(_verified(store)) == []
    do(changed, pool, store)
    found = _verified(store)
    assert _whats(found) == []
    assert found.checked["runs"] == 4


def _rewritten(store: Store, key: str, change: Callable[[Any], Any]) -> None:
    """What one would do who knows of seals."""
    value = change(unsealed(store.storage.get(key), where=key))
    store.storage.delete(key)
    store.put_json(key, value)


def _forged(store: Store) -> None:
    """Make ledgers and chain anew over all that lies there: only judging again can tell."""
    for key in store.storage.list("ledger/"):
        store.storage.delete(key)
    for key in [key for key in store.storage.list("runs/") if key.endswith("ledger.jsonl")]:
        facts = [json.loads(line) for line in store.storage.get(key).decode().split("\n") if line]
        made = ledger.Ledger()
        for fact in facts:
            kept = {name: value for name, value in fact.items() if name not in ("n", "previous", "what")}
            if "files" in kept:
                kept["files"] = {n: sha256(store.storage.get(f"{kept['folder']}/{n}")) for n in kept["files"]}
            made.record(fact["what"], **kept)
        store.storage.delete(key)
        store.storage.put(key, made.text().encode())
        ledger.append_head(store, key.rpartition("/")[0], made.head)


def _part_rewritten(store: Store, manifest: str, number: int, change: Callable[[pl.DataFrame], pl.DataFrame]) -> str:
    """Change a listed file, and what lists it."""
    part = unsealed(store.storage.get(manifest), where="")["parts"][number]
    data = bytes(frames.to_bytes(change(frames.from_bytes(store.storage.get(part["key"]), where=""))))
    store.storage.delete(part["key"])
    store.storage.put(part["key"], data)

    def listed(value: dict[str, Any]) -> dict[str, Any]:
        value["parts"][number]["sha256"] = sha256(data)
        return value

    _rewritten(store, manifest, listed)
    return str(part["key"])


def test_a_decision_that_was_forged_with_all_its_digests_is_found(store, whole):
    node = _nodes(whole)["some"]
    key = _part_rewritten(
        store,
        f"decisions/{node[:16]}/manifest.json",
        0,
        lambda frame: frame.with_columns(
            code=pl.when(pl.int_range(pl.len()) == 1).then(pl.col("code") + 1).otherwise("code").cast(pl.UInt16)
        ),
    )
    _forged(store)
    found = _verified(store)
    (first, *_) = [one for one in found.findings if one.where == key]
    assert first.place == "line 1, which is shard 0 row 1"
    assert "stored as dropped by some: length.chars > 0, and judged again it is kept" in first.what


def _nodes(store: Store) -> dict[str, str]:
    found = {}
    for key in store.storage.list("runs/"):
        if key.endswith("run.json"):
            found |= {name: node["id"] for name, node in store.json(key)["nodes"].items()}
    return found


def test_evidence_that_was_forged_is_found_by_the_decisions(store, whole):
    (manifest,) = [key for key in store.storage.list("signals/length-") if "/manifests/" in key]
    _part_rewritten(store, manifest, 0, lambda frame: frame.with_columns(chars=pl.lit(0, pl.UInt32)))
    _forged(store)
    assert any("stage some: stored as kept, and judged again it is dropped by some" in line for line in _whats(_verified(store)))


def test_missing_evidence_is_found(store):
    (manifest,) = [key for key in store.storage.list("signals/length-") if "/manifests/" in key]

    def fewer(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "parts": value["parts"][1:]}

    _rewritten(store, manifest, fewer)
    _forged(store)
    found = _verified(store).findings
    assert {(one.where, one.place) for one in found} == {(manifest.rpartition("/manifests/")[0], "shard 0, rows 0 to 7")}
    assert "the evidence of some rows is not stored here" in found[0].what


@pytest.mark.parametrize(
    ("stage", "change", "what"),
    [
        ("best", {"value": 0.1}, "its cut's value is 0.1, and judged again"),
        ("best", {"kept": 9}, "its cut's kept is 9, and judged again"),
        ("drawn", {"best": 0.1}, "stage drawn"),
        ("even", {"note": "t is 7"}, "its cut's note is t is 7, and judged again t is 3"),
        (
            "few",
            {"last": [1, 1, 1]},
            "stage few: stored as dropped by few: random 0.5, seed 3, and judged again it is kept (5 such rows in this file)",
        ),
    ],
)
def test_a_cut_that_was_forged_is_found(store, whole, stage, change, what):
    def other(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "cut": {**value["cut"], **change}}

    _rewritten(store, f"decisions/{_nodes(whole)[stage][:16]}/manifest.json", other)
    _forged(store)
    assert any(what in line for line in _whats(_verified(store))), _whats(_verified(store))


def test_counts_funnels_and_subsets_that_were_forged_are_found(store, whole):
    def counted(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "counts": [value["counts"][0] + 1, value["counts"][1] - 1, *value["counts"][2:]]}

    _rewritten(store, f"decisions/{_nodes(whole)['web'][:16]}/manifest.json", counted)
    (other,) = [
        key.rpartition("/")[0] for key in store.storage.list("runs/") if key.endswith("run.json") and "even" in store.json(key)["nodes"]
    ]
    (first, second) = [digest for name, digest in store.json(f"{other}/run.json")["subsets"].items() if name in ("even", "few")]
    _forged(store)
    assert any("stage web: its counts are" in line for line in _whats(_verified(store)))
    _rewritten(
        store,
        f"decisions/{_nodes(whole)['web'][:16]}/manifest.json",
        lambda value: {**value, "counts": [value["counts"][0] - 1, value["counts"][1] + 1, *value["counts"][2:]]},
    )
    _rewritten(store, f"{other}/run.json", lambda value: {**value, "subsets": {**value["subsets"], "even": second, "few": first}})
    _forged(store)
    found = _whats(_verified(store))
    assert sum("comes out as" in line for line in found) == 2, found


def test_a_rule_that_is_not_the_recipes_is_found(store):
    for key in [key for key in store.storage.list("runs/") if key.endswith("recipe.json")]:
        _rewritten(store, key, lambda value: {**value, "text": value["text"].replace("length.chars > 0", "length.chars > 1")})
    _forged(store)
    assert any("the recipe is not that of its digest" in line for line in _whats(_verified(store)))


def test_heads_tell_what_was_cut(store):
    head = _verified(store).head
    assert _verified(store, head=head).sound
    run_head = store.json("ledger/00000002.json")["head"]
    assert _verified(store, head=run_head).sound
    last = store.json("ledger/00000003.json")["run"]
    store.storage.delete("ledger/00000003.json")
    assert [one.where for one in _verified(store).findings] == [f"{last}/ledger.jsonl"]
    for key in store.storage.list(f"{last}/"):
        store.storage.delete(key)
    assert _verified(store).sound  # with all its traces a run can be taken away
    assert any("never came by the head" in line for line in _whats(_verified(store, head=head)))
    assert _verified(store, head=run_head).sound


def test_shards_that_changed_or_left_are_found(do, store, pool):
    file = pool.root / "0.parquet"
    sound, times = file.read_bytes(), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    try:
        file.write_bytes(sound[:-20] + b"x" + sound[-19:])
        assert f"{file}: the shard" in _whats(_verified(store))[0]
        file.unlink()
        assert _whats(_verified(store)) == [f"{file}: the shard is gone"]
        assert any("was not judged again: it rests on" in note for note in _verified(store).notes)
        file.with_name("aside").write_bytes(b"")
    finally:
        file.write_bytes(sound)
        os.utime(file, ns=times)
        file.with_name("aside").unlink(missing_ok=True)
    assert _verified(store, full=True).sound
    shutil.move(pool.root, pool.root.with_name("moved"))
    try:
        assert _whats(_verified(store)) == [f"{pool.root}: the pool is gone from here"]
    finally:
        shutil.move(pool.root.with_name("moved"), pool.root)


def test_foreign_and_left_over_files(store):
    store.storage.put("notes.txt", b"mine")
    store.storage.put("tmp/x", b"left")
    part = store.put_frame("/".join(store.storage.list("signals/")[0].split("/")[:2]), "attempt", pl.DataFrame({"row": [1]}))
    found = _verified(store)
    assert _whats(found) == ["notes.txt: no store holds a file of this name"]
    assert any(part.key in note for note in found.notes)
    assert any("under tmp/" in note for note in found.notes)


def test_a_store_of_before_there_were_seals(store):
    for key in store.storage.list(""):
        if key.endswith(".json") and not key.startswith("pools/files"):
            value = unsealed(store.storage.get(key), where="")
            store.storage.delete(key)
            store.storage.put(key, json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
    assert any("records have no seal" in line for line in _whats(_verified(store)))


def test_a_store_that_is_written_is_left_alone(store):
    with store.writer(), pytest.raises(StoreError, match="this store is being written"), quiet(store):
        pass
    with quiet(store), quiet(store):
        pass
