"""What goes wrong with texts: the kinds of bad rows, how often each occurs, and how each is made."""

import base64
import functools
import random
import re
from collections.abc import Sequence

from pipelines.demo.text import web
from pipelines.demo.text.documents import Document, documents

RATES = {
    "foreign": 0.22, "boilerplate": 0.09, "licence": 0.04, "shuffled": 0.05, "noise": 0.05, "table": 0.06, "spliced": 0.03, "scanned": 0.03,
    "leaked": 0.004, "blank": 0.004,
}  # fmt: skip
"""Share of all rows, copies included; the others are `clean`. No row is of two kinds."""
COPIES = 0.20
"""Share of all rows that repeat another one, of the same kind."""
NEAR_COPIES = ("edited", "framed", "cut")

_SHORTEST, _LONGEST = 240, 900
_HEADS_SHARE = 0.05
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MISREAD = {
    "a": "o", "b": "h", "c": "e", "d": "cl", "e": "c", "f": "t", "g": "9", "h": "b", "i": "l", "l": "1", "m": "rn", "n": "ri", "o": "0",
    "q": "g", "r": "n", "s": "5", "t": "f", "u": "ii", "v": "y", "w": "vv", "y": "v", "z": "2",
}  # fmt: skip
_FRAMES = ("Last changed in {year}, revision {n}. ", "[{n}] ", "From the manual, page {n}: ", "")
_AFTER = (" (read {n} times)", " See also entry {n}.", " Archived in {year}.", "")


def kinds(rows: int, rng: random.Random) -> list[str]:
    """The kind of every row, by quota, in random order."""
    some = [kind for kind, rate in RATES.items() for _ in range(round(rate * rows))]
    every = [*some, *["clean"] * (rows - len(some))]
    return rng.sample(every, rows)


def copied(kind_of: Sequence[str], rng: random.Random) -> dict[int, int]:
    """Which rows are copies, and of which: never of a copy, of leaks none; few originals have most, by Zipf. A kind keeps an original."""
    able = [row for row, kind in enumerate(kind_of) if kind not in ("leaked", "blank")]
    chosen = rng.sample(able, round(COPIES * len(kind_of)))
    copies: dict[int, int] = {}
    for kind in sorted({kind_of[row] for row in chosen}):
        mine = sorted(row for row in chosen if kind_of[row] == kind)
        if originals := sorted({row for row in able if kind_of[row] == kind}.difference(mine)):
            few = max(1, round(_HEADS_SHARE * len(kind_of) * len(mine) / len(chosen)))
            heads = rng.sample(originals, min(len(originals), few))
            copies |= zip(mine, rng.choices(heads, [1 / rank for rank in range(1, len(heads) + 1)], k=len(mine)), strict=True)
    return copies


def near_copy(text: str, how: str, rng: random.Random) -> str:
    """The text, somewhat changed: two words replaced by their neighbours, a line around it, or its last words cut off."""
    numbers = {"n": rng.randint(2, 999), "year": rng.randint(2008, 2025)}
    words = text.split(" ")
    if how == "framed" or len(words) < 12:
        return rng.choice(_FRAMES).format(**numbers) + text + rng.choice(_AFTER[:3]).format(**numbers)
    if how == "cut":
        return " ".join(words[: -max(2, len(words) // 10)])
    for place in rng.sample(range(1, len(words)), 2):
        words[place] = words[place - 1]
    return " ".join(words)


def foreign(rng: random.Random) -> tuple[str, Document, str]:
    """Messages of a program's user interface in another language, in random order; the first one's document; the language."""
    tongues = _tongues()
    language = rng.choice(sorted(tongues))
    messages = rng.sample(tongues[language], len(tongues[language]))
    return _joined(messages, rng.randint(_SHORTEST, _LONGEST - 200), " "), messages[0], language


def boilerplate(rng: random.Random) -> str:
    """A page that speaks of nothing but itself."""
    return web.page(rng, _SHORTEST, _LONGEST - 200)


def licence(rng: random.Random) -> tuple[str, Document]:
    """Paragraphs of software licences; the first one's document."""
    paragraphs = rng.sample(documents("licence"), len(documents("licence")))
    return _joined(paragraphs, _SHORTEST, "\n\n"), paragraphs[0]


def shuffled(text: str, rng: random.Random) -> str:
    """Its words in random order."""
    words = text.split()
    return " ".join(rng.sample(words, len(words)))


def noise(rng: random.Random) -> str:
    """No language: encoded bytes, hexadecimal digits, or letters."""
    size, what = rng.randint(_SHORTEST, _LONGEST), rng.randrange(3)
    if what == 0:
        return base64.b64encode(rng.randbytes(size * 3 // 4)).decode()
    if what == 1:
        return " ".join(rng.randbytes(8).hex() for _ in range(size // 17))
    return " ".join("".join(rng.choices(_LETTERS, k=rng.randint(2, 11))) for _ in range(size // 7))


def table(rng: random.Random) -> str:
    """Rows of numbers, with or without dates and units."""
    columns, mark, dated = rng.randint(3, 7), rng.choice([" ", "\t", ", ", " | "]), rng.random() < 0.4
    lines: list[str] = []
    while sum(map(len, lines)) < _SHORTEST * 2:
        cells = [f"{rng.randint(0, 10 ** rng.randint(1, 6)) / 100:.2f}" for _ in range(columns)]
        day = [f"{rng.randint(2001, 2025)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"] if dated else [f"{len(lines):03d}"]
        lines.append(mark.join([*day, *cells]))
    return "\n".join(lines)


def spliced(one: str, other: str) -> str:
    """Sentences of one text broken off in the middle and ended by the other's: each half reads well, and together they say nothing."""
    mine, theirs = (re.split(r"(?<=\.)\s+", text) for text in (one, other))
    long = max(len(mine), len(theirs))
    return " ".join(f"{_half(mine[i % len(mine)], 0)} {_half(theirs[i % len(theirs)], 1)}" for i in range(long))[:_LONGEST]


def _half(sentence: str, which: int) -> str:
    words = sentence.split()
    middle = len(words) // 2
    return " ".join(words[middle:] if which else words[:middle])


def scanned(text: str, rng: random.Random) -> str:
    """As a poor scan is read: one letter in eight taken for one that looks like it."""
    return "".join(_MISREAD.get(letter, letter) if rng.random() < 0.125 else letter for letter in text)


@functools.cache
def _tongues() -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for message in documents("foreign"):
        found.setdefault(message.language, []).append(message)
    return found


def _joined(parts: Sequence[Document], least: int, mark: str) -> str:
    """So many of the texts, in order, that they have `least` bytes."""
    text = ""
    for part in parts:
        if len(text.encode()) >= least:
            break
        text = f"{text}{mark}{part.text[:_LONGEST]}" if text else part.text[:_LONGEST]
    return text
