"""langdetect's detection, compiled: from UTF-8 bytes to an answer. The package's own names are in brackets."""

import math

import numpy as np
import numpy.typing as npt

from filters._compiled import kernel

Bytes = npt.NDArray[np.uint8]
Shorts = npt.NDArray[np.uint16]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CHARACTERS_AT_MOST = 10_000  # [max_text_length]
LANGUAGES, COLUMNS = 55, 56  # a row of shares with a zero at the end fills seven cache lines
SLOTS, GROUPS = 1 << 17, 1 << 14  # twice as many as n-grams of two and three letters, and groups of four of these
UNKNOWN, SPACE, UPPER = 0, 1, 1 << 11  # letters have numbers below `UPPER`
LINK, LOCAL, DOMAIN = 1, 2, 4  # characters of a URL, before the @ or at the end of an address, and just after its @
MARK, MARKS, MARKED = 0x300, 0x24, 0x1B1  # the first combining mark, how many, and the letters they may follow

_TRIALS, _UPDATES, _STEPS_AT_MOST = 7, 5, 1000  # [n_trial, _, ITERATION_LIMIT]
_SURE, _PROBABLE = 0.99999, 0.1  # [CONV_THRESHOLD, PROB_THRESHOLD]
ALPHA, _ALPHA_WIDTH, BASE = 0.5, 0.05, 10_000  # [ALPHA_DEFAULT, ALPHA_WIDTH, BASE_FREQ]
_LINK_AT_MOST, _LOCAL_AT_MOST, _DOMAIN_AT_MOST = 2076, 64, 255  # [URL_RE, MAIL_RE]
_STRETCH = 32  # bytes
NAT = 2048  # parts of a natural logarithm's unit
_SCRAMBLE = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio


# Plain tuples: numba keeps the types of arguments with the compiled code, and cannot read them back once a class of ours has gone.
Alphabet = tuple[Shorts, Bytes, Shorts, Integers, Integers, Shorts]
"""What is known of characters and n-grams.

`letters`: per code point its letter's number, plus `UPPER` for capitals. `kinds`: per ASCII character, `LINK | LOCAL | DOMAIN`.
`composed`: (marks, letters) the code point they make, or 0. `singles`: per letter its row of shares, or -1. `slots`: hash table of
the longer n-grams, `key << 16 | row`, or 0; `shifts`: per group of keys the number of steps to their slots (Belazzougui, Botelho,
Dietzfelbinger, "Hash, displace, and compress", 2009), so that one look tells whether an n-gram is known.
"""
Draws = tuple[npt.NDArray[np.uint32], Floats, Floats]
"""All that comes from a seed: 32-bit words of the generator, and the cosine and sine deviate made of the four words from each on."""


@kernel
def sampled(data: Bytes, offsets: Integers, alphabet: Alphabet, shares: Floats, draws: Draws) -> tuple[Integers, Floats]:
    """Each text's most probable language, by number, and its probability; `LANGUAGES` and 0 where there is no answer.

    UTF-8 `data`, `offsets` (texts + 1) into it; `shares` (n-grams, COLUMNS): how frequent they are in each language. Sums run from left to
    right.
    """
    texts = offsets.size - 1
    answers, likely = np.full(texts, LANGUAGES, np.int64), np.zeros(texts)
    points, grams = np.empty(CHARACTERS_AT_MOST, np.int32), np.empty(3 * CHARACTERS_AT_MOST, np.int32)
    now, mean = np.zeros(COLUMNS), np.zeros(COLUMNS)
    for text in range(texts):
        count = _grams(data[offsets[text] : offsets[text + 1]], alphabet, points, grams)
        if count:
            _mean_of_trials(grams[:count], shares, draws, now, mean)
            best = mean.argmax()
            if mean[best] > _PROBABLE:
                answers[text], likely[text] = best, mean[best]
    return answers, likely


@kernel
def summed(data: Bytes, offsets: Integers, alphabet: Alphabet, gains: Shorts) -> tuple[Integers, Floats]:
    """As `sampled`, with every n-gram of a text counted once and none drawn.

    `gains` (n-grams, COLUMNS): what seeing one adds to the logarithm of each language's odds, in `NAT` parts. Whole numbers have the same
    sums on every machine.
    """
    texts = offsets.size - 1
    answers, likely = np.full(texts, LANGUAGES, np.int64), np.zeros(texts)
    points, grams = np.empty(CHARACTERS_AT_MOST, np.int32), np.empty(3 * CHARACTERS_AT_MOST, np.int32)
    sums = np.empty(COLUMNS, np.int32)
    for text in range(texts):
        count = _grams(data[offsets[text] : offsets[text + 1]], alphabet, points, grams)
        if count:
            sums[:] = 0
            for row in grams[:count]:
                for i in range(COLUMNS):
                    sums[i] += gains[row, i]
            best, odds = sums.argmax(), 0.0
            for i in range(LANGUAGES):
                odds += math.exp((sums[i] - sums[best]) / NAT)
            if 1.0 / odds > _PROBABLE:
                answers[text], likely[text] = best, 1.0 / odds
    return answers, likely


@kernel
def filled(keys: Integers) -> tuple[Integers, Shorts]:
    """The hash table of n-grams, `slots` and `shifts`: key i stands for row i; key 0 is none. The fullest groups choose places first."""
    slots, shifts = np.zeros(SLOTS, np.int64), np.zeros(GROUPS, np.uint16)
    groups = np.array([_hashes(key)[0] if key else GROUPS for key in keys])
    order, sizes = np.argsort(groups), np.bincount(groups, minlength=GROUPS + 1)
    ends = np.cumsum(sizes)
    for group in np.argsort(-sizes[:GROUPS]):
        rows = order[ends[group] - sizes[group] : ends[group]]
        shift, placed = 0, 0
        while placed < rows.size:
            row = rows[placed]
            _, first, step = _hashes(keys[row])
            place = (first + shift * step) & (SLOTS - 1)
            if not slots[place]:
                slots[place] = keys[row] << 16 | row
                placed += 1
                continue
            for taken in rows[:placed]:
                _, first, step = _hashes(keys[taken])
                slots[(first + shift * step) & (SLOTS - 1)] = 0
            shift, placed = shift + 1, 0
        shifts[group] = shift
    return slots, shifts


@kernel
def _hashes(key: int) -> tuple[np.int64, np.int64, np.int64]:
    """A key's group, the first of its places, and the step to the next. In unsigned numbers: only these are sure to wrap when compiled."""
    mixed = np.uint64(key) * _SCRAMBLE
    return np.int64(mixed >> np.uint64(50)), np.int64(mixed >> np.uint64(33)), np.int64(mixed >> np.uint64(16) | np.uint64(1))


@kernel
def _row(slots: Integers, shifts: Shorts, key: int) -> int:
    group, first, step = _hashes(key)
    slot = slots[(first + shifts[group] * step) & (SLOTS - 1)]
    return slot & 0xFFFF if slot >> 16 == key else -1


@kernel
def _grams(text: Bytes, alphabet: Alphabet, points: npt.NDArray[np.int32], grams: npt.NDArray[np.int32]) -> int:
    """How many known n-grams there are; their rows, in order, are written into `grams`. [append, cleaning_text, _extract_ngrams]"""
    letters, kinds, composed, singles, slots, shifts = alphabet
    size = _cleaned(text, kinds, composed, points)
    latin, other = 0, 0
    for i in range(size):
        point = points[i]
        latin += 65 <= point <= 122  # A to z
        other += point >= 0x300  # the package means to spare Latin Extended Additional, but compares its number with its name
    drop = 2 * latin < other
    count, before, last, after_capital = 0, UNKNOWN, SPACE, False
    for i in range(size):
        point = points[i]
        if drop and 65 <= point <= 122:
            continue
        entry = int(letters[point])
        letter, capital = entry & (UPPER - 1), entry >= UPPER
        if last == SPACE:
            before = UNKNOWN
            if letter == SPACE:
                continue
        if not (capital and after_capital):
            row = singles[letter]
            grams[count] = row
            count += row >= 0
            if letter != UNKNOWN and last != UNKNOWN:
                key = last << 11 | letter
                row = _row(slots, shifts, key)
                grams[count] = row
                count += row >= 0
                if before != UNKNOWN:
                    row = _row(slots, shifts, before << 22 | key)
                    grams[count] = row
                    count += row >= 0
        before, last, after_capital = last, letter, capital
    return count


@kernel
def _cleaned(text: Bytes, kinds: Bytes, composed: Shorts, points: npt.NDArray[np.int32]) -> int:
    """Decode, take links and addresses out, and put letters and the marks after them together; how many code points are left."""
    colons, ats = 0, 0
    for byte in text[: 4 * CHARACTERS_AT_MOST]:
        colons += byte == 58
        ats += byte == 64
    size, marks = _decoded(text, points)
    if colons:
        size = _without_links(points, size, kinds)
    if ats:
        size = _without_addresses(points, size, kinds)
    if marks:
        size = _composed(points, size, composed)
    return size


@kernel
def _decoded(text: Bytes, points: npt.NDArray[np.int32]) -> tuple[int, int]:
    """How many code points there are, and how many are combining marks; plain stretches of ASCII are only widened."""
    at, size, marks = 0, 0, 0
    while at < text.size and size < CHARACTERS_AT_MOST:
        if at + _STRETCH <= text.size and size + _STRETCH <= CHARACTERS_AT_MOST:
            seen = np.uint8(0)
            for i in range(_STRETCH):
                seen |= text[at + i]
            if seen < 0x80:
                for i in range(_STRETCH):
                    points[size + i] = text[at + i]
                at, size = at + _STRETCH, size + _STRETCH
                continue
        stop = min(at + _STRETCH, text.size)
        while at < stop and size < CHARACTERS_AT_MOST:
            point = int(text[at])
            at += 1
            if point >= 0x80:
                following = 1 if point < 0xE0 else 2 if point < 0xF0 else 3
                point &= 0x3F >> following
                for _ in range(following):
                    point = point << 6 | (text[at] & 0x3F)
                    at += 1
                marks += MARK <= point < MARK + MARKS
            points[size] = point
            size += 1
    return size, marks


@kernel
def _run(points: npt.NDArray[np.int32], at: int, end: int, kinds: Bytes, kind: int) -> int:
    """Where the characters of this kind end that begin at `at`, at `end` at the latest."""
    while at < end and points[at] < 128 and kinds[points[at]] & kind:
        at += 1
    return at


@kernel
def _without_links(points: npt.NDArray[np.int32], size: int, kinds: Bytes) -> int:
    """[URL_RE] in place: a space for each. Found from the colon, since what is before it is fixed."""
    read, written = 0, 0
    while read < size:
        if points[read] == 58 and read + 3 < size and points[read + 1] == 47 and points[read + 2] == 47:
            start = written - (written > 0 and points[written - 1] == 115)  # s
            end = _run(points, read + 3, min(size, read + 3 + _LINK_AT_MOST), kinds, LINK)
            http = (
                start >= 4
                and points[start - 4] == 104
                and points[start - 3] == 116
                and points[start - 2] == 116
                and points[start - 1] == 112
            )
            if http and end > read + 3:
                points[start - 4] = 32
                read, written = end, start - 3
                continue
        points[written] = points[read]
        read, written = read + 1, written + 1
    return written


@kernel
def _without_addresses(points: npt.NDArray[np.int32], size: int, kinds: Bytes) -> int:
    """[MAIL_RE] in place: a space for each. Found from the @; the space left for one address ends the search for the next one's start."""
    read, written = 0, 0
    while read < size:
        if points[read] == 64:
            start = written
            while start > 0 and written - start < _LOCAL_AT_MOST and points[start - 1] < 128 and kinds[points[start - 1]] & LOCAL:
                start -= 1
            middle = _run(points, read + 1, min(size, read + 1 + _DOMAIN_AT_MOST), kinds, DOMAIN)
            end = _run(points, middle, min(size, middle + _DOMAIN_AT_MOST), kinds, LOCAL)
            if start < written and middle > read + 1 and end > read + 2:
                points[start] = 32
                read, written = end, start + 1
                continue
        points[written] = points[read]
        read, written = read + 1, written + 1
    return written


@kernel
def _composed(points: npt.NDArray[np.int32], size: int, composed: Shorts) -> int:
    """[normalize_vi] in place: a letter and the mark after it become one."""
    written, letter = 0, 0
    for read in range(size):
        point = points[read]
        if MARK <= point < MARK + MARKS and letter < MARKED and composed[point - MARK, letter]:
            points[written - 1] = composed[point - MARK, letter]
        else:
            points[written] = point
            written += 1
        letter = point
    return written


@kernel
def _mean_of_trials(grams: npt.NDArray[np.int32], shares: Floats, draws: Draws, now: Floats, mean: Floats) -> None:
    """[_detect_block]: n-grams drawn until one language is sure, seven times. `random.choice` draws a word's upper bits, too large ones
    passed over; `random.gauss` makes two deviates at a time."""
    words, cosines, sines = draws
    at, spare, bits = 0, 0.0, 0
    while grams.size >> bits:
        bits += 1
    mean[:] = 0.0
    for trial in range(_TRIALS):
        deviate = spare
        if trial % 2 == 0:
            deviate, spare = cosines[at], sines[at]
            at += 4
        weight = (ALPHA + deviate * _ALPHA_WIDTH) / BASE
        now[:LANGUAGES] = 1.0 / LANGUAGES
        step = 0
        while True:
            drawn = np.int64(words[at]) >> (32 - bits)
            at += 1
            if drawn >= grams.size:
                continue
            row = grams[drawn]
            for i in range(COLUMNS):
                now[i] *= weight + shares[row, i]
            if step % _UPDATES == 0 and (_normalised(now) or step >= _STEPS_AT_MOST):
                break
            step += 1
        for i in range(COLUMNS):
            mean[i] += now[i] / _TRIALS


@kernel
def _normalised(now: Floats) -> bool:
    """[_normalize_prob]: make the sum 1; whether one language is sure."""
    total, sure = 0.0, False
    for i in range(COLUMNS):
        total += now[i]
    for i in range(COLUMNS):
        now[i] /= total
        sure |= now[i] > _SURE
    return sure
