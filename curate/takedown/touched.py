"""What a store holds of rows, and what was made from them: evidence, links, subsets, exports, models, scores, verdicts, other files."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import hex_of
from curate.plan import POOL
from curate.store import Store
from curate.takedown.gone import Gone, evidence_parts, models_of_pools, names_of, runs_of, subset_files, trained_arms, training_lists
from curate.takedown.revoked import REQUESTS
from curate.takedown.tombstones import content_hash

Touched = dict[str, Any]
_OWN = (
    "signals",
    "decisions",
    "pools",
    "links",
    "subsets",
    "models",
    "rows",
    "ledger",
    "revocations",
    "revoked",
    "indexes",
    "tmp",
    "FORMAT",
    "lock",
)
_OF_RUNS = re.compile(
    r"runs/[^/]+/(recipe|run|funnel|(verdict|calibration)-[^/]+)\.json|runs/[^/]+/ledger[^/]*\.jsonl"
    r"|scores/.*\.(json|jsonl|parquet)|exports/[^/]+\.json"
)
"""Records, which hold no content of rows: what stands in them by chance is none of a row."""
_HEX = re.compile(rb"[0-9a-f]{32}")
_ESCAPED = {b"\\/": b"/", b"&lt;": b"<", b"&gt;": b">", b"&#34;": b'"', b"&quot;": b'"', b"&#39;": b"'", b"&amp;": b"&"}
PAGE = "report"
"""The layout of an export that is a page on a run."""
_END = 8
_SHORT = 16
"""Texts of fewer characters are no sign of a row."""


@dataclass(frozen=True)
class Needles:
    """What says something of rows, wherever it stands: `uids` in hex; of addresses and texts `ends`, their last 8 bytes as words, sorted,
    and for each of these words and each length the digests of the whole."""

    uids: frozenset[bytes]
    ends: npt.NDArray[np.uint64]
    texts: Mapping[int, Mapping[int, set[bytes]]]

    @classmethod
    def of(cls, gone: Gone) -> "Needles":
        """Of rows, as far as their pools can be read."""
        texts = dict[int, dict[int, set[bytes]]]()
        for key, held in gone.pools.items():
            pool = gone.pool(key)
            roles = [role for role in ("url", "text") if role in pool.roles]
            for number, rows in held.items():
                if roles and (pool.root / pool.shards[number].path).exists():
                    for column in pool.read(pool.shards[number], roles=roles, rows=rows).frame.get_columns():
                        for value in (value.encode() for value in column.drop_nulls().to_list() if len(value) >= _SHORT):
                            end = int.from_bytes(value[-_END:], "little")
                            texts.setdefault(end, {}).setdefault(len(value), set()).add(content_hash(value))
        return cls(frozenset(uid.encode() for uid in hex_of(gone.every)), np.array(sorted(texts), np.uint64), texts)

    def files(self, store: Store) -> list[str]:
        """Files of the store that no part of it keeps up (reports, cards, packages) and that say something of the rows."""
        return [key for key in store.storage.list("") if _foreign(key) and self.within(store.storage.get(key))]

    def within(self, data: bytes) -> bool:
        """Whether some bytes say something of the rows."""
        if any(token in self.uids for token in _HEX.findall(data)):
            return True
        for escaped, plain in _ESCAPED.items():
            data = data.replace(escaped, plain)
        return any(self._ends_at(data, stop) for stop in self._candidates(data))

    def _candidates(self, data: bytes) -> Iterator[int]:
        """Where in some bytes an address or a text may end: after the last 8 bytes of one."""
        for start in range(min(_END, len(data) - _END + 1) if self.ends.size else 0):
            words = np.frombuffer(data, "<u8", (len(data) - start) // _END, start)
            near = np.minimum(np.searchsorted(self.ends, words), self.ends.size - 1)
            yield from ((np.flatnonzero(self.ends[near] == words) + 1) * _END + start).tolist()

    def _ends_at(self, data: bytes, stop: int) -> bool:
        by_length = self.texts[int.from_bytes(data[stop - _END : stop], "little")]
        return any(length <= stop and content_hash(data[stop - length : stop]) in some for length, some in by_length.items())


def _foreign(key: str) -> bool:
    return key.split("/")[0] not in _OWN and not _OF_RUNS.fullmatch(key)


def touched(gone: Gone, needles: Needles) -> Touched:
    """By kind: folders of evidence with their lines, groupings, decisions, subsets, exports, models, scores, verdicts, other files; and the
    pools' own shards that still hold the rows."""
    store, runs = gone.store, runs_of(gone.store)
    evidence: dict[str, int] = {}
    for folder, _, mask in evidence_parts(gone):
        evidence[folder] = evidence.get(folder, 0) + int(mask.sum())
    on = {folder: facts for folder, facts in runs.items() if facts["pool"] in gone.pools}
    subsets: list[dict[str, Any]] = [
        {"digest": name, "rows": int(mask.sum()), "names": names_of(name, runs)} for name, _, mask in subset_files(gone)
    ]
    for folder, facts in on.items():
        if POOL in facts["subsets"] and not any([folder, POOL] in one["names"] for one in subsets):  # equal to another, it has a file
            rows = int(gone.numbers(facts["pool"]).size)
            subsets.append({"digest": facts["subsets"][POOL], "rows": rows, "names": [[folder, POOL]]})
    scores = sorted(_scores(gone, runs, subsets))
    judged = {entry["run"] for entry in _entries(store) if not _addresses(entry).isdisjoint(scores)}
    models = {folder for folder, _, _ in training_lists(gone)} | models_of_pools(gone, runs)
    return {
        "rows": {key: int(gone.numbers(key).size) for key in gone.pools},
        "shards": _shards(gone),
        "runs": sorted(on),
        "evidence": evidence,
        "links": sorted({group["folder"] for facts in on.values() for group in facts["groups"].values()}),
        "decisions": len({node["id"] for facts in on.values() for node in facts["nodes"].values()}),
        "subsets": subsets,
        "exports": exports_of(gone, subsets, needles),
        "models": sorted(models),
        "scores": scores,
        "verdicts": [key for run in sorted(judged) for key in store.storage.list(f"{run}/") if "/verdict-" in key],
        "calibrations": [key for run in sorted(judged) for key in store.storage.list(f"{run}/") if "/calibration-" in key],
        "trained rows": sorted(trained_arms(gone)[1]),
        "other files": needles.files(store),
    }


def _shards(gone: Gone) -> list[dict[str, Any]]:
    """Where the rows still lie: the pool's own files are never changed."""
    found = []
    for key, held in gone.pools.items():
        pool = gone.pool(key)
        for number, rows in held.items():
            found.append({"pool": key, "shard": str(pool.root / pool.shards[number].path), "rows": rows.tolist()})
    return found


def exports_of(gone: Gone, subsets: list[dict[str, Any]], needles: Needles) -> list[dict[str, Any]]:
    """Exports of these subsets, as the ledger names them, and which of their files hold the rows, where that can be seen; of the pages on
    runs, each once, those that are where they were written and show one."""
    store, found = gone.store, {}
    digests = _and_before(store, {one["digest"][:16] for one in subsets})
    for key in (key for key in store.storage.list("exports/") if key.endswith(".json")):
        one = store.json(key)
        page = one["layout"] == PAGE
        if one["digest"][:16] in digests:
            files = _pages(one, needles) if page else _holding(one, gone)
            if files or not page:
                place = (one["folder"], *files) if page else key
                found[place] = {**{name: one[name] for name in ("folder", "subset", "run", "layout")}, "files": files}
    return list(found.values())


def _pages(export: dict[str, Any], needles: Needles) -> list[str]:
    files = {name: Path(export["folder"]) / name for name in export["files"]}
    return [name for name, file in files.items() if file.is_file() and needles.within(file.read_bytes())]


def _and_before(store: Store, digests: set[str]) -> set[str]:
    """Subsets, by the first digits of their digests, and what they were before earlier take-downs: who has those has the rows, too."""
    texts = [store.storage.get(key).decode() for key in store.storage.list(f"{REQUESTS}/") if key.endswith(".jsonl")]
    facts = [json.loads(line) for text in texts for line in text.split("\n") if '"run revised"' in line]
    pairs = [(before[:16], after[:16]) for fact in facts for before, after in fact["subsets"].values()]
    found, more = set(digests), True
    while more:
        earlier = {before for before, after in pairs if after in found} - found
        found, more = found | earlier, bool(earlier)
    return found


def _holding(export: dict[str, Any], gone: Gone) -> list[str]:
    found = []
    wanted = pl.Series(hex_of(gone.every))
    for name in export["files"]:
        file = Path(export["folder"]) / name
        if name.endswith(".parquet") and file.is_file() and "uid" in pl.read_parquet_schema(file):
            uids = pl.read_parquet(file, columns=["uid"])["uid"]
            if uids.dtype == pl.String and not uids.is_in(wanted.implode()).any():
                continue
        found.append(name)
    return found


def _entries(store: Store) -> list[dict[str, Any]]:
    return [store.json(key) for key in store.storage.list("scores/") if "/entries/" in key and key.endswith(".json")]


def _addresses(entry: dict[str, Any]) -> set[str]:
    return {_address(key) for arm in entry["arms"].values() for key in arm["scores"].values()}


def _address(key: str) -> str:
    """scores/CONDITIONS/ARM of a seed's score."""
    return key.rpartition("/")[0]


def _scores(gone: Gone, runs: Mapping[str, dict[str, Any]], subsets: list[dict[str, Any]]) -> set[str]:
    """Scores of arms that trained on the rows: as their lists of members say; where these are gone, all arms of the runs on such pools, but
    candidates of which the subset is known not to hold any."""
    arms, _ = trained_arms(gone)
    listed = {key.rpartition("/")[2].removesuffix(".npy") for key in gone.store.storage.list("rows/") if "/members/" in key}
    named = {(run, name) for one in subsets for run, name in one["names"]}
    found = set()
    for entry in _entries(gone.store):
        for arm in entry["arms"].values():
            for key in arm["scores"].values():
                address, digest = _address(key), key.split("/")[-2]
                there = digest in arms
                if digest not in listed:
                    there = runs.get(entry["run"], {}).get("pool") in gone.pools
                    there &= arm["kind"] != "candidate" or (entry["run"], arm["name"]) in named
                if there:
                    found.add(address)
    return found
