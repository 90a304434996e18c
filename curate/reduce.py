"""Global rules: candidates from every piece come in as small files, one cut goes back out. Memory is bounded for `top` and `random`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.balance import Balance
from curate.digest import UInt64s, h
from curate.entries import counted
from curate.mix import Mix
from curate.repetition import SoftCap
from curate.rule import OnePer, Random, Rule, Top
from curate.store import Part, Store

LAST = np.uint64(0xFFFFFFFFFFFFFFFF)
IN_MEMORY = 2_000_000
ORDER = ["k0", "tie0", "tie1"]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cut:
    """The answer of a global rule: rows whose (key, tie, tie) is at most `last` are kept (of a mix: that of their source in `lasts`), or
    rows listed in `survivors` are dropped. Of `balance`: t (`at_most`) and how many rows have each entry (`counts`). Of `soft_cap`: the
    last arrival, the highest score (`best`) and the number of draws (`samples`). `kept` is None where only a pass can tell."""

    entering: int
    kept: int | None
    last: tuple[int, int, int] | None = None
    value: float | None = None
    survivors: Part | None = None
    lasts: tuple[tuple[int, int, int] | None, ...] | None = None
    note: str | None = None
    counts: Part | None = None
    at_most: int | None = None
    best: float | None = None
    samples: int | None = None


TEXT_WORDS = 4
"""Texts are compared by the first 32 bytes of their UTF-8: enough for dates and times as ISO 8601 writes them."""


def order_keys(values: pl.Series, ascending: bool) -> list[UInt64s]:
    """64-bit keys, the weightiest first, that sort as the values do, best first; null is last. Texts: by TEXT_WORDS words of bytes."""
    if values.dtype != pl.String:
        return [order_key(values, ascending)]
    plain = [text.encode()[: 8 * TEXT_WORDS].ljust(8 * TEXT_WORDS, b"\0") for text in values.fill_null("").to_list()]
    words = np.frombuffer(b"".join(plain), ">u8").reshape(-1, TEXT_WORDS).astype(np.uint64)
    missing = values.is_null().to_numpy()
    return [np.where(missing, LAST, word if ascending else ~word) for word in words.T]


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
    """What a global rule compares: the pool-wide row, its keys k0.. in order of weight, two tie words, and, where the rule asks for it, its
    tokens (`amount`). Of a mix the key is the source's number; other sources have no candidates. Of `balance` instead how many rows have
    each entry; of `soft_cap` scores and uids."""
    tie, keys = uids, [np.zeros(len(rows), np.uint64)]
    if isinstance(rule, Balance):
        return counted(evidence[rule.column])
    if isinstance(rule, SoftCap):
        return pl.DataFrame({"score": evidence[rule.column].cast(pl.Float64), "high": uids[:, 0], "low": uids[:, 1]})
    amounts = {"amount": evidence[rule.of].cast(pl.UInt64)} if isinstance(rule, Top | Mix) and rule.of is not None else {}
    if isinstance(rule, Top):
        keys = [order_key(evidence[rule.column], rule.ascending)]
        if rule.ties_keep:  # rows equal to the last one stay together: nothing else counts
            return pl.DataFrame({"k0": keys[0]})
        tie = h("tie", 0, uids)
    elif isinstance(rule, Random):
        tie = h("random", rule.seed, uids)
    elif isinstance(rule, OnePer):
        keys = [key for column, ascending in rule.prefer for key in order_keys(evidence[column], ascending)]
    elif isinstance(rule, Mix):
        tie, keys = h("random", rule.seed, uids), [_sources(rule, evidence)]
        amounts = amounts or {"amount": pl.Series(np.ones(len(rows), np.uint64))}
    order = {f"k{i}": key for i, key in enumerate(keys)}
    frame = pl.DataFrame({"row": rows.astype(np.uint64), **order, "tie0": tie[:, 0], "tie1": tie[:, 1], **amounts})
    return frame.filter(pl.col("k0") < len(rule.shares)) if isinstance(rule, Mix) else frame


def _sources(rule: Mix, evidence: pl.DataFrame) -> UInt64s:
    """Each row's number among the sources of a mix; one more than the last for any other."""
    names = [name for name, _ in rule.shares]
    numbers = evidence[rule.by].cast(pl.String).replace_strict(names, range(len(names)), default=len(names), return_dtype=pl.UInt64)
    return numbers.to_numpy()


def kept_by(cut: Cut, rule: Rule, evidence: pl.DataFrame, uids: UInt64s, rows: npt.NDArray[np.int64], store: Store) -> Mask:
    """Which of the rows entering a global rule its cut keeps."""
    if cut.survivors is not None:
        dropped, numbers = _dropped(cut.survivors, store), rows.astype(np.uint64)  # of one type, else each search copies the list
        first, last = np.searchsorted(dropped, numbers[[0, -1]]) if rows.size else (0, -1)
        return ~np.isin(numbers, dropped[first : last + 1])
    if isinstance(rule, Mix) and cut.lasts is not None:
        numbers, kept = _sources(rule, evidence), np.zeros(len(rows), bool)
        tie = h("random", rule.seed, uids)
        for number, last in enumerate(cut.lasts):
            mine = numbers == number
            if last is not None:
                order = pl.DataFrame({"k0": numbers[mine], "tie0": tie[mine, 0], "tie1": tie[mine, 1]})
                kept[mine] = _at_most(order, last)
        return kept
    if cut.last is None:
        return np.zeros(len(rows), bool)
    if isinstance(rule, Top):  # only rows equal to the last one need their tie
        key, last = order_key(evidence[rule.column], rule.ascending), np.uint64(cut.last[0])
        if rule.ties_keep:
            return key <= last
        kept, near = key < last, np.flatnonzero(key == last)
        kept[near] = _at_most(candidates(rule, evidence[near], uids[near], rows[near]), cut.last)
        return kept
    return _at_most(candidates(rule, evidence, uids, rows), cut.last)


_read: dict[str, Any] = {}


def kept_of(part: Part, what: Callable[[pl.DataFrame], Any], store: Store) -> Any:
    """What a stored frame says; the last two stay in memory, since every piece of the pool asks the same one."""
    if part.key not in _read:
        while len(_read) >= 2:
            _read.pop(next(iter(_read)))
        _read[part.key] = what(store.frame(part))
    return _read[part.key]


def _dropped(part: Part, store: Store) -> UInt64s:
    """The rows listed, ascending."""
    rows: UInt64s = kept_of(part, lambda frame: frame["row"].to_numpy(), store)
    return rows


def _at_most(frame: pl.DataFrame, last: tuple[int, int, int]) -> Mask:
    key, tie0, tie1 = (frame[name].to_numpy() for name in ("k0", "tie0", "tie1"))
    a, b, c = (np.uint64(word) for word in last)
    kept: Mask = (key < a) | ((key == a) & ((tie0 < b) | ((tie0 == b) & (tie1 <= c))))
    return kept


def cut_of(rule: Top | Random | Mix, dtype: pl.DataType | None, parts: Sequence[Part], store: Store) -> Cut:
    """The cut of `top` (over a column of `dtype`), `random` or `mix`: the quota-th smallest candidate, or the last that a number of tokens
    allows, by histograms of 16 bits at a time."""
    entering = sum(part.rows for part in parts)
    if isinstance(rule, Mix):
        return _mixed(rule, parts, store)
    if isinstance(rule, Top) and rule.tokens is not None:
        return _budgeted(rule.tokens, dtype, rule.ascending, parts, store)
    quota = rule.quota(entering)
    if quota == 0:
        return Cut(entering, 0)
    held = [_order(part, store) for part in parts] if entering <= IN_MEMORY else None

    def frames() -> Iterator[pl.DataFrame]:
        return (_order(part, store) for part in parts) if held is None else iter(held)

    last = nth_smallest(frames, quota, entering)
    if not isinstance(rule, Top):
        return Cut(entering, quota, last)
    if rule.ties_keep:
        last = (last[0], int(LAST), int(LAST))
        quota = sum(int((frame["k0"].to_numpy() <= np.uint64(last[0])).sum()) for frame in frames())
    return Cut(entering, quota, last, value_of(last[0], dtype, rule.ascending))


def _order(part: Part, store: Store) -> pl.DataFrame:
    frame = store.frame(part, columns=ORDER)
    return frame.with_columns(pl.lit(0, pl.UInt64).alias(name) for name in ORDER if name not in frame.columns)


def _budgeted(tokens: int, dtype: pl.DataType | None, ascending: bool, parts: Sequence[Part], store: Store) -> Cut:
    entering = sum(part.rows for part in parts)
    last = last_within(lambda: (store.frame(part, columns=[*ORDER, "amount"]) for part in parts), tokens, entering)
    if last is None:
        return Cut(entering, 0)
    kept, worst = 0, 0
    for part in parts:
        frame = store.frame(part, columns=ORDER)
        inside = frame["k0"].to_numpy()[_at_most(frame, last)]
        kept, worst = kept + inside.size, max(worst, int(inside.max(initial=0)))
    return Cut(entering, kept, last, value_of(worst, dtype, ascending) if kept else None)


def _mixed(rule: Mix, parts: Sequence[Part], store: Store) -> Cut:
    there, rows = [0] * len(rule.shares), [0] * len(rule.shares)
    for part in parts:
        for number, amount, count in store.frame(part).group_by("k0").agg(pl.col("amount").sum(), pl.len()).rows():
            there[number], rows[number] = there[number] + amount, rows[number] + count
    quotas = rule.quotas({name: there[number] for number, (name, _) in enumerate(rule.shares)})
    lasts, kept = [], 0
    for number, (name, _) in enumerate(rule.shares):

        def mine(number: int = number) -> Iterator[pl.DataFrame]:
            return (store.frame(part).filter(pl.col("k0") == number) for part in parts)

        last = last_within(mine, quotas[name], rows[number])
        lasts.append(last)
        kept += sum(int(_at_most(frame, last).sum()) for frame in mine()) if last is not None else 0
    absent = [name for number, (name, _) in enumerate(rule.shares) if not there[number]]
    note = f"nothing entering has {' or '.join(absent)} as {rule.by}, so its share is 0 and all others' too" if absent else None
    return Cut(sum(rows), kept, lasts=tuple(lasts), note=note)


def last_within(frames: Callable[[], Iterator[pl.DataFrame]], budget: int, rows: int) -> tuple[int, int, int] | None:
    """The largest (k0, tie0, tie1) such that all rows up to it have amounts of `budget` at most together, though no row may have just it;
    None where the first row has more. Over frames that are read again on every pass."""
    prefix: list[int] = []
    inside, budget = rows, min(budget, int(LAST))
    while inside > IN_MEMORY and len(prefix) < 12:
        amounts, counts = np.zeros(1 << 16, np.uint64), np.zeros(1 << 16, np.int64)
        for frame in frames():
            some = _matching(frame, prefix)
            digits = _digit(some, len(prefix))
            np.add.at(amounts, digits, some["amount"].to_numpy())
            counts += np.bincount(digits, minlength=1 << 16)
        reached = np.cumsum(amounts)
        digit = int(np.searchsorted(reached, np.uint64(budget), side="right"))
        if digit == reached.size:
            return int(LAST), int(LAST), int(LAST)
        budget -= int(reached[digit - 1]) if digit else 0
        inside = int(counts[digit])
        prefix.append(digit)
    left = pl.concat([pl.DataFrame(schema=dict.fromkeys([*ORDER, "amount"], pl.UInt64)), *[_matching(f, prefix) for f in frames()]])
    left = left.sort(ORDER)
    beyond = int(np.searchsorted(left["amount"].cum_sum().to_numpy(), np.uint64(budget), side="right"))
    if beyond == left.height:
        return int(LAST), int(LAST), int(LAST)
    key, high, low = left.row(beyond)[:3]
    before = (key << 128 | high << 64 | low) - 1
    return None if before < 0 else (before >> 128, before >> 64 & int(LAST), before & int(LAST))


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
    left = [_matching(frame, prefix) for frame in frames()]
    keys = np.concatenate([frame["k0"].to_numpy() for frame in left])
    key = np.partition(keys, n - 1)[n - 1]
    equal = pl.concat([frame.filter(pl.Series(frame["k0"].to_numpy() == key)) for frame in left])  # only these need their ties
    row = equal.sort(ORDER).row(n - 1 - int((keys < key).sum()))
    return int(row[0]), int(row[1]), int(row[2])


def _digit(frame: pl.DataFrame, place: int) -> npt.NDArray[np.int64]:
    word = frame[ORDER[place // 4]].to_numpy()
    return ((word >> np.uint64(48 - 16 * (place % 4))) & np.uint64(0xFFFF)).astype(np.int64)


def _matching(frame: pl.DataFrame, prefix: Sequence[int]) -> pl.DataFrame:
    frame = frame.select([name for name in (*ORDER, "amount") if name in frame.columns])
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
