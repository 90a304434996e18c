"""Where personal data stand in texts: one scan over the bytes, compiled."""

import numpy as np
import numpy.typing as npt

from filters._buffers import Bytes, Offsets
from filters._compiled import Number, kernel

Integers = npt.NDArray[np.int64]

EMAIL, PUBLIC_V4, PUBLIC_V6, PRIVATE, PHONE, CARD, IBAN, NOTHING = range(8)
"""What a span is; NOTHING is a placeholder or an example address: it takes its place and does not count."""

DIGIT, UPPER, LOWER, HEX, LOCAL, DOMAIN, START = 1, 2, 4, 8, 16, 32, 64
_LOCAL_AT_MOST, _DOMAIN_AT_MOST = 64, 255  # RFC 5321, 4.5.3.1
_PHONE_AT_LEAST, _PHONE_AT_MOST = 8, 15  # ITU-T E.164 allows 15; with the country code hardly any has fewer than 8
_CARD_AT_LEAST, _CARD_AT_MOST = 13, 19  # ISO/IEC 7812-1


@kernel
def spans(data: Bytes, offsets: Offsets, kinds: Bytes, reserved: tuple[Bytes, ...], marks: tuple[Bytes, ...], ibans: Integers) -> Integers:
    """(spans, 4): row, start and stop in `data`, and kind, from left to right, none over another; also those of NOTHING.

    `kinds`: what each byte can be part of. `reserved`: ends of domains that are examples. `marks`: the placeholders that are no address.
    `ibans`: length by country, as two letters of 26.
    """
    out = np.empty((64, 4), np.int64)
    count = 0
    start: Number
    stop: Number
    for row in range(offsets.size - 1):
        at, floor, end = offsets[row], offsets[row], offsets[row + 1]
        while at < end:
            byte = data[at]
            if not kinds[byte] & START:
                at += 1
                continue
            start, stop, kind = at, 0, NOTHING
            if byte == ord("@"):
                start, stop, kind = _email(data, at, floor, end, kinds, reserved)
            elif byte == ord("<"):
                stop = _mark(data, at, end, marks)
            elif byte == ord(":"):
                start = at - 4
                if start >= floor and _clear(data, start, floor, kinds) and (start == floor or data[start - 1] != ord(":")):
                    stop, kind = _v6(data, start, end, kinds)
            elif byte == ord("+"):
                if at == floor or not _word(data[at - 1], kinds):
                    stop, kind = _international(data, at, end, kinds), PHONE
            elif byte == ord("("):
                if at == floor or not _word(data[at - 1], kinds):
                    stop, kind = _american(data, at, end, kinds), PHONE
            elif at == floor or not kinds[data[at - 1]] & DIGIT:  # a run of digits begins
                start, stop, kind = _number(data, at, floor, end, kinds, ibans)
            if stop:
                if count == len(out):
                    grown = np.empty((2 * count, 4), np.int64)
                    grown[:count] = out
                    out = grown
                out[count, 0], out[count, 1], out[count, 2], out[count, 3] = row, start, stop, kind
                count += 1
                floor = at = stop
            else:
                at += 1
    return out[:count]


@kernel
def _number(data: Bytes, at: Number, floor: Number, end: Number, kinds: Bytes, ibans: Integers) -> tuple[Number, Number, int]:
    """Start, stop (0: none) and kind of what begins with the digits here, or two letters before them."""
    letters = at - 2
    if letters >= floor and kinds[data[at - 1]] & UPPER and kinds[data[letters]] & UPPER and _clear(data, letters, floor, kinds):
        return letters, _iban(data, letters, end, kinds, ibans), IBAN
    if not _clear(data, at, floor, kinds):
        return at, 0, NOTHING
    stop, kind = _v4(data, at, end, kinds)
    if stop:
        return at, stop, kind
    stop = _american(data, at, end, kinds)
    if stop:
        return at, stop, PHONE
    if at - 2 >= floor and data[at - 1] == ord(" ") and kinds[data[at - 2]] & DIGIT:
        return at, 0, NOTHING
    return at, _card(data, at, end, kinds), CARD


@kernel
def _word(byte: Number, kinds: Bytes) -> bool:
    return bool(byte == ord("_") or kinds[byte] & (DIGIT | UPPER | LOWER))


@kernel
def _clear(data: Bytes, at: Number, floor: Number, kinds: Bytes) -> bool:
    """Whether nothing before belongs to what begins here: no letter or digit, nor one and a dot or hyphen."""
    if at == floor:
        return True
    before = data[at - 1]
    joins = (before == ord(".") or before == ord("-")) and at - 1 > floor and _word(data[at - 2], kinds)
    return not joins and not _word(before, kinds)


@kernel
def _free(data: Bytes, stop: Number, end: Number, kinds: Bytes) -> bool:
    """Whether nothing behind belongs to what ends here: as `_clear`, and no @."""
    if stop == end:
        return True
    behind = data[stop]
    joins = (behind == ord(".") or behind == ord("-")) and stop + 1 < end and _word(data[stop + 1], kinds)
    return not joins and behind != ord("@") and not _word(behind, kinds)


@kernel
def _mark(data: Bytes, at: Number, end: Number, marks: tuple[Bytes, ...]) -> Number:
    for mark in marks:
        if at + mark.size <= end and _same(data, at, mark, 0):
            return at + mark.size
    return 0


@kernel
def _email(data: Bytes, sign: Number, floor: Number, end: Number, kinds: Bytes, reserved: tuple[Bytes, ...]) -> tuple[Number, Number, int]:
    start, stop = sign, sign + 1
    while start > floor and kinds[data[start - 1]] & LOCAL and sign - start <= _LOCAL_AT_MOST:
        start -= 1
    if sign - start > _LOCAL_AT_MOST or start == sign or data[sign - 1] == ord("."):
        return sign, 0, EMAIL
    while start < sign and not kinds[data[start]] & (DIGIT | UPPER | LOWER):
        start += 1
    while stop < end and kinds[data[stop]] & DOMAIN and stop - sign <= _DOMAIN_AT_MOST:
        if (data[stop] in (45, 46) and data[stop - 1] in (46, 64)) or (data[stop] == ord(".") and data[stop - 1] == ord("-")):
            break  # no label begins or ends with a hyphen
        stop += 1
    while data[stop - 1] == ord(".") or data[stop - 1] == ord("-"):
        stop -= 1
    label, letters = stop, 0  # the last label's
    while label > sign + 1 and data[label - 1] != ord("."):
        label -= 1
        letters += kinds[data[label]] & (UPPER | LOWER) != 0
    if start == sign or label <= sign + 1 or not letters or stop - label < 2 or not _free(data, stop, end, kinds):
        return sign, 0, EMAIL
    for name in reserved:
        before = stop - name.size
        if before > sign and (data[before - 1] == ord(".") or before == sign + 1) and _same(data, before, name, 0x20):
            return start, stop, NOTHING
    return start, stop, EMAIL


@kernel
def _same(data: Bytes, at: Number, name: Bytes, case: int) -> bool:
    """Whether the name stands here; `case` is 0x20 where it does not matter."""
    equal = 0
    for i in range(name.size):
        equal += (data[at + i] | case) == (name[i] | case)
    return equal == name.size


@kernel
def _v4(data: Bytes, at: Number, end: Number, kinds: Bytes) -> tuple[Number, int]:
    """Public is what IANA's registry of special-purpose addresses (RFC 6890) leaves; RFC 5737's examples are nothing."""
    address: Number = 0
    place = at
    for part in range(4):
        value: Number = 0
        size = 0
        while place < end and kinds[data[place]] & DIGIT and size < 4:
            value, size, place = 10 * value + data[place] - 48, size + 1, place + 1
        if not size or value > 255 or (size > 1 and data[place - size] == ord("0")):
            return 0, NOTHING
        address = address << 8 | value
        if part < 3:
            if place == end or data[place] != ord("."):
                return 0, NOTHING
            place += 1
    if not _free(data, place, end, kinds):
        return 0, NOTHING
    first, second, upper = address >> 24, address >> 16, address >> 8
    if upper in (0xC00002, 0xC63364, 0xCB0071):
        return place, NOTHING
    special = first in (0, 10, 127) or first >= 240 or second in (0xA9FE, 0xC0A8) or upper == 0xC00000
    special = special or address >> 22 == 0x191 or address >> 20 == 0xAC1 or address >> 17 == 0x6309
    return place, PRIVATE if special else PUBLIC_V4


@kernel
def _v6(data: Bytes, at: Number, end: Number, kinds: Bytes) -> tuple[Number, int]:
    """The forms of RFC 4291, 2.2, that begin with four digits and end with one; public as in `_v4`, RFC 3849's examples are nothing."""
    groups, size, gap, figures, place = 0, 0, -1, 0, at
    value: Number = 0
    first: Number = 0
    second: Number = 0
    while place < end and (kinds[data[place]] & HEX or data[place] == ord(":")):
        byte: Number = np.int64(data[place])
        if byte != ord(":"):
            digit = byte - 48 if byte < 58 else (byte | 0x20) - 87
            value, size, figures, place = value << 4 | digit, size + 1, figures + int(byte < 58), place + 1
            if size > 4:
                return 0, NOTHING
            if groups == 0:
                first = value
            elif groups == 1:
                second = value
            continue
        if size == 0:
            if gap >= 0 or data[place - 1] != ord(":"):
                return 0, NOTHING
            gap = groups
        elif groups == 0 and size < 4:
            return 0, NOTHING
        else:
            groups += 1
        size, value, place = 0, 0, place + 1
    groups += 1
    if size == 0 or not figures or (groups > 7 if gap >= 0 else groups != 8) or not _free(data, place, end, kinds):
        return 0, NOTHING
    second = 0 if gap == 1 else second
    if first == 0x2001 and second == 0xDB8:
        return place, NOTHING
    unicast = first >> 13 == 1 and first != 0x2002 and (first != 0x2001 or second >= 0x200)
    return place, PUBLIC_V6 if unicast else PRIVATE


@kernel
def _international(data: Bytes, at: Number, end: Number, kinds: Bytes) -> Number:
    """The stop of + and 8 to 15 digits, the first not 0, in groups parted by at most two of space . - / ( ); or 0."""
    place, count = at + 1, 0
    stop: Number = 0
    if place == end or data[place] == ord("0") or not kinds[data[place]] & DIGIT or _v4(data, place, end, kinds)[0]:
        return 0
    while place < end:
        while place < end and kinds[data[place]] & DIGIT:
            place, count = place + 1, count + 1
        if count > _PHONE_AT_MOST:
            break
        if count >= _PHONE_AT_LEAST and _free(data, place, end, kinds):
            stop = place
        parted = place
        while parted < end and parted < place + 2 and data[parted] in (32, 46, 45, 47, 40, 41):
            parted += 1
        if parted in (place, end) or not kinds[data[parted]] & DIGIT or _v4(data, parted, end, kinds)[0]:
            break
        place = parted
    return stop


@kernel
def _american(data: Bytes, at: Number, end: Number, kinds: Bytes) -> Number:
    """The stop of 1-NXX-NXX-XXXX or (NXX) NXX-XXXX, N from 2 to 9 (North American Numbering Plan); or 0."""
    place = at
    part: Number = 0
    if data[place] == ord("1") and place + 1 < end and data[place + 1] in (32, 45, 46):
        place += 2
    paren = place < end and data[place] == ord("(")
    place += paren
    for group in range(2):
        if place + 3 > end or data[place] < ord("2"):
            return 0
        for i in range(3):
            if not kinds[data[place + i]] & DIGIT:
                return 0
        place += 3
        if group == 0 and paren:
            if place == end or data[place] != ord(")"):
                return 0
            place += 1
            if place < end and data[place] == ord(" "):
                place += 1
        elif place < end and _parts(np.int64(data[place]), part, group):
            part, place = np.int64(data[place]), place + 1
        else:
            return 0
    if place + 4 > end:
        return 0
    for i in range(4):
        if not kinds[data[place + i]] & DIGIT:
            return 0
    return place + 4 if _free(data, place + 4, end, kinds) else 0


@kernel
def _parts(byte: Number, part: Number, group: int) -> bool:
    """Whether a dot, hyphen or space parts the groups: throughout, but that a space may stand for the first of two."""
    return byte in (45, 46, 32) if group == 0 else byte in (45, 46) and part in (0, 32, byte)


@kernel
def _card(data: Bytes, at: Number, end: Number, kinds: Bytes) -> Number:
    """The stop of a card's number, in one run or in groups as on the card with one separator throughout; or 0."""
    digits = np.empty(_CARD_AT_MOST + 1, np.int64)
    place, count, groups, size, first = at, 0, 0, 0, 0
    part: Number = 0
    stop: Number = 0
    while count <= _CARD_AT_MOST:
        if place < end and kinds[data[place]] & DIGIT:
            digits[count] = data[place] - 48
            place, count, size = place + 1, count + 1, size + 1
            continue
        groups, first = groups + 1, size if groups == 1 else first  # of the second group, 4 or 6 digits
        shaped = groups == 1 or (groups == 3 if first == 6 else groups > 3)
        if shaped and count >= _CARD_AT_LEAST and not _goes_on(data, place, end, kinds) and _issued(digits, count) and _luhn(digits, count):
            stop = place
        separates = place + 1 < end and (data[place] == ord(" ") or data[place] == ord("-")) and kinds[data[place + 1]] & DIGIT
        fours = size == 4 or (groups == 2 and size == 6)
        if not separates or not fours or groups == 5 or (groups > 1 and data[place] != part) or (groups == 3 and first == 6):
            break
        part, place, size = np.int64(data[place]), place + 1, 0
    return stop


@kernel
def _goes_on(data: Bytes, place: Number, end: Number, kinds: Bytes) -> bool:
    """Whether what ends here is part of something else, or followed by four more digits, as in a table of figures."""
    if not _free(data, place, end, kinds):
        return True
    if place == end or data[place] != ord(" "):
        return False
    more = place + 1
    while more < end and kinds[data[more]] & DIGIT:
        more += 1
    return more == place + 5 and (more == end or data[more] in (9, 10, 13, 32))


@kernel
def _luhn(digits: Integers, count: int) -> bool:
    total, equal = 0, True
    for i in range(count):
        digit = digits[count - 1 - i]
        equal = equal and digit == digits[0]
        total += digit if i % 2 == 0 else 2 * digit - 9 * (digit > 4)
    return total % 10 == 0 and not equal


@kernel
def _issued(digits: Integers, count: int) -> bool:
    """Whether an issuer in use has numbers of this beginning and length."""
    two = 10 * digits[0] + digits[1]
    four = 100 * two + 10 * digits[2] + digits[3]
    if digits[0] == 4:
        return count in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return count == 16
    if two in (34, 37):
        return count == 15
    if two in (30, 36, 38, 39):
        return count == 14
    return count >= 16 and (3528 <= four <= 3589 or digits[0] == 6)


@kernel
def _iban(data: Bytes, at: Number, end: Number, kinds: Bytes, ibans: Integers) -> Number:
    """The stop of a bank account's number, in one run or in fours; or 0. Letters count 10 to 35, and the whole is 1 modulo 97."""
    length = ibans[26 * (data[at] - 65) + data[at + 1] - 65]
    count, place = 0, at
    rest: Number = 0
    head: Number = 0
    while count < length:
        if place < end and data[place] == ord(" ") and count % 4 == 0 and count:
            place += 1
        if place >= end or not kinds[data[place]] & (DIGIT | UPPER):
            return 0
        value = np.int64(data[place]) - 48 if kinds[data[place]] & DIGIT else np.int64(data[place]) - 55
        if 2 <= count < 4 and value > 9:
            return 0
        if count < 4:
            head = head * (100 if value > 9 else 10) + value
        else:
            rest = (rest * (100 if value > 9 else 10) + value) % 97
        count, place = count + 1, place + 1
    whole = (rest * 1_000_000 + head) % 97
    return place if length and whole == 1 and _free(data, place, end, kinds) else 0
