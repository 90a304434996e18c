"""The rows that a comparison may train on, as the instrument reads them: the pool's, then those that models were trained on."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from curate.digest import UInt64s
from curate.errors import CeterisError
from curate.pieces import read_uids
from curate.plan import LAWFUL
from curate.pool import Pool
from curate.record import Run
from eval_fixed_model.loops import loop_of
from eval_fixed_model.scale import Scale, shipped
from pipelines.arms import places_of, training_pools
from pipelines.verbs import Progress

FETCH = (
    "img2dataset --input_format parquet --url_list {root} --url_col {url} --caption_col {text} --output_format parquet "
    "--output_folder images/"
)


def reads(run: Run, roles: Sequence[str], progress: Progress) -> Iterator[tuple[UInt64s, pl.DataFrame]]:
    """Every row of the pool but the restricted, then the trusted rows that are not among them, group by group: uids and their roles."""
    done, total = 0, run.pool.rows
    lawful = run.codes(LAWFUL) == 0 if LAWFUL in run.facts["nodes"] else np.ones(total, bool)
    for number, shard in enumerate(run.unchanged.shards):
        for uids, frame in _groups(run.pool, shard, read_uids(run.store, run.facts["pool"], number), roles):
            wanted = lawful[done : done + len(uids)]
            done += len(uids)
            yield uids[wanted], frame.filter(wanted)
            progress("reading rows", done, total)
    shards = [(pool, shard) for pool in training_pools(run, roles) for shard in pool.shards]
    every = np.concatenate([np.zeros((0, 2), np.uint64), *[pool.uids(shard)[0] for pool, shard in shards]])
    fresh = np.zeros(len(every), bool)
    fresh[np.unique(every, axis=0, return_index=True)[1]] = True
    fresh[places_of(every, run.uids())] = False
    start = 0
    for pool, shard in shards:
        for uids, frame in _groups(pool, shard, every[start : start + shard.rows], roles):
            new = fresh[start : start + len(uids)]
            start += len(uids)
            yield uids[new], frame.filter(new)


def _groups(pool: Pool, shard: Any, uids: UInt64s, roles: Sequence[str]) -> Iterator[tuple[UInt64s, pl.DataFrame]]:
    start = 0
    for height in shard.groups:
        yield uids[start : start + height], pool.read(shard, roles=list(roles), start=start, stop=start + height).frame
        start += height


def refuse_other_modality(pool: Pool, scale: Scale) -> None:
    """CeterisError where the pool lacks what the scale trains on, saying how to get it or which scale would do."""
    missing = [role for role in loop_of(scale).ROLES if role not in pool.roles]
    if not missing:
        return
    fitting = [name for name, one in shipped().items() if one.modality == "text"] if "text" in pool.roles else []
    fix = f"a scale for texts: {', '.join(fitting)}" if fitting else f"the pool has: {', '.join(pool.roles)}"
    if "image" in missing and "url" in pool.roles:
        columns = {"url": pool.roles["url"], "text": pool.roles.get("text", "TEXT")}
        fix = f"fetch the images, then run the recipe on them: {FETCH.format(root=pool.root, **columns)}"
    raise CeterisError(f"scale {scale.name} trains on {' and '.join(missing)}s, and this pool holds none", where=str(pool.root), fix=fix)
