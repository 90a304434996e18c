"""How people write licences: Creative Commons and other addresses and names, and the class each licence belongs to."""

import functools
import re
from collections.abc import Collection
from typing import NamedTuple

from boolean.boolean import ParseError
from license_expression import (
    ExpressionError,
    LicenseExpression,
    LicenseWithExceptionSymbol,
    Licensing,
    get_license_index,
    get_spdx_licensing,
)

CLASSES = ("public-domain", "permissive", "share-alike", "copyleft", "no-derivatives", "non-commercial", "proprietary", "unknown")
"""From the most open to the least known."""

UNKNOWN = "unknown"
ALL_RIGHTS_RESERVED, PUBLIC_DOMAIN = "LicenseRef-All-Rights-Reserved", "LicenseRef-Public-Domain"
_EXPRESSION_AT_MOST = 512  # characters; more is prose or an attack on the parser

_CC_TYPES = ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd", "sa", "nd", "nc", "nc-sa", "nc-nd")
_CC_VERSIONS = ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")
# Jurisdictions that licences up to 3.0 were ported to; 4.0 has none.
_CC_PORT = re.compile(
    r"a[rtuz]|b[egr]|c[ahlnorz]|d[ek]|e[ceg]|es|f[ir]|g[rt]|h[kru]|i[elnt]|igo|jp|kr|lu|m[ktxy]|n[loz]|p[ehlrt]|r[os]|scotland|s[egi]|t[hw]"
    r"|u[agks]|vn|za",
    re.IGNORECASE,
)
_CC_URL = re.compile(
    r"(?<![\w.-])(?:https?:/?/?)?(?:www\.)?creativecommons\.org/\s*(licen[sc]es|publicdomain)/\s*([a-z][a-z+-]*)"
    r"(?:/\s*(\d\.\d)(?=$|[/\s\"'<>#?,;)\]]|\.(?!\d)))?"
    r"(?:/(igo|scotland|[a-z]{2})(?=$|[/\s\"'<>#?.,;)\]]))?"
    r"(?:/(?:deed|legalcode)[.\w-]*)?(?:/|[?#][^\s\"'<>,;)\]]*)*",
    re.IGNORECASE,
)
_RIGHTS_URL = re.compile(
    r"(?<![\w.-])(?:https?://)?(?:www\.)?rightsstatements\.org/(?:vocab|page)/([a-z-]+)/(1\.0)/?(?:\?[^\s\"'<>]*)?", re.IGNORECASE
)
_OTHER_URL = re.compile(
    r"(?<![\w.-])(?:https?://)?(?:www\.)?"
    r"(?:opensource\.org/licenses?/|spdx\.org/licenses/|gnu\.org/licenses/(?:old-licenses/)?|(apache)\.org/licenses/)"
    r"([a-z0-9.-]+?)(?:\.html|\.txt|-license\.php)?(?=$|[/\s\"'<>#?,;)\]])/?",
    re.IGNORECASE,
)

# rightsstatements.org, version 1.0: twelve statements about copyright, none of them a licence, so none is ever open.
_RIGHTS = {
    **dict.fromkeys(("InC", "InC-OW-EU", "InC-EDU", "InC-RUU", "NoC-CR", "NoC-OKLR"), "proprietary"),
    **dict.fromkeys(("InC-NC", "NoC-NC"), "non-commercial"),
    **dict.fromkeys(("NoC-US", "CNE", "UND", "NKC"), UNKNOWN),
}

_RESERVED = re.compile(
    r"\b(?:all rights? reserved|alle rechte vorbehalten|tous droits r[ée]serv[ée]s|todos los derechos reservados|tutti i diritti riservati"
    r"|alle rechten voorbehouden|todos os direitos reservados|все права защищены)\b",
    re.IGNORECASE,
)

# What the field's writers call licences, in the words `_plain` leaves. A family named without its version is a LicenseRef.
_NAMES = {
    "mit": "MIT", "expat": "MIT", "isc": "ISC", "zlib": "Zlib", "unlicense": "Unlicense", "wtfpl": "WTFPL",
    "apache": "LicenseRef-Apache", "apache 2": "Apache-2.0", "apache 2.0": "Apache-2.0",
    "bsd": "LicenseRef-BSD", "bsd 2 clause": "BSD-2-Clause", "bsd 3 clause": "BSD-3-Clause", "new bsd": "BSD-3-Clause",
    "mpl": "LicenseRef-MPL", "mpl 2.0": "MPL-2.0", "mozilla 2.0": "MPL-2.0",
    "odc by": "ODC-By-1.0", "odbl": "ODbL-1.0", "odc odbl": "ODbL-1.0", "pddl": "PDDL-1.0", "odc pddl": "PDDL-1.0",
    "open government 3.0": "OGL-UK-3.0", "ogl 3.0": "OGL-UK-3.0",
    "gfdl": "LicenseRef-GFDL", "gnu free documentation": "LicenseRef-GFDL",
    "public domain": PUBLIC_DOMAIN, "pd": PUBLIC_DOMAIN, "public domain mark": "CC-PDM-1.0", "public domain mark 1.0": "CC-PDM-1.0",
    "proprietary": "LicenseRef-Proprietary", "copyrighted": ALL_RIGHTS_RESERVED, "commercial": "LicenseRef-Proprietary",
}  # fmt: skip
_FAMILIES = {
    "LicenseRef-Apache": "permissive", "LicenseRef-BSD": "permissive", "LicenseRef-MPL": "copyleft", "LicenseRef-GFDL": "copyleft",
    "LicenseRef-Proprietary": "proprietary", ALL_RIGHTS_RESERVED: "proprietary", PUBLIC_DOMAIN: "public-domain",
    **{f"LicenseRef-RS-{code}-1.0": kind for code, kind in _RIGHTS.items()},
}  # fmt: skip
_SHARE_ALIKE = ("CC-BY-SA-", "CC-SA-", "ODbL-", "CDLA-Sharing-")
_CATEGORIES = {
    "Public Domain": "public-domain",
    "Permissive": "permissive",
    "Copyleft": "copyleft",
    "Copyleft Limited": "copyleft",
    "Source-available": "proprietary",
    "Proprietary Free": "proprietary",
    "Free Restricted": "proprietary",
    "Commercial": "proprietary",
}

_NOTICE = re.compile(r"\s*(?:©|\(c\)|copyright\b)", re.IGNORECASE)
_GNU = re.compile(r"(?:gnu )?(a|l)?gpl(?: ?(\d(?:\.\d)?))?( or later| only|\+)?")
_CC_NAME = re.compile(r"cc ?((?:by|nc|nd|sa)(?: ?(?:by|nc|nd|sa))*)(?: ?(\d(?:\.\d)?))?(?: (igo|scotland|[a-z]{2}))?")
_CC_ZERO = re.compile(r"cc ?(?:0|zero)(?: 1(?:\.0)?)?")
_SPELLINGS = [
    (re.compile(pattern), short)
    for pattern, short in (
        (r"creative ?commons", "cc"), (r"non ?commercial", "nc"), (r"no ?deriv(?:ative)?s?(?: works?)?", "nd"), (r"share ?alike", "sa"),
        (r"^attribution\b", "cc by"), (r"\battribution\b", "by"), (r"public domain dedication", "cc0"),
        (r"(?:gnu )?affero general public", "agpl"), (r"(?:gnu )?(?:lesser|library) general public", "lgpl"),
        (r"(?:gnu )?general public", "gpl"), (r"\bv(?:ersion)? ?(?=\d)", ""), (r"(gpl)v?(?=\d)", r"\1 "),
        (r"\b(?:licen[sc]e[ds]?|the|an?|this|image|photo|picture|work|file|text|content|is|are|under|terms|of|deed|legal ?code"
         r"|via wikimedia commons|international|unported|generic|universal|public(?! domain))\b", ""),
    )
]  # fmt: skip


class Found(NamedTuple):
    """A licence somebody named: its SPDX expression (LicenseRef- where SPDX has none), its class, and `how` it was recognised."""

    expression: str
    kind: str
    how: str


def addresses(text: str) -> tuple[list[Found], str]:
    """The licences that addresses and reservations of rights in a text name, and the text without them."""
    found: list[Found] = []
    for pattern, read in ((_CC_URL, _cc_address), (_RIGHTS_URL, _rights_address), (_OTHER_URL, _other_address)):
        for match in pattern.finditer(text):
            one = read(match)
            if one:
                found.append(one)
        text = pattern.sub(lambda match, read=read: " ; " if read(match) else match[0], text)  # type: ignore[misc]
    if _RESERVED.search(text):
        found.append(Found(ALL_RIGHTS_RESERVED, "proprietary", "notice"))
        text = _RESERVED.sub(" ; ", text)
    return found, text


def expression(text: str) -> Found | None:
    """The text as an SPDX licence expression, or None. Of OR the more open side counts, of AND the less open one; WITH changes nothing."""
    text = text.strip()
    if not text or len(text) > _EXPRESSION_AT_MOST:
        return None
    try:
        parsed = _licensing().parse(text, strict=True)
        strange = [key for key in _licensing().unknown_license_keys(parsed) if not key.startswith("LicenseRef-")]
    except (ExpressionError, ParseError, AttributeError, IndexError, TypeError):
        return None  # the parser trips over operators without operands: those last three are its own faults
    return None if parsed is None or strange else Found(parsed.render(), _class_of(parsed), "expression")


def name(text: str) -> Found | None:
    """The text as one licence's name, or None; empty words around it (`licensed under the ...`) count for nothing."""
    words = "" if _NOTICE.match(text) else _plain(text)
    if _CC_ZERO.fullmatch(words):
        return Found("CC0-1.0", "public-domain", "name")
    if match := _CC_NAME.fullmatch(words):
        return _cc(match[1].replace(" ", "-"), match[2], match[3], "name")
    if match := _GNU.fullmatch(words):
        kind, version, later = match[1] or "", match[2], match[3]
        number = None if version is None else version if "." in version else f"{version}.0"
        ending = "or-later" if later in (" or later", "+") else "only"
        return expression(f"{kind}GPL-{number}-{ending}") if number else Found(f"LicenseRef-{kind.upper()}GPL", "copyleft", "name")
    known = _NAMES.get(words)
    return Found(known, _class_of_key(known), "name") if known else None


def empty(text: str) -> bool:
    """Whether nothing is left to understand: no words, the name Creative Commons alone, or a copyright notice that grants nothing."""
    return _plain(text) in ("", "cc") or _NOTICE.match(text) is not None


def _plain(text: str) -> str:
    words = " ".join(re.findall(r"[^\W_]+(?:\.\d+)*\+?", text.casefold()))
    for pattern, short in _SPELLINGS:
        words = pattern.sub(short, words)
    return " ".join(words.split())


def _cc_address(match: re.Match[str]) -> Found | None:
    where, kind, version, port = match[1].lower(), match[2].lower(), match[3], match[4]
    if where == "publicdomain":
        made = {"zero": "CC0-1.0", "mark": "CC-PDM-1.0", "certification": "CC-PDDC"}.get(kind)
        return Found(made, "public-domain", "creative commons address") if made else None
    if kind == "publicdomain":
        return Found("CC-PDDC", "public-domain", "creative commons address")
    return _cc(kind, version, port, "creative commons address")


def _rights_address(match: re.Match[str]) -> Found | None:
    code = {known.lower(): known for known in _RIGHTS}.get(match[1].lower())
    return Found(f"LicenseRef-RS-{code}-{match[2]}", _RIGHTS[code], "rights statement") if code else None


def _other_address(match: re.Match[str]) -> Found | None:
    found = name(f"apache {match[2]}") if match[1] else expression(match[2]) or name(match[2])
    return found._replace(how="address") if found else None


def _cc(kind: str, version: str | None, port: str | None, how: str) -> Found | None:
    """A Creative Commons licence of parts in any order; None where no such licence was ever published."""
    parts: list[str] = [part for part in ("by", "nc", "nd", "sa") if part in kind.split("-")]
    number = version if version is None or "." in version else f"{version}.0"
    if len(parts) != len(kind.split("-")) or "-".join(parts) not in _CC_TYPES or (number and number not in _CC_VERSIONS):
        return None
    if port and (number in (None, "4.0") or not _CC_PORT.fullmatch(port)):
        return None
    made = "-".join(["CC", *parts, *([number] if number else []), *([port] if port else [])]).upper()
    known = made if made in _licensing().known_symbols else f"LicenseRef-{made}"
    return Found(known, _cc_class(parts), how)


def _cc_class(parts: Collection[str]) -> str:
    order = {"nc": "non-commercial", "nd": "no-derivatives", "sa": "share-alike"}
    return next((kind for part, kind in order.items() if part in parts), "permissive")


def _class_of(parsed: LicenseExpression) -> str:
    """The class of a parsed expression."""
    if isinstance(parsed, LicenseWithExceptionSymbol):
        return _class_of(parsed.license_symbol)
    if parsed.isliteral:
        return _class_of_key(parsed.key)
    classes = [_class_of(part) for part in parsed.args]
    choose = min if isinstance(parsed, _licensing().OR) else max
    return choose(classes, key=CLASSES.index)


def _class_of_key(key: str) -> str:
    bare = key.removeprefix("LicenseRef-").upper()
    parts = bare.split("-")
    if parts[0] == "CC" and {"NC", "ND", "SA"} & set(parts):
        return _cc_class(bare.lower().split("-"))
    if key.startswith(_SHARE_ALIKE):
        return "share-alike"
    if "NONCOMMERCIAL" in bare.replace("-", ""):
        return "non-commercial"
    return _FAMILIES.get(key) or _CATEGORIES.get(_categories().get(key, ""), UNKNOWN)


@functools.cache
def _licensing() -> Licensing:
    return get_spdx_licensing()


@functools.cache
def _categories() -> dict[str, str]:
    """SPDX identifier to the category ScanCode's licence list gives it, shipped with license-expression."""
    found: dict[str, str] = {}
    for licence in get_license_index():
        for key in (licence.get("spdx_license_key"), *licence.get("other_spdx_license_keys", [])):
            if key:
                found.setdefault(key, licence["category"])
    return found
