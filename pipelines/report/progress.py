"""What goes on in a store, read from what lies in it: who writes, what was measured, decided and trained so far. Nothing is locked."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curate.store import Store

LOCKS = Path("/proc/locks")


def progress(store: Store) -> dict[str, Any]:
    """{writer, evidence: {signal: rows}, stages, trainings, runs}: `writer` says who holds the store's lock (None: nobody), `stages` are
    the nodes decided, `trainings` those finished, of all runs together."""
    keys = [key for prefix in ("decisions/", "scores/") for key in store.storage.list(prefix)]
    return {
        "writer": writer(store),
        "evidence": dict(sorted(evidence(store))),
        "stages": sum(key.endswith("/manifest.json") for key in keys),
        "trainings": sum(key.endswith("/train.json") and "/." not in key for key in keys),
        "runs": len(
            {head for key in store.storage.list("ledger/") if (head := store.json(key)["run"]).startswith("runs/") and head.count("/") == 1}
        ),
    }


def evidence(store: Store) -> Iterator[tuple[str, int]]:
    """Signals by NAME-ID and how many rows each has been measured of."""
    names = {key.split("/")[1] for key in store.storage.list("signals/")}
    for name in names:
        rows = sum(part.rows for parts in store.parts(f"signals/{name}").values() for part in parts)
        yield name, rows


def writer(store: Store) -> str | None:
    """Who holds the lock of the store, as it signed there. The lock is looked up, never taken: who comes to write is not kept out."""
    file = store.path("lock")
    if not file.is_file():
        return None
    signed = file.read_text(encoding="utf-8", errors="replace").strip()
    if not LOCKS.is_file():  # no such list on this system
        return f"{signed}, if it has not ended"
    about = file.stat()
    place = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    held = any("FLOCK" in line and place in line.split() for line in LOCKS.read_text(encoding="ascii", errors="replace").splitlines())
    return (signed or "a process that has not signed") if held else None
