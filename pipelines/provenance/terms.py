"""What a licence asks of whoever passes a work on: the table licences.yaml, and how SPDX expressions are read by it."""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from curate.shape import Strict, validated
from curate.yaml_source import read

TABLE = Path(__file__).parent / "licences.yaml"
CC = re.compile(r"(?:LicenseRef-)?CC-((?:BY|NC|ND|SA)(?:-(?:BY|NC|ND|SA))*)(?:-(\d\.\d))?(?:-([A-Z]+))?")
_CC_FIRST, _CC_NOW = "1.0", "4.0"
_CC_VERSIONS = ("2.0", "2.1", "2.5", "3.0", "4.0")  # that allow their later versions
_SPDX = "https://spdx.org/licenses/"
_DEEDS = "https://creativecommons.org/"
_MARKS = {"CC0-1.0": "publicdomain/zero/1.0/", "CC-PDM-1.0": "publicdomain/mark/1.0/", "CC-PDDC": "publicdomain/certification/1.0/us/"}

Asks = dict[str, str]


class _Entry(Strict):
    ids: list[str]
    asks: Asks
    source: str


class _Element(Strict):
    now: Asks
    before: Asks


class _Into(Strict):
    licences: list[str]
    source: str


class Pair(Strict):
    """Two licences, by pattern, whose terms cannot be met at once in one work."""

    one: list[str]
    other: list[str]
    why: str
    source: str


class Table(Strict):
    """licences.yaml."""

    obligations: dict[str, str]
    creative_commons: Annotated[dict[str, _Element], Field(alias="creative-commons")]
    licences: list[_Entry]
    into: dict[str, _Into]
    pairs: list[Pair]


class Asked(NamedTuple):
    """An obligation, where the licence says it, and where the licence is."""

    obligation: str
    where: str
    source: str


class Read(NamedTuple):
    """An expression as read: the licences that bind, the lightest alternative of each OR, and what each of them asks."""

    licences: tuple[str, ...]
    asks: Mapping[str, tuple[Asked, ...]]

    @property
    def obligations(self) -> frozenset[str]:
        """All that is asked."""
        return frozenset(one.obligation for asked in self.asks.values() for one in asked)


@functools.cache
def table() -> Table:
    """The table, read once. RecipeError names the line of a mistake in it."""
    source = read(TABLE.read_text(encoding="utf-8"), where=str(TABLE))
    return validated(Table, source.value, source.at)


@functools.cache
def asks(licence: str) -> tuple[Asked, ...]:
    """What one licence asks, by SPDX identifier or LicenseRef; `unread` where the table has no entry for it."""
    if match := CC.fullmatch(licence):
        parts, version = match[1].lower().split("-"), match[2] or _CC_NOW
        source = f"{_deed(match)}legalcode" if match[2] else f"{_DEEDS}licenses/"
        known = table().creative_commons
        elements = [known["every"], *(known[part] for part in ("by", "nc", "nd", "sa") if part in parts)]
        said = [one.now if version == _CC_NOW else one.before for one in elements]
        which = "" if match[2] else f" of {_CC_NOW}; no version is declared"
        return tuple(Asked(name, where + which, source) for each in said for name, where in each.items())
    for entry in table().licences:
        if any(fnmatchcase(licence, pattern) for pattern in entry.ids):
            return tuple(Asked(name, where, entry.source) for name, where in entry.asks.items())
    return (Asked("unread", "", address(licence) or ""),)


def address(licence: str) -> str | None:
    """Where people read the licence: Creative Commons' deed, else SPDX's page; None where only the table's own name for it exists."""
    if licence in _MARKS:
        return _DEEDS + _MARKS[licence]
    match = CC.fullmatch(licence)
    if match and match[2]:
        return _deed(match)
    return None if licence.startswith("LicenseRef-") else f"{_SPDX}{licence}.html"


def _deed(match: re.Match[str]) -> str:
    """The page of one of Creative Commons' licences; 1.0 wrote its elements in another order."""
    elements = match[1].lower().replace("nc-nd", "nd-nc") if match[2] == _CC_FIRST else match[1].lower()
    return f"{_DEEDS}licenses/{elements}/{match[2]}/{f'{match[3].lower()}/' if match[3] else ''}"


def spoken(licence: str) -> str:
    """The licence as people write it: `CC BY-SA 4.0`, else its identifier without LicenseRef-."""
    if match := CC.fullmatch(licence):
        return " ".join(part for part in ("CC", match[1], match[2], match[3]) if part)
    return {"CC0-1.0": "CC0 1.0", "CC-PDM-1.0": "Public Domain Mark 1.0"}.get(licence, licence.removeprefix("LicenseRef-"))


@functools.cache
def understood(expression: str) -> Read:
    """An SPDX expression: of AND all bind, of OR the alternative whose heaviest obligation is lightest, then that which asks least.

    Of `A WITH exception` A binds: exceptions permit, but for what a table calls no exception (LicenseRef-Commons-Clause), which binds too.
    """
    bound = _bound(_parsed(expression)) if re.search(r"[ ()]", expression) else (expression,)
    return Read(bound, {one: asks(one) for one in bound})


def holds(expression: str, leaf: Callable[[str], bool], *, of_and: Callable[[Iterable[bool]], bool]) -> bool:
    """Whether something holds of an expression, that `leaf` says of each licence: `of_and` (any or all) of AND, the other of OR.

    Of `A WITH exception` as of A; `leaf` is also asked of an expression as a whole, in its own writing.
    """
    if leaf(expression):
        return True
    return bool(re.search(r"[ ()]", expression)) and _holds(_parsed(expression), leaf, of_and)


def _holds(parsed: Any, leaf: Callable[[str], bool], of_and: Callable[[Iterable[bool]], bool]) -> bool:
    if hasattr(parsed, "license_symbol"):
        parts = [leaf(one) for one in _bound(parsed)]
        return leaf(parsed.render()) or of_and(parts)
    if parsed.isliteral:
        return leaf(parsed.key)
    chosen = (any if of_and is all else all) if _is_or(parsed) else of_and
    return chosen([_holds(part, leaf, of_and) for part in parsed.args])


def _parsed(expression: str) -> Any:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing().parse(expression)


def _bound(parsed: Any) -> tuple[str, ...]:
    if hasattr(parsed, "license_symbol"):
        withheld = parsed.exception_symbol.key
        return (parsed.license_symbol.key, withheld) if withheld == "LicenseRef-Commons-Clause" else (parsed.license_symbol.key,)
    if parsed.isliteral:
        return (parsed.key,)
    parts = [_bound(part) for part in parsed.args]
    return min(parts, key=_weight) if _is_or(parsed) else tuple(dict.fromkeys(one for part in parts for one in part))


def _is_or(parsed: Any) -> bool:
    return str(parsed.operator).strip() == "OR"


def _weight(licences: Iterable[str]) -> tuple[int, int]:
    order = list(table().obligations)
    asked = {one.obligation for licence in licences for one in asks(licence)}
    return max((order.index(name) for name in asked), default=-1), len(asked)


@functools.cache
def reachable(licence: str) -> frozenset[str] | None:
    """The licences under which adaptations may be passed on, itself among them; None where it is not share-alike of a whole work.

    A GFDL that says whether there are invariant sections is that GFDL.
    """
    licence = re.sub(r"(?<=^GFDL-\d\.\d)-(?:no-)?invariants", "", licence)
    if licence not in table().into and not ((match := CC.fullmatch(licence)) and "SA" in match[1].split("-")):
        return None
    found, waiting = {licence}, [licence]
    while waiting:
        for one in _steps(waiting.pop()):
            if one not in found:
                found.add(one)
                waiting.append(one)
    return frozenset(found)


def _steps(licence: str) -> list[str]:
    known = table().into.get(licence)
    found = list(known.licences) if known else []
    if (match := CC.fullmatch(licence)) and "SA" in match[1].split("-") and match[2] != _CC_FIRST:
        since = match[2] or _CC_VERSIONS[0]
        found += [f"CC-{match[1]}-{version}" for version in _CC_VERSIONS if version >= since]
    return found
