"""Decisions: one small integer per row and node, published only after in = kept + dropped + quarantined was checked."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import CeterisError, ConservationError
from curate.failpoint import reach
from curate.membership import Copies
from curate.plan import POOL, Node, Reason
from curate.probes import Unreadable
from curate.reduce import Cut
from curate.store import Part, Store

WORD = 1 << 64


@dataclass(frozen=True)
class Decided:
    """A node's published decisions: `parts[piece]` holds the codes, `reasons[code]` what they mean; `samples` are the copies of all rows
    in, None where each row is used once."""

    node: str
    id: str
    reasons: tuple[Reason, ...]
    counts: tuple[int, ...]
    sums: tuple[tuple[int, int], ...]
    parts: tuple[Part, ...]
    cut: Cut | None
    samples: int | None = None

    @property
    def kept(self) -> int:
        """Rows in."""
        return self.counts[0]

    def codes(self, store: Store, piece: int) -> npt.NDArray[np.uint16]:
        """One piece's codes."""
        return store.frame(self.parts[piece])["code"].to_numpy()

    def copies(self, store: Store, piece: int) -> Copies:
        """How often each of one piece's rows is used; 0 where it is not in."""
        frame = store.frame(self.parts[piece])
        return frame["copies"].to_numpy() if "copies" in frame.columns else (frame["code"] == 0).cast(pl.UInt16).to_numpy()


def folder(node_id: str) -> str:
    """decisions/ID."""
    return f"decisions/{node_id[:16]}"


def load(store: Store, node_id: str) -> Decided | None:
    """Published decisions, or None."""
    value = store.json(f"{folder(node_id)}/manifest.json")
    return None if value is None else decided_of(value)


def decided_of(value: Mapping[str, Any]) -> Decided:
    """The decisions that a manifest describes."""
    cut = value["cut"]
    if cut:
        lasts = cut.get("lasts")
        cut = Cut(
            **{
                **cut,
                "last": tuple(cut["last"]) if cut["last"] else None,
                "survivors": _part(cut["survivors"]),
                "counts": _part(cut.get("counts")),
                "lasts": tuple(tuple(last) if last else None for last in lasts) if lasts is not None else None,
            }
        )
    return Decided(
        value["node"],
        value["id"],
        tuple(Reason(**reason) for reason in value["reasons"]),
        tuple(value["counts"]),
        tuple((high, low) for high, low in value["sums"]),
        tuple(_part(part) for part in value["parts"]),
        cut,
        value.get("samples"),
    )


def _part(value: Mapping[str, Any] | None) -> Any:
    return Part(**{**value, "replaces": tuple(value["replaces"])}) if value else None


def publish(store: Store, decided: Decided) -> None:
    """Make decisions count."""
    reach("run.before_decisions")
    store.put_json(f"{folder(decided.id)}/manifest.json", json.loads(json.dumps(asdict(decided))))
    reach("run.after_decisions")


def conserve(node: Node, decided: Decided, total: tuple[int, int, int], parents: Mapping[str, Decided]) -> None:
    """Check that every row of the pool is in exactly one of kept, dropped by reason, quarantined, as counts and as sums of uids.

    `total` is (rows, sum of high words, sum of low words). ConservationError says what does not add up.
    """
    found = (sum(decided.counts), sum(s[0] for s in decided.sums) % WORD, sum(s[1] for s in decided.sums) % WORD)
    if found != total:
        raise ConservationError(
            f"stage {node.name}: {found[0]:,} rows came out of {total[0]:,}, or they are other rows",
            where=node.name,
            fix="this is a bug; please report it",
        )
    if decided.cut is not None and decided.cut.samples not in (None, decided.samples):
        what = f"stage {node.name}: {decided.samples:,} samples were drawn, not the {decided.cut.samples:,} counted before"
        raise ConservationError(what, where=node.name, fix="this is a bug; please report it")
    if node.combinator != "after":
        return
    parent = parents[node.parents[0]]
    inherited = set(node.inherits[0][1:])
    own = [code for code in range(len(node.reasons)) if code not in inherited]
    leaving = tuple(sum(decided.sums[code][word] for code in own) % WORD for word in (0, 1))
    if sum(decided.counts[code] for code in own) != parent.kept or leaving != parent.sums[0]:
        raise ConservationError(
            f"stage {node.name}: kept + dropped + quarantined is not what {parent.node} let in",
            where=node.name,
            fix="this is a bug; please report it",
        )


def limit_errors(
    node: Node, decided: Decided, at_most: float, unreadable: Sequence[Unreadable] = (), why: Callable[[], str] = lambda: ""
) -> None:
    """Stop at a stage where more than `at_most` of the rows entering it could not be measured; `unreadable` are the pool's files that may
    be why, and `why` tells which evidence failed, by its codes."""
    own = [code for code, reason in enumerate(node.reasons) if reason.stage == node.name]
    entering = decided.kept + sum(decided.counts[code] for code in own)
    failed = sum(decided.counts[code] for code in own if node.reasons[code].kind == "quarantined")
    if entering and failed / entering > at_most:
        some = f"; {len(unreadable)} files cannot be read, the first is {unreadable[0].path}: {unreadable[0].code}" if unreadable else ""
        codes = f": {told}" if (told := why()) else ""
        share = f"({failed / entering:.1%}) cannot be measured; at most {at_most:.1%} may{codes}{some}"
        raise CeterisError(
            f"stage {node.name}: {failed:,} of {entering:,} rows {share}",
            where=node.name,
            fix="correct what these codes say, or raise errors_at_most in the recipe; run once with --set errors_at_most=1, "
            "and `curate audit --quarantine` lists the rows",
        )


def funnel(nodes: Mapping[str, Node], decided: Mapping[str, Decided]) -> list[dict[str, Any]]:
    """Per node: rows in (None for unions and intersections, which nothing enters), kept, their copies (`samples`) where rules repeat, and
    its own reasons with their counts."""
    lines = []
    for name, one in decided.items():
        own = [(reason, count) for reason, count in zip(one.reasons, one.counts, strict=True) if reason.stage == name]
        lines.append(
            {
                "stage": name,
                "in": _entering(nodes[name], decided, one.kept + sum(count for _, count in own)),
                "kept": one.kept,
                **({} if one.samples is None else {"samples": one.samples}),
                "reasons": [{**asdict(reason), "rows": count} for reason, count in own if count],
                "cut": None if one.cut is None else one.cut.value,
                "note": None if one.cut is None else one.cut.note,
            }
        )
    return lines


def _entering(node: Node, decided: Mapping[str, Decided], judged: int) -> int | None:
    """Rows that enter a node: of `minus` those of its first operand, though rows that its others decide are counted with their reason."""
    if node.combinator in ("all_of", "any_of"):
        return None
    return decided[node.parents[0]].kept if node.combinator == "minus" else judged


def rows_in(store: Store, decided: Decided | None, pieces: Sequence[int]) -> Iterator[tuple[int, Copies | None]]:
    """(piece, copies of each row, 0 where it is not in); None for every row of the pool."""
    for piece in pieces:
        yield piece, None if decided is None or decided.node == POOL else decided.copies(store, piece)
