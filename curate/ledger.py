"""The ledger: one hash-chained JSON line per fact of a run, and a chain of run heads per store. No row content."""

import json
from typing import Any

from curate.digest import canonical_json, sha256
from curate.errors import StoreError
from curate.store import Store

START, END = "0" * 64, "end"


class Ledger:
    """Facts of one run in order; each line names the line before it by hash."""

    def __init__(self) -> None:
        """Start an empty chain."""
        self.lines: list[str] = []
        self.head = START

    def record(self, what: str, **facts: Any) -> None:
        """Add a fact: what happened, from what, by what, counts, seconds."""
        line = canonical_json({"n": len(self.lines), "previous": self.head, "what": what, **facts})
        self.lines.append(line)
        self.head = sha256(line.encode())

    def close(self) -> None:
        """Add the last line, which says nothing but that it is the last: so the chain covers every fact of the file by itself."""
        self.record(END)

    def text(self) -> str:
        """The whole file."""
        return "".join(f"{line}\n" for line in self.lines)


def check(text: str, *, where: str) -> str:
    """The head of a ledger file; StoreError names the first line that does not follow from the one before."""
    head = START
    *lines, torn = text.split("\n")  # not splitlines: a fact may hold U+2028
    for number, line in enumerate([*lines, torn] if torn else lines):
        if number == len(lines) or not _follows(line, number, head):
            raise StoreError("the ledger's chain is broken", where=f"{where}, line {number + 1}", fix="restore the file, or run again")
        head = sha256(line.encode())
    return head


def _follows(line: str, number: int, head: str) -> bool:
    try:
        fact = json.loads(line)
    except json.JSONDecodeError:
        return False
    return isinstance(fact, dict) and (fact.get("n"), fact.get("previous")) == (number, head)


def append_head(store: Store, run: str, head: str) -> None:
    """Add a run's head to the store's own chain, unless it is the last one there."""
    while True:
        keys = store.storage.list("ledger/")
        if keys and (store.json(keys[-1])["run"], store.json(keys[-1])["head"]) == (run, head):
            return
        previous = sha256(store.storage.get(keys[-1])) if keys else START
        if store.put_json(f"ledger/{len(keys) + 1:08d}.json", {"n": len(keys), "previous": previous, "run": run, "head": head}):
            return  # else another process was quicker


def name_file(store: Store, key: str) -> None:
    """Add a file that is written once, outside of runs and evaluations, to the store's own chain: its head is its SHA-256."""
    if all(store.json(line)["run"] != key for line in store.storage.list("ledger/")):
        append_head(store, key, sha256(store.storage.get(key)))
