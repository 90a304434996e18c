"""The shards of a pool, where they lie, held against the digests that the store knows them by."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import CeterisError
from curate.pool import Pool
from curate.shard_files import probe_all
from curate.storage import LocalStorage
from curate.store import Store
from curate.structure import ending_of, shards_of
from curate.verify.findings import Finding

if TYPE_CHECKING:
    from curate.verify.store import Asked

FIX = "restore it: a run on what is there now is of another pool"
CACHE = "pools/files.json"


def changed(store: Store, pool: Pool, asked: "Asked", progress: Callable[[str, int, int], None]) -> list[Finding]:
    """Shards that are gone or hold other content. A file of the same size, times and inode as when it was read last is taken to be as it
    was, unless all are to be read."""
    if not pool.root.exists():
        return [Finding("the pool is gone from here", str(pool.root), "put it back; or run a recipe on it where it lies now")]
    chosen = [shard for shard in pool.shards if asked.draws(shard.digest)]
    found = [Finding("the shard is gone", str(pool.root / shard.path), FIX) for shard in chosen if not (pool.root / shard.path).exists()]
    there = [shard for shard in chosen if (pool.root / shard.path).exists()]
    batches = [[shard] for shard in there] if asked.full else [there] if there else []
    label, done = f"shards of {pool.root.name}", 0
    with tempfile.TemporaryDirectory(prefix="ceteris-verify-") as folder:
        cache = None if asked.full else _copied(store, Path(folder))
        for batch in batches:
            now = _digests(pool, [shard.path for shard in batch], cache)
            for shard in batch:
                if now[shard.path] != shard.digest:
                    what = now[shard.path] if now[shard.path].startswith("cannot") else "holds other content than when it was opened"
                    found.append(Finding(f"the shard {what}", str(pool.root / shard.path), FIX))
            done += len(batch)
            progress(label, done, len(there))
    return found


def _copied(store: Store, folder: Path) -> Path | None:
    if not isinstance(store.storage, LocalStorage) or not store.path(CACHE).is_file():
        return None
    shutil.copyfile(store.path(CACHE), folder / "files.json")
    return folder / "files.json"


def _digests(pool: Pool, paths: list[str], cache: Path | None) -> dict[str, str]:
    """Each shard's digest now, or why there is none: `cannot be read: ...`."""
    ending = ending_of(pool.layout, paths[0])
    try:
        probes, unreadable = probe_all(pool.root, ending, paths, cache)
        found = {one.path: one.digest for one in shards_of(pool.root, ending, probes, pool.roles)}
    except (CeterisError, OSError) as error:
        if len(paths) > 1:
            return {path: _digests(pool, [path], cache)[path] for path in paths}
        return {paths[0]: f"cannot be read: {error.what if isinstance(error, CeterisError) else error}"}
    return {**dict.fromkeys(paths, "cannot be read"), **{one.path: f"cannot be read: {one.code}" for one in unreadable}, **found}
