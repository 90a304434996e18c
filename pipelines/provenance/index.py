"""The verb index: a hash index of every pool that the store's runs are on, so that rows are found without looking at all."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from curate.executor import Executor, InProcess
from curate.index.build import build, describe
from curate.index.lookup import COLUMNS, folder_of, stale
from curate.pieces import open_pool
from curate.record import Run
from curate.store import Store
from pipelines.verbs import Progress, silent


@dataclass(frozen=True)
class Indexed:
    """The index of one pool: where the pool lies, the index's folder in the store, the columns `made` now, `records` by column, and folders
    of earlier indexes that nothing reads any more and that can be deleted."""

    pool: str
    folder: str
    made: tuple[str, ...]
    records: dict[str, int]
    stale: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def runs_of(store: Store, run: str | None = None) -> list[Run]:
    """Every finished run of a store, the latest first; or that of this name or NAME-ID. StoreError where there is none."""
    if run is not None:
        return [Run.latest(store, run)]
    Run.latest(store)
    heads = [store.json(key)["run"] for key in reversed(store.storage.list("ledger/"))]
    return [Run(store, head) for head in dict.fromkeys(heads) if head.startswith("runs/") and head.count("/") == 1]


def by_pool(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs by pools/ID, in their order."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.facts["pool"], []).append(run)
    return found


def index(
    store: Store, run: str | None = None, *, images: bool = True, executor: Executor | None = None, progress: Progress = silent
) -> list[Indexed]:
    """Index the pools of all runs of the store, or of one: what is indexed already is left. Without `images` no image is read.

    PoolError where a pool's files are not those that the run saw.
    """
    columns = [column for column in COLUMNS if images or column != "image"]
    found = []
    with store.writer() as epoch:
        for key in by_pool(runs_of(store, run)):
            made = build(store, key, columns, executor or InProcess(), epoch, progress)
            pool = str(open_pool(store, key).root)
            found.append(Indexed(pool, folder_of(store, key), tuple(made), dict(describe(store, key)), tuple(stale(store, key))))
    return found
