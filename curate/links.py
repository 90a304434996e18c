"""`one_per`: keys are numbered once, sketches of new keys laid down by number, links sought among them, survivors chosen.

Rows, sketches and links stay in files; the driver holds about 90 bytes for every row that enters, for every key ever linked there, and for
every link that counts.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import UInt64s, row_hash, words_of
from curate.errors import CeterisError, SignalBugError
from curate.evidence import aligned
from curate.executor import Crashed, Executor
from curate.grouping import LINK_SCHEMA, keep_one
from curate.pieces import Piece
from curate.plan import Groups, Measure
from curate.rule import OnePer
from curate.sketches import Batch, Sketches
from curate.store import Part, Store

Indices = npt.NDArray[np.int64]
Links = tuple[Indices, Indices, npt.NDArray[np.float32]]
KEYS_A_SHARE = 8192
LINKS_A_FILE = 1 << 20
LINKS_HELD = 1 << 22
"""With more stored links than these, those that change no answer are left out first."""
KEY_BYTES = 16
NUMBERS = 1 << 32
"""A key's number has 32 bits."""


@dataclass(frozen=True)
class Gathered:
    """The candidates of one piece: row, k0.., tie0, tie1, key. `offset` is added to their rows' numbers."""

    piece: Piece
    shard: str
    sketch: Measure
    part: Part
    offset: int = 0
    reserved: bool = False


@dataclass(frozen=True)
class SketchTask:
    """Lay down the sketches of a piece's `rows` (numbers in its shard) from its evidence, numbered from `first`."""

    store: str
    folder: str
    piece: Piece
    sketch: Measure
    evidence: tuple[Part, ...]
    rows: Indices
    first: int


@dataclass(frozen=True)
class LinkTask:
    """One share of the search for links among the sketches laid down."""

    store: str
    groups: Groups
    sketches: tuple[Part, ...]
    fresh: int
    share: tuple[int, int]


@dataclass(frozen=True)
class Linking:
    """Where links are sought and how: one grouping, one store, one run."""

    store: Store
    executor: Executor
    groups: Groups
    epoch: int
    progress: Callable[[str, int, int], None]
    listed: list[Part] = field(default_factory=list)

    def number(self, gathered: Sequence[Gathered]) -> tuple[Indices, int]:
        """The number of every candidate's key (-1: none), and how many keys are new; those are linked with all that were known."""
        words, there = _keys(self.store, gathered)
        known = self._known()
        numbers = np.full(len(there), -1, np.int64)
        numbers[there], leaders = numbered(known, words[there])
        new = np.flatnonzero(there)[leaders]
        if len(known) + new.size > NUMBERS:
            raise CeterisError(
                f"{len(known) + new.size:,} different sketches were linked here together; {NUMBERS:,} can be",
                where=f"{self.store.address}/{self.groups.folder}",
                fix="use another --store for this pool, or part it",
            )
        if new.size:
            if self.groups.grouping.links is not None:
                self._lay_down(gathered, new, len(known))
                self._link(len(known), new.size)
            keys = pl.DataFrame({"high": words[new, 0], "low": words[new, 1]})
            place = {"scope": "keys", "start": len(known), "stop": len(known) + new.size}
            self.listed.append(self.store.put_frame(self.groups.folder, "keys", keys, **place))  # type: ignore[arg-type]
            self.store.publish(self.groups.folder, self.listed, self.epoch)
        return numbers, int(new.size)

    def strong(self, numbers: Indices, ranks: Indices | None = None, reserved: int = 0) -> Links:
        """Stored links between the keys numbered, of the threshold at least, each once.

        Given `ranks`, of the best row of each key number (the first `reserved` are no candidates), without those that change nothing under
        the direct keeper, where links are many: a key with no better neighbour stays, so its worse neighbours leave, and no row leaves for
        them. A crowd of n copies, whose links are n (n - 1) / 2, keeps n - 1 of them here.
        """
        codes, similarities = [np.empty(0, np.uint64)], [np.empty(0, np.float32)]
        leaving = None
        if ranks is not None and sum(part.rows for part in self.store.parts(self.groups.folder).get("pairs", [])) > LINKS_HELD:
            leaving = self._leaving(numbers, ranks, reserved)
        for i, j, similarity in self._alive(numbers):
            some = np.ones(i.size, bool)
            if ranks is not None and leaving is not None:
                some = ~leaving[np.where(ranks[i] < ranks[j], i, j)]
            codes.append(i[some].astype(np.uint64) << np.uint64(32) | j[some].astype(np.uint64))
            similarities.append(similarity[some])
        every, first = np.unique(np.concatenate(codes), return_index=True)
        mask = np.uint64(0xFFFFFFFF)
        return (every >> np.uint64(32)).astype(np.int64), (every & mask).astype(np.int64), np.concatenate(similarities)[first]

    def _alive(self, numbers: Indices) -> Iterator[Links]:
        """Stored links between the keys numbered, of the threshold at least, a file at a time."""
        alive = np.zeros(int(numbers.max(initial=-1)) + 2, bool)  # the last stands for all numbers beyond
        alive[numbers[numbers >= 0]] = True
        for part in self.store.parts(self.groups.folder).get("pairs", []):
            frame = self.store.frame(part)
            frame = frame.filter(pl.Series(frame["similarity"].to_numpy() >= np.float32(self.groups.threshold)))
            i, j = frame["i"].to_numpy(), frame["j"].to_numpy()
            both = alive[np.minimum(i, alive.size - 1)] & alive[np.minimum(j, alive.size - 1)]
            yield i[both], j[both], frame["similarity"].to_numpy()[both]

    def _leaving(self, numbers: Indices, ranks: Indices, reserved: int) -> npt.NDArray[np.bool_]:
        """By key number: whether it has a better neighbour that has none itself, and so leaves. Reserved keys stay."""
        led, leaving = np.zeros(ranks.size, bool), np.zeros(ranks.size, bool)
        for i, j, _ in self._alive(numbers):
            led[np.where(ranks[i] < ranks[j], j, i)] = True
        led &= ranks >= reserved
        for i, j, _ in self._alive(numbers):
            better, worse = np.where(ranks[i] < ranks[j], i, j), np.where(ranks[i] < ranks[j], j, i)
            leaving[worse[~led[better]]] = True
        return leaving & (ranks >= reserved)

    def _known(self) -> UInt64s:
        parts = sorted(self.store.parts(self.groups.folder).get("keys", []), key=lambda part: part.start)
        return np.concatenate([np.zeros((0, 2), np.uint64), *[self.store.frame(part).to_numpy().astype(np.uint64) for part in parts]])

    def _lay_down(self, gathered: Sequence[Gathered], new: Indices, first: int) -> None:
        """The sketches of new keys, piece by piece, numbered in the order of `new`, which ascends."""
        edges = np.concatenate([[0], np.cumsum([one.part.rows for one in gathered])])
        evidence = {one.sketch.folder: self.store.parts(one.sketch.folder) for one in gathered}
        tasks = []
        for one, (start, stop) in zip(gathered, itertools.pairwise(edges), strict=True):
            mine = new[np.searchsorted(new, start) : np.searchsorted(new, stop)]
            if mine.size:
                piece, rows = one.piece, self.store.frame(one.part, columns=["row"])["row"].to_numpy()
                near = [p for p in evidence[one.sketch.folder].get(one.shard, []) if p.start < piece.stop and p.stop > piece.start]
                inside = rows[mine - start].astype(np.int64) - piece.offset
                tasks.append(SketchTask(self.store.address, self.groups.folder, piece, one.sketch, tuple(near), inside, first))
                first += mine.size
        self.listed.extend(self._map(write_sketches, tasks, "sketches"))

    def _link(self, fresh: int, new: int) -> None:
        laid = [*self.store.parts(self.groups.folder).get("sketches", []), *self.listed]
        sketches = tuple(sorted(laid, key=lambda part: part.start))
        shares = max(1, min(self.executor.workers, new // KEYS_A_SHARE))
        tasks = [LinkTask(self.store.address, self.groups, sketches, fresh, (share, shares)) for share in range(shares)]
        for parts in self._map(write_links, tasks, "links"):
            self.listed.extend(parts)

    def _map(self, function: Callable[[Any], Any], tasks: Sequence[Any], what: str) -> list[Any]:
        label, found = f"{self.groups.name}: {what}", dict[int, Any]()
        self.progress(label, 0, len(tasks))
        for index, result in self.executor.map(function, tasks):
            if isinstance(result, Crashed):
                raise SignalBugError(
                    f"linking {self.groups.name} killed its worker {result.attempts} times: {result.detail}",
                    where=self.groups.folder,
                    fix="give it more memory, or raise the grouping's floor",
                )
            found[index] = result
            self.progress(label, len(found), len(tasks))
        return [found[index] for index in range(len(tasks))]


def survivors(rule: OnePer, linking: Linking, gathered: Sequence[Gathered]) -> tuple[pl.DataFrame, int]:
    """The rows that `one_per` drops: row, survivor (pool-wide numbers; of reserved rows, their offset on top), similarity; and how many
    keys were new. Order of arrival changes nothing."""
    numbers, new = linking.number(gathered)
    rows, order, reserved = _ranked(linking.store, gathered)
    links = linking.strong(numbers, _best(numbers[order]) if rule.keeper == "direct" else None, reserved)
    alone = numbers < 0
    numbers[alone] = numbers.max(initial=-1) + 1 + np.arange(np.count_nonzero(alone))
    survivor, similarity = keep_one(numbers[order], links, linking.groups.threshold, rule.keeper, reserved)
    rows = rows[order]
    gone = survivor != np.arange(rows.size)
    gone[:reserved] = False
    found = pl.DataFrame({"row": rows[gone], "survivor": rows[survivor[gone]], "similarity": similarity[gone]})
    return found.sort("row"), new


def _best(numbers: Indices) -> Indices:
    """The place of each key number's first row, of rows given best first."""
    ranks, there = np.full(int(numbers.max(initial=-1)) + 1, numbers.size, np.int64), np.flatnonzero(numbers >= 0)
    np.minimum.at(ranks, numbers[there], there)
    return ranks


def write_sketches(task: SketchTask) -> Part:
    """Runs in a worker."""
    store, writes = Store.open(task.store), list(task.sketch.signal.writes)
    parts = [store.frame(part, columns=["row", *writes]) for part in task.evidence]
    found = aligned(parts, task.sketch, task.piece, None, writes)[task.rows - task.piece.start].select(writes)
    return store.put_frame(task.folder, "sketches", found, scope="sketches", start=task.first, stop=task.first + found.height)


def write_links(task: LinkTask) -> list[Part]:
    """Runs in a worker."""
    store, groups = Store.open(task.store), task.groups
    assert groups.grouping.links is not None
    batches = tuple(Batch(part.start, part.stop, _reader(store, part, groups)) for part in task.sketches)
    parts, held = list[Part](), [pl.DataFrame(schema=LINK_SCHEMA)]
    for frame in groups.grouping.links(Sketches(batches, task.fresh, task.share), **groups.link_parameters):
        if dict(frame.schema) != LINK_SCHEMA or (frame["i"] >= frame["j"]).any():
            raise SignalBugError(f"links must yield pairs i < j of {LINK_SCHEMA}; it gave {dict(frame.schema)}", where=groups.folder)
        held.append(frame)
        if sum(one.height for one in held) >= LINKS_A_FILE:
            parts.append(store.put_frame(groups.folder, "pairs", pl.concat(held), scope="pairs"))
            held = held[:1]
    rest = pl.concat(held)
    return [*parts, store.put_frame(groups.folder, "pairs", rest, scope="pairs")] if rest.height else parts


def numbered(known: UInt64s, keys: UInt64s) -> tuple[Indices, Indices]:
    """Every key's number, and where in `keys` the new ones first occur, ascending: they are numbered in that order, after the known."""
    every = np.concatenate([known, keys])
    order = np.lexsort((every[:, 1], every[:, 0]))  # stable: known before new, first before later
    begins = np.ones(order.size, bool)
    begins[1:] = (every[order[1:]] != every[order[:-1]]).any(axis=1)
    leaders = order[begins]
    new = leaders >= len(known)
    fresh = np.sort(leaders[new]) - len(known)
    number = leaders.copy()
    number[new] = len(known) + np.searchsorted(fresh, leaders[new] - len(known))
    numbers = np.empty(order.size, np.int64)
    numbers[order] = np.repeat(number, np.diff(np.append(np.flatnonzero(begins), order.size)))
    return numbers[len(known) :], fresh


def _keys(store: Store, gathered: Sequence[Gathered]) -> tuple[UInt64s, npt.NDArray[np.bool_]]:
    """All candidates' keys as two words, and whether they have one."""
    words, there = [np.zeros((0, 2), np.uint64)], [np.zeros(0, bool)]
    for one in gathered:
        keys = store.frame(one.part, columns=["key"])["key"]
        there.append(keys.is_not_null().to_numpy())
        made = np.zeros((len(keys), 2), np.uint64)
        made[there[-1]] = words_of(key if len(key) == KEY_BYTES else row_hash([b"key", key]) for key in keys.drop_nulls().to_list())
        words.append(made)
    return np.concatenate(words), np.concatenate(there)


def _ranked(store: Store, gathered: Sequence[Gathered]) -> tuple[UInt64s, Indices, int]:
    """All candidates' rows; their order, best first: reserved ones, then the others by their keys; and how many are reserved."""
    rows = np.concatenate([store.frame(one.part, columns=["row"])["row"].to_numpy() + np.uint64(one.offset) for one in gathered])
    keys = [~np.repeat([one.reserved for one in gathered], [one.part.rows for one in gathered])]
    own = next((store.frame(one.part).columns for one in gathered if not one.reserved), [])
    for name in [*[name for name in own if name[1:].isdigit()], "tie0", "tie1"]:
        asked = [not one.reserved or name.startswith("tie") for one in gathered]  # reserved rows have no preference among them
        found = [store.frame(one.part, columns=[name])[name].to_numpy() for one, read in zip(gathered, asked, strict=True) if read]
        keys.append(np.zeros(rows.size, np.uint64))
        keys[-1][np.repeat(asked, [one.part.rows for one in gathered])] = np.concatenate(found)
    return rows, np.lexsort(keys[::-1]), int(np.count_nonzero(~keys[0]))


def _reader(store: Store, part: Part, groups: Groups) -> Callable[[Sequence[str]], pl.DataFrame]:
    writes = groups.sketch.signal.writes
    return lambda columns: store.frame(part, columns=list(columns)).cast({name: writes[name] for name in columns})
