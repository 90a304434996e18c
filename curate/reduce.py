"""Global rules: candidates from every piece come in as small files, one cut goes back out. Memory is bounded for `top` and `random`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import UInt64s, h
from curate.rule import OnePer, Random, Rule, Top
from curate.store import Part, Store

LAST = np.uint64(0xFFFFFFFFFFFFFFFF)
IN_MEMORY = 2_000_000
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cut:
    """The answer of a global rule: rows whose (key, tie, tie) is at most `last` are kept, or rows listed in `survivors` are dropped."""

    entering: int
    kept: int
    last: tuple[int, int, int] | None = None
    value: float | None = None
    survivors: Part | None = None


def order_key(values: pl.Series, ascending: bool) -> UInt64s:
    """64-bit keys that sort as the values do, best first; null is last. Enums sort in their declared order."""
    plain = values.to_physical() if isinstance(values.dtype, pl.Enum) else values
    if plain.dtype.is_float():
        bits = plain.cast(pl.Float64).fill_null(0.0).to_numpy().view(np.uint64)
        key = np.where(bits >> np.uint64(63) == 1, ~bits, bits | np.uint64(1 << 63))
        key = np.where(bits == np.uint64(1 << 63), np.uint64(1 << 63), key)
    elif plain.dtype == pl.UInt64:
        key = plain.fill_null(0).to_numpy().copy()
    else:
        key = plain.cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64) ^ np.uint64(1 << 63)
    key = key if ascending else ~key
    return np.where(plain.is_null().to_numpy(), LAST, key)


def candidates(rule: Rule, evidence: pl.DataFrame, uids: UInt64s, rows: npt.NDArray[np.int64]) -> pl.DataFrame:
    """What a global rule compares: the pool-wide row, its keys k0.. in order of weight, and two tie words."""
    tie, keys = uids, [np.zeros(len(rows), np.uint64)]
    if isinstance(rule, Top):
        tie, keys = h("tie", 0, uids), [order_key(evidence[rule.column], rule.ascending)]
    elif isinstance(rule, Random):
        tie = h("random", rule.seed, uids)
    elif isinstance(rule, OnePer):
        keys = [order_key(evidence[column], ascending) for column, ascending in rule.prefer]
    return pl.DataFrame(
        {"row": rows.astype(np.uint64), **{f"k{i}": key for i, key in enumerate(keys)}, "tie0": tie[:, 0], "tie1": tie[:, 1]}
    )


def kept_by(cut: Cut, rule: Rule, evidence: pl.DataFrame, uids: UInt64s, rows: npt.NDArray[np.int64], store: Store) -> Mask:
    """Which of the rows entering a global rule its cut keeps."""
    if cut.survivors is not None:
        dropped = _dropped(cut.survivors, store)
        first, last = np.searchsorted(dropped, rows[[0, -1]]) if rows.size else (0, -1)
        return ~np.isin(rows.astype(np.uint64), dropped[first : last + 1])
    if cut.last is None:
        return np.zeros(len(rows), bool)
    return _at_most(candidates(rule, evidence, uids, rows), cut.last)


_read: dict[str, UInt64s] = {}


def _dropped(part: Part, store: Store) -> UInt64s:
    """The rows listed, ascending; the last two lists stay in memory, since every piece of the pool asks the same one."""
    if part.key not in _read:
        while len(_read) >= 2:
            _read.pop(next(iter(_read)))
        _read[part.key] = store.frame(part, columns=["row"])["row"].to_numpy()
    return _read[part.key]


def _at_most(frame: pl.DataFrame, last: tuple[int, int, int]) -> Mask:
    key, tie0, tie1 = (frame[name].to_numpy() for name in ("k0", "tie0", "tie1"))
    a, b, c = (np.uint64(word) for word in last)
    kept: Mask = (key < a) | ((key == a) & ((tie0 < b) | ((tie0 == b) & (tie1 <= c))))
    return kept


def cut_of(rule: Top | Random, dtype: pl.DataType | None, parts: Sequence[Part], store: Store) -> Cut:
    """The cut of `top` (over a column of `dtype`) or `random`: the quota-th smallest candidate, by histograms of 16 bits at a time."""
    entering = sum(part.rows for part in parts)
    quota = rule.quota(entering)
    if quota == 0:
        return Cut(entering, 0)
    last = nth_smallest(lambda: (store.frame(part, columns=["k0", "tie0", "tie1"]) for part in parts), quota, entering)
    if not isinstance(rule, Top):
        return Cut(entering, quota, last)
    if rule.ties_keep:
        last = (last[0], int(LAST), int(LAST))
        quota = sum(int(_at_most(store.frame(part), last).sum()) for part in parts)
    return Cut(entering, quota, last, value_of(last[0], dtype, rule.ascending))


def nth_smallest(frames: Callable[[], Iterator[pl.DataFrame]], n: int, total: int) -> tuple[int, int, int]:
    """The n-th smallest (k0, tie0, tie1), n from 1, over frames that are read again on every pass."""
    prefix: list[int] = []
    inside = total
    while inside > IN_MEMORY and len(prefix) < 12:
        histogram = np.zeros(1 << 16, np.int64)
        for frame in frames():
            histogram += np.bincount(_digit(_matching(frame, prefix), len(prefix)), minlength=1 << 16)
        reached = np.cumsum(histogram)
        digit = int(np.searchsorted(reached, n))
        n -= int(reached[digit - 1]) if digit else 0
        inside = int(histogram[digit])
        prefix.append(digit)
    left = pl.concat([_matching(frame, prefix) for frame in frames()])
    row = left.sort("k0", "tie0", "tie1").row(n - 1)
    return int(row[0]), int(row[1]), int(row[2])


def _digit(frame: pl.DataFrame, place: int) -> npt.NDArray[np.int64]:
    word = frame[("k0", "tie0", "tie1")[place // 4]].to_numpy()
    return ((word >> np.uint64(48 - 16 * (place % 4))) & np.uint64(0xFFFF)).astype(np.int64)


def _matching(frame: pl.DataFrame, prefix: Sequence[int]) -> pl.DataFrame:
    frame = frame.select("k0", "tie0", "tie1")
    for place, digit in enumerate(prefix):
        frame = frame.filter(pl.Series(_digit(frame, place) == digit))
    return frame


def value_of(key: int, dtype: pl.DataType | None, ascending: bool) -> float:
    """The number behind an order key."""
    bits = key if ascending else key ^ int(LAST)
    if dtype is not None and not dtype.is_float():
        return float(bits if dtype == pl.UInt64 else bits - (1 << 63))
    bits = bits ^ (1 << 63) if bits >> 63 else bits ^ int(LAST)
    return float(np.array([bits], np.uint64).view(np.float64)[0])
