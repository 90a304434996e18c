"""What a worker is told of one piece, and what it answers."""

from dataclasses import dataclass, field

from curate.model import Model
from curate.pieces import Piece
from curate.plan import Lawful, Measure, Node
from curate.reduce import Cut
from curate.store import Part

Shelf = tuple[tuple[str, Model, str], ...]
"""(digest, model, folder) of each."""


@dataclass(frozen=True)
class Task:
    """Addresses, fingerprints and rules: everything a worker needs, and no rows. `ask` is evidence that a model is to be made from, of a
    `share` of the rows."""

    store: str
    pool_key: str
    run: str
    piece: Piece
    decide: tuple[Node, ...]
    gather: tuple[Node, ...]
    measures: dict[str, Measure]
    evidence: dict[str, list[Part]]
    decided: dict[str, tuple[Node, Part]]
    cuts: dict[str, Cut]
    shelf: Shelf
    sketches: dict[str, Measure]
    ask: tuple[str, ...] = ()
    share: float = 1.0
    lawful: Lawful | None = None

    @property
    def gpu(self) -> bool:
        """Whether a signal that it may ask was planned for a GPU."""
        return any(str(measure.parameters.get("device", "")).startswith("cuda-") for measure in self.measures.values())


@dataclass
class Receipt:
    """What a worker did. `counts[node][code]` are rows, `sums[node][code]` sums of their uids (two words, modulo 2^64), `samples[node]`
    the copies of the rows in."""

    piece: int
    evidence: dict[str, list[Part]] = field(default_factory=dict)
    decisions: dict[str, Part] = field(default_factory=dict)
    candidates: dict[str, Part] = field(default_factory=dict)
    counts: dict[str, list[int]] = field(default_factory=dict)
    sums: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    measured: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    samples: dict[str, int] = field(default_factory=dict)
