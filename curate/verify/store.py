"""A store, verified: its records, chain and ledgers, every file that these name, the pools, and every decision judged again.

It only reads. Damaged bytes are findings; what rests on them is not judged again, and that is said.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.decisions import decided_of
from curate.digest import sha256
from curate.errors import CeterisError, StoreError
from curate.executor import Executor
from curate.nodes import without_revoked
from curate.pieces import Piece, pieces_of
from curate.plan import POOL, REVOKED, Node, root_of
from curate.pool import Pool
from curate.run import subset_of
from curate.storage import LocalStorage, ScratchStorage
from curate.store import Store
from curate.takedown.revoked import revoked
from curate.verify.files import check_exports, check_files, check_subsets, listed_files
from curate.verify.findings import RESTORE, Finding
from curate.verify.judged_again import Again
from curate.verify.pools import changed
from curate.verify.recorded_plan import recorded_plan
from curate.verify.records import Contents, Others
from curate.verify.taken_away import check_taken_away

Progress = Callable[[str, int, int], None]
LIGHTER = "what else its rows say is not known, and was not held against the requests"


@dataclass
class Verification:
    """What was found. `head` is that of the store's chain now; `checked` counts files, bytes, pools, runs and decisions; `notes` say what
    is not covered, and why."""

    store: str
    head: str
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: dict[str, float] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass(frozen=True)
class Asked:
    """What is to be verified: only the decisions of `run` (a name or NAME-ID; None: of all), a `share` of the shards (None: all), drawn by
    their digests and `seed`; `full`: the pools' shards are read whole."""

    run: str | None = None
    share: float | None = None
    seed: int = 0
    full: bool = False
    head: str | None = None

    def draws(self, name: str) -> bool:
        """Whether a shard, or a file of no single one, is in the sample."""
        return self.share is None or int(sha256(f"verify {self.seed} {name}".encode())[:13], 16) < self.share * 16**13


@contextmanager
def quiet(store: Store) -> Iterator[None]:
    """Keep writers out meanwhile, where there can be any; nothing is written. StoreError where one is at work."""
    if not isinstance(store.storage, LocalStorage) or not store.path("lock").is_file():
        yield
        return
    handle = os.open(store.path("lock"), os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StoreError("this store is being written", where=store.address, fix="wait until that command has ended") from error
    finally:
        os.close(handle)


def verify_store(
    store: Store, asked: Asked, executor: Executor, progress: Progress, others: Others = lambda _: False
) -> tuple[Verification, Contents]:
    """Verify what the engine writes; `others` are keys that someone else looks after. Returns also the records, for who goes on."""
    held = Contents.read(store, others, asked.head)
    runs = _runs(held, asked.run)
    pools = {folder: _opened(held, folder) for folder in sorted({key.rpartition("/")[0] for key, _ in held.of_kind("pool")})}
    files = list({one.key: one for one in listed_files(held, _shards_of(held, pools))}.values())
    chosen = [one for one in files if asked.draws(one.shard or one.key) or one.key.startswith("subsets/")]
    size = check_files(held, chosen, executor, progress)
    unchanged = dict[str, tuple[Pool, bool]]()
    for key, pool in pools.items():
        if pool is not None and f"{key}/indexed.json" in held.keys:
            which = key if sum(one is not None and one.root == pool.root for one in pools.values()) > 1 else ""
            found, lighter = changed(store, pool, asked, progress, which)
            held.findings += found
            held.lighter |= lighter.keys()
            held.notes += [f"{where}{f', {which}' if which else ''}: {said}; {LIGHTER}" for where, said in lighter.items()]
            unchanged[key] = pool, not found and not lighter
    subsets = {digest: run for run, facts in runs.items() for stage, digest in facts["subsets"].items() if stage != POOL}
    check_subsets(held, subsets)
    check_exports(held, progress)
    left = _leftovers(held, {one.key for one in files})
    check_taken_away(held, unchanged, left, asked, executor, progress)
    decisions, judged = _judge(held, runs, pools, asked, executor, progress)
    counts = {"files": len(chosen) + len(held.digests), "bytes": size, "pools": len(pools), "runs": judged, "decisions": decisions}
    return Verification(store.address, held.head, held.findings, held.notes, dict(counts)), held


def _runs(held: Contents, name: str | None) -> dict[str, dict[str, Any]]:
    """runs/NAME-ID to run.json, in the order of the chain."""
    found = {key.rpartition("/")[0]: value for key, value in held.of_kind("run")}
    order = {run: number for number, (_, run, _) in enumerate(held.heads)}
    sorted_ = dict(sorted(found.items(), key=lambda one: order.get(one[0], len(order))))
    if name is None:
        return sorted_
    some = {run: facts for run, facts in sorted_.items() if name in (run.removeprefix("runs/"), run, facts["name"])}
    if not some:
        there = ", ".join(run.removeprefix("runs/") for run in sorted_) or "none"
        raise StoreError(f"this store has no run called {name}", where=held.store.address, fix=f"runs here: {there}")
    return some


def _opened(held: Contents, folder: str) -> Pool | None:
    records = [(key, value) for key, value in held.of_kind("pool") if key.startswith(f"{folder}/")]
    found = None
    for key, value in records:
        try:
            found = Pool.from_json(value)
        except (KeyError, TypeError, ValueError) as error:
            held.find(f"it describes no pool: {error!r}", key)
            return None
        if found.id[:16] != folder.removeprefix("pools/"):
            held.find(f"it describes the pool {found.id[:16]}", key)
            return None
    return found


def _shards_of(held: Contents, pools: Mapping[str, Pool | None]) -> dict[str, list[str]]:
    """The shards that each piece of a folder of decisions is of."""
    found = dict[str, list[str]]()
    for _, facts in held.of_kind("run"):
        pool = pools.get(facts["pool"])
        if pool is not None:
            shards = [pool.shards[piece.shard].digest for piece in pieces_of(pool)]
            found |= {f"decisions/{str(node['id'])[:16]}": shards for node in facts["nodes"].values()}
    return found


def _leftovers(held: Contents, listed: set[str]) -> list[str]:
    """Say what ended runs left, which counts for nothing; returns it, and files of rows to train on that no record lists."""
    left = [key for key in held.keys if held.kinds.get(key) in ("part", "weights", "card", "subset") and key not in listed]
    if left:
        held.notes.append(
            f"{len(left):,} files are named by no record: runs that ended early left them, or others replaced them; the first is {left[0]}"
        )
    attempts = [key for key in held.keys if held.kinds.get(key) == "attempt"]
    if attempts:
        held.notes.append(f"{len(attempts):,} files under tmp/ are of commands that ended early; the next run deletes them")
    finished = {key.rpartition("/")[0] for key in held.keys if key.startswith("rows/") and key.endswith("/rows.json")}
    return [*left, *attempts, *(key for key in held.keys if key.startswith("rows/") and "/".join(key.split("/")[:2]) not in finished)]


def _judge(
    held: Contents,
    runs: Mapping[str, dict[str, Any]],
    pools: Mapping[str, Pool | None],
    asked: Asked,
    executor: Executor,
    progress: Progress,
) -> tuple[int, int]:
    """Judge the runs again, each node once; the decisions and runs that were judged."""
    # Workers elsewhere need a folder that they see too.
    near = held.store.path("tmp") if executor.name == "ray" else None
    scratch = Path(tempfile.mkdtemp(prefix="ceteris-verify-", dir=near))
    sound: dict[tuple[str, str], Any] = {}
    decisions = judged = 0
    try:
        over = Store(ScratchStorage.over(held.store.storage, scratch))
        for run, facts in runs.items():
            if why := _unfit(held, run, facts, pools):
                held.notes.append(f"{run} was not judged again: {why}")
                continue
            try:
                again = _again(held, over, run, executor, progress, sound)
                decisions += _judge_one(held, again, run, facts, asked, sound)
                judged += 1
            except CeterisError as error:
                held.find(f"it cannot be judged again: {error.what}", run, error.fix or RESTORE, error.where)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return decisions, judged


def _unfit(held: Contents, run: str, facts: Mapping[str, Any], pools: Mapping[str, Pool | None]) -> str:
    """Why a run cannot be judged again: what it rests on is damaged."""
    measured = [one["folder"] for name in ("measures", "groups", "models") for one in facts[name].values()]
    measured += [folder for one in facts.get("references", {}).values() for folder in [one["pool"], *one["measures"].values()]]
    decided = [f"decisions/{str(node['id'])[:16]}" for node in facts["nodes"].values()]
    folders = tuple(f"{folder}/" for folder in (run, facts["pool"], *measured, *decided))
    asks = any(column.startswith(f"{POOL}.") for node in facts["nodes"].values() for column in node["columns"])
    pool = pools.get(facts["pool"])
    root = f"{pool.root}/" if pool is not None and asks else "\0"
    first = next((where for where in sorted(held.bad) if where.startswith(folders) or f"{where}/".startswith(root)), "")
    lighter = next((where for where in sorted(held.lighter) if f"{where}/".startswith(root)), "")
    if lighter and not first:
        return f"its rules read {lighter}, which lost rows that were taken down"
    return f"it rests on {first}, which is damaged or gone" if first else "" if pool is not None else "its pool is not known"


def _again(held: Contents, over: Store, run: str, executor: Executor, progress: Progress, sound: Mapping[tuple[str, str], Any]) -> Again:
    plan = recorded_plan(over, run)
    again = Again(plan, over, executor, 0, run, (), progress)
    manifests = {name: held.records.get(f"decisions/{node.id[:16]}/manifest.json") for name, node in plan.nodes.items() if name != POOL}
    missing = next((name for name, value in manifests.items() if value is None), None)
    if missing:
        raise StoreError(f"the decisions of stage {missing} are gone", where=run, fix=RESTORE)
    again.stored = {name: decided_of(value) for name, value in manifests.items() if value}
    pieces = len(pieces_of(plan.pool))
    for name, one in again.stored.items():
        if len(one.parts) != pieces or one.id != plan.nodes[name].id:
            raise StoreError(f"the decisions of stage {name} are not those of this run", where=f"decisions/{one.id[:16]}", fix=RESTORE)
    again.decided = {POOL: again.whole_pool()}
    refused = revoked(over)
    again.beside = bool(refused.of_pool(plan.pool).size) and not _up_to_date(plan.nodes, refused.identity(plan.pool), plan.pool.id)
    known = {stage: one.get("refused") for stage, one in over.json(f"{run}/run.json").get("references", {}).items()}
    again.beside |= any(refused.identity(one.pool) != known.get(stage) for stage, one in plan.references.items())
    if not again.beside:
        again.decided |= {name: one for name, one in again.stored.items() if (name, one.id) in sound}
    return again


def _up_to_date(nodes: Mapping[str, Node], identity: str | None, pool: str) -> bool:
    """Whether a plan's stages leave out all that was taken down of its pool: an earlier run's decisions were only told which rows left."""
    if REVOKED not in nodes or identity is None or any(POOL in node.parents for name, node in nodes.items() if name != REVOKED):
        return False
    return nodes[REVOKED].id == without_revoked(pool, identity, nodes[POOL]).id


def _judge_one(held: Contents, again: Again, run: str, facts: Mapping[str, Any], asked: Asked, sound: dict[tuple[str, str], Any]) -> int:
    pool, pieces = again.plan.pool, pieces_of(again.plan.pool)
    chosen: Sequence[Piece] = [piece for piece in pieces if asked.draws(pool.shards[piece.shard].digest)]
    before = len(held.findings)
    held.findings += list(again.check(pieces, chosen, asked.share is not None))
    if again.beside:
        held.notes.append(f"{run}: rows of its pool were taken down since; cuts, counts and subsets are as stored")
    if len(held.findings) > before:
        return again.judged
    if asked.share is None and not again.beside:
        _compare_funnel(held, again, run)
        for stage, digest in facts["subsets"].items():
            node = root_of(again.plan.nodes) if stage == POOL else stage
            known = sound.get((f"subset of {node}", again.plan.nodes[node].id))
            found = known or subset_of(again.store, again.plan, again.decided[node]).digest
            sound[f"subset of {node}", again.plan.nodes[node].id] = found
            if found != digest:
                held.find(f"the subset {stage} comes out as {found[:16]} when it is judged again, not {digest[:16]}", f"{run}/run.json")
    if not again.beside:
        sound |= {(name, one.id): True for name, one in again.stored.items()}
    return again.judged


def _compare_funnel(held: Contents, again: Again, run: str) -> None:
    made, stored = again.funnel(), held.records.get(f"{run}/funnel.json")
    if stored != made:
        line = next((n for n, (a, b) in enumerate(zip(made, stored or [], strict=False)) if a != b), min(len(made), len(stored or [])))
        held.find("the funnel comes out otherwise when it is judged again", f"{run}/funnel.json", RESTORE, f"stage {line + 1}")
    for one in (one for one in held.ledgers if one.known and one.key.startswith(f"{run}/")):
        told = [
            {k: v for k, v in fact.items() if k not in ("n", "previous", "what", "id")} for fact in one.facts if fact.get("what") == "stage"
        ]
        if told != made:
            held.find("its stages are not those that come out when the run is judged again", one.key)
