"""Under which licence a row says it is: a declaration with its evidence, never legal clearance."""

import datetime
import functools
import re
from typing import NamedTuple

import polars as pl

from curate.signal import signal
from filters._license_addresses import addresses
from filters._license_pages import Page, read_headers, read_page
from filters._license_phrases import GRANTS
from filters._license_texts import own_words, recognise, sharpest
from filters._licenses import CLASSES, UNKNOWN, Found, compound, conjunction, empty, name, settled

_NAME_AT_MOST, _LIST_AT_MOST, _TEXT_AT_MOST = 400, 1000, 1_000_000  # characters: a longer field is no name, no list, nothing anybody wrote
_END_OF_TEXT = 4000  # characters at either end of a document, where a document speaks of itself
_MARKUP = re.compile(r"<\s*(?:a|link|meta|span|p|div|img)\b[^>]*>?|</\s*\w+\s*>", re.IGNORECASE)
_CLASSIFIER = re.compile(r"\blicense\s*::[^;,|\n]*", re.IGNORECASE)  # PyPI's
_COPYRIGHT = re.compile(r"\(c\)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[;|\n\r,<>()\[\]\"]+|\s/\s|\.\s|\.$")
_SLASHED = re.compile(r"(?<=\S)/(?=[A-Za-z])")
_CUES = (
    "licensed under", "license-identifier", "released under", "available under", "distributed under", "published under", "public license",
    "permission is hereby granted", "redistribution and use", "with or without fee", "creativecommons.org/", "creative commons",
    "public domain",
)  # fmt: skip

_TRUST = {
    "expression": 0.99, "creative commons address": 0.98, "rights statement": 0.98, "tag": 0.97, "address": 0.95, "name": 0.95,
    "text": 0.95,
    "grant": 0.9, "statement": 0.8, "notice": 0.7, "pointer": 0.6, "mention": 0.4,
}  # fmt: skip
_PLACES = {"field": 1.0, "rel=license": 0.95, "json-ld": 0.95, "header": 0.95, "meta": 0.9, "link": 0.6, "text": 0.6}

_WRITES = {
    "expression": pl.String(), "class": pl.Enum(CLASSES), "evidence": pl.String(), "scope": pl.String(), "confidence": pl.Float32(),
    "conflict": pl.String(), "tdm_reserved": pl.Boolean(), "tdm_policy": pl.String(), "noai": pl.Boolean(), "noimageai": pl.Boolean(),
    "observed": pl.String(),
}  # fmt: skip
_Row = tuple[str | None, str, str | None, str | None, float | None, str | None]


class _Claim(NamedTuple):
    """What one place says: its licences, whether all of it was understood, whether several are one statement, and of what it speaks."""

    found: tuple[Found, ...]
    understood: bool
    whole: bool
    place: str
    scope: str


@signal(
    version=3,
    reads=[],
    optional=["license", "license_url", "html", "headers", "text", "observed"],
    writes=_WRITES,
    uses=["license-expression"],
)
def license(batch: pl.DataFrame) -> pl.DataFrame:
    """The declared licence with its class and evidence, and what the page reserves. docs/licences.md says more.

    `expression`: SPDX 3.0, annex B, never simplified; what SPDX has no identifier for is a LicenseRef-, among them a family without its
    version (`BSD`). `GPL` alone is GPL-1.0-or-later, as SPDX and its own text have it: any version may be chosen. Several licences are
    joined by AND: who keeps all keeps each.
    `class`, from public-domain to unknown: of OR the most open part counts, of AND the least, an exception opens nothing. An open class
    needs every word that grants or withholds to be understood, a closed one is believed from a mention. Absent, not understood or denied
    is unknown, and unknown is never open. `All rights reserved` alone is proprietary: it grants nothing.
    `evidence`: `how: licence` of each, after `other words: ` if something was not understood. Read are, in this order, the fields license
    and license_url, rel=license, JSON-LD and meta tags of `html`, Link of `headers`, other links to known licences, and what `text` says
    of itself at its ends. `conflict`: the licences, where separate places or items of a list disagree; the least open decides.
    `scope`: `item` for a field or the text, `page` for HTML, headers and fields that are a piece of a page. `confidence`, 0 to 1, orders
    evidence by kind; it is no probability. Half of it for a conflict, half for other words.
    `tdm_reserved`, `tdm_policy`: TDMRep, in a meta tag or header, null where unsaid; `noai`, `noimageai`: robots directives, null where
    there was neither page nor header. `observed`: when the row was seen, ISO 8601 in UTC, null if not understood.
    """
    rows = batch.select(
        pl.col("license", "license_url", "html", "headers").cast(pl.String),
        text=_ends(pl.col("text").cast(pl.String)),
    )
    answers = {row: (*_answer(*row), *_reservations(row[2], row[3])) for row in rows.unique().rows()}
    times = batch["observed"].cast(pl.String).to_list()
    made = [(*answers[row], _time(time)) for row, time in zip(rows.rows(), times, strict=True)]
    return pl.DataFrame(made, schema=_WRITES, orient="row")


def _ends(text: pl.Expr) -> pl.Expr:
    """Both ends of a text that may speak of its own licence, null of any other."""
    ends = pl.when(text.str.len_chars() > 2 * _END_OF_TEXT).then(
        pl.concat_str(text.str.head(_END_OF_TEXT), pl.lit("\n\n"), text.str.tail(_END_OF_TEXT))
    ).otherwise(text)  # fmt: skip
    return pl.when(ends.str.contains_any(list(_CUES), ascii_case_insensitive=True)).then(ends)


def _answer(field: str | None, url: str | None, html: str | None, headers: str | None, text: str | None) -> _Row:
    claims = [_declared(value) for value in (field, url) if value]
    for source, read in ((html, read_page), (headers, read_headers)):
        if source:
            claims += [_claimed(place, value) for place, value in read(source).claims]
    if text:
        claims.append(_Claim(tuple(own_words(text)), True, True, "text", "item"))
    claims = [claim for claim in claims if claim.found or not claim.understood]
    places = {settled(one).expression: claim for claim in reversed(claims) for one in claim.found}
    named = [settled(one) for one in sharpest([one for claim in claims for one in claim.found], ordered=True)]
    if not named:
        return None, UNKNOWN, None, None, None, None
    expression, kind = conjunction(named)
    understood = all(claim.understood for claim in claims)
    if not understood and CLASSES.index(kind) < CLASSES.index("share-alike"):
        kind = UNKNOWN
    deciding = max(named, key=lambda one: CLASSES.index(one.kind))
    where = places[deciding.expression]
    conflict = len(named) > 1 and not (
        where.whole and {one.expression for one in named} <= {settled(one).expression for one in where.found}
    )
    confidence = _TRUST[deciding.how] * _PLACES[where.place] * (0.5 if conflict else 1) * (1 if understood else 0.5)
    shown = [(places[one.expression].place, one) for one in named]
    evidence = ", ".join(f"{'' if place == 'field' else f'{place}, '}{one.how}: {one.expression}" for place, one in shown)
    evidence = evidence if understood else f"other words: {evidence}"
    return expression, kind, evidence, where.scope, confidence, ", ".join(one.expression for one in named) if conflict else None


@functools.lru_cache(4096)
def _declared(text: str) -> _Claim:
    """What a field says: a name, a list of names, or a running text."""
    scope = "page" if _MARKUP.search(text[:_TEXT_AT_MOST]) else "item"
    if len(text) > _TEXT_AT_MOST:
        return _Claim((), False, True, "field", scope)
    text = _COPYRIGHT.sub("©", text)
    classifiers, rest = _CLASSIFIER.findall(text), _CLASSIFIER.sub(" ; ", text)
    if classifiers and rest.strip(" ;,|\n"):
        own, listed = _declared(rest.strip(" ;,|\n")), _declared(" ; ".join(classifiers))
        return _Claim(tuple(sharpest([*own.found, *listed.found])), own.understood and listed.understood, False, "field", scope)
    whole = compound(text) if len(text) <= _NAME_AT_MOST else None
    if whole:
        return _Claim((whole,), True, True, "field", scope)
    found, understood = _pieces(text) if len(text) <= _LIST_AT_MOST else ([], False)
    if not found and understood:
        return _Claim((), True, True, "field", scope)
    if not understood:
        more, all_of_it = recognise(text)
        reserved = [one for one in found if one.how == "notice"]
        if more:
            told = [one for one in found if one.how != "notice"]
            return _Claim(tuple(sharpest([*told, *more])), all_of_it, True, "field", scope)
        if reserved == found and re.search(GRANTS, text.casefold()):
            return _Claim((), False, True, "field", scope)  # a licence nobody knows, under a copyright line
    return _Claim(tuple(found), understood, False, "field", scope)


def _claimed(place: str, value: str) -> _Claim:
    """What a tag or header says. A link that names no known licence says nothing; anything else that is not understood makes it unknown."""
    claim = _declared(value)._replace(place=place, scope="page")
    return claim if claim.found or place != "link" else claim._replace(understood=True)


def _pieces(text: str) -> tuple[list[Found], bool]:
    """The licences named by the pieces of a field, and whether every piece was understood."""
    # An address in an attribute is kept, the tag around it is not.
    links = " ; ".join(re.findall(r"(?:href|content|resource|src)\s*=\s*[\"']?([^\"'>\s]+)", text, re.IGNORECASE))
    found, rest = addresses(f"{_MARKUP.sub(' ; ', text)} ; {links}")
    whole = name(rest)
    if whole:
        return [*found, whole], True
    understood = True
    for piece in _SEPARATORS.split(rest):
        several = [one for one in (compound(part) for part in _SLASHED.split(piece)) if one]
        one = compound(piece)
        if one:
            found.append(one)
        elif several and len(several) == len(_SLASHED.split(piece)):
            found += several
        elif not empty(piece):
            understood = False
    return found, understood


def _reservations(html: str | None, headers: str | None) -> tuple[bool | None, str | None, bool | None, bool | None]:
    pages: list[Page] = [read(source) for source, read in ((headers, read_headers), (html, read_page)) if source]
    if not pages:
        return None, None, None, None
    said = {page.reserved for page in pages} - {None}
    directives = frozenset().union(*(page.directives for page in pages))
    policy = next((page.policy for page in pages if page.policy), None)
    return (any(said) if said else None), policy, "noai" in directives, "noimageai" in directives


@functools.lru_cache(4096)
def _time(said: str | None) -> str | None:
    """A time as ISO 8601 in UTC, to the second; without a zone it is taken as UTC."""
    try:
        time = datetime.datetime.fromisoformat((said or "").strip())
        time = (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
