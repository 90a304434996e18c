"""Which row of the demo's pool carries which defect, by quota: the stated rates are what the finished pool holds."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.demo.captions import FOREIGN
from pipelines.demo.pictures import BREAKAGES, NEAR_COPIES

RATES = {
    "mismatched": 0.30, "foreign": 0.30, "boilerplate": 0.13, "copies": 0.20, "tiny": 0.03, "stretched": 0.03,
    "leaked": 0.01, "miscounted": 0.03, "broken": 0.005, "captionless": 0.003,
}  # fmt: skip

_HEADS_SHARE = 0.05


@dataclass
class Plan:
    """Per row: what is wrong with it. `language` is what its caption is written in, if it says anything; `copy_of` a row number."""

    rows: int
    mismatched: list[bool]
    boilerplate: list[bool]
    miscounted: list[bool]
    captionless: list[bool]
    tiny: list[bool]
    stretched: list[bool]
    leaked: list[bool]
    language: list[str]
    broken: list[str | None]
    copy_of: list[int | None]
    copy_kind: list[str | None]

    def caption_kind(self, row: int) -> tuple[object, ...]:
        """Rows of one kind may share words, and their defects stay as planted."""
        flags = (self.mismatched[row], self.boilerplate[row], self.miscounted[row], self.captionless[row])
        return (*flags, self.language[row])

    def good(self, row: int) -> bool:
        """Whether the picture is whole and the English caption true; a copy may be good, a leak is not."""
        flags = (self.mismatched, self.boilerplate, self.miscounted, self.captionless, self.tiny, self.stretched, self.leaked)
        return not any(flag[row] for flag in flags) and self.language[row] == "en" and self.broken[row] is None


def plant(rows: int, rng: random.Random) -> Plan:
    """Draw a plan. Leaks carry no other defect; copies are of sound, unleaked originals and keep their size."""
    quota = {name: round(rate * rows) for name, rate in RATES.items()}
    every = rng.sample(range(rows), rows)
    leaks, copies, originals = (set(part) for part in _split(every, quota["leaked"], quota["copies"]))
    odd = rng.sample(sorted(originals), quota["broken"] + quota["tiny"] + quota["stretched"])
    broken, tiny, stretched, _ = _split(odd, quota["broken"], quota["tiny"], quota["stretched"])
    heads = rng.sample(sorted(originals.difference(odd)), max(1, round(_HEADS_SHARE * rows)))
    followers = dict(zip(sorted(copies), rng.choices(heads, [1 / rank for rank in range(1, len(heads) + 1)], k=len(copies)), strict=True))
    miscounted, boilerplate, captionless, telling = _captions(sorted(copies), sorted(originals), quota, rng)
    mismatched = set(rng.sample(telling, quota["mismatched"]))
    foreign = set(rng.sample([*telling, *miscounted], quota["foreign"]))
    languages = list(FOREIGN)
    breakage = {row: BREAKAGES[i % len(BREAKAGES)] for i, row in enumerate(broken)}
    return Plan(
        rows,
        mismatched=_flags(rows, mismatched),
        boilerplate=_flags(rows, boilerplate),
        miscounted=_flags(rows, miscounted),
        captionless=_flags(rows, captionless),
        tiny=_flags(rows, tiny),
        stretched=_flags(rows, stretched),
        leaked=_flags(rows, leaks),
        language=[rng.choice(languages) if row in foreign else "en" for row in range(rows)],
        broken=[breakage.get(row) for row in range(rows)],
        copy_of=[followers.get(row) for row in range(rows)],
        copy_kind=[_copy_kind(rng) if row in followers else None for row in range(rows)],
    )


def _captions(copies: list[int], originals: list[int], quota: dict[str, int], rng: random.Random) -> tuple[list[int], ...]:
    """Miscounted originals, rows with boilerplate, rows without caption, and rows whose caption tells something."""
    miscounted = rng.sample(originals, quota["miscounted"])
    rest = sorted({*originals, *copies}.difference(miscounted))
    boilerplate, captionless, telling = _split(rng.sample(rest, len(rest)), quota["boilerplate"], quota["captionless"])
    return miscounted, boilerplate, captionless, telling


def _copy_kind(rng: random.Random) -> str:
    return "exact" if rng.random() < 0.5 else rng.choice(NEAR_COPIES)


def _split(rows: list[int], *sizes: int) -> list[list[int]]:
    """Consecutive parts of the given sizes, and what is left."""
    parts, start = [], 0
    for size in sizes:
        parts.append(rows[start : start + size])
        start += size
    return [*parts, rows[start:]]


def _flags(rows: int, chosen: Iterable[int]) -> list[bool]:
    inside = set(chosen)
    return [row in inside for row in range(rows)]
