"""The passes over a pool: every node that can be decided is, global rules gather, one reduction gives their cut, and again."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from curate.balance import Balance
from curate.decisions import WORD, Decided, conserve, folder, limit_errors, load, publish
from curate.errors import CeterisError, SignalBugError
from curate.executor import Crashed, Executor
from curate.links import Gathered, Linking, survivors
from curate.mix import Mix
from curate.model import Model
from curate.pieces import Piece, pieces_of, pool_key
from curate.plan import IN, POOL, Fed, Measure, Node, Plan, Reason
from curate.pool import Pool
from curate.reduce import Cut, cut_of
from curate.repetition import SoftCap
from curate.rule import OnePer, Random, Top
from curate.sampling import balanced_cut, soft_capped_cut
from curate.store import Part, Store
from curate.task import Receipt, Task
from curate.unmeasured import told, unmeasured
from curate.work import work

Progress = Callable[[str, int, int], None]
PUBLISH_EVERY = 2.0


@dataclass
class Effort:
    """What a run cost: rows measured and seconds by signal, keys newly linked by grouping, rows held against by stage."""

    measured: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    linked: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)


@dataclass
class Passes:
    """One run's state between passes."""

    plan: Plan
    store: Store
    executor: Executor
    epoch: int
    run: str
    shelf: tuple[tuple[str, Model, str], ...]
    progress: Progress
    decided: dict[str, Decided] = field(default_factory=dict)
    cuts: dict[str, Cut] = field(default_factory=dict)
    effort: Effort = field(default_factory=Effort)

    def decide_all(self) -> dict[str, Decided]:
        """Decide every node; those that an equal plan has decided before are read."""
        self.pieces = pieces_of(self.plan.pool)
        for name, node in self.plan.nodes.items():
            found = self._pool(node) if name == POOL else load(self.store, node.id)
            if found is not None:
                self._limit_errors(node, found)
                self.decided[name] = found
        while len(self.decided) < len(self.plan.nodes):
            decide, gather = self._ready()
            receipts = self._pass(decide, gather)
            for node in decide:
                self._publish(node, [receipt.decisions[node.name] for receipt in receipts], receipts)
            for node in gather:
                self.cuts[node.name] = self._reduce(node, [receipt.candidates[node.name] for receipt in receipts])
        return {name: self.decided[name] for name in self.plan.nodes}

    def _pool(self, node: Node) -> Decided:
        indexed = self.store.json(f"{pool_key(self.plan.pool)}/indexed.json")
        return Decided(POOL, node.id, node.reasons, (indexed["rows"],), ((indexed["sums"][0], indexed["sums"][1]),), (), None)

    def _ready(self) -> tuple[list[Node], list[Node]]:
        decide: list[Node] = []
        gather: list[Node] = []
        there = set(self.decided)
        for name, node in self.plan.nodes.items():
            if name in there or not there.issuperset(node.parents):
                continue
            if node.is_global and name not in self.cuts:
                gather.append(node)
            else:
                decide.append(node)
                there.add(name)
        return decide, gather

    def _pass(self, decide: list[Node], gather: list[Node]) -> list[Receipt]:
        label = ", ".join(node.name for node in [*decide, *gather])
        used = list(dict.fromkeys(name for node in [*decide, *gather] for name in self.plan.asked(node)))
        evidence = self._parts({name: self.plan.measures[name] for name in used})
        tasks = [self._task(piece, decide, gather, used, evidence) for piece in self.pieces]
        receipts = dict(self._mapped(label, tasks, self.pieces, self.plan.pool))
        return [receipts[index] for index in range(len(tasks))]

    def _mapped(self, label: str, tasks: list[Task], pieces: list[Piece], pool: Pool) -> Iterator[tuple[int, Receipt]]:
        """Work on every piece of a pool; evidence is published as it comes."""
        crashed: list[int] = []
        waiting: list[tuple[Task, Receipt]] = []
        published, rows = time.monotonic(), 0
        total = sum(piece.rows for piece in pieces)
        self.progress(label, 0, total)
        for index, result in self.executor.map(work, tasks):
            rows += pieces[index].rows
            self.progress(label, rows, total)
            if isinstance(result, Crashed):
                crashed.append(index)
                continue
            waiting.append((tasks[index], result))
            if time.monotonic() - published > PUBLISH_EVERY:
                self._publish_evidence(waiting)
                waiting, published = [], time.monotonic()
            yield index, result
        self._publish_evidence(waiting)
        if crashed:
            where = ", ".join(pool.shards[pieces[index].shard].path for index in crashed[:5])
            raise SignalBugError(
                f"{len(crashed)} pieces killed their worker every time; the others are kept",
                where=where,
                fix="look at these files, or move them away; then run again",
            )

    def _task(
        self, piece: Piece, decide: list[Node], gather: list[Node], used: list[str], evidence: dict[str, dict[str, list[Part]]]
    ) -> Task:
        near = {name: _near(parts, self.plan.pool, piece) for name, parts in evidence.items()}
        parents = {parent for node in [*decide, *gather] for parent in node.parents if parent in self.decided}
        sketches = {node.name: self.plan.groups[node.rule.grouping].sketch for node in [*decide, *gather] if isinstance(node.rule, OnePer)}
        return Task(
            store=self.store.address,
            pool_key=pool_key(self.plan.pool),
            run=self.run,
            piece=piece,
            decide=tuple(decide),
            gather=tuple(gather),
            measures={name: self.plan.measures[name] for name in used},
            evidence=near,
            decided={name: (self.plan.nodes[name], self.decided[name].parts[piece.number]) for name in parents if name != POOL},
            cuts={node.name: self.cuts[node.name] for node in decide if node.name in self.cuts},
            shelf=self.shelf,
            sketches=sketches,
        )

    def _publish_evidence(self, done: list[tuple[Task, Receipt]]) -> None:
        by_folder: dict[str, list[Part]] = {}
        for task, receipt in done:
            for name, parts in receipt.evidence.items():
                by_folder.setdefault(task.measures[name].folder, []).extend(parts)
            for name, count in receipt.measured.items():
                self.effort.measured[name] = self.effort.measured.get(name, 0) + count
                self.effort.seconds[name] = self.effort.seconds.get(name, 0.0) + receipt.seconds[name]
        for where, parts in by_folder.items():
            self.store.publish(where, parts, self.epoch)

    def _publish(self, node: Node, parts: list[Part], receipts: list[Receipt]) -> None:
        size = len(node.reasons)
        counts = tuple(sum(receipt.counts[node.name][code] for receipt in receipts) for code in range(size))
        sums = tuple(
            tuple(sum(receipt.sums[node.name][code][word] for receipt in receipts) % WORD for word in (0, 1)) for code in range(size)
        )
        samples = sum(receipt.samples[node.name] for receipt in receipts) if node.repeats else None
        decided = Decided(node.name, node.id, node.reasons, counts, sums, tuple(parts), self.cuts.get(node.name), samples)  # type: ignore[arg-type]
        pool = self.decided[POOL]
        conserve(node, decided, (pool.counts[0], *pool.sums[0]), self.decided)
        self._limit_errors(node, decided)
        publish(self.store, decided)
        self.decided[node.name] = decided

    def _limit_errors(self, node: Node, decided: Decided) -> None:
        at_most, unreadable = float(self.plan.recipe.errors_at_most), self.plan.pool.unreadable
        limit_errors(node, decided, at_most, unreadable, lambda: told(unmeasured(self.plan, self.store, node, decided)))

    def _reduce(self, node: Node, parts: list[Part]) -> Cut:
        rule = node.rule
        if isinstance(rule, Top | Random | Mix):
            return cut_of(rule, self._dtype(rule), parts, self.store)
        if isinstance(rule, Balance):
            return balanced_cut(rule, parts, self.store, folder(node.id))
        if isinstance(rule, SoftCap):
            return soft_capped_cut(rule, parts, self.store)
        if not isinstance(rule, OnePer):
            raise CeterisError(f"stage {node.name} has a rule that is not global")
        if not parts:
            return Cut(0, 0)
        groups = self.plan.groups[rule.grouping]
        shards = self.plan.pool.shards
        gathered = [
            Gathered(piece, shards[piece.shard].digest, groups.sketch, part) for piece, part in zip(self.pieces, parts, strict=True)
        ]
        if node.name in self.plan.references:
            gathered += self._held(node, rule)
        linking = Linking(self.store, self.executor, groups, self.epoch, self.progress)
        dropped, new = survivors(rule, linking, gathered)
        self.effort.linked[rule.grouping] = self.effort.linked.get(rule.grouping, 0) + new
        part = self.store.put_frame(folder(node.id), "survivors", dropped)
        entering = sum(part.rows for part in parts)
        return Cut(entering, entering - dropped.height, survivors=part)

    def feed(self, fed: Fed, share: float, label: str) -> None:
        """Measure what a model is to be made from: that evidence of the rows drawn, as stored as any other."""
        stored, pieces = self._parts(fed.measures), pieces_of(fed.pool)
        tasks = [
            Task(
                store=self.store.address,
                pool_key=pool_key(fed.pool),
                run=self.run,
                piece=piece,
                decide=(),
                gather=(),
                measures=fed.measures,
                evidence={name: _near(parts, fed.pool, piece) for name, parts in stored.items()},
                decided={},
                cuts={},
                shelf=self.shelf,
                sketches={},
                ask=fed.columns,
                share=share,
                lawful=fed.lawful,
            )
            for piece in pieces
        ]
        for _ in self._mapped(label, tasks, pieces, fed.pool):
            pass  # evidence is published as it comes

    def _parts(self, measures: Mapping[str, Measure]) -> dict[str, dict[str, list[Part]]]:
        return {name: self.store.parts(measure.folder) for name, measure in measures.items()}

    def _held(self, node: Node, rule: OnePer) -> list[Gathered]:
        """The rows of the pool that a stage's rows are held against: all that can be measured. CeterisError where too many cannot."""
        reference = self.plan.references[node.name]
        pool, sketch = reference.pool, reference.sketch
        bare = replace(rule, prefer=())
        reasons = (IN, *(Reason(kind, node.name, bare.text) for kind in ("dropped", "no evidence", "quarantined")))
        asks = Node(node.name, node.id, "pool", (), bare, reasons, ())
        stored, pieces, receipts = self._parts(reference.measures), pieces_of(pool), dict[int, Receipt]()
        tasks = [
            Task(
                store=self.store.address,
                pool_key=pool_key(pool),
                run=self.run,
                piece=piece,
                decide=(),
                gather=(asks,),
                measures=reference.measures,
                evidence={name: _near(parts, pool, piece) for name, parts in stored.items()},
                decided={},
                cuts={},
                shelf=self.shelf,
                sketches={node.name: sketch},
                lawful=reference.lawful,
            )
            for piece in pieces
        ]
        for index, receipt in self._mapped(f"{node.name}: {rule.against}", tasks, pieces, pool):
            receipts[index] = receipt
        held = [receipts[piece.number].candidates[node.name] for piece in pieces]
        self.effort.held[node.name] = sum(part.rows for part in held)
        barred = sum(one.counts[node.name][asks.code("dropped", bare.text)] for one in receipts.values())
        failed, at_most = pool.rows - barred - self.effort.held[node.name], float(self.plan.recipe.errors_at_most)
        if pool.rows and failed / pool.rows > at_most:
            raise CeterisError(
                f"stage {node.name}: nothing can be held against {failed:,} of {pool.rows:,} rows ({failed / pool.rows:.1%}) of "
                f"{rule.against}, which cannot be measured; at most {at_most:.1%} may",
                where=node.name,
                fix="look at that pool, or set errors_at_most in the recipe",
            )
        return [
            Gathered(piece, pool.shards[piece.shard].digest, sketch, part, offset=self.plan.pool.rows, reserved=True)
            for piece, part in zip(pieces, held, strict=True)
        ]

    def _dtype(self, rule: Top | Random | Mix) -> Any:
        if not isinstance(rule, Top):
            return None
        name, column = rule.column.split(".", 1)
        return self.plan.pool.columns[column] if name == POOL else self.plan.measures[name].signal.writes[column]


def _near(parts: dict[str, list[Part]], pool: Pool, piece: Piece) -> list[Part]:
    """The parts of evidence that speak of a piece."""
    return [p for p in parts.get(pool.shards[piece.shard].digest, []) if p.start < piece.stop and p.stop > piece.start]
