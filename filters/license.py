"""Under which licence a row says it is: a declaration with its evidence, never legal clearance."""

import re

import polars as pl

from curate.signal import signal
from filters._licenses import CLASSES, UNKNOWN, Found, addresses, empty, expression, name

_CHARACTERS_AT_MOST = 4096  # a longer field is a document that names licences, not a licence
_BELIEVED_IN_PASSING = ("no-derivatives", "non-commercial", "proprietary")
_MARKUP = re.compile(r"<\s*(?:a|link|meta|span|p|div|img)\b[^>]*>?|</\s*\w+\s*>", re.IGNORECASE)
_COPYRIGHT = re.compile(r"\(c\)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[;|\n\r,<>()\[\]\"]+|\s/\s|\.\s|\.$")

_WRITES = {"expression": pl.String(), "class": pl.Enum(CLASSES), "evidence": pl.String(), "scope": pl.String()}
_Row = tuple[str | None, str, str | None, str | None]


@signal(
    version=1,
    reads=[],
    optional=["license"],
    writes=_WRITES,
    uses=["license-expression"],
)
def license(batch: pl.DataFrame) -> pl.DataFrame:
    """The declared licence: SPDX expression, class, by what it was recognised, and of what it speaks.

    Understood are SPDX expressions (SPDX 3.0, annex B; never simplified), Creative Commons addresses and names of any version and port,
    rightsstatements.org, addresses at spdx.org, opensource.org, gnu.org and apache.org, common names, and reservations of all rights.
    What SPDX has no identifier for is a LicenseRef-. `class`, from public-domain to unknown, is that of ScanCode's licence list refined
    for Creative Commons; of OR the most open part counts, of AND the least. An open class needs the whole field to be understood, a closed
    one is believed from a mention. Absent, not understood or contradictory is unknown, and unknown is never open.
    `evidence`: `how: expression` of all that was found, after `conflict: ` if they contradict each other, or `other words: ` if something
    was not understood; null if nothing was found. `scope`: `item` for a plain field, `page` for one that is a piece of a web page.
    """
    texts = batch["license"].cast(pl.String)
    answers = {text: _declared(text) for text in texts.unique().to_list()}
    return pl.DataFrame([answers[text] for text in texts.to_list()], schema=_WRITES, orient="row")


def _declared(text: str | None) -> _Row:
    if text is None or not text.strip():
        return None, UNKNOWN, None, None
    if len(text) > _CHARACTERS_AT_MOST:
        return None, UNKNOWN, f"other words: {len(text)} characters", None
    text = _COPYRIGHT.sub("©", text)
    whole = expression(text) or name(text)
    found, understood = ([whole], True) if whole else _pieces(text)
    scope = "page" if _MARKUP.search(text) else "item"
    if not found:
        return None, UNKNOWN, None, None
    named = _distinct(found)
    evidence = ", ".join(f"{one.how}: {one.expression}" for one in named)
    if len({one.expression for one in named}) > 1:
        classes = {one.kind for one in named}
        return None, classes.pop() if len(classes) == 1 and understood else UNKNOWN, f"conflict: {evidence}", scope
    one = named[0]
    if understood:
        return one.expression, one.kind, evidence, scope
    return one.expression, one.kind if one.kind in _BELIEVED_IN_PASSING else UNKNOWN, f"other words: {evidence}", scope


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
        one = expression(piece) or name(piece)
        if one:
            found.append(one)
        elif not empty(piece):
            understood = False
    return found, understood


def _distinct(found: list[Found]) -> list[Found]:
    """Each licence once; one named without its version is that which another piece names with it."""
    once = list({one.expression: one for one in reversed(found)}.values())[::-1]

    def vaguer(one: Found) -> bool:
        stem = one.expression.removeprefix("LicenseRef-")
        return any(
            other.expression != one.expression and re.match(rf"(?:LicenseRef-)?{re.escape(stem)}-\d", other.expression) for other in once
        )

    return [one for one in once if not vaguer(one)]
