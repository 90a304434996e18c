"""The cuts of `balance` and `soft_cap`, and how often a row that enters a global rule is used."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.arrivals import Scored, first_arrivals, times_drawn
from curate.balance import Balance
from curate.digest import UInt64s
from curate.entries import drawn, summed
from curate.errors import CeterisError
from curate.membership import Copies, combined_copies
from curate.plan import Node
from curate.reduce import Cut, Mask, kept_by, kept_of
from curate.repetition import MOST_COPIES, Repeat, SoftCap
from curate.rule import Keyed
from curate.store import Part, Store

PIECES = 4
"""Candidates of so many pieces are looked at together: fewer calls, and still in the processor's cache."""


def balanced_cut(rule: Balance, parts: Sequence[Part], store: Store, folder: str) -> Cut:
    """How many rows have each entry, stored in `folder`, and t."""
    rows, counts = summed(store.frame(part) for part in parts)
    at_most = rule.limit(counts["count"].to_numpy())
    above = counts.filter(pl.col("count") > at_most)
    note = f"t is {at_most:,}: {above.height:,} of {counts.height:,} entries have more rows"
    return Cut(rows, None, note=note, counts=store.put_frame(folder, "counts", counts), at_most=at_most)


def soft_capped_cut(rule: SoftCap, parts: Sequence[Part], store: Store) -> Cut:
    """The last of the draws. Candidates are read again on every pass, so memory does not grow with the pool."""
    entering = sum(part.rows for part in parts)

    def batches() -> Iterator[Scored]:
        """Scores and uids of some pieces at a time."""
        for start in range(0, len(parts), PIECES):
            frame = pl.concat([store.frame(part) for part in parts[start : start + PIECES]])
            yield frame["score"].to_numpy(), frame.select("high", "low").to_numpy()

    found, wanted = first_arrivals(rule, batches, entering), rule.draws(entering)
    short = f"{entering:,} rows can be drawn {found.samples:,} times together, not {wanted:,}: a row is drawn {MOST_COPIES:,} times at most"
    note = None if found.samples == wanted else short
    return Cut(entering, found.rows, found.last, note=note, best=found.best, samples=found.samples)


def heads(cut: Cut, store: Store) -> pl.DataFrame:
    """{entry, count} of the entries with a count above t."""
    assert cut.counts is not None
    found: pl.DataFrame = kept_of(cut.counts, lambda frame: frame.filter(pl.col("count") > cut.at_most), store)
    return found


def used(
    cut: Cut, rule: Keyed, evidence: pl.DataFrame, uids: UInt64s, rows: npt.NDArray[np.int64], store: Store
) -> tuple[Copies, Mask | None]:
    """How often each of the rows entering a global rule is used, 0 where its cut drops it; and in which `balance` finds no entry."""
    if isinstance(rule, SoftCap):
        return times_drawn(rule, cut.best or 0.0, cut.last, evidence[rule.column].cast(pl.Float64).to_numpy(), uids), None
    if isinstance(rule, Balance):
        kept, bare = drawn(rule, cut.at_most or 1, heads(cut, store), evidence[rule.column], uids)
        return kept.astype(np.uint16), bare
    return kept_by(cut, rule, evidence, uids, rows, store).astype(np.uint16), None


def copies_at(node: Node, parents: Sequence[Copies], drawn: Copies | None) -> Copies:
    """How often a node uses each row that it keeps: as its parents do, `repeat` times; or as often as it was `drawn` by `soft_cap`."""
    if drawn is not None:
        return drawn
    copies = combined_copies(node.combinator, parents)
    if isinstance(node.rule, Repeat):
        most = int(copies.max(initial=0)) * node.rule.times
        if most > MOST_COPIES:
            what = f"a row would be used {most:,} times, and {MOST_COPIES:,} is the most"
            raise CeterisError(what, where=f"stage {node.name}", fix="repeat less often")
        copies *= np.uint16(node.rule.times)
    return copies
