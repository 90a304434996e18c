"""Row identity: 16 bytes from a uid column, or from the row's content and its number among identical rows."""

import binascii
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import UInt64s, order_of, row_hash, words_of
from curate.errors import PoolError
from curate.layouts import override_line

if TYPE_CHECKING:
    from curate.pool import Pool

_NIBBLE = np.full(256, 0xFF, np.uint8)
for _digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
    _NIBBLE[np.frombuffer(_digits, np.uint8)] = np.arange(16, dtype=np.uint8)
_SHOWN = 3


def uids_of_strings(uids: pl.Series) -> tuple[UInt64s, pl.Series | None]:
    """Words of uids that are not null: 32 hex digits are those 16 bytes, anything else is hashed. Also the uids as they were (null where
    they were hex), None where all were."""
    texts = uids.cast(pl.Binary)
    long = (texts.bin.size() == 32).to_numpy()
    if long.all():
        with suppress(binascii.Error):
            return words_of([binascii.unhexlify(_bytes_of(texts).data)]), None
    digits = _NIBBLE[_bytes_of(texts.filter(long)).reshape(-1, 32)]
    hexed = long.copy()
    hexed[long] = (digits != 0xFF).all(axis=1)
    digits = digits[(digits != 0xFF).all(axis=1)]
    words = np.empty((len(uids), 2), np.uint64)
    words[hexed] = _words(digits)
    words[~hexed] = words_of(row_hash([b"uid", value]) for value in texts.filter(~hexed).to_list())
    frame = pl.DataFrame({"uid": uids, "hexed": hexed})
    return words, frame.select(pl.when(~pl.col("hexed")).then("uid").alias("uid")).to_series()


def _bytes_of(values: pl.Series) -> npt.NDArray[np.uint8]:
    """All bytes of a Binary column without nulls, one value after the other."""
    array = values.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return np.empty(0, np.uint8)
    edges = np.frombuffer(offsets, np.int64)
    return np.frombuffer(data, np.uint8)[edges[array.offset] : edges[array.offset + len(array)]]


def _words(digits: npt.NDArray[np.uint8]) -> UInt64s:
    """Rows of 32 nibbles as (n, 2) words."""
    pairs = digits.reshape(-1).view("<u2")  # the first nibble is the low byte
    return ((pairs << 4) | (pairs >> 8)).astype(np.uint8).view(">u8").astype(np.uint64).reshape(-1, 2)


def uids_within(scopes: pl.Series, uids: pl.Series) -> tuple[UInt64s, pl.Series]:
    """Words of uids that are unique only inside their scope (Dolma's id inside its source), and `scope/uid` as the original."""
    pairs = zip(scopes.to_list(), uids.to_list(), strict=True)
    words = words_of(row_hash([b"uid", *_part(scope), *_part(uid)]) for scope, uid in pairs)
    frame = pl.DataFrame({"scope": scopes, "uid": uids})
    return words, frame.select(pl.concat_str(pl.col("scope").fill_null(""), pl.lit("/"), pl.col("uid")).alias("uid")).to_series()


def uids_of_content(frame: pl.DataFrame) -> UInt64s:
    """Words hashed from each row's values, columns in name order; null differs from empty; identical rows are equal."""
    columns = [frame.get_column(name).cast(pl.Binary).to_list() for name in sorted(frame.columns)]
    return words_of(row_hash([b"row", *(part for value in row for part in _part(value))]) for row in zip(*columns, strict=True))


def uids_of_places(digest: str, rows: npt.NDArray[np.int64]) -> UInt64s:
    """Words for rows whose uid cannot be read: of the shard's digest and the row number."""
    return words_of(row_hash([b"place", digest.encode(), int(row).to_bytes(8, "little")]) for row in rows)


def _part(value: bytes | str | None) -> tuple[bytes, ...]:
    if value is None:
        return (b"\x00",)
    return (b"\x01", value.encode() if isinstance(value, str) else value)


def number_duplicates(shards: Sequence[UInt64s]) -> list[UInt64s]:
    """Tell identical rows apart: the k-th (k > 0, in pool order) with the same words gets the hash of (words, k); the first stays."""
    words = np.concatenate([*shards, np.empty((0, 2), np.uint64)])
    order, number = _numbered(words)
    again = np.flatnonzero(number)
    if again.size:
        raw = words[order[again]].astype(">u8").tobytes()
        hashes = (row_hash([b"copy", raw[16 * i : 16 * i + 16], int(k).to_bytes(8, "little")]) for i, k in enumerate(number[again]))
        words[order[again]] = words_of(hashes)
    ends = np.cumsum([len(shard) for shard in shards])
    return list(np.split(words, ends[:-1])) if shards else []


def refuse_duplicates(pool: "Pool", shards: Sequence[UInt64s]) -> None:
    """PoolError naming files and row numbers (from 0) of the first duplicate uids of a pool that has a uid column."""
    if "uid" not in pool.roles or distinct(np.concatenate([np.empty(0, np.uint64), *[shard[:, 0] for shard in shards]])):
        return
    words = np.concatenate([*shards, np.empty((0, 2), np.uint64)])
    order, number = _numbered(words)
    again = np.flatnonzero(number == 1)
    if not again.size:
        return
    starts = np.concatenate([[0], np.cumsum([len(shard) for shard in shards])])
    first = again[np.argsort(order[again], kind="stable")][:_SHOWN]
    found = [f"{_named(pool, starts, order[i - 1])} and {_named(pool, starts, order[i])}" for i in first.tolist()]
    column = pool.roles["uid"]
    what = f"{np.count_nonzero(number)} rows of the uid column {column!r} repeat another row's uid: {'; '.join(found)}"
    fix = f"make it unique; for another column {override_line('uid', 'COLUMN')}, for none `--role uid=` (as for copies)"
    raise PoolError(what, where=str(pool.root), fix=fix)


def distinct(highs: UInt64s) -> bool:
    """Whether no two of these high words are equal, so that no two uids are. They are left sorted."""
    highs.sort()
    return not (highs[1:] == highs[:-1]).any()


def _numbered(words: UInt64s) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """A stable order by words, and each ordered row's number among its equals."""
    order = order_of(words)
    ordered = np.take(words, order, axis=0)
    new = np.ones(len(words), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = np.flatnonzero(new)
    return order, np.arange(len(words)) - starts[np.cumsum(new) - 1] if len(words) else order


def _named(pool: "Pool", starts: npt.NDArray[np.int64], position: int) -> str:
    index = int(np.searchsorted(starts, position, side="right")) - 1
    shard, row = pool.shards[index], int(position - starts[index])
    uid = pool.read(shard, roles=["uid"], rows=[row]).frame.item()
    return f"{uid!r} at {shard.path} row {row}"
