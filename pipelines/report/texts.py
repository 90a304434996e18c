"""How the page writes what it is given: numbers with their digits in columns, and texts of rows as text, whatever they hold."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup, escape

from curate.plan import POOL
from pipelines.report.rows import Card
from pipelines.report.selection import Summary
from pipelines.report.words import TITLES, several

CLASSES = {"no evidence": "none", "revoked": "restricted", "in": "kept", "near": "before", "duplicates": "before"}
ANSWERS = {"better": "better", "worse": "worse"}
_NAMED = {
    **{0x200B: "ZWSP", 0x200E: "LRM", 0x200F: "RLM", 0x061C: "ALM", 0xFEFF: "BOM", 0x2028: "LS", 0x2029: "PS", 0xAD: "SHY"},
    **{0x202A: "LRE", 0x202B: "RLE", 0x202C: "PDF", 0x202D: "LRO", 0x202E: "RLO"},
    **{0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0x7F: "DEL", 0x00: "NUL", 0x1B: "ESC"},
}
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"
)


def shown(text: object) -> Markup:
    """A text with everything in it visible: markup as text, and the characters that hide or turn text by their names (Unicode's
    abbreviations, else the number)."""
    whole, parts, start = str(text), list[str](), 0
    for found in _UNSEEN.finditer(whole):
        point = ord(found[0])
        parts += [escape(whole[start : found.start()]), Markup('<span class="ctl">{}</span>').format(_NAMED.get(point, f"U+{point:04X}"))]
        start = found.end()
    return Markup("").join([*parts, escape(whole[start:])])


def num(text: object) -> Any:
    """Numbers with a minus sign as wide as a plus."""
    changed = re.sub(r"(?<![\w.\-])-(?=\d)", "\u2212", str(text))
    return Markup(changed) if isinstance(text, Markup) else changed


def ticks(text: str) -> Markup:
    """A sentence in which what stands between backquotes is code."""
    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if place % 2 else escape(num(part)) for place, part in enumerate(parts))


def cell(value: object) -> str:
    """A value of evidence."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(num(f"{value:,}" if isinstance(value, int) else f"{value:.6g}" if isinstance(value, float) else value))


def share(part: int, whole: int | None) -> str:
    """A part in percent, such that neither a few rows become 0% nor nearly all 100%."""
    if not whole:
        return ""
    percent = 100 * part / whole
    if 0 < percent < 0.05:
        return "<0.1%"
    return ">99.9%" if 99.95 <= percent < 100 else f"{percent:.1f}%"


def deciding(card: Card) -> str:
    """Where a row is, and which stages it left at, in one line; why is in its verdicts."""
    held = [name for name in card.subsets if name != POOL]
    said = [f"in {', '.join(held)}"] if held else []
    stages: dict[str, list[str]] = {}
    for stage, kind, text in card.fate:
        if kind != "in" and text != f"{kind} by {text.rpartition(' by ')[2]}":  # else it left before
            stages.setdefault(kind, []).append(stage)
    return "; ".join([*said, *[f"{kind} at {', '.join(names)}" for kind, names in stages.items()]]) or "in no subset"


def tipped(parts: Sequence[tuple[str, int]], stage: str) -> list[tuple[str, int, str]]:
    """Parts of a bar with what each says."""
    return [(kind, rows, f"{stage}: {several(rows)} {kind}") for kind, rows in parts]


def quantiles(one: Summary) -> Markup:
    """The middle half and the median."""
    if not one.measured:
        return Markup("none")
    values = [num(f"{value:,.4g}") for value in (one.median, one.quarter, one.three_quarters)]
    return Markup("median <b>{}</b> ({} to {})").format(*values)


FILTERS: dict[str, Callable[..., Any]] = {
    "shown": shown,
    "num": num,
    "ticks": ticks,
    "cell": cell,
    "share": share,
    "several": several,
    "titled": lambda column: TITLES.get(column, column),
    "deciding": deciding,
    "tipped": tipped,
    "quantiles": quantiles,
    "count": lambda number: f"{number:,}",
    "minus": lambda text: f"\u2212{text}",
    "kind": lambda kind: CLASSES.get(kind, kind),
    "answer": lambda answer: ANSWERS.get(answer, "none"),
}
