"""Rows that a training reads where they lie (`order: blocked`): all are decoded once, in workers, to see which can be trained on."""

import functools
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import UInt64s, hex_of, sha256
from curate.errors import CeterisError, PoolError
from curate.executor import Crashed, Executor
from curate.pool import Pool
from eval_fixed_model.leaks.images import PAIRS, coarse_items, near
from eval_fixed_model.rows.arrays import Indices, Positions, has_twice
from eval_fixed_model.rows.images import NO_IMAGE, NO_TEXT, UNDECODABLE, taken
from eval_fixed_model.scale import ImageTextScale, Scale, load_scale, of_modality

PIECE = 4096
"""Rows that a worker looks through at a time, where groups of rows are smaller: less than a minute."""
AT_ONCE = 256
_CODES = ("", NO_IMAGE, NO_TEXT, UNDECODABLE)
_NOT_WANTED = len(_CODES)
_MARKER, _POOLS, _ITEMS, _PARTS = "rows.json", "pools.json", "items.npz", "parts"

Spans = Iterable[tuple[int, int, UInt64s, npt.NDArray[np.bool_]]]
"""(number of a pool, number of one of its shards, uids of the shard's rows, which of them a comparison may train on)."""


@dataclass(frozen=True)
class Block:
    """Rows `start` to `stop` of a pool's shard: a row group, or so many samples of a tar. Blocks of one `family` are visited together."""

    pool: int
    shard: int
    start: int
    stop: int
    family: int


@dataclass(frozen=True)
class Survey:
    """n rows that can be trained on, in the order in which they lie: `uids` (n, 2) words, `numbers` (n,) of the rows in their shards; those
    of block i are `starts[i]` to `starts[i + 1]`.

    `rejected` lists the rows that no arm can train on (uid as hex, code): they leave every arm alike. `leaks`: as `leaks.leaked_pairs` of
    the test split.
    """

    scale_digest: str
    pools: tuple[Pool, ...]
    blocks: tuple[Block, ...]
    starts: Indices
    uids: UInt64s
    numbers: npt.NDArray[np.uint32]
    rejected: pl.DataFrame
    leaks: pl.DataFrame

    @staticmethod
    def lies(folder: Path) -> bool:
        """Whether rows of this kind, and no others, are or will be in a folder."""
        return (folder / _POOLS).is_file()

    @staticmethod
    def open(folder: Path) -> "Survey":
        """What `survey` has found. Raises CeterisError when it has not come to its end."""
        if not (folder / _MARKER).is_file():
            raise CeterisError("these rows were not looked through to the end", where=str(folder), fix="evaluate the run again; it goes on")
        uids, numbers = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in ("uids.npy", "numbers.npy"))
        frame, about = pl.read_parquet(folder / "blocks.parquet"), json.loads((folder / _MARKER).read_text(encoding="utf-8"))
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(frame["rows"].to_numpy(), dtype=np.int64)])
        if not len(uids) == len(numbers) == starts[-1] == about["rows"]:
            raise CeterisError("the arrays are not the ones that were written", where=str(folder), fix="delete the folder and run again")
        blocks = tuple(Block(*row) for row in frame.drop("rows").iter_rows())
        rejected, leaks = (pl.read_parquet(folder / f"{name}.parquet") for name in ("rejected", "leaks"))
        return Survey(about["scale"], _read_pools(folder), blocks, starts, uids, numbers, rejected, leaks)

    @functools.cached_property
    def _positions(self) -> Positions:
        return Positions(self.uids)

    def indices(self, uids: UInt64s) -> Indices:
        """Positions of these uids, in the order given, copies included; those that are not here (rejected) are left out."""
        return self._positions.of(uids)


def in_place(scale: Scale) -> bool:
    """Whether trainings under a scale read their rows where they lie. Tokens of documents are made once and memory-mapped in any order."""
    return isinstance(scale, ImageTextScale) and scale.order == "blocked"


def note_pools(folder: Path, pools: Sequence[Pool]) -> None:
    """Where the rows lie now: moved or renamed, they are the same."""
    folder.mkdir(parents=True, exist_ok=True)
    attempt = folder / f".{_POOLS}.{uuid.uuid4().hex}"
    attempt.write_text(json.dumps([pool.to_json() for pool in pools]), encoding="utf-8")
    attempt.replace(folder / _POOLS)


def survey(spans: Spans, named: str, folder: Path, executor: Executor, progress: Callable[[str, int, int], None]) -> Survey:
    """Decode every row of the pools that `note_pools` wrote down, once, and write what `Survey.open` reads into `folder`; rows.json is
    written last. `named` is the scale's name or file.

    Rows without image or text, or with an image that does not decode, are rejected with a code; pictures are held against the scale's
    evaluation items on the way. What an ended attempt found of a piece is not looked for again. Raises PoolError when a uid comes twice.
    Memory here: 17 bytes a row; in a worker a piece's encoded images, and 768 bytes an item.
    """
    scale = of_modality(load_scale(named), ImageTextScale)
    (folder / _PARTS).mkdir(parents=True, exist_ok=True)
    _write_items(scale, folder)
    pools, place = _read_pools(folder), sha256((folder / _POOLS).read_bytes())
    pieces: list[_Piece] = []
    uids = [np.empty((0, 2), np.uint64)]
    for pool, shard, own, wanted in spans:
        uids.append(own)
        for start, stop in _pieces(pools[pool].shards[shard].groups):
            left_out = None if wanted[start:stop].all() else wanted[start:stop].copy()
            pieces.append(_Piece(folder, place, named, len(pieces), pool, shard, start, stop, left_out))
    done = sum(piece.rows for piece in pieces if piece.part.is_file())
    todo, total = [piece for piece in pieces if not piece.part.is_file()], sum(piece.rows for piece in pieces)
    progress("looking at rows", done, total)
    for index, found in executor.map(_looked_through, todo):
        piece = todo[index]
        if isinstance(found, Crashed):
            lies = pools[piece.pool].root / pools[piece.pool].shards[piece.shard].path
            what = f"to decode rows {piece.start} to {piece.stop} killed the worker {found.attempts} times: {found.detail}"
            raise PoolError(what, where=str(lies), fix="take out the row that does it, and run the recipe again")
        _save(piece.part, **found)
        done += piece.rows
        progress("looking at rows", done, total)
    _join(scale, folder, pools, pieces, np.concatenate(uids))
    for left in (folder / _ITEMS, *(folder / _PARTS).glob("*")):
        left.unlink(missing_ok=True)
    shutil.rmtree(folder / _PARTS, ignore_errors=True)
    return Survey.open(folder)


@dataclass(frozen=True)
class _Piece:
    """Rows `start` to `stop` of a shard, whole groups; of these the `wanted` ones (None: all). `place` is the digest of pools.json."""

    folder: Path
    place: str
    scale: str
    number: int
    pool: int
    shard: int
    start: int
    stop: int
    wanted: npt.NDArray[np.bool_] | None

    @property
    def rows(self) -> int:
        return self.stop - self.start

    @property
    def part(self) -> Path:
        return self.folder / _PARTS / f"{self.number:08d}.npz"


def _pieces(groups: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = stop = 0
    for rows in groups:
        if stop > start and stop + rows - start > PIECE:
            yield start, stop
            start = stop
        stop += rows
    if stop > start:
        yield start, stop


def _looked_through(piece: _Piece) -> dict[str, npt.NDArray[Any]]:
    """In a worker. `codes` (rows,): places in `_CODES`; `item`, `row` (in the piece) and `distance` of every find."""
    scale = of_modality(load_scale(piece.scale), ImageTextScale)
    pool, asked = _pools(piece.folder, piece.place)[piece.pool], _items(piece.folder, piece.place)
    codes = np.full(piece.rows, _NOT_WANTED, np.uint8)
    rows = np.arange(piece.rows) if piece.wanted is None else np.flatnonzero(piece.wanted)
    frame = pool.read(pool.shards[piece.shard], roles=["image", "text"], rows=piece.start + rows).frame
    leaks = [pl.DataFrame(schema=PAIRS)]
    for start in range(0, len(rows), AT_ONCE):
        some, own = frame[start : start + AT_ONCE], rows[start : start + AT_ONCE]
        made = [taken(image, text, scale.image) for image, text in zip(some["image"].to_list(), some["text"].to_list(), strict=True)]
        codes[own] = [_CODES.index(one) if isinstance(one, str) else 0 for one in made]
        pictures = [one for one in made if not isinstance(one, str)]
        if asked and pictures:
            found = near(np.stack(pictures), asked)
            leaks.append(found.with_columns(row=pl.Series(own[codes[own] == 0][found["row"].to_numpy()], dtype=pl.Int64)))
    every = pl.concat(leaks)
    return {"codes": codes, **{name: every[name].to_numpy() for name in PAIRS}}


def _join(scale: ImageTextScale, folder: Path, pools: Sequence[Pool], pieces: Sequence[_Piece], uids: UInt64s) -> None:
    """All parts as one; a row's position is its number among the rows that can be trained on."""
    codes = [np.empty(0, np.uint8)]
    numbers = [np.empty(0, np.uint32)]
    leaks = [pl.DataFrame(schema=PAIRS)]
    blocks: list[tuple[int, int, int, int, int, int]] = []
    position = 0
    for piece in pieces:
        with np.load(piece.part, allow_pickle=False) as part:
            found = {name: part[name] for name in part.files}
        fine = found["codes"] == 0
        places = position + np.cumsum(fine) - 1
        leaks.append(pl.DataFrame({**{name: found[name] for name in PAIRS}, "row": places[found["row"]]}, schema=PAIRS))
        codes.append(found["codes"])
        numbers.append((piece.start + np.flatnonzero(fine)).astype(np.uint32))
        for start, stop in _groups(pools[piece.pool].shards[piece.shard].groups, piece.start, piece.stop):
            if rows := int(fine[start - piece.start : stop - piece.start].sum()):
                blocks.append((piece.pool, piece.shard, start, stop, _family(pools[piece.pool], blocks, piece), rows))
        position += int(fine.sum())
    every = np.concatenate(codes)
    if has_twice(uids[every == 0]):
        raise PoolError("a uid was read twice", where=str(folder), fix="read each row of the pool once")
    bad = np.flatnonzero((every > 0) & (every < _NOT_WANTED))
    rejected = pl.DataFrame(
        {"uid": hex_of(uids[bad]), "code": [_CODES[code] for code in every[bad]]}, schema={"uid": pl.String, "code": pl.String}
    )
    names = ("pool", "shard", "start", "stop", "family", "rows")
    np.save(folder / "uids.npy", uids[every == 0], allow_pickle=False)
    np.save(folder / "numbers.npy", np.concatenate(numbers), allow_pickle=False)
    pl.DataFrame(blocks, schema=dict.fromkeys(names, pl.Int64), orient="row").write_parquet(folder / "blocks.parquet")
    rejected.write_parquet(folder / "rejected.parquet")
    pl.concat(leaks).write_parquet(folder / "leaks.parquet")
    (folder / f"{_MARKER}.new").write_text(json.dumps({"rows": position, "scale": scale.digest}), encoding="utf-8")
    (folder / f"{_MARKER}.new").replace(folder / _MARKER)


def _family(pool: Pool, blocks: Sequence[tuple[int, ...]], piece: _Piece) -> int:
    """Of the next block: that of the one before, where both are of one tar."""
    if not blocks:
        return 0
    last = blocks[-1]
    return last[4] if pool.layout == "webdataset" and last[:2] == (piece.pool, piece.shard) else last[4] + 1


def _groups(groups: Sequence[int], first: int, last: int) -> Iterator[tuple[int, int]]:
    start = 0
    for rows in groups:
        if first <= start < last:
            yield start, start + rows
        start += rows


def _write_items(scale: ImageTextScale, folder: Path) -> None:
    if asked := coarse_items(scale):
        _save(folder / _ITEMS, numbers=asked[0], coarse=asked[1])


def _save(file: Path, **arrays: npt.NDArray[Any]) -> None:
    """By one rename."""
    attempt = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    with attempt.open("wb") as into:
        np.savez(into, allow_pickle=False, **arrays)
    attempt.replace(file)


def _read_pools(folder: Path) -> tuple[Pool, ...]:
    return tuple(Pool.from_json(held) for held in json.loads((folder / _POOLS).read_text(encoding="utf-8")))


@functools.lru_cache(maxsize=2)
def _pools(folder: Path, place: str) -> tuple[Pool, ...]:  # noqa: ARG001  # what is remembered is of this place
    return _read_pools(folder)


@functools.lru_cache(maxsize=2)
def _items(folder: Path, place: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]] | None:  # noqa: ARG001
    if not (folder / _ITEMS).is_file():
        return None
    with np.load(folder / _ITEMS, allow_pickle=False) as held:
        return held["numbers"], held["coarse"]
