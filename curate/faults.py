"""What is wrong with a pool's rows before anything is measured: values that cannot be read, texts that are empty, uids that repeat."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate import jsonl
from curate.digest import UInt64s
from curate.errors import PoolError
from curate.layouts import LIKE_UID
from curate.pool import Pool, Shard, refuse_duplicates
from curate.shard_files import text_files
from curate.structure import ending_of

Indices = npt.NDArray[np.int64]
ROWS, BYTES = 200_000, 256 << 20
"""How much of a pool is looked at unless all of it is asked for."""
NAMED = 5
NO_TEXT, EMPTY_TEXT, BAD_JSON = "no_text", "empty_text", "bad_json"
_NOT_SHOWN = "rows repeat another row's uid; not shown, since some of these may not be seen"
_LARGE = ("image", "html", "face_boxes")


@dataclass(frozen=True)
class Fault:
    """`rows` rows of a shard in which one role has one fault (codes as of `Pool.read`, and no_text and empty_text): the numbers of the
    first of them, from 0, and where they stand as `spots` says."""

    file: str
    role: str
    code: str
    rows: int
    first: tuple[int, ...]
    at: tuple[str, ...]


@dataclass(frozen=True)
class Looked:
    """Faults of the first `looked` rows; `uids`, what is wrong with the uids that the pool brings; `naming`, where it brings
    none, what names its rows."""

    looked: int
    faults: tuple[Fault, ...]
    uids: str
    naming: str

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def _nothing(_: Shard) -> Indices:
    return np.empty(0, np.int64)


def look(pool: Pool, *, every: bool = False, refused: Callable[[Shard], Indices] = _nothing) -> Looked:
    """Read the roles of the pool's rows, but images and pages: of as many shards as hold ROWS rows or BYTES bytes together, or of `every`
    one. Nothing that a row says is in the answer but uids that repeat; none where `refused` rows of these shards have such a uid."""
    found, looked, rows, size = list[Fault](), list[Shard](), 0, 0
    roles = [role for role in pool.roles if role not in _LARGE]
    for shard in pool.shards:
        if not every and rows and (rows + shard.rows > ROWS or size + shard.size > BYTES):
            break
        rows, size = rows + shard.rows, size + shard.size
        found += _faults(pool, shard, roles)
        looked.append(shard)
    return Looked(rows, tuple(found), _uids(pool, looked, refused), naming(pool))


def like_uid(pool: Pool) -> tuple[str, ...]:
    """The columns that may be meant as the uid of a pool that has no such role."""
    return () if "uid" in pool.roles else tuple(name for name in pool.columns if name.lower() in LIKE_UID)


def naming(pool: Pool) -> str:
    """How rows of the pool are named, and what to do where that is not as its maker thinks; nothing where the pool names them."""
    if "uid" in pool.roles:
        return ""
    names = "no column is the role uid: rows are named by a hash of what they hold"
    return names + "".join(f"; to name them by {one!r}, give `--role uid={one}` to plan and run" for one in like_uid(pool)[:1])


def _uids(pool: Pool, shards: Sequence[Shard], refused: Callable[[Shard], Indices]) -> str:
    """Why the uids that the pool brings for these shards, its first, are refused."""
    if "uid" not in pool.roles:
        return ""
    words = list[UInt64s]()
    try:
        words = [pool.uids(shard)[0] for shard in shards]
        refuse_duplicates(pool, words)
    except PoolError as error:
        every, counts = np.unique(np.concatenate([np.empty((0, 2), np.uint64), *words]), axis=0, return_counts=True)
        again = set(map(tuple, every[counts > 1].tolist()))
        unseen = (tuple(word) for shard, held in zip(shards, words, strict=False) for word in held[refused(shard)].tolist())
        what = _NOT_SHOWN if any(word in again for word in unseen) else error.what
        return f"{what} ({error.where}); {error.fix}"
    return ""


def spots(pool: Pool, shard: Shard, rows: Sequence[int]) -> list[str]:
    """Where rows of a shard stand, ascending, as an editor finds them: `line 7` of JSON lines, the file of a text; else nothing."""
    ending, found = ending_of(pool.layout, shard.path), list[str]()
    try:
        if ending == "txt":
            files = text_files(pool.root, shard.path)
            found = [files[row] for row in rows if row < len(files)]
        elif ending == "jsonl" and rows:
            found = [f"line {number}" for number in jsonl.line_numbers(pool.root / shard.path, rows)]
    except jsonl.BROKEN:
        found = []
    return found if len(found) == len(rows) else [""] * len(rows)


def _faults(pool: Pool, shard: Shard, roles: Sequence[str]) -> Iterator[Fault]:
    held: dict[tuple[str, str], list[int]] = {}
    start = 0
    for count in shard.groups:
        frame, faults = pool.read(shard, roles=roles, start=start, stop=start + count)
        for role, codes in faults.items():
            for code in codes.drop_nulls().unique(maintain_order=True):
                held.setdefault((role, code), []).extend((start + np.flatnonzero((codes == code).fill_null(False))).tolist())
        if "text" in roles:
            text, faulty = frame["text"], faults.get("text", pl.Series([None] * count, dtype=pl.String)).is_not_null()
            for code, such in ((NO_TEXT, text.is_null() & ~faulty), (EMPTY_TEXT, (text.str.strip_chars() == "").fill_null(False))):
                held.setdefault(("text", code), []).extend((start + np.flatnonzero(such)).tolist())
        start += count
    broken = next((role for role in roles if (role, BAD_JSON) in held), "")  # such a row fails in every role
    for (role, code), rows in held.items():
        if rows and (code != BAD_JSON or role == broken):
            first = rows[:NAMED]
            at = tuple(spots(pool, shard, first))
            yield Fault(shard.path, "" if code == BAD_JSON else role, code, len(rows), tuple(first), at if any(at) else ())
