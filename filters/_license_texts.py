"""Licences recognised in running text: whole licence texts, grants at the head of files, statements like `licensed under`."""

import functools
import re

from filters._license_addresses import addresses
from filters._license_phrases import (
    ALTERNATIVELY,
    BOILERPLATE,
    CC,
    CC_ADAPTED,
    CC_CODE,
    CC_END,
    CC_PREFACE,
    CC_TERMS,
    CC_VERSION,
    CLOSED,
    DISCLAIMERS,
    GNU,
    GNU_TEXT,
    GNU_TEXT_END,
    GRANTS,
    HARMLESS,
    HYPHEN,
    LATER,
    MENTIONS,
    NEGATION,
    OF_ITSELF,
    POINTER,
    REFERENCES,
    STATEMENT,
    TAG,
    TEMPLATES,
    TITLES,
    VERSION_AFTER,
    VERSION_BEFORE,
    WORD,
    Template,
)
from filters._licenses import CLASSES, UNKNOWN, Found, compound, expression, gnu, name


def recognise(text: str) -> tuple[list[Found], bool]:
    """The licences a running text is or names, and whether nothing that grants or withholds is left over.

    `how` is `tag` for a labelled line, `text` for a whole licence text, `grant` for a standard notice, `statement` for `licensed under`,
    `pointer` for a reference to a copy of the text, `mention` for a name in passing. Of each licence the strongest is kept. The second
    answer is asked of open licences only and False beside others.
    """
    found: list[Found] = []
    for tag in TAG.finditer(text):
        one = compound(tag[1].rstrip(" */->\t"))
        if one:
            found.append(one._replace(how="tag"))
    left = " ".join(WORD.findall(HYPHEN.sub("", text.casefold())))
    for pattern in HARMLESS:
        left = re.sub(pattern, " ", left)
    alternative = ALTERNATIVELY.search(left) is not None
    left = _gnu_texts(left, found)
    left = _cc_texts(left, found)
    for template, patterns in _templates():
        if template.needs in left:
            left = _matched(left, template, patterns, found)
    left, pointers = _pointers(left)
    left = _gnu_grants(left, found)
    left = _statements(left, found)
    left = _mentions(left, found)
    known = {_family(one) for one in found}
    found += [one for one in pointers if _family(one) not in known]
    withheld = [Found(key, _kind(key), "mention") for pattern, key in CLOSED if re.search(pattern, left)]
    made = sharpest([*found, *withheld])
    if alternative and not withheld and len(made) == 2:
        either = expression(" OR ".join(f"({one.expression})" for one in made))
        made = [either._replace(how=made[0].how)] if either else made
    return made, bool(made) and all(one.kind in CLASSES[:2] and one.how != "mention" for one in made) and not unexplained(left)


def unexplained(left: str) -> list[str]:
    """The words among those left over that grant or withhold."""
    for pattern in (*DISCLAIMERS, *BOILERPLATE, TITLES):
        left = re.sub(pattern, " ", left)
    return re.findall(GRANTS, left)


def _gnu_texts(left: str, found: list[Found]) -> str:
    """Cut out the texts of the GNU licences. They say nothing of later versions: that is for the grant, whose model they contain."""
    kept, at = [], 0
    while match := GNU_TEXT.search(left, at):
        found.append(_gnu_named(match[1], match[2] != "general public", match[3], False, "text"))
        end = GNU_TEXT_END.search(left, match.end(), match.end() + 45_000)
        kept.append(left[at : match.start()])
        at = end.end() if end else match.end()
    return " ".join([*kept, left[at:]])


def _gnu_named(kind: str | None, free_documentation: bool, version: str | None, later: bool, how: str, bare: str = "") -> Found:
    if not free_documentation:
        made = gnu({"affero": "A", "lesser": "L", "library": "L"}.get((kind or "").strip(), (kind or "").strip()), version, later, how)
        return made or Found(f"LicenseRef-GPL-{version}", "copyleft", how)
    made = expression(f"GFDL-{version}{bare}-{'or-later' if later else 'only'}") if version else None
    return made._replace(how=how) if made else Found("LicenseRef-GFDL", "copyleft", how)


def _cc_texts(left: str, found: list[Found]) -> str:
    """Cut out Creative Commons' legal code, whose kind its own terms tell, and names: all are read, so that no NC, ND or SA is lost."""
    while start := CC_CODE.search(left):
        end = CC_END.search(left, start.end(), start.end() + 30_000)
        code = left[start.end() : end.end() if end else start.end() + 20_000]
        parts = ["by", *(part for part, pattern in CC_TERMS if re.search(pattern, code))]
        parts += [] if re.search(CC_ADAPTED, code) else ["nd"]
        one = name(f"cc {' '.join(dict.fromkeys(parts))} {'4.0' if 'licensed rights' in start[0] else ''}")
        found.append(one._replace(how="text") if one else Found("LicenseRef-CC", UNKNOWN, "text"))
        left = f"{CC_PREFACE.sub('', left[: start.start()])} {left[end.end() if end else start.end() :]}"
    made, at = "", 0
    for match in CC.finditer(left):
        version = CC_VERSION.search(match[0])
        one = name(f"cc {match[1] or match[3]} {version[0] if version else ''}")
        if one is None:
            continue
        found.append(one._replace(how="statement" if _stated(left[max(0, match.start() - 120) : match.start()]) else "mention"))
        made, at = f"{made}{left[at : match.start()]} ", match.end()
    return made + left[at:]


@functools.cache
def _templates() -> tuple[tuple[Template, tuple[re.Pattern[str], ...]], ...]:
    return tuple((template, tuple(re.compile(part) for part in template.parts)) for template in TEMPLATES)


def _matched(left: str, template: Template, patterns: tuple[re.Pattern[str], ...], found: list[Found]) -> str:
    """Cut out each place where the template stands."""
    kept, kept_to, at = [], 0, 0
    while first := patterns[0].search(left, at):
        spans = [first.span()]
        for pattern in patterns[1:]:
            match = pattern.search(left, spans[-1][1], spans[-1][1] + template.gap + 2000)
            if match is None or match.start() - spans[-1][1] > template.gap:
                break
            spans.append(match.span())
        if len(spans) < len(patterns):
            at = first.end()
            continue
        found.append(Found(template.key, _kind(template.key), "text" if len(patterns) > 1 else "grant"))
        if template.whole:
            spans = [(spans[0][0], spans[-1][1])]
        for start, end in spans:
            kept.append(left[kept_to:start])
            kept_to = at = end
    return " ; ".join([*kept, left[kept_to:]])


def _pointers(left: str) -> tuple[str, list[Found]]:
    """Cut out the references to Debian's copies of licences, and say which they name."""
    found = []
    for match in POINTER.finditer(left):
        family, version = match[1] or match[3], match[2] or match[4]
        words = f"{family} {version or ''}".strip()
        one = name({"apache": f"apache {version or ''}", "cc0": "cc0", "artistic": "artistic 1"}.get(family, words))
        if one:
            found.append(one._replace(how="pointer"))
    return POINTER.sub(" ", left), found


def _gnu_grants(left: str, found: list[Found]) -> str:
    """Every mention of a GNU licence, with the version and `or later` that its neighbourhood gives it."""
    calmed = REFERENCES.sub(" ", left)
    if not GNU.search(calmed):
        calmed = left
    mentions = list(GNU.finditer(calmed))
    bare = "-no-invariants" if "no invariant sections" in left and "no front cover texts" in left else ""
    for i, match in enumerate(mentions):
        until = min(mentions[i + 1].start() if i + 1 < len(mentions) else len(calmed), match.end() + 160)
        after, before = calmed[match.end() : until], calmed[max(0, match.start() - 90) : match.start()]
        version, later = None, False
        if number := VERSION_AFTER.match(after):
            version = number[1] or number[2]
            later = LATER.search(after[number.end() : number.end() + 60]) is not None or after[number.end() : number.end() + 1] == "+"
        elif number := VERSION_BEFORE.search(before):
            version, later = number[1], LATER.search(number[2]) is not None
        kind, documents = match[1] or match[3], (match[2] == "free documentation" or match[4] == "gfdl")
        granted = version is not None and NEGATION.search(before[-40:]) is None
        found.append(_gnu_named(kind, documents, version, later, "grant" if granted else "mention", bare))
    return GNU.sub(" ", calmed)


def _family(one: Found) -> str:
    """The GNU licences are one: whichever of them a notice names, the reference is to a copy of it."""
    stem = one.expression.removeprefix("LicenseRef-").split("-")[0]
    return "GPL" if stem in ("LGPL", "AGPL") else stem


def _statements(left: str, found: list[Found]) -> str:
    """`Licensed under the X`: the longest words after it that name licences."""
    kept, kept_to, at = [], 0, 0
    while match := STATEMENT.search(left, at):
        at = match.end()
        words = left[at : at + 120].split(" ")[:12]
        denied = NEGATION.search(left[max(0, match.start() - 60) : match.start()]) is not None
        for length in range(len(words), 0, -1):
            one = compound(" ".join(words[:length]))
            if one:
                found.append(one._replace(how="mention" if denied else "statement"))
                kept.append(left[kept_to : match.start()])
                kept_to = at = match.end() + len(" ".join(words[:length]))
                break
    return " ; ".join([*kept, left[kept_to:]])


def _stated(before: str) -> bool:
    """Whether words end in `licensed under` or the like, and not in a denial of it."""
    said = list(STATEMENT.finditer(before))
    return bool(said) and len(before) - said[-1].end() < 40 and not NEGATION.search(before[: said[-1].start()])


def _mentions(left: str, found: list[Found]) -> str:
    """Licences that ask for something in return, and dedications to the public domain, wherever they are named."""
    for needs, pattern, key, how in MENTIONS:
        match = re.search(pattern, left) if needs in left else None
        if match:
            denied = how == "statement" and NEGATION.search(left[max(0, match.start() - 50) : match.start()])
            found.append(Found(key, _kind(key), "mention" if denied else how))
            left = re.sub(pattern, " ", left)
    return left


def sharpest(found: list[Found], ordered: bool = False) -> list[Found]:
    """Each licence once, as its strongest kind of evidence, or if they come ordered as its first; one without its number or its exception
    gives way to the same with it."""
    once: dict[str, Found] = {}
    for one in found if ordered else sorted(found, key=_rank):
        once.setdefault(one.expression, one)
    if any(one.kind in ("share-alike", "copyleft") for key, one in once.items() if key != "LicenseRef-Copyleft"):
        once.pop("LicenseRef-Copyleft", None)
    for one in list(once.values()):
        stem = re.sub(r"^LicenseRef-|-only$", "", one.expression)
        number = re.compile(rf"(?:LicenseRef-)?{re.escape(stem)}(?:-\d| WITH |-or-later)")
        exact = [other for other in once.values() if other is not one and number.match(other.expression)]
        if exact:
            del once[one.expression]
        for other in exact:
            once[other.expression] = min(other, other._replace(how=one.how), key=_rank)
    return list(once.values())


def own_words(text: str) -> list[Found]:
    """The licences that a document says it is under itself: texts, standard notices and labelled lines in it, and sentences that begin with
    `this work`, `our`, `all content` and the like. What it says of others' is not read."""
    found = [one for one in recognise(text)[0] if one.how in ("tag", "text", "grant")]
    if "published by the free software foundation" not in " ".join(text.casefold().split()):
        found = [one for one in found if one.how != "grant" or not re.match(r"(?:LicenseRef-)?(?:A|L)?GPL|GFDL", one.expression)]
    for sentence in OF_ITSELF.finditer(text):
        said, rest = addresses(sentence[0])
        named = [one for one in recognise(rest)[0] if one.how == "statement"]
        if not NEGATION.search(sentence[0].casefold()[: sentence.start(1) - sentence.start()] + " "):
            found += [*said, *named]
    return sharpest(found)


_TRUST = (
    "expression",
    "creative commons address",
    "rights statement",
    "address",
    "name",
    "tag",
    "text",
    "grant",
    "statement",
    "notice",
    "pointer",
    "mention",
)


def _rank(one: Found) -> int:
    return _TRUST.index(one.how)


def _kind(key: str) -> str:
    one = expression(key)
    return one.kind if one else UNKNOWN
