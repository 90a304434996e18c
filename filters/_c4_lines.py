"""The lines of pages as C4's cleaning reads them, and which of them it takes away; compiled."""

import numpy as np

from filters._buffers import Bytes, Offsets
from filters._compiled import Number, kernel, load64, zeros
from filters._texts import BREAK, FIRST_CLASS, NEWLINE, REST, SPACE, Counts, Sizes, Texts, any_of, lines

REMOVED = ("long_word", "unpunctuated", "short", "javascript", "policy")
"""Why a line goes, in the order in which it is asked."""

COUNTS = ("lines", "kept_lines", "kept_words", "kept_chars", "sentences", *REMOVED, "lorem_ipsum", "curly_bracket")

CLASSES = (r"\p{Nd}", any_of(".!?…"), r"\[", any_of("{jJvVmMkK\u212a"))
"""What is asked of characters: a digit, a mark that ends sentences, what begins a citation, what phrases are known by (the Kelvin sign is a
capital k too)."""

_DIGIT, _MARK, _OPENING, _KNOWN = FIRST_CLASS, FIRST_CLASS << 1, FIRST_CLASS << 2, FIRST_CLASS << 3
_ONES = np.uint64(0x0101010101010101)
_MARKS, _KNOWNS = np.uint64(_MARK) * _ONES, np.uint64(_KNOWN) * _ONES
_PARTING = SPACE | BREAK | NEWLINE
_LONGEST_WORD = 1000  # code points
_LONG_WORD, _UNPUNCTUATED, _SHORT, _JAVASCRIPT, _POLICY, _LOREM_IPSUM, _CURLY_BRACKET = (1 << place for place in range(7))


def _spelled(text: str) -> Bytes:
    return np.frombuffer(text.encode(), np.uint8).copy()


_EDIT, _NEEDED = _spelled("[edit]"), _spelled("[citation needed]")
_J_SCRIPT, _LOREM, _IPSUM, _TER, _S_OF_USE, _PRI, _ACY_POLICY = map(
    _spelled, ("avascript", "lore", " ipsum", "ter", "s of use", "pri", "acy policy")
)
_COO, _IE_POLICY, _IES, _USE, _USES, _USE_OF = map(_spelled, ("coo", "ie policy", "ies", "use coo", "uses coo", "use of coo"))


def c4_counts(texts: Texts, fewest_words: int, punctuation: bool) -> Counts:
    """`COUNTS` of each text (n, len(COUNTS)); `lorem_ipsum` and `curly_bracket`: on how many lines that got as far as the question.

    Raffel et al., JMLR 21 (2020) 140, section 2.2, in the order of TensorFlow Datasets' c4_utils.clean_page and of datatrove.
    """
    found, *_ = _cleaned(texts.data, texts.kinds, *lines(texts, BREAK, strip=True), (fewest_words, punctuation, False))
    return found


def c4_cleaned(texts: Texts, fewest_words: int, punctuation: bool) -> Texts:
    """What C4's cleaning leaves of each text: the kept lines without citations, joined by newlines, no white space around; else empty."""
    _, data, kinds, offsets = _cleaned(texts.data, texts.kinds, *lines(texts, BREAK, strip=True), (fewest_words, punctuation, True))
    return Texts(data, kinds, offsets)


@kernel
def _stands(data: Bytes, i: Number, stop: Number, phrase: Bytes) -> bool:
    k = 0
    while k < phrase.size and i + k < stop and data[i + k] == phrase[k]:
        k += 1
    return k == phrase.size


@kernel
def _said(data: Bytes, i: Number, stop: Number, phrase: Bytes) -> bool:
    """Whether the phrase, which is in lower case, stands at `i` in any case."""
    k = 0
    while k < phrase.size and i + k < stop and (data[i + k] | 0x20 if 0x41 <= data[i + k] <= 0x5A else data[i + k]) == phrase[k]:
        k += 1
    return k == phrase.size


@kernel
def _said_before(data: Bytes, start: Number, i: Number, stop: Number, phrase: Bytes) -> bool:
    return bool(i - phrase.size >= start) and _said(data, i - phrase.size, stop, phrase)


@kernel
def _citation(data: Bytes, kinds: Bytes, i: Number, stop: Number) -> Number:
    """The bytes of the citation mark at `i`, or 0."""
    end = i + 1
    while end < stop and kinds[end] & _DIGIT:
        end += 1
        while end < stop and kinds[end] & REST:
            end += 1
    if end < stop and data[end] == 0x5D:
        return end + 1 - i
    for phrase in (_EDIT, _NEEDED):
        if _stands(data, i, stop, phrase):
            return phrase.size
    return 0


@kernel
def _without_citations(
    data: Bytes, kinds: Bytes, start: Number, stop: Number, out: Bytes, out_kinds: Bytes
) -> tuple[np.int64, np.int64, np.int64, np.int64]:
    """Write what is left, and return its length, words, code points and kinds."""
    i, size, words, chars, union, before = start, 0, 0, 0, 0, SPACE
    while i < stop:
        kind = kinds[i]
        if kind & _OPENING:
            skipped = _citation(data, kinds, i, stop)
            if skipped:
                i += skipped
                continue
        words += before & ~kind & SPACE
        chars += not kind & REST
        union |= kind
        before = kind
        out[size], out_kinds[size] = data[i], kind
        size += 1
        i += 1
    out_kinds[size : size + 8] = 0
    return np.int64(size), np.int64(words), np.int64(chars), np.int64(union)


@kernel
def _has_a_long_word(kinds: Bytes, start: Number, stop: Number) -> bool:
    size = 0
    for i in range(start, stop):
        size = 0 if kinds[i] & SPACE else size + (not kinds[i] & REST)
        if size > _LONGEST_WORD:
            return True
    return False


@kernel
def _ended(data: Bytes, start: Number, stop: Number) -> bool:
    """With one of . ? ! and the quotation mark, but not with three dots."""
    if stop == start:
        return False
    last = data[stop - 1]
    if last == 0x2E:
        return bool(stop - start < 3 or data[stop - 2] != 0x2E or data[stop - 3] != 0x2E)
    return bool(last == 0x3F or last == 0x21 or last == 0x22)


@kernel
def _sentence_ends(data: Bytes, kinds: Bytes, start: Number, stop: Number) -> int:
    """How often marks, and closing quotes or brackets after them, stand before white space."""
    found = 0
    for first in range(start, stop, 8):
        marks = load64(kinds, first) & _MARKS
        while marks:
            i = first + np.int64(zeros(marks) >> np.uint64(3))
            marks &= marks - np.uint64(1)
            if i >= stop:
                break
            i += 3 if data[i] >= 0x80 else 1
            while i < stop:
                byte = data[i]
                if byte == 0x22 or byte == 0x27 or byte == 0x29 or byte == 0x5D:
                    i += 1
                elif byte == 0xE2 and data[i + 1] == 0x80 and (data[i + 2] == 0x99 or data[i + 2] == 0x9D):
                    i += 3
                else:
                    break
            found += 1 if i < stop and kinds[i] & SPACE else 0
    return found


@kernel
def _phrases(data: Bytes, kinds: Bytes, start: Number, stop: Number) -> int:
    """Which of the last four reasons the line gives, and whether it says lorem ipsum or has a curly bracket, as bits."""
    found = 0
    for first in range(start, stop, 8):
        known = load64(kinds, first) & _KNOWNS
        while known:
            i = first + np.int64(zeros(known) >> np.uint64(3))
            known &= known - np.uint64(1)
            if i >= stop:
                break
            byte = data[i]
            lower, after = byte | 0x20, i + 1
            if byte == 0x7B:
                found |= _CURLY_BRACKET
            elif lower == 0x6A:
                if _said(data, after, stop, _J_SCRIPT):
                    found |= _JAVASCRIPT
            elif lower == 0x6D:
                if _said(data, after, stop, _IPSUM) and _said_before(data, start, i, stop, _LOREM):
                    found |= _LOREM_IPSUM
                if _said(data, after, stop, _S_OF_USE) and _said_before(data, start, i, stop, _TER):
                    found |= _POLICY
            elif lower == 0x76:
                if _said(data, after, stop, _ACY_POLICY) and _said_before(data, start, i, stop, _PRI):
                    found |= _POLICY
            else:
                after = i + 3 if byte >= 0x80 else after
                if not _said_before(data, start, i, stop, _COO):
                    continue
                if _said(data, after, stop, _IE_POLICY):
                    found |= _POLICY
                elif _said(data, after, stop, _IES):
                    for before in (_USE, _USES, _USE_OF):
                        if _said_before(data, start, i, stop, before):
                            found |= _POLICY
    return found


@kernel
def _cleaned(
    data: Bytes,
    kinds: Bytes,
    starts: Counts,
    stops: Counts,
    words: Sizes,
    chars: Sizes,
    unions: Bytes,
    firsts: Counts,
    rules: tuple[int, bool, bool],
) -> tuple[Counts, Bytes, Bytes, Offsets]:
    """The counts of each text, and what is left of all if the last of `rules` (fewest words, punctuation, write) says so."""
    fewest, punctuation, write = rules
    found, offsets = np.zeros((firsts.size - 1, 12), np.int64), np.zeros(firsts.size, np.int64)
    left, left_kinds = np.empty(data.size + 8 if write else 8, np.uint8), np.empty(data.size + 8 if write else 8, np.uint8)
    longest, size = np.int64(0), np.int64(0)
    for line in range(starts.size):
        longest = max(longest, stops[line] - starts[line])
    line_data, line_kinds = np.empty(longest + 8, np.uint8), np.empty(longest + 8, np.uint8)
    for row in range(firsts.size - 1):
        for line in range(firsts[row], firsts[row + 1]):
            start, stop, text, text_kinds = starts[line], stops[line], data, kinds
            count, length, union = np.int64(words[line]), np.int64(chars[line]), np.int64(unions[line])
            found[row, 0] += 1
            if length > _LONGEST_WORD and _has_a_long_word(kinds, start, stop):
                found[row, 5] += 1
                continue
            if union & _OPENING:
                text, text_kinds = line_data, line_kinds
                start, (stop, count, length, union) = np.int64(0), _without_citations(data, kinds, start, stop, text, text_kinds)
            if punctuation and not _ended(text, start, stop):
                found[row, 6] += 1
                continue
            if words[line] < fewest:
                found[row, 7] += 1
                continue
            said = _phrases(text, text_kinds, start, stop) if union & _KNOWN else 0
            found[row, 10] += said & _LOREM_IPSUM != 0
            if said & _JAVASCRIPT:
                found[row, 8] += 1
                continue
            found[row, 11] += said & _CURLY_BRACKET != 0
            if said & _POLICY:
                found[row, 9] += 1
                continue
            found[row, 2] += count
            found[row, 3] += length + (found[row, 1] > 0)
            found[row, 4] += 1 + (_sentence_ends(text, text_kinds, start, stop) if union & _MARK else 0)
            found[row, 1] += 1
            if not write:
                continue
            if size > offsets[row]:
                left[size], left_kinds[size] = 0x0A, _PARTING
                size += 1
            while size == offsets[row] and start < stop and text_kinds[start] & SPACE:
                start += 1
            left[size : size + stop - start] = text[start:stop]
            left_kinds[size : size + stop - start] = text_kinds[start:stop]
            size += stop - start
        while size > offsets[row] and left_kinds[size - 1] & SPACE:
            size -= 1
        offsets[row + 1] = size
    left_kinds[size : size + 8] = 0
    return found, left[: size + 8], left_kinds[: size + 8], offsets
