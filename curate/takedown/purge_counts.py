"""Taking rows out of what `balance` counted: entries that no other row has leave; all other counts stay as the draws were made with."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.changes import Changes
from curate.entries import entries_of
from curate.pieces import Piece, pieces_of
from curate.plan import POOL, parted
from curate.store import Part
from curate.takedown.gone import Gone
from curate.takedown.revoked import ERROR

Mask = npt.NDArray[np.bool_]


def purge_counts(gone: Gone, changes: Changes, folder: str, key: str, judged: Mapping[int, Mask], facts: Mapping[str, Any]) -> None:
    """`judged` says by piece which rows, of those that stay, the stage judged; `facts` is run.json of a run that names the stage."""
    manifest = f"{folder}/manifest.json"
    value = changes.now(manifest)
    cut = value["cut"]
    part = Part(**{**cut["counts"], "replaces": tuple(cut["counts"]["replaces"])})
    counts = gone.store.frame(part)
    (column,) = facts["nodes"][value["node"]]["columns"]
    left = pl.Series("entry", [], dtype=counts["entry"].dtype)
    for piece in pieces_of(gone.pool(key)):
        entries, _ = entries_of(_values(gone, key, piece, judged[piece.number], column, facts))
        left = pl.concat([left, entries.alias("entry").cast(left.dtype)]).unique()
    lost = ~counts["entry"].is_in(left.implode())
    if lost.any():
        fresh = changes.rewrite(folder, part, counts.filter(~lost), int(lost.sum()))
        changes.record(manifest, {**value, "cut": {**cut, "counts": {**asdict(fresh), "replaces": []}}})


def _values(gone: Gone, key: str, piece: Piece, rows: Mask, column: str, facts: Mapping[str, Any]) -> pl.Series:
    """The column of some rows of a piece, those without a value left out."""
    name, inner = parted(column)
    pool, numbers = gone.pool(key), piece.start + np.flatnonzero(rows)
    shard = pool.shards[piece.shard]
    if name == POOL:
        return pool.read(shard, columns=[inner], rows=numbers).frame[column].drop_nulls()
    found = []
    for part in gone.store.parts(facts["measures"][name]["folder"]).get(shard.digest, []):
        if part.start < piece.stop and part.stop > piece.start:
            frame = gone.store.frame(part, columns=["row", inner, "error"])
            found.append(
                frame.filter(pl.col("row").is_in(numbers.astype(np.uint64)) & pl.col("error").ne_missing(ERROR))[inner].drop_nulls()
            )
    return pl.concat(found) if found else pl.Series(inner, [], dtype=pl.Binary)
