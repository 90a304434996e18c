"""The world's rows as pools that are read where they lie."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.digest import hex_of
from curate.executor import InProcess
from curate.pool import Pool
from eval_fixed_model.rows.survey import Survey, note_pools, survey

PER_BLOCK = 10


def parquet(world: Any, folder: Path) -> Pool:
    """400 rows in two files of 20 blocks each."""
    frame = pl.DataFrame({"uid": hex_of(world.uids), "image": world.images, "text": world.texts})
    for number in range(2):
        frame.slice(200 * number, 200).write_parquet(folder / f"{number}.parquet", row_group_size=PER_BLOCK)
    return Pool.open(folder)


def tars(world: Any, folder: Path) -> Pool:
    """The same rows in the tars that an export writes: key, image, text, and the uid in the json."""
    for number in range(4):
        with tarfile.open(folder / f"{number:05d}.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
            for row in range(100 * number, 100 * number + 100):
                uid = hex_of(world.uids[row : row + 1])[0]
                parts = {"png": world.images[row], "json": json.dumps({"uid": uid}).encode(), "txt": world.texts[row].encode()}
                for ending, data in parts.items():
                    info = tarfile.TarInfo(f"{uid}.{ending}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    return Pool.open(folder)


def looked_through(pool: Pool, scale_file: Path, folder: Path, executor: InProcess | None = None) -> Survey:
    """Every row of one pool."""
    note_pools(folder, [pool])
    shards = ((number, pool.uids(shard)[0]) for number, shard in enumerate(pool.shards))
    spans = ((0, number, uids, np.ones(len(uids), bool)) for number, uids in shards)
    return survey(spans, str(scale_file), folder, executor or InProcess(), lambda *_: None)
