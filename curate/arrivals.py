"""Soft-cap sampling without a sequence: every draw of a row has an arrival time of its own, and the N first arrivals are the sample.

Let a row of score s that was drawn k times wait for its next draw an exponential time of rate r(k) = exp((s - k x penalty) / temperature).
Of all rows the next to arrive is then row i with probability r_i / sum r: waiting times have no memory, so this is the sequence of draws
with probability softmax of the reduced scores, of which the first N are taken. The waits are seeded by uid and draw, so neither order nor
sharding matters; the j-th draw of a row always comes after its (j-1)-th. (For one draw a row it is the top N of score + Gumbel noise.)

Only logarithms of times are ever held, times the temperature: how far a row's score is behind the best one, plus its penalties, plus
temperature x log of a wait. So nothing is divided by a small temperature, and no finite scores under- or overflow. A sum is a float64:
beyond 2^45 temperatures the chance in it is rounded to less than a hundredth, beyond 2^53 it is lost and scores alone decide.

Logarithm and exponential are made of sums, products and quotients here, which every processor rounds alike; libraries' differ in the last
bit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.digest import UInt64s, h
from curate.repetition import MOST_COPIES, SoftCap

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Scored = tuple[Floats, UInt64s]
"""Scores, and uids as (n, 2) words."""
BINS = 1 << 16
IN_MEMORY = 2_000_000
SAMPLE = 1 << 16
SCALE = 2.0**-20
"""Scores, penalty and temperature are taken times this, so that the sums of the largest float64s are finite."""
START, SOONEST = 64.0, 27.0
"""log of a wait lies between -36.8 and 3.7, for 52 random bits. START more, times are positive, and their bits sort as they do; none is
before SOONEST temperatures."""
EVERY = float(np.finfo(np.float64).max)
_LN2, _LN2_REST = 0.693147180369123816490, 1.90821492927058770002e-10
"""ln 2 in two parts, the first of few bits (fdlibm's e_exp.c), so that its small multiples are exact."""


def log(x: Floats) -> Floats:
    """The natural logarithm of positive numbers, within 2 units in the last place."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, 2 * mantissa, mantissa)
    power = exponent - low.astype(np.int32)
    ratio = (mantissa - 1) / (mantissa + 1)
    square = ratio * ratio
    series = np.full_like(ratio, 1 / 23)
    for odd in range(21, 0, -2):
        series = series * square + 1 / odd
    found: Floats = power * _LN2 + (power * _LN2_REST + 2 * ratio * series)
    return found


def exp(x: Floats) -> Floats:
    """e to the x, within 2 units in the last place; inf above 709.7, 0 below -745."""
    x = np.clip(x, -1e4, 1e4)
    power = np.rint(x / 0.6931471805599453)
    rest = (x - power * _LN2) - power * _LN2_REST
    series = np.ones_like(rest)
    for order in range(16, 0, -1):
        series = series * rest / order + 1
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(series, power.astype(np.int32))


def arrivals(rule: SoftCap, best: float, scores: Floats, uids: UInt64s, until: float) -> Iterator[tuple[Rows, Floats]]:
    """The first draws up to a time, then the second ones and so on: rows (positions in `scores`, ascending) and arrival times.

    `best` is the highest score of all rows. Times are temperature x (START + log of the time in mean first waits of the best row) x SCALE.
    """
    penalty, warm = _scaled(rule)
    behind, rows, times = _behind(best, scores), np.arange(len(scores)), np.zeros(len(scores))
    for draw in range(MOST_COPIES):
        early = behind + draw * penalty + SOONEST * warm <= until
        rows, times, behind = rows[early], times[early], behind[early]
        bits = h("soft_cap", rule.seed, uids[rows], draw)[:, 0]
        uniform = ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        waits = (behind + draw * penalty) + warm * (START + log(-log(uniform)))
        times = _added(times, waits, warm) if draw else waits
        inside = times <= until
        rows, times, behind = rows[inside], times[inside], behind[inside]
        if not rows.size:
            return
        yield rows, times


def _scaled(rule: SoftCap) -> tuple[float, float]:
    """Penalty and temperature."""
    return rule.penalty * SCALE, max(rule.temperature * SCALE, float(np.finfo(np.float64).tiny))


def _behind(best: float, scores: Floats) -> Floats:
    return best * SCALE - scores * SCALE


def _added(times: Floats, waits: Floats, warm: float) -> Floats:
    """The sum of two times, of their logarithms: log (e^a + e^b) is the larger one + log (1 + e^-(their difference))."""
    with np.errstate(over="ignore"):
        apart = abs(times - waits) / warm
    return np.maximum(times, waits) + warm * log(1 + exp(-apart))


@dataclass(frozen=True)
class Drawn:
    """The N-th arrival: `last` is its time, as the bits of a float64, and its uid. `rows` are drawn, `samples` times together."""

    best: float
    last: tuple[int, int, int] | None
    rows: int
    samples: int


def times_drawn(rule: SoftCap, best: float, last: tuple[int, int, int] | None, scores: Floats, uids: UInt64s) -> npt.NDArray[np.uint16]:
    """How often each row was drawn up to the last arrival."""
    counts = np.zeros(len(scores), np.uint16)
    if last is None:
        return counts
    time = _time(last[0])
    high, low = np.uint64(last[1]), np.uint64(last[2])
    for rows, times in arrivals(rule, best, scores, uids, time):
        tie = uids[rows]
        later = (times == time) & ((tie[:, 0] > high) | ((tie[:, 0] == high) & (tie[:, 1] > low)))
        counts[rows[~later]] += 1
    return counts


def first_arrivals(rule: SoftCap, batches: Callable[[], Iterator[Scored]], entering: int) -> Drawn:
    """The N first arrivals of `entering` rows, read again on every pass: histograms narrow in on the N-th, so memory does not grow."""
    wanted = min(rule.draws(entering), entering * MOST_COPIES)
    if not wanted:
        return Drawn(0.0, None, 0, 0)
    best, sample = _looked_at(batches, entering)
    aim, low, before = 1.05 * wanted + 4 * wanted**0.5 + 1, _bits(SOONEST * _scaled(rule)[1]), 0
    while True:
        high = max(low, _bits(_guess(rule, _behind(best, sample), aim * len(sample) / entering)))
        histogram = _histogram(rule, best, batches, (low, high), wanted)
        if histogram.sum() >= wanted or high == _bits(EVERY):
            break
        aim *= 2
    while True:
        reached = before + np.cumsum(histogram)
        place = int(np.searchsorted(reached, wanted))
        before = int(reached[place - 1]) if place else before
        width = _width(low, high)
        low, high = low + place * width, min(low + (place + 1) * width - 1, high)
        if int(histogram[place]) <= IN_MEMORY or low == high:
            return _settled(rule, best, batches, (low, high), wanted, before)
        histogram = _histogram(rule, best, batches, (low, high), wanted - before)


def _looked_at(batches: Callable[[], Iterator[Scored]], entering: int) -> tuple[float, Floats]:
    best, some, step, skip = -np.inf, [np.empty(0)], -(-entering // SAMPLE), 0
    for scores, _ in batches():
        best = max(best, float(scores.max(initial=-np.inf)))
        some.append(scores[skip::step])
        skip = (skip - len(scores)) % step
    return best, np.concatenate(some)


def _guess(rule: SoftCap, behind: Floats, wanted: float) -> float:
    """About when the sample's rows have been drawn so often; EVERY if they cannot be."""
    low, high, narrow = 0, _bits(EVERY), 0.01 * _scaled(rule)[1]
    while high - low > 1 and _time(high) - _time(low) > narrow:
        middle = (low + high) // 2
        low, high = (low, middle) if float(_means(rule, behind, _time(middle)).sum()) >= wanted else (middle, high)
    return _time(high)


def _means(rule: SoftCap, behind: Floats, time: float) -> Floats:
    """About how often rows are drawn up to a time. Of draws with rates e^-kg, e^gk grows by e^g - 1 a unit of time, in the mean; where g is
    large, the k-th draw comes a wait after the (k-1)-th, long before which all others came."""
    penalty, warm = _scaled(rule)
    age, most = time - behind - START * warm, float(MOST_COPIES)
    with np.errstate(over="ignore", under="ignore"):
        if penalty < warm:
            steep = max(penalty / warm, 1e-9)
            few: Floats = np.logaddexp(0, np.clip(age / warm, -1e300, 1e300) + np.log(np.expm1(steep))) / steep
            return np.minimum(few, most)
        means: Floats = np.clip(np.floor(age / penalty) - 1, 0, most)
        sure = means
        for more in range(4):
            means = means - np.expm1(-np.exp(np.clip((age - (sure + more) * penalty) / warm, -700, 50)))
        return np.minimum(means, most)


def _bits(time: float) -> int:
    return int(np.array([time]).view(np.uint64)[0])


def _time(bits: int) -> float:
    return float(np.array([bits], np.uint64).view(np.float64)[0])


def _width(low: int, high: int) -> int:
    return (high - low) // BINS + 1


def _histogram(
    rule: SoftCap, best: float, batches: Callable[[], Iterator[Scored]], span: tuple[int, int], wanted: int
) -> npt.NDArray[np.int64]:
    """Arrivals with time bits in a span, in BINS equal bins of bits; bins after the one that holds the wanted arrival may lack some."""
    (low, high), found = span, np.zeros(BINS, np.int64)
    width, last = _width(low, high), high
    for scores, uids in batches():
        for _, times in arrivals(rule, best, scores, uids, _time(last)):
            bits = times.view(np.uint64)
            inside = bits[bits >= np.uint64(low)] - np.uint64(low)
            np.add.at(found, (inside // np.uint64(width)).astype(np.int64), 1)
        last = min(high, low + (int(np.searchsorted(np.cumsum(found), wanted)) + 1) * width - 1)
    return found


def _settled(rule: SoftCap, best: float, batches: Callable[[], Iterator[Scored]], span: tuple[int, int], wanted: int, before: int) -> Drawn:
    """The arrivals inside a span of bits, sorted: the one wanted is the (wanted - before)-th."""
    low, high = span
    until, earlier = _time(high), 0
    near: list[npt.NDArray[np.uint64]] = [np.empty((0, 4), np.uint64)]
    for scores, uids in batches():
        for draw, (rows, times) in enumerate(arrivals(rule, best, scores, uids, until)):
            bits = times.view(np.uint64)
            inside = bits >= np.uint64(low)
            earlier += int((~inside).sum()) if draw == 0 else 0
            if inside.any():
                first = np.full(int(inside.sum()), draw == 0, np.uint64)
                near.append(np.column_stack([bits[inside], uids[rows[inside]], first]))
    every = np.concatenate(near)
    every = every[np.lexsort((every[:, 2], every[:, 1], every[:, 0]))][: wanted - before]
    time, tie0, tie1, _ = every[-1].tolist()
    return Drawn(best, (time, tie0, tie1), earlier + int(every[:, 3].sum()), wanted)
