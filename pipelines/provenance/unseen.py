"""Rows of any pool, run or not, that nobody may see."""

from collections.abc import Callable

import numpy as np

from curate.plan import LAWFUL
from curate.pool import Pool, Shard
from curate.store import Store
from curate.takedown.named_rows import Indices, never_shown
from pipelines.provenance.fate import barred
from pipelines.provenance.index import by_pool, runs_of


def unseen(store: Store, pool: Pool) -> Callable[[Shard], Indices]:
    """Row numbers in a shard of `pool`, ascending, of what was taken down, is named by a request, or is restricted by a run on a pool that
    has the same shard."""
    named, restricted, digests = never_shown(store, pool), dict[str, Indices](), {shard.digest for shard in pool.shards}
    ran = any(key.endswith("/run.json") for key in store.storage.list("runs/"))
    for some in by_pool([run for run in runs_of(store) if LAWFUL in run.facts["nodes"]] if ran else []).values():
        numbers, start = barred(some) if digests & {shard.digest for shard in some[0].pool.shards} else np.empty(0, np.int64), 0
        for shard in some[0].pool.shards:
            here = numbers[np.searchsorted(numbers, start) : np.searchsorted(numbers, start + shard.rows)] - start
            restricted[shard.digest] = np.union1d(restricted.get(shard.digest, here), here)
            start += shard.rows
    return lambda shard: np.union1d(named(shard), restricted.get(shard.digest, np.empty(0, np.int64)))
