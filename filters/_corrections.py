"""RefinedWeb's line-wise corrections, compiled."""

import numpy as np

from filters._buffers import Bytes
from filters._compiled import Number, kernel
from filters._texts import FIRST_CLASS, NEWLINE, REST, SPACE, Counts, Sizes, Texts, lines

CLASSES = (r"[\p{L}\p{N}]", r"\p{Uppercase}", r"\p{Nd}", r"\w")
"""What is asked of characters: a letter or digit, upper case, a decimal digit, part of a word as regular expressions have it."""

COUNTS = (
    "words", "lines", "upper_case_lines", "numeric_lines", "counter_lines", "single_word_lines", "boilerplate_lines", "edited_lines", "left"
)  # fmt: skip

_SOLID, _UPPER, _DIGIT, _WORDLIKE = (FIRST_CLASS << place for place in range(4))
_SHORT = 10  # words: only lines as short as this are searched for boilerplate
_NOUNS = tuple(
    np.frombuffer(noun, np.uint8).copy()
    for noun in b"likes shares comments retweets reposts quotes bookmarks upvotes downvotes downloads views followers".split()
)
_ITEMS, _MORE, _SIGN_IN = (np.frombuffer(phrase.encode(), np.uint8).copy() for phrase in ("items in cart", "read more...", "sign-in"))


def corrected(texts: Texts) -> Counts:
    """`COUNTS` of each text (n, len(COUNTS)); `left`: words that would be."""
    return _corrected(texts.data, texts.kinds, *lines(texts, NEWLINE, strip=False))


@kernel
def _said(data: Bytes, i: Number, stop: Number, phrase: Bytes) -> Number:
    """The bytes of the phrase (in lower case) at `i` in any case, or 0; long s and the Kelvin sign are an s and a k."""
    begin = i
    for k in range(phrase.size):
        if i >= stop:
            return 0
        byte: Number = np.int64(data[i])
        if 0x41 <= byte <= 0x5A:
            byte |= 0x20
        elif byte == 0xC5 and data[i + 1] == 0xBF:
            byte, i = 0x73, i + 1
        elif byte == 0xE2 and data[i + 1] == 0x84 and data[i + 2] == 0xAA:
            byte, i = 0x6B, i + 2
        if byte != phrase[k]:
            return 0
        i += 1
    return i - begin


@kernel
def _space(data: Bytes, kinds: Bytes, i: Number, stop: Number) -> Number:
    """The bytes of the white space of regular expressions at `i`, or 0: the separators U+001C to U+001F are none."""
    if i >= stop or not kinds[i] & SPACE or 0x1C <= data[i] <= 0x1F:
        return 0
    end = i + 1
    while end < stop and kinds[end] & REST:
        end += 1
    return end - i


@kernel
def _is_counter(data: Bytes, kinds: Bytes, i: Number, stop: Number) -> bool:
    r"""Whether the line is ^\W*\d[\d.,]*[kmb]?\s+(nouns)\W*$ in any case."""
    while i < stop and not kinds[i] & _WORDLIKE:
        i += 1
    if i == stop or not kinds[i] & _DIGIT:
        return False
    while i < stop and (kinds[i] & (_DIGIT | REST) or data[i] == 0x2E or data[i] == 0x2C):
        i += 1
    if i < stop and (data[i] | 0x20 == 0x6B or data[i] | 0x20 == 0x6D or data[i] | 0x20 == 0x62):
        i += 1
    elif i + 3 <= stop and data[i] == 0xE2 and data[i + 1] == 0x84 and data[i + 2] == 0xAA:
        i += 3
    begin = i
    while _space(data, kinds, i, stop):
        i += _space(data, kinds, i, stop)
    if i == begin:
        return False
    for noun in _NOUNS:
        size = _said(data, i, stop, noun)
        if size:
            i += size
            while i < stop and not kinds[i] & _WORDLIKE:
                i += 1
            return bool(i == stop)
    return False


@kernel
def _edited(data: Bytes, kinds: Bytes, start: Number, stop: Number, out: Bytes, out_kinds: Bytes) -> tuple[Number, Number]:
    """Write what is left of the line without boilerplate, and return where it begins and ends."""
    i, size = start, 0
    while i < stop:
        space = _space(data, kinds, i, stop)
        items = _said(data, i + space, stop, _ITEMS)
        if items:
            i += space + items
            continue
        out[size], out_kinds[size] = data[i], kinds[i]
        size += 1
        i += 1
    end = size - _MORE.size
    if end >= 0 and _said(out, end, size, _MORE):
        size = end
        while end > 0 and out_kinds[end - 1] & REST:
            end -= 1
        if end > 0 and _space(out, out_kinds, end - 1, size):
            size = end - 1
    begin = _said(out, 0, size, _SIGN_IN)
    if begin:
        begin += _space(out, out_kinds, begin, size)
    return begin, size


@kernel
def _solid_words(kinds: Bytes, start: Number, stop: Number) -> Number:
    """How many words have a letter or digit."""
    found, fresh = 0, True
    for i in range(start, stop):
        if kinds[i] & SPACE:
            fresh = True
        elif fresh and kinds[i] & _SOLID:
            found += 1
            fresh = False
    return found


@kernel
def _may_be_edited(data: Bytes, start: Number, stop: Number) -> bool:
    """Whether the line ends in a full stop, begins like Sign-in, or has the middle of "items"."""
    if data[stop - 1] == 0x2E or data[start] | 0x20 == 0x73 or data[start] == 0xC5:
        return True
    for i in range(start + 1, stop):  # noqa: SIM110  no generator compiles
        if data[i] | 0x20 == 0x6D and data[i - 1] | 0x20 == 0x65:
            return True
    return False


@kernel
def _corrected(
    data: Bytes,
    kinds: Bytes,
    starts: Counts,
    stops: Counts,
    words: Sizes,
    chars: Sizes,
    unions: Bytes,
    firsts: Counts,
) -> Counts:
    found, longest = np.zeros((firsts.size - 1, 9), np.int64), np.int64(0)
    for line in range(starts.size):
        if words[line] <= _SHORT:
            longest = max(longest, stops[line] - starts[line])
    out, out_kinds = np.empty(longest + 1, np.uint8), np.empty(longest + 1, np.uint8)
    for row in range(firsts.size - 1):
        for line in range(firsts[row], firsts[row + 1]):
            start, stop = starts[line], stops[line]
            if words[line] == 0:
                continue
            solid = _solid_words(kinds, start, stop)
            found[row, 0] += solid
            found[row, 1] += 1
            upper, digits = 0, 0
            if unions[line] & (_UPPER | _DIGIT):
                for i in range(start, stop):
                    upper += kinds[i] & _UPPER
                    digits += kinds[i] & _DIGIT
            if 2 * (upper // _UPPER) > chars[line]:
                found[row, 2] += 1
            elif digits // _DIGIT == chars[line]:
                found[row, 3] += 1
            elif digits and _is_counter(data, kinds, start, stop):
                found[row, 4] += 1
            elif words[line] < 2:
                found[row, 5] += 1
            elif words[line] <= _SHORT and _may_be_edited(data, start, stop):
                begin, end = _edited(data, kinds, start, stop, out, out_kinds)
                solid, first = _solid_words(out_kinds, begin, end), begin
                while first < end and out_kinds[first] & SPACE:
                    first += 1
                if first == end:
                    found[row, 6] += 1
                else:
                    found[row, 7] += end - begin < stop - start
                    found[row, 8] += solid
            else:
                found[row, 8] += solid
    return found
