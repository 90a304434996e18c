"""The shards of a pool, where they lie, held against the digests that the store knows them by."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from curate.errors import CeterisError
from curate.pieces import pool_key, read_uids
from curate.pool import Pool, Shard
from curate.shard_files import probe_all
from curate.storage import LocalStorage
from curate.store import Store
from curate.structure import ending_of, shards_of
from curate.takedown.revoked import revoked
from curate.takedown.tombstones import key_of, keyed_uids
from curate.verify.findings import Finding

if TYPE_CHECKING:
    from curate.verify.store import Asked

FIX = "restore it: a run on what is there now is of another pool"
CACHE = "pools/files.json"


class Changed(NamedTuple):
    """What is wrong with a pool's shards; and by its path what is to be said of each that only lost rows which had been taken down."""

    findings: list[Finding]
    lighter: dict[str, str]


def changed(store: Store, pool: Pool, asked: "Asked", progress: Callable[[str, int, int], None], which: str = "") -> Changed:
    """Shards that are gone or hold other content. A file of the same size, times and inode as when it was read last is taken to be as it
    was, unless all are to be read. `which` pool it is stands in what is found, where several lie in one place."""
    if not pool.root.exists():
        return Changed(
            [Finding("the pool is gone from here", str(pool.root), "put it back; or run a recipe on it where it lies now", which)], {}
        )
    chosen = [shard for shard in pool.shards if asked.draws(shard.digest)]
    found, lighter = list[Finding](), dict[str, str]()
    for shard in (shard for shard in chosen if not (pool.root / shard.path).exists()):
        if shard.rows and revoked(store).rows(shard).size == shard.rows:
            lighter[str(pool.root / shard.path)] = f"it is gone, and all its rows were taken down by {_requests(store, shard)}"
        else:
            found.append(Finding("the shard is gone", str(pool.root / shard.path), FIX, which))
    there = [shard for shard in chosen if (pool.root / shard.path).exists()]
    batches = [[shard] for shard in there] if asked.full else [there] if there else []
    label, done = f"shards of {pool.root.name}", 0
    with tempfile.TemporaryDirectory(prefix="ceteris-verify-") as folder:
        cache = None if asked.full else _copied(store, Path(folder))
        for batch in batches:
            now = _digests(pool, [shard.path for shard in batch], cache)
            for shard in batch:
                is_now = now[shard.path]
                if isinstance(is_now, Shard) and is_now.digest != shard.digest and (said := _lighter(store, pool, shard, is_now)):
                    lighter[str(pool.root / shard.path)] = said
                elif isinstance(is_now, str) or is_now.digest != shard.digest:
                    what = is_now if isinstance(is_now, str) else "holds other content than when it was opened"
                    found.append(Finding(f"the shard {what}", str(pool.root / shard.path), FIX, which))
            done += len(batch)
            progress(label, done, len(there))
    return Changed(found, lighter)


def _lighter(store: Store, pool: Pool, shard: Shard, now: Shard) -> str:
    """What is to be said of a changed shard which holds, by the uids and in order, all that the old one did but rows that had been taken
    down; nothing of any other."""
    gone = revoked(store).mask(shard)
    if not gone.any():
        return ""
    try:
        stood, stands = read_uids(store, pool_key(pool), pool.shards.index(shard)), replace(pool, shards=(now,)).uids(now)[0]
    except (CeterisError, OSError):
        return ""
    more = ~np.isin(stands.astype(">u8").copy().view("V16").ravel(), stood[~gone].astype(">u8").copy().view("V16").ravel())
    stands[more] = keyed_uids(key_of(store), stands[more])  # as the store knows those that are there still
    row = 0
    for word, refused in zip(stood.tolist(), gone.tolist(), strict=True):
        if row < len(stands) and stands[row].tolist() == word:
            row += 1
        elif not refused:
            return ""
    if row < len(stands) or len(stands) == shard.rows:
        return ""
    left = f"; {int(more.sum()):,} of them are there still" if more.any() else ""
    out, rest = int(gone.sum()), int((~gone).sum())
    return f"by their uids it holds its other {rest:,} rows: {out:,} were taken down by {_requests(store, shard)}{left}"


def _requests(store: Store, shard: Shard) -> str:
    known = revoked(store)
    numbers = sorted({number for row in known.rows(shard).tolist() if (number := known.request(shard, row)) is not None})
    return f"request{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _copied(store: Store, folder: Path) -> Path | None:
    if not isinstance(store.storage, LocalStorage) or not store.path(CACHE).is_file():
        return None
    shutil.copyfile(store.path(CACHE), folder / "files.json")
    return folder / "files.json"


def _digests(pool: Pool, paths: list[str], cache: Path | None) -> dict[str, Shard | str]:
    """Each shard as it is now, or why there is none: `cannot be read: ...`."""
    ending = ending_of(pool.layout, paths[0])
    try:
        probes, unreadable = probe_all(pool.root, ending, paths, cache)
        found = {one.path: one for one in shards_of(pool.root, ending, probes, pool.roles)}
    except (CeterisError, OSError) as error:
        if len(paths) > 1:
            return {path: _digests(pool, [path], cache)[path] for path in paths}
        return {paths[0]: f"cannot be read: {error.what if isinstance(error, CeterisError) else error}"}
    return {**dict.fromkeys(paths, "cannot be read"), **{one.path: f"cannot be read: {one.code}" for one in unreadable}, **found}
