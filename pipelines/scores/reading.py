"""The rows that a comparison may train on, as the instrument reads them: the pool's, then those that models were trained on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from curate.digest import UInt64s, sha256_file
from curate.errors import CeterisError
from curate.executor import Executor
from curate.pieces import read_uids
from curate.plan import LAWFUL
from curate.pool import Pool
from curate.record import Run
from curate.takedown.revoked import revoked
from eval_fixed_model.loops import Rows, loop_of
from eval_fixed_model.rows.survey import Spans, in_place, note_pools, survey
from eval_fixed_model.scale import Scale, shipped
from pipelines.scores.arms import places_of, training_pools
from pipelines.scores.evaluations import FILES
from pipelines.verbs import Progress

CHANGING = ("pools.json",)
FETCH = (
    "img2dataset --input_format parquet --url_list {root} --url_col {url} --caption_col {text} --output_format parquet "
    "--output_folder images/"
)


def rows_of(run: Run, scale: Scale, named: str, place: Path, executor: Executor, progress: Progress) -> Rows:
    """The rows as the scale's loop trains on them: made in the folder `place`, once; or looked through, and read where they lie."""
    loop = loop_of(scale)
    finished = (place / "rows.json").is_file()
    if in_place(scale):
        note_pools(place, [run.pool, *training_pools(run, loop.ROLES)])
    if finished:
        rows = loop.open_rows(place)
    elif in_place(scale):
        rows = survey(_spans(run, loop.ROLES), named, place, executor, progress)
    else:
        rows = loop.materialise(reads(run, loop.ROLES, progress), scale, place)
    _note_files(run, place)
    return rows


def _note_files(run: Run, place: Path) -> None:
    """Write down, once, the digests of the files that the rows lie in; but not of those that say where pools are, which may change."""
    key = f"rows/{place.name}/{FILES}"
    if not run.store.path(key).is_file():
        lasting = [file for file in place.iterdir() if file.is_file() and file.suffix != ".tmp" and not file.name.startswith(".")]
        run.store.put_json(key, {file.name: sha256_file(file) for file in lasting if file.name not in CHANGING})


def reads(run: Run, roles: Sequence[str], progress: Progress) -> Iterator[tuple[UInt64s, pl.DataFrame]]:
    """Every row of the pool but the restricted, then the trusted rows that are not among them, group by group: uids and their roles."""
    pools, done, total = [run.pool, *training_pools(run, roles)], 0, run.pool.rows
    for number, part, uids, wanted in _spans(run, roles):
        pool, start = pools[number], 0
        for height in pool.shards[part].groups:
            frame = pool.read(pool.shards[part], roles=list(roles), start=start, stop=start + height).frame
            own = slice(start, start + height)
            start += height
            yield uids[own][wanted[own]], frame.filter(wanted[own])
            if number == 0:
                done += height
                progress("reading rows", done, total)


def _spans(run: Run, roles: Sequence[str]) -> Spans:
    """Every shard of the pool, then those that models were trained on: of the rows all but those taken down, the restricted and those that
    came before."""
    done, total, refused = 0, run.pool.rows, revoked(run.store)
    lawful = run.codes(LAWFUL) == 0 if LAWFUL in run.facts["nodes"] else np.ones(total, bool)
    lawful[refused.of_pool(run.pool)] = False
    for part, shard in enumerate(run.unchanged.shards):
        yield 0, part, read_uids(run.store, run.facts["pool"], part), lawful[done : done + shard.rows]
        done += shard.rows
    shards = [
        (number, part, pool.uids(shard)[0], ~refused.mask(shard))
        for number, pool in enumerate(training_pools(run, roles), 1)
        for part, shard in enumerate(pool.shards)
    ]
    every = np.concatenate([np.zeros((0, 2), np.uint64), *[uids for _, _, uids, _ in shards]])
    fresh = np.zeros(len(every), bool)
    fresh[np.unique(every, axis=0, return_index=True)[1]] = True
    fresh[places_of(every, run.uids())] = False
    start = 0
    for number, part, uids, usable in shards:
        yield number, part, uids, fresh[start : start + len(uids)] & usable
        start += len(uids)


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
