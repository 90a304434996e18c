"""Taking rows out of the uids of their pools, out of decisions, and out of what runs say of both."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.changes import Changes
from curate.decisions import Decided, decided_of, funnel
from curate.decisions import folder as decisions_folder
from curate.digest import UInt64s
from curate.membership import Copies
from curate.nodes import node_of, without_revoked
from curate.pieces import pieces_of
from curate.plan import POOL, REVOKED, Node, Reason, TakenDown, root_of
from curate.store import Part, Store
from curate.subset import Subset
from curate.takedown.gone import Gone
from curate.takedown.revoked import Revoked, revoked
from curate.takedown.tombstones import key_of, keyed_uids

WORD = 1 << 64
_BLANK = "revoked"
"""The column of uids that says where a keyed hash stands."""
GONE = Reason(REVOKED, REVOKED, TakenDown.text)


@dataclass(frozen=True)
class Blanked:
    """A pool's rows before and after: `numbers` pool-wide, their uids, and the hashes that stand there from now on."""

    numbers: npt.NDArray[np.int64]
    before: UInt64s
    after: UInt64s


def blank_uids(gone: Gone, key: str, changes: Changes) -> Blanked:
    """Put keyed hashes where the uids of a pool's rows stood."""
    before, done = gone.uids[key], 0
    after = keyed_uids(key_of(gone.store), before)
    for number, rows in gone.pools[key].items():
        name, mine = f"{key}/uids/{number:06d}.json", slice(done, done + rows.size)
        done += rows.size
        part = _part(gone.store.json(name))
        frame = gone.store.frame(part)
        stands = frame[_BLANK].to_numpy()[rows] if _BLANK in frame.columns else np.zeros(rows.size, bool)
        after[mine][stands] = before[mine][stands]  # they are hashes already
        columns = [frame["high"].scatter(rows, after[mine, 0]), frame["low"].scatter(rows, after[mine, 1])]
        if "original" in frame.columns:
            columns.append(frame["original"].scatter(rows, [None] * rows.size))
        blanks = frame[_BLANK] if _BLANK in frame.columns else pl.Series(_BLANK, np.zeros(frame.height, bool))
        fresh = changes.rewrite(key, part, pl.DataFrame([*columns, blanks.scatter(rows, [True] * rows.size)]), rows.size)
        changes.record(name, {**asdict(fresh), "replaces": []})
    indexed = gone.store.json(f"{key}/indexed.json")
    moved = [(int(after[:, w].sum(dtype=np.uint64)) - int(before[:, w].sum(dtype=np.uint64))) % WORD for w in (0, 1)]
    changes.record(f"{key}/indexed.json", {**indexed, "sums": [(indexed["sums"][w] + moved[w]) % WORD for w in (0, 1)]})
    if gone.store.json(f"{key}/subset.json") is not None:
        changes.drop(f"{key}/subset.json")
    return Blanked(gone.numbers(key), before, after)


def blank(store: Store, key: str, shard: int, rows: npt.NDArray[np.int64]) -> bool:
    """Whether hashes stand where the uids of these rows stood; of a pool that has no uids in the store they need not."""
    value = store.json(f"{key}/uids/{shard:06d}.json")
    if value is None or not rows.size:
        return True
    frame = store.frame(_part(value))
    return _BLANK in frame.columns and bool(frame[_BLANK].to_numpy()[rows].all())


def _part(value: dict[str, Any]) -> Part:
    return Part(**{**value, "replaces": tuple(value["replaces"])})


def purge_decisions(gone: Gone, changes: Changes, folder: str, key: str, rows: Blanked) -> int:
    """Say `revoked` of the rows, in every piece that holds some; how many."""
    manifest = f"{folder}/manifest.json"
    value = changes.now(manifest)
    if value is None:
        return 0
    reasons = [Reason(**reason) for reason in value["reasons"]]
    code = reasons.index(GONE) if GONE in reasons else len(reasons)
    counts, sums = [*value["counts"]], [list(pair) for pair in value["sums"]]
    if code == len(reasons):
        reasons, counts, sums = [*reasons, GONE], [*counts, 0], [*sums, [0, 0]]
    parts, samples = [*value["parts"]], value.get("samples")
    for piece in pieces_of(gone.pool(key)):
        first, last = np.searchsorted(rows.numbers, [piece.offset + piece.start, piece.offset + piece.stop])
        if first == last:
            continue
        part = _part(parts[piece.number])
        frame, places = gone.store.frame(part), rows.numbers[first:last] - piece.offset - piece.start
        codes = frame["code"].to_numpy()[places]
        for old, before, after in zip(codes.tolist(), rows.before[first:last].tolist(), rows.after[first:last].tolist(), strict=True):
            counts[old], counts[code] = counts[old] - 1, counts[code] + 1
            for word in (0, 1):
                sums[old][word] = (sums[old][word] - before[word]) % WORD
                sums[code][word] = (sums[code][word] + after[word]) % WORD
        columns = {"code": frame["code"].scatter(places, np.full(places.size, code, np.uint16))}
        if "copies" in frame.columns:
            samples = None if samples is None else samples - int(frame["copies"].to_numpy()[places].sum())
            columns["copies"] = frame["copies"].scatter(places, np.zeros(places.size, np.uint16))
        parts[piece.number] = {**asdict(changes.rewrite(folder, part, pl.DataFrame(columns), places.size)), "replaces": []}
    cut = value["cut"]
    if cut and cut.get("survivors"):
        cut = {**cut, "survivors": _purge_survivors(gone, changes, folder, cut["survivors"], rows.numbers)}
    fresh = {
        "reasons": [asdict(reason) for reason in reasons],
        "counts": counts,
        "sums": sums,
        "parts": parts,
        "cut": cut,
        "samples": samples,
    }
    changes.record(manifest, {**value, **fresh})
    return rows.numbers.size


def judged_in(gone: Gone, changes: Changes, folder: str, key: str) -> dict[int, npt.NDArray[np.bool_]] | None:
    """By piece, which rows a stage that counted entries judged and are not refused; None of other stages."""
    value = changes.now(f"{folder}/manifest.json")
    if value is None or not (value["cut"] or {}).get("counts"):
        return None
    own = [n for n, reason in enumerate(value["reasons"]) if n == 0 or (reason["kind"], reason["stage"]) == ("dropped", value["node"])]
    pieces = pieces_of(gone.pool(key))
    return {one.number: np.isin(gone.store.frame(_part(value["parts"][one.number]))["code"].to_numpy(), own) for one in pieces}


def _purge_survivors(gone: Gone, changes: Changes, folder: str, value: dict[str, Any], numbers: npt.NDArray[np.int64]) -> dict[str, Any]:
    part = _part(value)
    frame = gone.store.frame(part)
    mask = np.isin(frame["row"].to_numpy().astype(np.int64), numbers)
    if not mask.any():
        return value
    return {**asdict(changes.rewrite(folder, part, frame.filter(~pl.Series(mask)), int(mask.sum()))), "replaces": []}


def purge_run(
    gone: Gone, changes: Changes, folder: str, facts: dict[str, Any], subsets: Mapping[str, dict[str, Any]]
) -> dict[str, Any] | None:
    """A run on a pool that holds the rows gets the node `revoked` and its funnel is counted anew; a changed subset gets its digest."""
    mine = {name: subsets[digest[:16]] for name, digest in facts["subsets"].items() if name != POOL and digest[:16] in subsets}
    named, left = {name: one["after"] for name, one in mine.items()}, {name: one["left"] for name, one in mine.items()}
    described = {**facts, "subsets": {**facts["subsets"], **named}}
    if facts["pool"] not in gone.pools:
        if not named:
            return None
        changes.record(f"{folder}/run.json", described)
        return {"subsets": {name: [facts["subsets"][name], digest] for name, digest in named.items()}, "left": left}
    nodes, order = described["nodes"], facts["order"]
    if REVOKED not in nodes:  # else its id stays what the stages' ids were made from, and its decisions were told of the rows
        node = refused_node(gone, changes, facts["pool"], _after(gone))
        own = {**nodes[POOL], "id": node.id, "combinator": "after", "parents": [POOL], "rule": TakenDown.text}
        nodes = {POOL: nodes[POOL], REVOKED: own, **{name: one for name, one in nodes.items() if name != POOL}}
        order = [POOL, REVOKED, *[name for name in order if name != POOL]]
    described |= {"nodes": nodes, "order": order}
    if POOL in facts["subsets"]:
        whole = _whole(gone, changes, facts["pool"], nodes)
        described["subsets"] = {**described["subsets"], POOL: whole.digest}
        named[POOL], left[POOL] = whole.digest, int(gone.numbers(facts["pool"]).size)
    changes.record(f"{folder}/run.json", described)
    changes.record(f"{folder}/funnel.json", _funnel(changes, facts["pool"], {name: nodes[name] for name in described["order"]}))
    return {"subsets": {name: [facts["subsets"][name], digest] for name, digest in named.items()}, "left": left}


def _after(gone: Gone) -> Revoked:
    """All that the store will refuse."""
    now = revoked(gone.store)
    found = dict(now.by_shard)
    for digest, (rows, requests) in gone.rows.items():
        fresh = ~np.isin(rows, now.rows(digest))
        found[digest] = now.joined(digest, rows[fresh], requests[fresh])
    return Revoked(found)


def refused_node(gone: Gone, changes: Changes, key: str, refused: Revoked) -> Node:
    """The node that every plan of this pool will have; its decisions are written down now, so that its runs can name it."""
    pool = gone.pool(key)
    identity = refused.identity(pool)
    assert identity is not None
    node = without_revoked(pool.id, identity, node_of(pool.id, POOL, "pool", (), None, {}))
    folder = decisions_folder(node.id)
    if changes.now(f"{folder}/manifest.json") is None:
        numbers, indexed, parts = refused.of_pool(pool), changes.now(f"{key}/indexed.json"), []
        for piece in pieces_of(pool):
            codes = refused.mask(pool.shards[piece.shard], piece.start, piece.stop).astype(np.uint16)
            parts.append(changes.store.put_frame(folder, f"{piece.number:06d}", pl.DataFrame({"code": codes}), start=piece.number))
        words = _words(gone, changes, key)[numbers]
        out = [int(words[:, word].sum(dtype=np.uint64)) for word in (0, 1)]
        kept = [(indexed["sums"][word] - out[word]) % WORD for word in (0, 1)]
        counts = (indexed["rows"] - numbers.size, numbers.size)
        decided = Decided(REVOKED, node.id, node.reasons, counts, ((kept[0], kept[1]), (out[0], out[1])), tuple(parts), None)
        changes.record(f"{folder}/manifest.json", asdict(decided))
    return node


def _words(gone: Gone, changes: Changes, key: str) -> UInt64s:
    """All uids of a pool as they will stand."""
    found = []
    for number in range(len(gone.pool(key).shards)):
        value = changes.now(f"{key}/uids/{number:06d}.json")
        frame = gone.store.frame(Part(**{**value, "replaces": ()}), columns=["high", "low"])
        found.append(np.stack([frame["high"].to_numpy(), frame["low"].to_numpy()], axis=1))
    return np.concatenate([np.zeros((0, 2), np.uint64), *found])


def _decided(changes: Changes, node_id: str) -> Decided:
    """A node's decisions as they will stand."""
    return decided_of(json.loads(json.dumps(changes.now(f"{decisions_folder(node_id)}/manifest.json"))))


def _whole(gone: Gone, changes: Changes, key: str, nodes: Mapping[str, Any]) -> Subset:
    root = _decided(changes, nodes[root_of(nodes)]["id"])
    copies: list[Copies] = [root.copies(gone.store, piece.number) for piece in pieces_of(gone.pool(key))]
    return Subset.of(_words(gone, changes, key)[np.concatenate(copies) > 0])


def _funnel(changes: Changes, key: str, nodes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """As a run counts it, of the decisions that will stand."""
    indexed = changes.now(f"{key}/indexed.json")
    sums = (indexed["sums"][0], indexed["sums"][1])
    whole = Decided(POOL, nodes[POOL]["id"], (Reason("in", "", ""),), (indexed["rows"],), (sums,), (), None)
    decided = {name: whole if name == POOL else _decided(changes, node["id"]) for name, node in nodes.items()}
    shapes = {name: Node(name, node["id"], node["combinator"], tuple(node["parents"]), None, (), ()) for name, node in nodes.items()}
    return funnel(shapes, decided)
