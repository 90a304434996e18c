"""What became of a row, over all recipes and runs of a store: found by uid, url, a piece of its text, or its picture."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.audit import standing, story
from curate.digest import UInt64s, hex_of, words_of_hex
from curate.errors import CeterisError
from curate.executor import Executor, InProcess
from curate.faults import naming
from curate.index.lookup import open_index
from curate.index.search import Indices, Place, locate, place_of, search, uids_at
from curate.pieces import open_pool
from curate.plan import LAWFUL, POOL, RESTRICTED
from curate.pool import Pool
from curate.record import Run
from curate.store import Store
from curate.takedown import revoked
from curate.takedown.tombstones import content_hash, hosts, parents, read_tombstones, requests
from pipelines.captions import name_entries
from pipelines.provenance.index import by_pool, runs_of
from pipelines.provenance.survivors import unnamed
from pipelines.verbs import refuse_torn

SHOWN = 10
MANY = 100_000
"""Rows from which on looking at all of them takes a second or more."""


@dataclass(frozen=True)
class Fate:
    """One row. `state` is empty, "restricted" or "revoked": then nothing of its content is here. `places` are {pool, shard, row} in every
    pool that holds its uid; `runs` what each run said of it, the latest first: {run, pool, subsets, out: {subset: verdict}}; `story` all
    that the latest of them knows (`curate.audit.why`); `match` how a picture was found."""

    uid: str
    state: str
    places: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    story: dict[str, Any]
    match: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The story with the rest beside it, JSON-able."""
        extra: dict[str, Any] = {"state": self.state, "places": self.places, "runs": self.runs}
        return self.story | extra | ({"match": self.match} if self.match else {})


@dataclass(frozen=True)
class Fates:
    """What was asked, how many rows were found, the first of them, and how each pool was searched; `revoked`, what may be told of the
    request that took down what was asked for, by its own name."""

    asked: dict[str, str]
    found: int
    rows: list[Fate]
    notes: list[str]
    revoked: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-able; of a uid the row itself."""
        if "uid" in self.asked and self.rows:
            return self.rows[0].to_json() | {"notes": self.notes}
        told = {"asked": self.asked, "found": self.found, "rows": [row.to_json() for row in self.rows], "notes": self.notes}
        return told | ({"revoked": self.revoked} if self.revoked else {})


@dataclass(frozen=True)
class _Hits:
    """Rows found in one pool: numbers, uids, and of pictures how each was matched."""

    numbers: Indices
    uids: UInt64s
    matches: list[dict[str, Any]]

    def of(self, uid: str) -> int | None:
        """Where the row with a uid is among them."""
        found = np.flatnonzero((self.uids == words_of_hex([uid])[0]).all(axis=1))
        return int(found[0]) if found.size else None


def fates(
    store: Store,
    *,
    uid: str | None = None,
    url: str | None = None,
    text: str | None = None,
    image: Path | None = None,
    run: str | None = None,
    at_most: int = SHOWN,
    every: bool = False,
    executor: Executor | None = None,
) -> Fates:
    """Find rows and say what every run on a pool that holds them made of them; or, with `run`, that run alone.

    One of: `uid`, 32 hex digits or as the pool writes it; `url`, whole; `text`, a piece of the text as it is written; `image`, a file (see
    `provenance.pictures`; `every` hashes images that no run hashed). Rows that were taken down or are restricted in any run are found by
    uid, url and equal bytes, and answer that; texts and pictures of them are not searched. Of several rows the first `at_most` are told.

    CeterisError where no pool holds such a row; with `run`, also where its pool has changed or lacks the role.
    """
    given = {name: str(value) for name, value in {"uid": uid, "url": url, "text": text, "image": image}.items() if value is not None}
    if len(given) != 1:
        raise CeterisError("name a row in one way", fix="a uid, --url URL, --text FRAGMENT or --image FILE")
    ((by, value),) = given.items()
    if not value.strip():
        raise CeterisError(f"an empty {by} is no row's name", where=f"--{by}" if by != "uid" else "", fix=_FIX[by])
    if by != "image":
        refuse_torn(given)
    pools, known, hits, notes = by_pool(runs_of(store, run)), by_pool(runs_of(store)), dict[str, _Hits](), list[str]()
    for key in pools:
        try:
            numbers, matches, said = _numbers(store, known[key], by, value, every, executor or InProcess())
        except CeterisError as error:
            if run is not None or len(pools) == 1:
                raise
            numbers, matches, said = np.empty(0, np.int64), [], [f"not searched: {error.what} ({error.where})"]
        notes += [f"{open_pool(store, key).root}: {one}" for one in said]
        if numbers.size:
            hits[key] = _Hits(numbers, uids_at(store, key, numbers), matches)
    notes += _ways([open_pool(store, key) for key in hits])
    taken = taken_down(store, by, value)
    if not hits and not taken:
        ways = dict.fromkeys(naming(open_pool(store, key)) for key in pools) if by == "uid" else {}
        where = "; ".join(notes) or ", ".join(str(open_pool(store, key).root) for key in pools)
        raise CeterisError(_nothing(by, value, store, pools), where=where, fix="; ".join([_FIX[by], *filter(None, ways)]))
    first = dict.fromkeys(uid for held in hits.values() for uid in hex_of(held.uids[:at_most]))
    seen: dict[tuple[str, int, str], dict[str, Any]] = {}
    rows = [_fate(store, uid, hits, pools, known, seen) for uid in list(first)[:at_most]]
    found = sum(held.numbers.size for held in hits.values())
    if len(hits) > 1:
        found = len(np.unique(np.concatenate([held.uids for held in hits.values()]), axis=0))
    return Fates(given, found, rows, notes, taken)


def _ways(pools: Sequence[Pool]) -> list[str]:
    """Of folders that are several pools of the store: why, since a row of theirs may be found once in each."""
    places, notes = dict[Path, list[Pool]](), list[str]()
    for pool in pools:
        places.setdefault(pool.root, []).append(pool)
    for root, several in places.items():
        roles = sorted({role for pool in several for role in pool.roles if len({one.roles.get(role) for one in several}) > 1})
        ways = dict.fromkeys(", ".join(f"{role}={pool.roles.get(role, '')}" for role in roles) for pool in several)
        how = f"with other roles ({' and '.join(ways)})" if roles else "at times when it held other files"
        if len(several) > 1:
            named = (
                "" if not roles or all("uid" in pool.roles for pool in several) else "; without the role uid, a row has another uid in each"
            )
            notes.append(f"{root}: it was opened {how} and is {len(several)} pools of this store{named}")
    return notes


_FIX = {
    "uid": "give a uid as `curate export` writes them (32 hex digits) or the pool's own id",
    "url": "give the whole url as the pool writes it; `curate trace --source HOST` asks for a host",
    "text": "give a piece as it is written: capitals, spaces and line ends count",
    "image": "give an image file of the pool, or a copy of one",
}


def taken_down(store: Store, by: str, value: str) -> dict[str, Any]:
    """What may be told of the request that took down this url (or its domain) or picture, which no index and no run names any more."""
    if by not in ("url", "image") or not requests(store):
        return {}
    stones = read_tombstones(store)
    found = stones.of_values(by, [content_hash(_bytes_of(value)) if by == "image" else value.encode()])
    if by == "url":
        (host,) = hosts(pl.Series([value], dtype=pl.String))
        found = np.concatenate([found, stones.of_values("domain", [name.encode() for name in parents(host or "")])])
    return revoked.told(store, int(found.max())) if found.any() else {}


def _nothing(by: str, value: str, store: Store, pools: dict[str, list[Run]]) -> str:
    if by == "uid":
        where = str(open_pool(store, next(iter(pools))).root)
        return f"the pool has no row {value}" if len(pools) == 1 else f"no pool of this store has a row {value}; the last is {where}"
    return f"no row of {'the pool' if len(pools) == 1 else 'any pool of this store'} has this {by}"


def _numbers(
    store: Store, runs: Sequence[Run], by: str, value: str, every: bool, executor: Executor
) -> tuple[Indices, list[dict[str, Any]], list[str]]:
    """Pool-wide numbers of the rows of one pool, how each was matched, and what is to be said of the search."""
    key, rows = runs[0].facts["pool"], runs[0].pool.rows
    if by == "uid":
        place, index = locate(store, key, value), open_index(store, key)
        slow = rows >= MANY and (index is None or "uid" not in index.columns)
        said = [f"the uids of {rows:,} rows were looked through{_faster(rows)}"] if slow else []
        return np.array([] if place is None else [place.number], np.int64), [], said
    if by == "image":
        from pipelines.provenance.pictures import showing

        shown = showing(store, runs, _bytes_of(value), barred(runs), executor, every)
        return (
            np.array(shown.numbers, np.int64),
            [{"image": how, "distance": bits} for how, bits in zip(shown.how, shown.distance, strict=True)],
            shown.notes,
        )
    hit = search(store, key, by, value, executor)
    numbers = hit.numbers if by == "url" else np.setdiff1d(hit.numbers, barred(runs))
    if hit.indexed:
        return numbers, [], ["found by the index"]
    return numbers, [], [f"every {by} of {rows:,} rows was looked at{_faster(rows) if by == 'url' else ''}"]


def _faster(rows: int) -> str:
    """Advice, where an index is felt."""
    return "; `curate index` makes that fast" if rows >= MANY else ""


def _bytes_of(image: str) -> bytes:
    try:
        return Path(image).read_bytes()
    except OSError as error:
        raise CeterisError(f"the picture cannot be read: {error.strerror}", where=image, fix="name an image file") from error


def barred(runs: Sequence[Run]) -> Indices:
    """Pool-wide numbers, ascending, of the rows of one pool that were taken down, or that one of these runs restricts."""
    found = [revoked.revoked(runs[0].store).of_pool(runs[0].pool)]
    known = set[str]()
    for run in runs:
        node = run.facts["nodes"].get(LAWFUL)
        if node is not None and node["id"] not in known:
            known.add(node["id"])
            reasons = run.decided(LAWFUL).reasons
            found.append(np.flatnonzero(np.isin(run.codes(LAWFUL), [code for code, one in enumerate(reasons) if one.kind == RESTRICTED])))
    return np.unique(np.concatenate(found)).astype(np.int64)


def barred_of(run: Run) -> Indices:
    """`barred` of a run's pool, by every run of its store that is on it."""
    return barred(by_pool(runs_of(run.store)).get(run.facts["pool"], [run]))


def _fate(
    store: Store,
    uid: str,
    hits: dict[str, _Hits],
    pools: dict[str, list[Run]],
    known: dict[str, list[Run]],
    seen: dict[tuple[str, int, str], dict[str, Any]],
) -> Fate:
    """What the runs in `pools` say of a row; what any `known` run restricts is restricted."""
    blocks, places, state, match, told = [], [], "", dict[str, Any](), None
    for key, held in hits.items():
        if (at := held.of(uid)) is None:
            continue
        pool = open_pool(store, key)
        place = place_of(pool, int(held.numbers[at]))
        match, told = match or (held.matches[at] if held.matches else {}), told or (pools[key][0], place)
        shard = pool.shards[place.shard]
        places.append({"pool": str(pool.root), "shard": shard.path, "row": place.row})
        if revoked.answer(store, shard, place.row) is not None:
            state, told = revoked.ERROR, (pools[key][0], place)
        blocks += [block(run, place, seen) for run in pools[key]]
        for run in known[key]:
            if not state and LAWFUL in run.facts["nodes"] and block(run, place, seen).get(RESTRICTED):
                state, told = RESTRICTED, (run, place)  # whose story tells nothing more
    assert told is not None
    plain, found = unnamed(store, known, barred), story(*told)
    found = found | {"stages": plain(found["stages"])}
    blocks = [one | {"out": plain(one["out"])} for one in blocks]
    return Fate(uid, state, places, blocks, found if state else name_entries(told[0], found), match)


def block(run: Run, place: Place, seen: dict[tuple[str, int, str], dict[str, Any]]) -> dict[str, Any]:
    """What one run made of a row: {run, pool, subsets that hold it, out: {subset: verdict}}, and `restricted` where it is. `seen` holds the
    verdicts of nodes that several runs share. Nothing is read but decisions."""
    nodes, names = run.facts["nodes"], run.facts["subsets"]
    wanted = [*dict.fromkeys(run.node_of(name) for name in names), *([LAWFUL] if LAWFUL in nodes else [])]
    verdicts: dict[str, dict[str, Any]] = {POOL: {"kind": "in"}}
    for node in wanted:
        if node != POOL:
            known = (run.facts["pool"], place.number, nodes[node]["id"])
            if known not in seen:
                seen[known] = standing(run, place, [node], draws=False)[node]
            verdicts[node] = seen[known]
    made: dict[str, Any] = {"run": run.folder.removeprefix("runs/"), "pool": str(run.pool.root)}
    if verdicts.get(LAWFUL, {}).get("kind") == RESTRICTED:
        return made | {"subsets": [], "out": {LAWFUL: verdicts[LAWFUL]}, RESTRICTED: True}
    inside = [name for name in names if verdicts[run.node_of(name)]["kind"] == "in"]
    copies = {name: verdicts[run.node_of(name)]["copies"] for name in inside if verdicts[run.node_of(name)].get("copies", 1) != 1}
    out = {name: verdicts[run.node_of(name)] for name in names if name not in inside}
    return made | {"subsets": inside, "out": out} | ({"copies": copies} if copies else {})
