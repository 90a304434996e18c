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

from filters._license_names import ABSENT, EXCEPTIONS, FAMILIES, NAMES

CLASSES = ("public-domain", "permissive", "share-alike", "copyleft", "no-derivatives", "non-commercial", "proprietary", "unknown")
"""From the most open to the least known."""

UNKNOWN = "unknown"
_EXPRESSION_AT_MOST = 512  # characters; more is prose or an attack on the parser

_CC_TYPES = ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd", "sa", "nd", "nc", "nc-sa", "nc-nd")
_CC_VERSIONS = ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")
# Jurisdictions that licences up to 3.0 were ported to; 4.0 has none.
_CC_PORT = re.compile(
    r"a[rtuz]|b[egr]|c[ahlnorz]|d[ek]|e[ceg]|es|f[ir]|g[rt]|h[kru]|i[elnt]|igo|jp|kr|lu|m[ktxy]|n[loz]|p[ehlrt]|r[os]|scotland|s[egi]|t[hw]"
    r"|u[agks]|vn|za",
    re.IGNORECASE,
)

# rightsstatements.org, version 1.0: twelve statements about copyright, none of them a licence, so none is ever open.
RIGHTS = {
    **dict.fromkeys(("InC", "InC-OW-EU", "InC-EDU", "InC-RUU", "NoC-CR", "NoC-OKLR"), "proprietary"),
    **dict.fromkeys(("InC-NC", "NoC-NC"), "non-commercial"),
    **dict.fromkeys(("NoC-US", "CNE", "UND", "NKC"), UNKNOWN),
}

_STATEMENTS = {f"LicenseRef-RS-{code}-1.0": kind for code, kind in RIGHTS.items()}


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
_GNU = re.compile(
    r"(?:gnu )*(a|l)?gpl(?: ?(\d(?:\.\d)?))? ?(or later|only|\+)?(?: (?:gnu )?(a|l)?gpl(?: ?(\d(?:\.\d)?))? ?(or later|only|\+)?)?"
)
_EVERYDAY = frozenset({"fair", "intel", "doc", "cube", "glide"})  # SPDX identifiers, but alone in a field ordinary words
_LATER = re.compile(
    r",? ?\b(?:or|and)\s+\(?(?:at\s+your\s+option,?\s+)?(?:any\s+)?(?:later|newer|higher|greater)(?:\s+versions?)?\)?", re.IGNORECASE
)
_LABEL = re.compile(
    r"^\s*(?:licen[cs]e\s*::(?:[^;,|\n]*::)?|(?:spdx[- ])?licen[cs]e(?:[- ](?:identifier|expression))?\s*[:=])\s*",
    re.IGNORECASE,
)
_OPERATORS = (
    (re.compile(r"\s*,\s+and\s+", re.IGNORECASE), "AND"), (re.compile(r"\s*,\s+or\s+", re.IGNORECASE), "OR"),
    (re.compile(r"\s+or\s+", re.IGNORECASE), "OR"), (re.compile(r"\s+and(?:/or)?\s+|\s*&\s*|\s+\+\s+", re.IGNORECASE), "AND"),
)  # fmt: skip
_EXCEPTION = re.compile(r"(.+?)\s+with\s+(?:the\s+)?(.+?)[\s-]+exception", re.IGNORECASE)
_EITHER = re.compile(r"^\s*(?:either|both|dual)\s+", re.IGNORECASE)
_CC_NAME = re.compile(r"cc ?((?:by|nc|nd|sa)(?: ?(?:by|nc|nd|sa))*)(?: ?(\d(?:\.\d)?))?(?: (igo|scotland|[a-z]{2}))?")
_CC_ZERO = re.compile(r"cc ?(?:0|zero)(?: 1(?:\.0)?)?")
_SPELLINGS = [
    (re.compile(pattern), short)
    for pattern, short in (
        (r"creative ?commons", "cc"), (r"non ?commercial", "nc"), (r"no ?deriv(?:ative)?s?(?: works?)?", "nd"), (r"share ?alike", "sa"),
        (r"\btwo clause\b", "2 clause"), (r"\bthr\w+ clause\b", "3 clause"), (r"^attribution\b", "cc by"), (r"\battribution\b", "by"),
        (r"public domain dedication", "cc0"), (r"\bcc cc ?0", "cc0"),
        (r"(?:gnu )?affero general public", "agpl"), (r"(?:gnu )?(?:lesser|library)(?: or (?:lesser|library))? general public", "lgpl"),
        (r"(?:gnu )?general public", "gpl"), (r"\bv(?:ers(?:ion)?)? ?(?=\d)", ""), (r"(gpl|mpl|epl|cddl|eupl)v?(?=\d)", r"\1 "),
        (r"\s?\b(?:or|and) (?:any )?(?:later|newer|higher|greater)(?: version)?s?\b", " or later"),
        (r"\b(?:licen[sc]e[ds]?|the|an?|this|image|photo|picture|work|file|text|content|is|are|under|terms|of|deed|legal ?code"
         r"|via wikimedia commons|international|unported|generic|universal|agreement|waiver|licenced|use|used|public(?! domain))\b", ""),
    )
]  # fmt: skip


class Found(NamedTuple):
    """A licence somebody named: its SPDX expression (LicenseRef- where SPDX has none), its class, and `how` it was recognised."""

    expression: str
    kind: str
    how: str


def expression(text: str) -> Found | None:
    """The text as an SPDX licence expression, or None. Of OR the more open side counts, of AND the less; exceptions open nothing."""
    text = text.strip()
    if text.casefold().removeprefix("licenseref-") in ("gpl", "lgpl", "agpl"):
        return None  # a name that an address or a grant elsewhere may give its version
    if text.casefold() in _EVERYDAY:
        return None
    first = re.split(r"[ )]", text.lstrip("( "), maxsplit=1)[0].casefold()
    if not first or len(text) > _EXPRESSION_AT_MOST or not (first in _first_words() or first.startswith("licenseref-")):
        return None
    try:
        parsed = _licensing().parse(text, strict=True)
        strange = [key for key in _licensing().unknown_license_keys(parsed) if not key.startswith("LicenseRef-")]
    except (ExpressionError, ParseError, AttributeError, IndexError, TypeError):
        return None  # the parser trips over operators without operands: those last three are its own faults
    return None if parsed is None or strange else Found(parsed.render(), _class_of(parsed), "expression")


@functools.lru_cache(4096)
def compound(text: str) -> Found | None:
    """Names joined by `or`, `and`, `with ... exception` as Debian and others write them, or None; `and` binds closer, a comma less."""
    text = _LABEL.sub("", text).strip(" .")
    one = expression(text) or name(text)
    if one or len(text) > _EXPRESSION_AT_MOST:
        return one
    made = _combined(_LATER.sub("+", text))
    one = expression(made) if made else None
    return one._replace(how="name") if one else None


def conjunction(found: Collection[Found]) -> tuple[str, str]:
    """Several licences as one: the expression that joins all by AND, never simplified, and its class."""
    alone = [one.expression for one in found]
    whole = alone[0] if len(alone) == 1 else " AND ".join(f"({each})" if " OR " in each else each for each in alone)
    return whole, max((one.kind for one in found), key=CLASSES.index)


def settled(one: Found) -> Found:
    """A GNU licence whose version nobody gave, as SPDX writes it: the licences say that any version ever published may then be chosen."""
    known = {"LicenseRef-GPL": "GPL-1.0-or-later", "LicenseRef-LGPL": "LGPL-2.0-or-later", "LicenseRef-AGPL": "AGPL-3.0-or-later"}
    return one._replace(expression=known.get(one.expression, one.expression))


def name(text: str) -> Found | None:
    """The text as one licence's name, or None; empty words around it (`licensed under the ...`) count for nothing."""
    words = "" if _NOTICE.match(text) or "?" in text else _plain(text)  # a question is no answer
    if _CC_ZERO.fullmatch(words):
        return Found("CC0-1.0", "public-domain", "name")
    if match := _CC_NAME.fullmatch(words):
        return cc(match[1].replace(" ", "-"), match[2], match[3], "name")
    if match := _GNU.fullmatch(words):
        # Said twice, as in `GNU General Public License v3 or later (GPLv3+)`: the second may be the more exact.
        kind, version, later = match.group(4, 5, 6) if match[5] and match[4] == match[1] else match.group(1, 2, 3)
        return gnu(kind or "", version, later in ("or later", "+"), "name")
    known = _known_names().get(words)
    return Found(known, _class_of_key(known), "name") if known else None


def gnu(kind: str, version: str | None, later: bool, how: str) -> Found | None:
    """A GNU licence: kind A, L or nothing. Without a version it is a LicenseRef for as long as other evidence may give it one."""
    family = f"{kind.upper()}GPL"
    if version is None:
        return Found(f"LicenseRef-{family}", "copyleft", how)
    number = version if "." in version else f"{version}.0"
    found = expression(f"{family}-{number}-{'or-later' if later else 'only'}")
    return found._replace(how=how) if found else None


def _combined(text: str, level: int = 0) -> str | None:
    """Named licences as an SPDX expression in brackets, None if one of them is not known."""
    if level == len(_OPERATORS):
        return _operand(_EITHER.sub("", text))
    pattern, operator = _OPERATORS[level]
    parts = [_combined(part, level + 1) for part in pattern.split(text)]
    if any(part is None for part in parts):
        # `and` may be a part of a name
        return _operand(text) if len(parts) > 1 else None
    return str(parts[0]) if len(parts) == 1 else f"({f' {operator} '.join(map(str, parts))})"


def _operand(text: str) -> str | None:
    if match := _EXCEPTION.fullmatch(text.strip()):
        base, known = expression(match[1]) or name(match[1]), EXCEPTIONS.get(_plain(match[2]))
        if base is None or (known is None and CLASSES.index(base.kind) < CLASSES.index("copyleft")):
            return None
        exact = expression(f"{base.expression} WITH {known}") if known and " " not in base.expression else None
        return (exact or base).expression
    one = expression(text) or name(text)
    return f"({one.expression})" if one and " " in one.expression else one and one.expression


def empty(text: str) -> bool:
    """Whether nothing is left to understand: no words, `unknown` and the like, or a copyright notice that grants nothing."""
    return _plain(text) in ABSENT or _NOTICE.match(text) is not None


def _plain(text: str) -> str:
    words = " ".join(re.findall(r"[^\W_]+(?:\.\d+)*\+?", text.casefold()))
    for pattern, short in _SPELLINGS:
        words = pattern.sub(short, words)
    return " ".join(words.split())


def cc(kind: str, version: str | None, port: str | None, how: str) -> Found | None:
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
        # What is called an exception may also withhold, as the Commons Clause does.
        added = _class_of_key(parsed.exception_symbol.key)
        return max(_class_of(parsed.license_symbol), added if added == "proprietary" else CLASSES[0], key=CLASSES.index)
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
    if bare.endswith("PROPRIETARY"):
        return "proprietary"
    return FAMILIES.get(key) or _STATEMENTS.get(key) or _CATEGORIES.get(_categories().get(key, ""), UNKNOWN)


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


@functools.cache
def _first_words() -> frozenset[str]:
    """What every expression that is understood begins with; most prose does not."""
    return frozenset(
        str(word).casefold().split(" ")[0] for each in _licensing().known_symbols.values() for word in (each.key, *each.aliases)
    )


@functools.cache
def _known_names() -> dict[str, str]:
    """Plain words to the one licence they name: the table's, and SPDX's own identifiers however they are punctuated."""
    spoken: dict[str, set[str]] = {}
    for licence in get_license_index():
        key = licence.get("spdx_license_key") or ""
        if not licence["is_exception"] and not licence["is_deprecated"] and key and not key.startswith("LicenseRef-"):
            spoken.setdefault(_plain(key), set()).add(key)
    return {words: keys.pop() for words, keys in spoken.items() if len(keys) == 1 and len(words) > 2 and words not in _EVERYDAY} | {
        words: key for key, names in NAMES.items() for words in names
    }
