"""Judging again: a run's decisions made anew by the engine from stored evidence, in one pass, and held against those stored.

Every node decides by the stored cuts of global rules, and every global rule's candidates are gathered beside; from these each cut is then
made again. So a decision is right if its parents' are, and its cut is, which are judged too. What is made lies in a scratch folder.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import polars as pl

from curate.decisions import WORD, Decided, folder, funnel
from curate.errors import CeterisError
from curate.executor import Crashed
from curate.passes import Passes
from curate.pieces import Piece, open_pool
from curate.plan import POOL, Node
from curate.reduce import Cut
from curate.store import Part, Store
from curate.takedown.revoked import revoked
from curate.task import Receipt, Task
from curate.verify.findings import RESTORE, Finding
from curate.work import work

SHOWN = 3
"""Rows named of each piece and node."""


@dataclass(frozen=True)
class JudgeTask:
    """A piece's work, and the decisions stored of it by node. `beside`: what was taken down since leaves no decision to compare."""

    task: Task
    stored: dict[str, Part]
    beside: bool


@dataclass
class Judged:
    """What a piece's decisions came out as, and what differs."""

    receipt: Receipt | None
    findings: list[Finding] = field(default_factory=list)


def judge(given: JudgeTask) -> Judged:
    """Runs in a worker."""
    store = Store.open(given.task.store)
    try:
        receipt = work(given.task)
    except CeterisError as error:
        return Judged(None, [Finding(f"cannot be judged again: {error.what}", error.where, error.fix or RESTORE, _place(given.task.piece))])
    found = Judged(receipt)
    for node in given.task.decide:
        made, stored = receipt.decisions[node.name], given.stored[node.name]
        if made.sha256 != stored.sha256:
            found.findings += _differences(store, node, made, stored, given)
        store.storage.delete(made.key)
    return found


def _place(piece: Piece) -> str:
    return f"shard {piece.shard}, rows {piece.start} to {piece.stop - 1}"


def _differences(store: Store, node: Node, made: Part, stored: Part, given: JudgeTask) -> list[Finding]:
    piece, where = given.task.piece, stored.key
    try:
        now, then = store.frame(made), store.frame(stored)
    except CeterisError as error:
        return [Finding(error.what, where, RESTORE)]
    if now.schema != then.schema or now.height != then.height:
        return [Finding(f"stage {node.name}: {then.height} decisions of {then.columns}, not {now.height} of {now.columns}", where)]
    differ = np.zeros(now.height, bool)
    for name in now.columns:
        differ |= now[name].to_numpy() != then[name].to_numpy()
    if given.beside:
        differ &= ~revoked(store).mask(open_pool(store, given.task.pool_key).shards[piece.shard], piece.start, piece.stop)
    rows = np.flatnonzero(differ)
    return [
        Finding(
            f"stage {node.name}: stored as {_told(node, then.row(row))}, and judged again it is {_told(node, now.row(row))}"
            + (f" ({rows.size:,} such rows in this file)" if rows.size > 1 else ""),
            where,
            RESTORE,
            f"line {row}, which is shard {piece.shard} row {piece.start + row}",
        )
        for row in rows[:SHOWN].tolist()
    ]


def _told(node: Node, line: Sequence[int]) -> str:
    code, copies = line[0], f", {line[1]} times" if len(line) > 1 else ""
    if code >= len(node.reasons):
        return f"code {code}, which means nothing"
    reason = node.reasons[code]
    return f"kept{copies}" if code == 0 else f"{reason.kind} by {reason.stage}: {reason.text}"


class Again(Passes):
    """The passes of a run that was finished, in a scratch store; `stored` are its decisions by node. What is sound joins `decided`."""

    stored: Mapping[str, Decided]
    beside: bool = False
    """Rows of the pool were taken down since: cuts and counts cannot be made again."""
    judged: int = 0

    def check(self, pieces: Sequence[Piece], chosen: Sequence[Piece], sampled: bool) -> Iterator[Finding]:
        """Judge the nodes that are not in `decided`, at the pieces chosen. Yields what differs."""
        self.pieces = list(pieces)
        decide = [node for name, node in self.plan.nodes.items() if name not in self.decided]
        if not decide:
            return
        whole = not sampled and not self.beside
        gather = [node for node in decide if node.is_global] if whole else []
        self.cuts = {node.name: cut for node in decide if (cut := self.stored[node.name].cut) is not None}
        used = list(dict.fromkeys(name for node in decide for name in self.plan.asked(node)))
        evidence = self._parts({name: self.plan.measures[name] for name in used})
        tasks = [
            JudgeTask(
                self._task(piece, decide, gather, used, evidence),
                {node.name: self.stored[node.name].parts[piece.number] for node in decide},
                self.beside,
            )
            for piece in chosen
        ]
        receipts, label, done = dict[int, Receipt](), f"{self.run}: judged again", 0
        self.progress(label, 0, sum(piece.rows for piece in chosen))
        for index, result in self.executor.map(judge, tasks):
            done += chosen[index].rows
            self.progress(label, done, sum(piece.rows for piece in chosen))
            if isinstance(result, Crashed):
                yield Finding(f"judging it again killed its worker {result.attempts} times", self.run, RESTORE, _place(chosen[index]))
                continue
            yield from result.findings
            if result.receipt is not None:
                receipts[index] = result.receipt
                self.judged += chosen[index].rows * len(decide)
        if whole and len(receipts) == len(tasks):
            ordered = [receipts[index] for index in range(len(tasks))]
            for node in decide:
                yield from self._totals(node, ordered)
            for node in gather:
                yield from self._cut(node, [receipt.candidates[node.name] for receipt in ordered])
        self.decided |= {node.name: self.stored[node.name] for node in decide}

    def _totals(self, node: Node, receipts: Sequence[Receipt]) -> Iterator[Finding]:
        stored, where = self.stored[node.name], f"{folder(node.id)}/manifest.json"
        size = range(len(node.reasons))
        counts = tuple(sum(receipt.counts[node.name][code] for receipt in receipts) for code in size)
        sums = tuple(tuple(sum(receipt.sums[node.name][code][word] for receipt in receipts) % WORD for word in (0, 1)) for code in size)
        samples = sum(receipt.samples[node.name] for receipt in receipts) if node.repeats else None
        told = {"reasons": node.reasons, "counts": counts, "sums": sums, "samples": samples}
        for name, value in told.items():
            if getattr(stored, name) != value:
                yield Finding(f"stage {node.name}: its {name} are {getattr(stored, name)}, and judged again {value}", where)

    def _cut(self, node: Node, candidates: list[Part]) -> Iterator[Finding]:
        where = f"{folder(node.id)}/manifest.json"
        try:
            made, stored = self._reduce(node, candidates), self.stored[node.name].cut or Cut(0, None)
        except CeterisError as error:
            yield Finding(f"stage {node.name}: its cut cannot be made again: {error.what}", error.where or where, error.fix or RESTORE)
            return
        for one in fields(Cut):
            now, then = getattr(made, one.name), getattr(stored, one.name)
            if isinstance(now, Part) and isinstance(then, Part):
                if now.sha256 != then.sha256 and not self._frame(now).equals(self._frame(then)):
                    yield Finding(f"stage {node.name}: other {one.name} come out when it is judged again", then.key)
            elif now != then:
                yield Finding(f"stage {node.name}: its cut's {one.name} is {then}, and judged again {now}", where)

    def _frame(self, part: Part) -> pl.DataFrame:
        try:
            return self.store.frame(part)
        except CeterisError:
            return pl.DataFrame()  # which equals nothing; the file itself has its finding

    def funnel(self) -> list[dict[str, Any]]:
        """The funnel of what was decided."""
        return funnel(self.plan.nodes, {name: self.decided[name] for name in self.plan.nodes})

    def whole_pool(self) -> Decided:
        """The decisions of the pool itself."""
        return self._pool(self.plan.nodes[POOL])
