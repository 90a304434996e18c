"""Files of a store that are to be changed together: new ones are written at once under names that nothing lists; what they replace leaves
when the change counts (`curate/journal.py`). Every file changed becomes a fact of the ledger, with its digest before and after."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from curate.digest import sha256
from curate.seal import sealed
from curate.store import Part, Store


@dataclass
class Changes:
    """What is to be changed, all of it at once; new files lie in the store already, listed nowhere."""

    store: Store
    publish: dict[str, list[Part]] = field(default_factory=dict)
    records: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    delete: dict[str, str] = field(default_factory=dict)
    facts: list[dict[str, Any]] = field(default_factory=list)

    def rewrite(self, folder: str, old: Part, frame: pl.DataFrame, rows: int) -> Part:
        """Write a part anew; the old file leaves."""
        stem = old.key.rpartition("/")[2].rpartition("-")[0]
        place = {"scope": old.scope, "start": old.start, "stop": old.stop, "replaces": (old.key,), "seconds": old.seconds}
        part = self.store.put_frame(folder, stem, frame, **place)  # type: ignore[arg-type]
        self.delete[old.key] = old.sha256
        self.facts.append(
            {"what": "purged", "file": old.key, "before": old.sha256, "file_after": part.key, "after": part.sha256, "rows": rows}
        )
        return part

    def record(self, key: str, value: Any) -> None:
        """Put another record in a record's place."""
        self.records[key] = value

    def drop(self, key: str) -> None:
        """Let a file leave."""
        self.delete.setdefault(key, sha256(self.store.storage.get(key)))
        self.records.pop(key, None)

    def now(self, key: str) -> Any:
        """The record that will stand under a key."""
        return self.records[key] if key in self.records else self.store.json(key)

    def file_facts(self) -> list[dict[str, Any]]:
        """A fact for every file changed: its digest before and after (None: not there)."""
        purged = {fact["file"] for fact in self.facts if fact["what"] == "purged"}
        found = []
        for key, value in sorted(self.records.items()):
            before = _digest(self.store, key)
            found.append({"what": "purged", "file": key, "before": before, "file_after": key, "after": sha256(sealed(value))})
        for key, before in sorted(self.delete.items()):
            if key not in purged:
                found.append({"what": "purged", "file": key, "before": before, "file_after": None, "after": None})
        return found


def _digest(store: Store, key: str) -> str | None:
    try:
        return sha256(store.storage.get(key))
    except KeyError:
        return None
