"""What may lie in a store: the kinds of file by their names, and what the records of each kind say."""

import re
from dataclasses import fields
from typing import Any

from curate.store import Part

PART = frozenset(field.name for field in fields(Part))
_POOL = frozenset(("root", "layout", "modality", "roles", "columns", "shards", "unreadable", "digest_level"))
_RUN = frozenset(("name", "recipe", "pool", "nodes", "order", "measures", "groups", "models", "subsets", "named", "evaluate"))
_DECIDED = frozenset(("node", "id", "reasons", "counts", "sums", "parts", "cut"))
_HEX, _HEX32 = "[0-9a-f]{16}", "[0-9a-f]{32}"
_NAMED = rf"[^/]+-{_HEX}"

RECORDS: dict[str, tuple[str, frozenset[str]]] = {
    "pool": (rf"pools/{_HEX}/pool-\d{{4}}\.json", _POOL),
    "indexed": (rf"pools/{_HEX}/indexed\.json", frozenset(("rows", "sums"))),
    "whole": (rf"pools/{_HEX}/subset\.json", frozenset(("digest",))),
    "uids": (rf"pools/{_HEX}/uids/\d{{6}}\.json", PART),
    "settled": (rf"pools/{_HEX}/settled\.json", frozenset(("requests",))),
    "tombstone": (r"revocations/\d{6}/tombstone\.json", frozenset(("number", "hashes", "previous"))),
    "retrain": (r"revocations/\d{6}/retrain\.json", frozenset()),
    "export": (r"exports/[^/]+\.json", frozenset(("folder", "files", "digest"))),
    "cache": (r"pools/files\.json", frozenset(("version", "files"))),
    "signal": (rf"signals/{_NAMED}/signal\.json", frozenset(("name", "version", "parameters", "fingerprint", "columns"))),
    "about": (rf"indexes/{_NAMED}/about\.json", frozenset(("version", "pool", "rows"))),
    "code": (rf"signals/{_NAMED}/code/\d{{4}}\.json", frozenset(("source", "versions", "pool"))),
    "manifest": (rf"((signals|links|indexes)/{_NAMED}|revoked)/manifests/\d{{8}}\.json", frozenset(("epoch", "parts"))),
    "model": (rf"models/{_HEX}/model\.json", frozenset(("id", "kind", "folder", "weights", "card"))),
    "rows": (rf"models/{_HEX}/rows\.json", PART),
    "card": (rf"models/{_HEX}/{_HEX32}/card\.json", frozenset()),
    "decisions": (rf"decisions/{_HEX}/manifest\.json", _DECIDED),
    "recipe": (rf"runs/{_NAMED}/recipe\.json", frozenset(("text", "digest"))),
    "funnel": (rf"runs/{_NAMED}/funnel\.json", frozenset()),
    "run": (rf"runs/{_NAMED}/run\.json", _RUN),
    "line": (r"ledger/\d{8}\.json", frozenset(("n", "previous", "run", "head"))),
}
"""Kind to the pattern of its names, and the keys that it has at least."""
FILES: dict[str, str] = {
    "format": "FORMAT",
    "lock": "lock",
    "attempt": "tmp/.*",
    "part": rf"((pools|models|decisions)/{_HEX}|(signals|links|indexes)/{_NAMED}|revoked|revocations)/parts/[^/]+-{_HEX32}\.[a-z]+",
    "weights": rf"models/{_HEX}/{_HEX32}/weights\.safetensors",
    "subset": rf"subsets/{_HEX}\.parquet",
    "ledger": rf"runs/{_NAMED}/ledger(-\d+)?\.jsonl",
    "take-down": r"revocations/\d{6}/ledger(-\d+)?\.jsonl",
    "key": "revocations/key",
    "pending": r"revocations/pending\.json",
}
UNSEALED = frozenset(("card", "funnel"))
"""Kinds without a seal: they are named by digest in others."""
_PATTERNS = [(kind, re.compile(pattern)) for kind, pattern in ({kind: one[0] for kind, one in RECORDS.items()} | FILES).items()]


def kind_of(key: str) -> str | None:
    """What lies under a key; None for what a store does not hold."""
    return next((kind for kind, pattern in _PATTERNS if pattern.fullmatch(key)), None)


def misshapen(kind: str, key: str, value: Any) -> str:
    """Why a record cannot be one of its kind at its place; empty where it can."""
    if kind == "funnel":
        return "" if isinstance(value, list) and all(isinstance(line, dict) for line in value) else "it is no list of stages"
    if not isinstance(value, dict):
        return "it is no record"
    if lacking := sorted(RECORDS[kind][1] - value.keys()):
        return f"it does not say: {', '.join(lacking)}"
    folder = "/".join(key.split("/")[:2])
    identities = {"signal": "fingerprint", "model": "id", "decisions": "id"}
    if kind in identities and str(value[identities[kind]])[:16] != folder[-16:]:
        return f"it is that of {value[identities[kind]]}, and lies in {folder}"
    if kind == "tombstone":
        return "" if _is_part(value["hashes"], "revocations") else "its hashes lie elsewhere"
    parts = value["parts"] if kind in ("manifest", "decisions") else [value] if kind in ("uids", "rows") else []
    home = "revoked" if key.startswith("revoked/") else folder
    return next((f"a part lies in another folder than {home}" for part in parts if not _is_part(part, home)), "")


def _is_part(value: Any, folder: str) -> bool:
    return isinstance(value, dict) and value.keys() == PART and isinstance(value["key"], str) and value["key"].startswith(f"{folder}/")
