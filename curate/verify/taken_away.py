"""Rows that were taken down, held against what lies in the store now: nothing of them may have been put back, and no pool that was looked
through may hold rows which a request names and the store does not refuse.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from curate.digest import sha256
from curate.errors import CeterisError
from curate.executor import Crashed, Executor
from curate.pieces import open_pool
from curate.pool import Pool
from curate.store import Store
from curate.takedown.gone import listed_in
from curate.takedown.named_rows import by_tombstones
from curate.takedown.revoked import REQUESTS, revoked
from curate.takedown.tombstones import Tombstones, read_tombstones
from curate.verify.findings import RESTORE
from curate.verify.records import Contents

if TYPE_CHECKING:
    from curate.verify.store import Asked

Progress = Callable[[str, int, int], None]
A_TASK = 8
HOLD = "run a recipe on this pool: it is then held against all requests again"
AGAIN = f"delete it, and {HOLD}"


@dataclass(frozen=True)
class ListsTask:
    """Lists of rows to train on to read."""

    store: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class PoolTask:
    """`shards` of a pool that was held against the requests up to `number`; `full`: their addresses, texts and images are read, too."""

    store: str
    key: str
    number: int
    shards: tuple[int, ...]
    full: bool


def look(task: ListsTask | PoolTask) -> list[int]:
    """How many rows of each list were taken down; of each shard, how many a request names that are not refused. Runs in a worker."""
    store = Store.open(task.store)
    stones = read_tombstones(store)
    if isinstance(task, ListsTask):
        lists = [listed_in(store, key, finished=False) for key in task.keys]
        every, places = np.unique(np.concatenate(lists), axis=0, return_inverse=True)
        named = (stones.of_uids(every) > 0)[places.ravel()]
        return [int(one.sum()) for one in np.split(named, np.cumsum([len(one) for one in lists])[:-1])]
    pool, refused = open_pool(store, task.key), revoked(store)
    met = by_tombstones(store, pool, stones if task.full else _uids_alone(stones), task.shards)
    return [
        int(np.setdiff1d(met[number][0][met[number][1] <= task.number], refused.rows(pool.shards[number])).size) if number in met else 0
        for number in task.shards
    ]


def _uids_alone(stones: Tombstones) -> Tombstones:
    return replace(stones, hashes={kind: words for kind, words in stones.hashes.items() if kind == "uid"})


def check_taken_away(
    held: Contents, pools: Mapping[str, tuple[Pool, bool]], loose: Sequence[str], asked: "Asked", executor: Executor, progress: Progress
) -> None:
    """Find what was put back: files under their names, files that no record lists (`loose`) by their digests, lists of rows to train on by
    the hashes of their uids; and hold the shards drawn of `pools` (and whether their files are as they were) against the requests again:
    with `full`, where they are, by all that those name, else by uids."""
    _put_back(held, loose)
    stones = [key for key, _ in held.of_kind("tombstone")]
    if not stones:
        _settled(held, 0)
        return
    if broken := sorted(where for where in held.bad if where.startswith((f"{REQUESTS}/", "revoked/"))):
        held.notes.append(f"whether rows that were taken down came back was not looked at: it rests on {broken[0]}, which is damaged")
        return
    _settled(held, len(stones))
    _listed(held, executor, progress)
    _named(held, pools, asked, executor, progress)


def _put_back(held: Contents, loose: Sequence[str]) -> None:
    there = held.bad
    for key in held.keys:
        if "/".join(key.split("/")[:2]) in held.taken and key not in there:
            held.find("its folder was taken away with rows that were taken down, and is there", key, "delete it")
    for key in loose if held.purged else ():
        was = held.purged.get(sha256(held.store.storage.get(key)))
        if was is not None and key not in there:
            held.find(f"it holds what {was} held before rows were taken down", key, "delete it")


def _settled(held: Contents, newest: int) -> None:
    for key, value in held.of_kind("settled"):
        number = value["requests"]
        if not isinstance(number, int) or not 0 <= number <= newest:
            held.find(f"it says that the pool was held against {number} requests, and there were {newest}", key, AGAIN)
        if value.get("pool", key.rpartition("/")[0]) != key.rpartition("/")[0]:
            held.find(f"it speaks of {value['pool']}", key, AGAIN)
    there = set(held.keys)
    for key, digest in held.named.items():
        if key.startswith("pools/") and key.endswith("/settled.json") and digest and key not in there and newest:
            held.find(
                "a ledger names this file, and it is gone", key, "run a recipe on this pool: it is then held against all requests again"
            )


def _listed(held: Contents, executor: Executor, progress: Progress) -> None:
    names = ("uids.npy", "rejected.parquet")
    keys = [key for key in held.keys if key.startswith("rows/") and ("/members/" in key or key.rpartition("/")[2] in names)]
    tasks = [ListsTask(held.store.address, tuple(keys[start : start + A_TASK])) for start in range(0, len(keys), A_TASK)]
    for index, found in _looked(held, tasks, executor, progress, "rows taken down"):
        for key, rows in zip(tasks[index].keys, found, strict=True):
            if rows and key not in held.bad:
                held.find(f"it lists {rows:,} rows that were taken down", key, f"delete {'/'.join(key.split('/')[:2])}")


def _named(held: Contents, pools: Mapping[str, tuple[Pool, bool]], asked: "Asked", executor: Executor, progress: Progress) -> None:
    bad, tasks = held.bad, list[PoolTask]()
    for key, value in held.of_kind("settled"):
        folder = key.rpartition("/")[0]
        if folder in pools and not any(where.startswith(f"{folder}/") for where in bad):
            pool, unchanged = pools[folder]
            drawn = tuple(number for number, shard in enumerate(pool.shards) if asked.draws(shard.digest))
            if f"{folder}/uids/{len(pool.shards) - 1:06d}.json" in held.records:
                tasks.append(PoolTask(held.store.address, folder, value["requests"], drawn, asked.full and unchanged))
    for index, found in _looked(held, tasks, executor, progress, "pools held against requests"):
        task = tasks[index]
        for number, rows in zip(task.shards, found, strict=True):
            if rows:
                what = (
                    f"{rows:,} rows of {pools[task.key][0].shards[number].path} are named by a request for take-down, and are not refused"
                )
                held.find(what, f"{task.key}/settled.json", AGAIN)


def _looked(
    held: Contents, tasks: Sequence[ListsTask | PoolTask], executor: Executor, progress: Progress, label: str
) -> Iterator[tuple[int, list[int]]]:
    try:
        for index, result in executor.map(look, tasks):
            progress(label, index + 1, len(tasks))
            if isinstance(result, Crashed):
                held.find(f"looking for {label} killed its worker", str(tasks[index]), RESTORE)
            else:
                yield index, result
    except CeterisError as error:
        held.find(f"{label} cannot be looked for: {error.what}", error.where, error.fix or RESTORE)
