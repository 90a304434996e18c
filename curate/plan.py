"""A plan: everything about a recipe on a pool that can be known before a row is read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import digest_of
from curate.grouping import Grouping
from curate.model import Model
from curate.pool import Pool
from curate.recipe import Recipe
from curate.repetition import Repeat
from curate.rule import Expr, OnePer, Rule
from curate.signal import Signal, parameters_of
from curate.store import named

POOL, REVOKED, LAWFUL, UNSEEN = "pool", "revoked", "lawful", "unseen"
RESTRICTED = "restricted"


@dataclass(frozen=True)
class Reason:
    """Why a row is where it is: kind is in, dropped, no evidence or quarantined; stage and text say which rule."""

    kind: str
    stage: str
    text: str


IN = Reason("in", "", "")


@dataclass(frozen=True)
class Outside:
    """The rule that keeps rows whose content and uid are among the trusted rows of none of the stored lists of training rows."""

    lists: tuple[str, ...]
    columns: tuple[str, ...] = (f"{UNSEEN}.content.key",)
    text: str = "trusted: a model was trained on it"
    unread: str = "its content cannot be read"

    def canonical(self) -> Any:
        """What decides its identity."""
        return {"outside": list(self.lists)}


@dataclass(frozen=True)
class TakenDown:
    """The rule that drops, before all others, what the store refuses (`curate.takedown.revoked`); its reason is a kind of its own."""

    columns: tuple[str, ...] = ()
    text: str = "taken down"

    def canonical(self) -> Any:
        """What decides its identity; which rows they are is the node's salt."""
        return {REVOKED: []}


@dataclass(frozen=True)
class Lawful:
    """The rule that bars, before anything else looks at them, the rows for which every clause of `expr` is true; those of which that is not
    known pass."""

    expr: Expr

    @property
    def columns(self) -> tuple[str, ...]:
        """Evidence it asks."""
        return self.expr.columns

    @property
    def text(self) -> str:
        """One line for people."""
        return f"{RESTRICTED} if {self.expr.text}"

    def canonical(self) -> Any:
        """What decides its identity."""
        return {RESTRICTED: self.expr.canonical()}

    def bars(self, frame: pl.DataFrame) -> npt.NDArray[np.bool_]:
        """Of rows with their evidence."""
        barred = np.ones(frame.height, bool)
        for clause in self.expr.clauses:
            barred &= clause.evaluate(frame).fill_null(False).to_numpy()
        return barred


def root_of(nodes: Collection[str]) -> str:
    """The node whose rows are the pool as stages see it: without what was taken down, what is restricted and what models trained on."""
    return next(name for name in (UNSEEN, LAWFUL, REVOKED, POOL) if name in nodes)


@dataclass(frozen=True)
class Measure:
    """A signal as this recipe uses it; `folder` holds its evidence. `kind` names the filter: its own name, or GROUPING.sketch; `kinds` the
    filters of its models; `inputs` the evidence that its parameters name, as `measure.column` or `pool.COLUMN`."""

    name: str
    kind: str
    signal: Signal
    parameters: dict[str, Any]
    fingerprint: str
    kinds: tuple[str, ...] = ()
    pending: bool = False
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """signals/NAME-ID."""
        return f"signals/{named(self.kind, self.fingerprint)}"


@dataclass(frozen=True)
class Groups:
    """A grouping as this recipe uses it; `folder` holds its links."""

    name: str
    grouping: Grouping
    sketch: Measure
    link_parameters: dict[str, Any]
    threshold: float
    folder: str

    def recall(self, similarities: Sequence[float]) -> list[float] | None:
        """The probability that a pair of each similarity is found; None where the grouping does not say."""
        curve = self.grouping.recall
        if curve is None:
            return None
        return curve(similarities, **{name: self.link_parameters[name] for name in parameters_of(curve)[0]})


@dataclass(frozen=True)
class Reference:
    """The pool that a stage's rows are held against, and the grouping's sketch, with all it asks for, as that pool's columns give it.
    `lawful` says which rows nothing is held against, since nothing may look at them; `refused` which were taken down, as
    `Revoked.identity` says."""

    pool: Pool
    sketch: Measure
    measures: dict[str, Measure]
    lawful: Lawful | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Fed:
    """A pool that a model is made from, and the evidence of its rows that the model asks for: `inputs` by parameter, `measures` by name.
    `lawful` says which rows it must not be made from."""

    pool: Pool
    inputs: dict[str, str] = field(default_factory=dict)
    measures: dict[str, Measure] = field(default_factory=dict)
    lawful: Lawful | None = None

    @property
    def pending(self) -> bool:
        """Whether that evidence waits for another model."""
        return any(measure.pending for measure in self.measures.values())

    @property
    def columns(self) -> tuple[str, ...]:
        """What must be measured."""
        return tuple(column for column in self.inputs.values() if not column.startswith(f"{POOL}."))


@dataclass(frozen=True)
class Training:
    """A model as this recipe names it. `id` is the fingerprint of how it is made; `over` the pool itself, where it is made from that; `fed`
    the evidence of each of these pools, `over` first."""

    name: str
    kind: str
    model: Model
    parameters: dict[str, Any]
    rows: tuple[Pool, ...]
    id: str
    over: Pool | None = None
    fed: tuple[Fed, ...] = ()

    @property
    def folder(self) -> str:
        """models/ID."""
        return f"models/{self.id[:16]}"

    @property
    def pending(self) -> bool:
        """Whether it waits for another model."""
        return any(fed.pending for fed in self.fed)

    @property
    def sample(self) -> float:
        """The share of the pool that it is brought."""
        return float(self.parameters.get("sample", 1.0)) if self.over else 1.0


@dataclass(frozen=True)
class Node:
    """A set of rows. `reasons[code]` explains a row's code (0 is in); `inherits[p][code]` is this node's code for parent p's code. Where it
    `repeats`, its rows have copies."""

    name: str
    id: str
    combinator: str
    parents: tuple[str, ...]
    rule: Rule | Outside | Lawful | TakenDown | None
    reasons: tuple[Reason, ...]
    inherits: tuple[tuple[int, ...], ...]
    repeats: bool = False

    def code(self, kind: str, text: str) -> int:
        """The code of one of this node's own reasons."""
        return self.reasons.index(Reason(kind, self.name, text))

    @property
    def is_global(self) -> bool:
        """Whether its rule must see every row before it can judge one."""
        return self.rule is not None and not isinstance(self.rule, Expr | Repeat | Outside | Lawful | TakenDown)


def parted(reference: str) -> tuple[str, str]:
    """The name of a measure, or `pool`, and a column of it."""
    name, _, column = reference.partition(".") if reference.startswith(f"{POOL}.") else reference.rpartition(".")
    return name, column


def reached(names: Sequence[str], measures: Mapping[str, Measure]) -> tuple[str, ...]:
    """The measures named and those whose evidence they ask for."""
    found = dict.fromkeys(names)
    waiting = list(found)
    while waiting:
        inputs = [parted(reference)[0] for reference in measures[waiting.pop()].inputs.values()]
        new = [name for name in inputs if name != POOL and name not in found]
        found |= dict.fromkeys(new)
        waiting += new
    return tuple(found)


@dataclass(frozen=True)
class Plan:
    """Nodes in order, and the evidence, groups and models they ask for; `references` by stage."""

    recipe: Recipe
    pool: Pool
    nodes: dict[str, Node]
    measures: dict[str, Measure]
    groups: dict[str, Groups]
    models: dict[str, Training]
    sources: dict[str, str] = field(default_factory=dict)
    references: dict[str, Reference] = field(default_factory=dict)

    def asked(self, node: Node) -> tuple[str, ...]:
        """The signals a node asks for, in order."""
        if node.rule is None:
            return ()
        names = [column.rsplit(".", 1)[0] for column in node.rule.columns if not column.startswith(f"{POOL}.")]
        if isinstance(node.rule, OnePer):
            names.append(self.groups[node.rule.grouping].sketch.name)
        return reached(names, self.measures)

    @property
    def id(self) -> str:
        """What would be decided: equal plans give equal subsets."""
        return digest_of([self.nodes[name].id for name in sorted(self.nodes)] + sorted(self.recipe.subsets))
