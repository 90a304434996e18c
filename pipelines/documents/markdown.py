"""Markdown made of what pools and people wrote: text that stays text."""

import re
import unicodedata
from collections.abc import Sequence

_SPECIAL = re.compile(r"([\\`*\[\]|~])")


def plain(text: object) -> str:
    """A text on one line without markup: HTML and Markdown do nothing in it, and invisible characters (control, bidirectional) show."""
    seen = "".join(
        one if unicodedata.category(one) not in ("Cc", "Cf", "Zl", "Zp") else " " if one in "\t\n\r" else f"U+{ord(one):04X}"
        for one in str(text)
    )
    return _SPECIAL.sub(r"\\\1", seen).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; every cell as plain text."""
    lines = [columns, ["---"] * len(columns), *[[plain(cell) for cell in row] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
