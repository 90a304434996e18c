"""Personal data in texts: what is counted, and what takes its place when it is taken out."""

import functools

import numpy as np
import polars as pl

from filters import _pii_kernel as kernel
from filters._buffers import Bytes, flat
from filters._pii_kernel import Integers

PLACEHOLDERS = {
    kernel.EMAIL: "email@example.com",  # RFC 2606
    kernel.PUBLIC_V4: "192.0.2.1",  # RFC 5737
    kernel.PUBLIC_V6: "2001:db8::1",  # RFC 3849
    kernel.PHONE: "<PHONE>",
    kernel.CARD: "<CARD>",
    kernel.IBAN: "<IBAN>",
}
COLUMNS = {
    "emails": (kernel.EMAIL,),
    "public_ips": (kernel.PUBLIC_V4, kernel.PUBLIC_V6),
    "private_ips": (kernel.PRIVATE,),
    "phones": (kernel.PHONE,),
    "cards": (kernel.CARD,),
    "ibans": (kernel.IBAN,),
}
_RESERVED = ("example.com", "example.net", "example.org", "example", "test", "invalid", "localhost")  # RFC 2606
# ISO 13616: how many characters an account's number has, by country.
_IBANS = """AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22
GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22
MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29
VA22 VG24 XK20"""


def found(texts: pl.Series) -> Integers:
    """(spans, 4): row, start and stop in bytes of all texts one after the other, and kind; those that count, from left to right."""
    data, offsets = flat(texts)
    kinds, reserved, marks, ibans = _tables()
    every = kernel.spans(data, offsets, kinds, reserved, marks, ibans)
    counting: Integers = every[every[:, 3] != kernel.NOTHING]
    return counting


def counts(texts: pl.Series) -> pl.DataFrame:
    """How many spans of each of `COLUMNS` each text has, UInt32; null where null."""
    spans, there = found(texts), texts.is_not_null()
    columns = {}
    for name, kinds in COLUMNS.items():
        rows = spans[np.isin(spans[:, 3], kinds), 0]
        columns[name] = pl.Series(np.bincount(rows, minlength=len(texts)), dtype=pl.UInt32)
    return pl.DataFrame(columns).select(pl.when(there).then(pl.col(name)).alias(name) for name in COLUMNS)


def redacted(texts: pl.Series) -> tuple[pl.Series, dict[str, int]]:
    """The texts with every span that has one of `PLACEHOLDERS` in its place, and how many of each of `COLUMNS` were.

    Private addresses stay. Nothing of what is taken out can be found again in what is left.
    """
    data, offsets = flat(texts)
    spans = found(texts)
    spans = spans[np.isin(spans[:, 3], list(PLACEHOLDERS))]
    rows, firsts = np.unique(spans[:, 0], return_index=True)
    changed = []
    for row, mine in zip(rows.tolist(), np.split(spans, firsts[1:]), strict=True) if rows.size else ():
        pieces, at = [], offsets[row]
        for _, start, stop, kind in mine.tolist():
            pieces += [data[at:start].tobytes(), PLACEHOLDERS[kind].encode()]
            at = stop
        changed.append(b"".join([*pieces, data[at : offsets[row + 1]].tobytes()]).decode())
    totals = {name: int(np.isin(spans[:, 3], kinds).sum()) for name, kinds in COLUMNS.items() if set(kinds) & set(PLACEHOLDERS)}
    return texts.clone().scatter(rows, pl.Series(changed, dtype=pl.String)), totals  # which changes the series it is called on


@functools.cache
def _tables() -> tuple[Bytes, tuple[Bytes, ...], tuple[Bytes, ...], Integers]:
    kinds = np.zeros(256, np.uint8)
    digits, upper, lower = b"0123456789", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz"
    letters = digits + upper + lower
    for kind, characters in (
        (kernel.DIGIT, digits),
        (kernel.UPPER, upper),
        (kernel.LOWER, lower),
        (kernel.HEX, digits + b"ABCDEFabcdef"),
        (kernel.LOCAL, letters + b".!#$%&'*+/=?^_`{|}~-"),  # RFC 5322, 3.2.3
        (kernel.DOMAIN, letters + b".-"),
        (kernel.START, digits + b"@<:+("),
    ):
        kinds[list(characters)] |= kind
    ibans = np.zeros(26 * 26, np.int64)
    for entry in _IBANS.split():
        ibans[26 * (ord(entry[0]) - 65) + ord(entry[1]) - 65] = int(entry[2:])
    marks = tuple(_bytes(text) for text in PLACEHOLDERS.values() if text.startswith("<"))
    return kinds, tuple(_bytes(name) for name in _RESERVED), marks, ibans


def _bytes(text: str) -> Bytes:
    return np.frombuffer(text.encode(), np.uint8)
