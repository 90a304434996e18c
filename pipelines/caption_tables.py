"""How the command line shows what captions say."""

import polars as pl

from pipelines import show
from pipelines.captions import Coverage, Tails

_SHOWN = 12


def tails(found: Tails) -> None:
    """How matches spread, and the entries at both ends."""
    columns = ["signal", "subset", "rows", "unknown", "matched", "matches", "entries", "never", "tail", "head", "at_most"]
    shares = ["tail_share", "head_share"]
    rows = [[*line[:-2], *[f"{share:.1%}" for share in line[-2:]]] for line in found.subsets.select(*columns, *shares).rows()]
    show.table("entries: none, below and from at_most rows; shares of matches", [*columns, *shares], rows, right=range(2, 13))
    for (signal, subset), entries in found.entries.group_by("signal", "subset", maintain_order=True):
        often, rare = entries.head(_SHOWN), entries.tail(_SHOWN).reverse()
        show.line(f"{signal}, {subset}, most: {_listed(often)}")
        if entries.height > _SHOWN:
            show.line(f"{signal}, {subset}, least: {_listed(rare)}")
    show.line("every entry: --json")


def coverage(found: Coverage) -> None:
    """Shares of captions, kinds of what is none, and words that are never said."""
    counts, means = ("captions", "unknown"), ("words", "specificity")
    columns = ["subset", "writer", *counts, *[name for name in found.captions.columns if name not in ("subset", "writer", *counts)]]
    shown = [name for name in columns if found.captions[name].null_count() < found.captions.height]
    rows = [
        [_share(value) if isinstance(value, float) and name not in means else value for name, value in zip(shown, row, strict=True)]
        for row in found.captions.select(shown).rows()
    ]
    show.table("captions, and the share of them with", shown, rows, right=range(2, len(shown)))
    if found.kinds.height:
        show.table("what stands in their place", found.kinds.columns, found.kinds.rows(), right=(3,))
    silent = [[*row[:-1], ", ".join(row[-1][:_SHOWN]) + (" ..." if len(row[-1]) > _SHOWN else "")] for row in found.never.rows()]
    show.table("what is never said", found.never.columns, silent, right=(2, 3))


def _share(value: float) -> str:
    return f"{value:.1%}"


def _listed(entries: pl.DataFrame) -> str:
    return ", ".join(f"{entry} {rows:,}" for entry, rows in entries.select("entry", "rows").rows())
