"""What goes on in a store, read from what lies in it: who writes, what was measured, decided and trained so far. No writer is kept out."""

import fcntl
import os
from collections.abc import Iterator
from typing import Any

from curate.store import Store


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
    """Who holds the lock of the store, as it signed there; None: nobody.

    The system is asked by taking the lock, shared, for a moment, since its list of locks is blind where a file system lies over another and
    for processes of other containers; who comes to write meanwhile waits for that moment.
    """
    file = store.path("lock")
    if not file.is_file():
        return None
    handle = os.open(file, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return file.read_text(encoding="utf-8", errors="replace").strip() or "a process that has not signed"
    except OSError:  # a file system that cannot say
        return f"{file.read_text(encoding='utf-8', errors='replace').strip()}, if it has not ended"
    finally:
        os.close(handle)
    return None
