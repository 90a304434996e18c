"""A piece of a shard as its rules see it: evidence gathered, rows decided, both written."""

import time

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.balance import Balance
from curate.columns import Columns
from curate.digest import UInt64s
from curate.evidence import Contents, Given, aligned, given, measure_rows
from curate.expression import Clause
from curate.failpoint import reach
from curate.membership import Copies, inherited
from curate.pieces import open_pool, read_uids
from curate.plan import POOL, RESTRICTED, REVOKED, Lawful, Measure, Node, Outside, TakenDown, parted
from curate.pool import Pool, Shard
from curate.reduce import candidates
from curate.repetition import Repeat, SoftCap
from curate.rule import Expr
from curate.sampling import copies_at, used
from curate.store import Part, Store
from curate.takedown.revoked import revoked
from curate.task import Receipt, Task

Codes = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]
MERGE_AT = 8


class View:
    """A piece as its rules see it: codes of decided nodes, and evidence, measured when first asked for."""

    def __init__(self, task: Task, store: Store) -> None:
        """Read nothing yet."""
        self.task, self.store, self.piece = task, store, task.piece
        self.pool: Pool = open_pool(store, task.pool_key)
        self.shard: Shard = self.pool.shards[self.piece.shard]
        self.contents = Contents(self.pool, self.shard)
        self.own = Columns(self.pool, self.piece)
        self.receipt = Receipt(self.piece.number)
        self.codes: dict[str, Codes] = {}
        self.copies: dict[str, Copies] = {}
        self.known: dict[str, pl.DataFrame] = {}
        self.fresh: dict[str, list[pl.DataFrame]] = {}
        self._uids: UInt64s | None = None

    @property
    def uids(self) -> UInt64s:
        """The piece's uids, (rows, 2)."""
        if self._uids is None:
            self._uids = read_uids(self.store, self.task.pool_key, self.piece.shard)[self.piece.start : self.piece.stop]
        return self._uids

    def code_of(self, node: str) -> Codes:
        """A decided node's codes, from this task or from the store."""
        if node == POOL:
            return np.zeros(self.piece.rows, np.uint16)
        if node not in self.codes:
            _, part = self.task.decided[node]
            self.codes[node] = self.store.frame(part)["code"].to_numpy()
        return self.codes[node]

    def copies_of(self, node: str) -> Copies:
        """How often a decided node uses each row; 0 where it is not in."""
        if node not in self.copies:
            stored = self.task.decided.get(node)
            repeats = stored is not None and stored[0].repeats
            self.copies[node] = (
                self.store.frame(stored[1], columns=["copies"])["copies"].to_numpy()
                if stored and repeats
                else (self.code_of(node) == 0).astype(np.uint16)
            )
        return self.copies[node]

    def inherited(self, node: Node) -> Codes:
        """What the node's parents alone say of each row."""
        return inherited(node, [self.code_of(parent) for parent in node.parents], self.piece.rows)

    def decide(self, node: Node) -> None:
        """Give every row of the piece its code at this node."""
        codes, drawn = self.inherited(node), None
        rule = node.rule
        if isinstance(rule, Expr):
            for clause in rule.clauses:
                self._judge(node, codes, clause)
        elif isinstance(rule, TakenDown):
            codes[self.refused()] = node.code(REVOKED, rule.text)
        elif isinstance(rule, Outside):
            self._outside(node, codes, rule)
        elif isinstance(rule, Lawful):
            barred, unread = self.barred(rule, codes == 0)
            codes[barred], codes[unread] = node.code(RESTRICTED, rule.text), node.code("quarantined", rule.text)
        elif rule is not None and not isinstance(rule, Repeat):
            entering = self.entering(node, codes)
            alive = np.flatnonzero(entering)
            rows = self.piece.offset + self.piece.start + alive
            times, bare = used(self.task.cuts[node.name], rule, self.evidence(node, entering), self.uids[alive], rows, self.store)
            codes[alive[times == 0]] = node.code("dropped", rule.text)
            if isinstance(rule, Balance):
                codes[alive[bare]] = node.code("dropped", rule.unmatched)
            elif isinstance(rule, SoftCap):
                drawn = np.zeros(self.piece.rows, np.uint16)
                drawn[alive] = times
        self.codes[node.name] = codes
        if node.repeats:
            self.copies[node.name] = copies_at(node, [self.copies_of(parent) for parent in node.parents], drawn)
            self.copies[node.name][codes != 0] = 0
        if node.name != POOL:
            self._write(node, codes)

    def _judge(self, node: Node, codes: Codes, clause: Clause) -> None:
        alive = codes == 0
        rows = np.flatnonzero(alive)
        frame, broken = self.ask(clause.columns, alive)
        answer = clause.evaluate(frame)
        unknown = answer.null_count() > 0
        codes[rows[~(answer.fill_null(True) if unknown else answer).to_numpy()]] = node.code("dropped", clause.text)
        if unknown:
            codes[rows[answer.is_null().to_numpy()]] = node.code("no evidence", clause.text)
        if broken.any():
            codes[rows[broken]] = node.code("quarantined", clause.text)

    def refused(self) -> Mask:
        """Which of the piece's rows were taken down."""
        return revoked(self.store).mask(self.shard, self.piece.start, self.piece.stop)

    def barred(self, rule: Lawful, alive: Mask) -> tuple[Mask, Mask]:
        """Which of the rows alive are restricted, and of which that cannot be measured."""
        frame, errors = self.ask(rule.columns, alive)
        barred, unread = np.zeros((2, self.piece.rows), bool)
        unread[alive] = errors
        barred[alive] = rule.bars(frame)
        return barred & ~unread, unread

    def _outside(self, node: Node, codes: Codes, rule: Outside) -> None:
        alive = codes == 0
        frame, errors = self.ask(rule.columns, alive)
        rows = np.flatnonzero(alive)
        lists = pl.concat([self.store.frame(Part(**self.store.json(key))).filter(pl.col("pool") == 0) for key in rule.lists])
        same_content = frame[rule.columns[0]].is_in(lists["key"].drop_nulls().implode()).fill_null(False).to_numpy()
        uids = pl.DataFrame({"high": self.uids[rows, 0], "low": self.uids[rows, 1]})
        same_uid = (
            uids.join(lists.select("high", "low").unique().with_columns(there=True), on=["high", "low"], how="left", maintain_order="left")[
                "there"
            ]
            .fill_null(False)
            .to_numpy()
        )
        codes[rows[errors]] = node.code("quarantined", rule.unread)
        codes[rows[(same_content | same_uid) & ~errors]] = node.code("dropped", rule.text)

    def entering(self, node: Node, codes: Codes) -> Mask:
        """Rows that a global rule judges; those without evidence and the quarantined get their codes here."""
        rule = node.rule
        assert rule is not None
        alive = codes == 0
        sketch = self.task.sketches.get(node.name)
        asked = (*rule.columns, *([f"{sketch.name}.key"] if sketch else []))
        frame, errors = self.ask(asked, alive)
        rows = np.flatnonzero(alive)
        codes[rows[errors]] = node.code("quarantined", rule.text)
        if sketch is None:
            for column in rule.columns:
                if frame[column].null_count():
                    missing = frame[column].is_null().to_numpy() & (codes[rows] == 0)
                    codes[rows[missing]] = node.code("no evidence", rule.text)
        left: Mask = codes == 0
        return left

    def evidence(self, node: Node, entering: Mask) -> pl.DataFrame:
        """The asked columns of the rows entering a global rule."""
        assert node.rule is not None
        return self.ask(node.rule.columns, entering)[0]

    def gather(self, node: Node) -> None:
        """Measure what a global rule asks for and write its candidates: order keys, uids, and the keys of sketches, no content."""
        rule = node.rule
        assert rule is not None
        assert not isinstance(rule, Expr | Repeat | Outside | Lawful | TakenDown)
        codes = self.inherited(node)
        if node.combinator == "pool":  # of a pool that rows are held against
            codes[self.refused()] = node.code("dropped", rule.text)
            if self.task.lawful:
                barred, unread = self.barred(self.task.lawful, codes == 0)
                codes[barred], codes[unread] = node.code("dropped", rule.text), node.code("quarantined", rule.text)
            self.receipt.counts[node.name] = np.bincount(codes, minlength=len(node.reasons)).tolist()
        entering = self.entering(node, codes)
        rows = np.flatnonzero(entering)
        frame = candidates(rule, self.evidence(node, entering), self.uids[rows], self.piece.offset + self.piece.start + rows)
        sketch = self.task.sketches.get(node.name)
        if sketch:
            keys, _ = self.ask((f"{sketch.name}.key",), entering)
            frame = frame.with_columns(keys.to_series().alias("key"))
        self.receipt.candidates[node.name] = self.store.put_frame(f"tmp/{self.task.run}/{node.id[:16]}", f"{self.piece.number:06d}", frame)

    def ask(self, columns: tuple[str, ...], alive: Mask) -> tuple[pl.DataFrame, Mask]:
        """Columns of evidence for the rows alive, and which of those rows have an error in any signal asked."""
        rows = np.flatnonzero(alive)
        series: list[pl.Series] = []
        errors = np.zeros(len(rows), bool)
        own = [column.split(".", 1)[1] for column in columns if column.startswith(f"{POOL}.")]
        if own:
            read = self.own.read(own, rows)
            series += [read.frame[f"{POOL}.{name}"] for name in own]
            for fault in read.faults.values():
                errors |= fault.is_not_null().to_numpy()
        for name in dict.fromkeys(column.rsplit(".", 1)[0] for column in columns if not column.startswith(f"{POOL}.")):
            known = self._measured(self.task.measures[name], alive)
            wanted = [column for column in columns if column.rsplit(".", 1)[0] == name]
            known = known.select(*{column.rsplit(".", 1)[1]: None for column in wanted}, "error")
            known = known if rows.size == self.piece.rows else known[rows]
            series += [known[column.rsplit(".", 1)[1]].alias(column) for column in wanted]
            if known["error"].null_count() < len(rows):
                errors |= known["error"].is_not_null().to_numpy()
        return pl.DataFrame(series), errors

    def _measured(self, measure: Measure, alive: Mask) -> pl.DataFrame:
        """The signal's evidence over the whole piece, aligned by row, measured at least where `alive`."""
        if measure.folder not in self.known:  # one signal may have several names
            self.known[measure.folder] = self._stored(measure)
        known = self.known[measure.folder]
        missing = np.flatnonzero(alive & ~known["measured"].to_numpy())
        if missing.size:
            inputs = self._inputs(measure, missing)
            begun = time.perf_counter()
            fresh = measure_rows(self.contents, measure, self.piece.start + missing, inputs)
            self.receipt.measured[measure.name] = self.receipt.measured.get(measure.name, 0) + missing.size
            self.receipt.seconds[measure.name] = self.receipt.seconds.get(measure.name, 0.0) + time.perf_counter() - begun
            self.fresh.setdefault(measure.name, []).append(fresh)
            self.known[measure.folder] = known = aligned([fresh], measure, self.piece, known, self._asked(measure))
        return known

    def _inputs(self, measure: Measure, rows: npt.NDArray[np.int64]) -> Given:
        """The evidence that its parameters name, measured where it is missing."""
        alive = np.zeros(self.piece.rows, bool)
        alive[rows] = True
        found: dict[str, tuple[pl.Series, pl.Series | None]] = {}
        for key, reference in measure.inputs.items():
            name, column = parted(reference)
            if name == POOL:
                read = self.pool.read(self.shard, columns=[column], rows=self.piece.start + rows)
                found[key] = read.frame[reference], read.faults.get(reference)
            else:
                known = self._measured(self.task.measures[name], alive)[rows]
                found[key] = known[column], known["error"]
        return given(found, rows.size)

    def _stored(self, measure: Measure) -> pl.DataFrame:
        """What the store has of the columns that this task's rules ask for."""
        parts, asked = self.task.evidence.get(measure.name, []), self._asked(measure)
        return aligned([self.store.frame(part, columns=["row", *asked]) for part in parts], measure, self.piece, None, asked)

    def _asked(self, measure: Measure) -> list[str]:
        names = {name for name, one in self.task.measures.items() if one.folder == measure.folder}
        sketches = [f"{sketch.name}.key" for sketch in self.task.sketches.values()]
        columns = [column for node in (*self.task.decide, *self.task.gather) if node.rule for column in node.rule.columns]
        columns += [
            *self.task.ask,
            *(self.task.lawful.columns if self.task.lawful else ()),
            *(column for one in self.task.measures.values() for column in one.inputs.values()),
        ]
        return ["error", *{column.rsplit(".", 1)[1]: None for column in (*columns, *sketches) if column.rsplit(".", 1)[0] in names}]

    def _write(self, node: Node, codes: Codes) -> None:
        stem = f"{self.piece.number:06d}"
        copies = {"copies": self.copies[node.name]} if node.repeats else {}
        self.receipt.decisions[node.name] = self.store.put_frame(
            f"decisions/{node.id[:16]}", stem, pl.DataFrame({"code": codes, **copies}), start=self.piece.number
        )
        if node.repeats:
            self.receipt.samples[node.name] = int(self.copies[node.name].sum(dtype=np.int64))
        counts = np.bincount(codes, minlength=len(node.reasons))
        ends = np.cumsum(counts)
        ordered = np.take(self.uids, np.argsort(codes, kind="stable"), axis=0)
        words = [
            [int(ordered[end - count : end, word].sum(dtype=np.uint64)) for end, count in zip(ends, counts, strict=True)] for word in (0, 1)
        ]
        self.receipt.counts[node.name] = counts.tolist()
        self.receipt.sums[node.name] = list(zip(*words, strict=True))

    def finish(self) -> Receipt:
        """Write the fresh evidence, one part a signal; many small parts become one."""
        reach("work.before_evidence")
        for name, frames in self.fresh.items():
            measure = self.task.measures[name]
            old = self.task.evidence.get(name, [])
            fresh = pl.concat(frames)
            merged = old if len(old) >= MERGE_AT else []
            if merged:
                fresh = pl.concat([*[self.store.frame(part).cast(fresh.schema) for part in merged], fresh]).unique("row")
            part = self.store.put_frame(
                measure.folder,
                self.shard.digest[:16],
                fresh.sort("row"),
                scope=self.shard.digest,
                start=min([self.piece.start, *(part.start for part in merged)]),
                stop=max([self.piece.stop, *(part.stop for part in merged)]),
                replaces=tuple(part.key for part in merged),
                seconds=sum(part.seconds for part in merged) + self.receipt.seconds[name],
            )
            self.receipt.evidence.setdefault(name, []).append(part)
        reach("work.after_evidence")
        return self.receipt
