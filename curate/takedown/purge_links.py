"""Taking rows out of groupings: keys of their sketches, the sketches laid down for links, and the links."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.changes import Changes
from curate.digest import UInt64s, row_hash, words_of
from curate.store import Part
from curate.takedown.gone import Gone, evidence_parts, folders_of
from curate.takedown.tombstones import key_of, keyed

KEY_BYTES = 16
REVOKED = "revoked"
"""The scope of parts that list the numbers of keys which stand for nothing any more."""

Indices = npt.NDArray[np.int64]


def purge_links(gone: Gone, changes: Changes) -> dict[str, int]:
    """What groupings hold of contents that no other row has leaves; returns how many keys of each folder."""
    lost = set(_keys_of(gone, mine=True)) if folders_of(gone.store, "links") else set()
    lost -= set(_keys_of(gone, mine=False)) if lost else set()
    return {folder: count for folder in folders_of(gone.store, "links") if lost and (count := _purge(gone, changes, folder, lost))}


def _keys_of(gone: Gone, mine: bool) -> Iterator[bytes]:
    """Sketch keys, 16 bytes each, of the rows, or of all others."""
    held = {part.key: mask for _, part, mask in evidence_parts(gone)}
    for folder in folders_of(gone.store, "signals"):
        if ".sketch-" not in folder:
            continue
        for part in (part for parts in gone.store.parts(folder).values() for part in parts):
            mask = held.get(part.key)
            if mask is None and mine:
                continue
            keys = gone.store.frame(part, columns=["key"])["key"]
            keys = keys if mask is None else keys.filter(pl.Series(mask if mine else ~mask))
            yield from (key if len(key) == KEY_BYTES else row_hash([b"key", key]) for key in keys.drop_nulls().to_list())


def _purge(gone: Gone, changes: Changes, folder: str, lost: set[bytes]) -> int:
    parts = gone.store.parts(folder)
    numbers: list[int] = []
    for part in parts.get("keys", []):
        frame = gone.store.frame(part)
        words = np.stack([frame["high"].to_numpy(), frame["low"].to_numpy()], axis=1)
        here = _places(words, lost)
        if here.size:
            stands = keyed(key_of(gone.store), "key", (raw for raw in _raw(words[here])))
            columns = [frame["high"].scatter(here, stands[:, 0]), frame["low"].scatter(here, stands[:, 1])]
            _rewrite(changes, folder, part, pl.DataFrame(columns), here.size)
            numbers += (part.start + here).tolist()
    if not numbers:
        return 0
    every = np.sort(np.array(numbers, np.int64))
    for part in parts.get("sketches", []):
        mine = every[(every >= part.start) & (every < part.stop)] - part.start
        if mine.size:
            _rewrite(changes, folder, part, _without(gone, parts["sketches"], part, mine, every), mine.size)
    for part in parts.get("pairs", []):
        frame = gone.store.frame(part)
        touched = np.isin(frame["i"].to_numpy(), every) | np.isin(frame["j"].to_numpy(), every)
        if touched.any():
            _rewrite(changes, folder, part, frame.filter(~pl.Series(touched)), int(touched.sum()))
    listed = changes.store.put_frame(folder, REVOKED, pl.DataFrame({"number": every.astype(np.uint64)}), scope=REVOKED)
    changes.publish.setdefault(folder, []).append(listed)
    return int(every.size)


def _rewrite(changes: Changes, folder: str, part: Part, frame: pl.DataFrame, rows: int) -> None:
    changes.publish.setdefault(folder, []).append(changes.rewrite(folder, part, frame, rows))


def _without(gone: Gone, parts: list[Part], part: Part, mine: Indices, every: Indices) -> pl.DataFrame:
    """Sketches in which those numbered are another's: of one form with all others, and of nothing that was taken down. Links to
    them count for nothing, since no row has their keys."""
    frame = gone.store.frame(part)
    left = np.setdiff1d(np.arange(frame.height), mine)
    source = np.arange(frame.height)
    if left.size:
        source[mine] = left[np.minimum(np.searchsorted(left, mine), left.size - 1)]
        return frame[source]
    for other in parts:
        there = np.setdiff1d(np.arange(other.start, other.stop), every) - other.start
        if there.size:
            return gone.store.frame(other)[np.resize(there, frame.height)]
    return frame.select(pl.lit(None, dtype).alias(name) for name, dtype in frame.schema.items())[np.zeros(frame.height, int)]


def _places(words: UInt64s, lost: set[bytes]) -> Indices:
    wanted = words_of(lost)
    near = np.flatnonzero(np.isin(words[:, 0], wanted[:, 0]))
    return near[[raw in lost for raw in _raw(words[near])]] if near.size else near


def _raw(words: UInt64s) -> list[bytes]:
    raw = words.astype(">u8").tobytes()
    return [raw[i : i + KEY_BYTES] for i in range(0, len(raw), KEY_BYTES)]
