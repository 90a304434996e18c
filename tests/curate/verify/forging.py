"""What one would do who knows of seals, ledgers and chains, and what `verify` says of it."""

import json
from collections.abc import Callable
from typing import Any

import polars as pl

from curate import frames, ledger
from curate.digest import sha256
from curate.executor import InProcess
from curate.seal import unsealed
from curate.store import Store
from curate.verify.store import Asked, Verification, verify_store

OTHER = """
errors_at_most: 0.2
stages:
  web:   {keep: "pool.source == 'web' and length.chars > 1"}
  even:  {keep: {balance: pool.source, at_most: 3, seed: 1}}
  drawn: {after: web, keep: {soft_cap: pool.quality, penalty: 0.1, count: 4, seed: 2}}
  twice: {after: even, keep: {repeat: 2}}
  mixed: {any_of: [twice, drawn]}
  few:   {keep: {random: 0.5, seed: 3}}
subsets: [web, even, mixed, few]
"""


def verified(store: Store, **asked: Any) -> Verification:
    return verify_store(store, Asked(**asked), InProcess(), lambda *_: None)[0]


def whats(found: Verification) -> list[str]:
    return [str(one) for one in found.findings]


def rewritten(store: Store, key: str, change: Callable[[Any], Any]) -> None:
    """What one would do who knows of seals."""
    value = change(unsealed(store.storage.get(key), where=key))
    store.storage.delete(key)
    store.put_json(key, value)


def forged(store: Store) -> None:
    """Make ledgers and chain anew over all that lies there: only judging again can tell."""
    for key in store.storage.list("ledger/"):
        store.storage.delete(key)
    for key in [key for key in store.storage.list("runs/") if key.endswith("ledger.jsonl")]:
        facts = [json.loads(line) for line in store.storage.get(key).decode().split("\n") if line]
        made = ledger.Ledger()
        for fact in facts:
            kept = {name: value for name, value in fact.items() if name not in ("n", "previous", "what")}
            if "files" in kept:
                kept["files"] = {n: sha256(store.storage.get(f"{kept['folder']}/{n}")) for n in kept["files"]}
            made.record(fact["what"], **kept)
        store.storage.delete(key)
        store.storage.put(key, made.text().encode())
        ledger.append_head(store, key.rpartition("/")[0], made.head)


def part_rewritten(store: Store, manifest: str, number: int, change: Callable[[pl.DataFrame], pl.DataFrame]) -> str:
    """Change a listed file, and what lists it."""
    part = unsealed(store.storage.get(manifest), where="")["parts"][number]
    data = bytes(frames.to_bytes(change(frames.from_bytes(store.storage.get(part["key"]), where=""))))
    store.storage.delete(part["key"])
    store.storage.put(part["key"], data)

    def listed(value: dict[str, Any]) -> dict[str, Any]:
        value["parts"][number]["sha256"] = sha256(data)
        return value

    rewritten(store, manifest, listed)
    return str(part["key"])


def nodes(store: Store) -> dict[str, str]:
    found = {}
    for key in store.storage.list("runs/"):
        if key.endswith("run.json"):
            found |= {name: node["id"] for name, node in store.json(key)["nodes"].items()}
    return found
