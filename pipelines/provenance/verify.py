"""A store verified whole: what the engine wrote (`curate.verify.store`), and the scores, the rows trained on and the verdicts."""

import re
from pathlib import Path

from curate.errors import CeterisError, StoreError
from curate.executor import Executor, InProcess
from curate.journal import PENDING
from curate.ledger import START
from curate.storage import open_storage
from curate.store import FORMAT, Store
from curate.verify.findings import RESTORE, Finding
from curate.verify.store import Asked, Verification, quiet, verify_store
from pipelines.verbs import Progress, silent, store_address, workers

_HEX, _RUN = "[0-9a-f]{16}", r"runs/[^/]+-[0-9a-f]{16}"
_SCORE = rf"scores/{_HEX}/{_HEX}/seed-\d+"
KINDS: dict[str, str] = {
    "conditions": rf"scores/{_HEX}/conditions\.json",
    "scale": rf"scores/{_HEX}/scale\.json",
    "entry": rf"scores/{_HEX}/entries/\d{{6}}-{_HEX}\.json",
    "entry's ledger": rf"scores/{_HEX}/entries/\d{{6}}-{_HEX}\.jsonl",
    "training": rf"{_SCORE}/train\.json",
    "answers": rf"{_SCORE}/items(-\d+)?\.parquet",
    "attempt": rf"scores/{_HEX}/{_HEX}/\.seed-\d+\.part/.*|rows/[^/]+/(parts/.*|\..*|.*\.(tmp|new)|members/.*\.tmp\.npy)",
    "row files": rf"rows/[^/]+-{_HEX}/files\.json",
    "members": rf"rows/[^/]+-{_HEX}/members/{_HEX}\.npy",
    "rows": rf"rows/[^/]+-{_HEX}/[^/]+",
    "verdict": rf"{_RUN}/(verdict|calibration)-[0-9a-f]{{12}}\.json",
}
"""What lies in a store that the engine does not know: the pattern of each kind's names."""
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in KINDS.items()}
FEW = 1000
"""Files of decisions, of some 16,000 each, that one process judges sooner than others start."""


def kind_of(key: str) -> str | None:
    """What lies under a key; None for what nobody but the engine may know."""
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(key)), None)


def verify(
    store: Store | str | Path | None = None,
    *,
    run: str | None = None,
    sample: float | None = None,
    seed: int = 0,
    head: str | None = None,
    full: bool = False,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> Verification:
    """Judge every decision again from stored evidence and the resolved recipe, and hold every file against the digest that a record or a
    ledger names it by. Reads only, and refuses to where a command writes.

    `run` judges one run's decisions only (its name or NAME-ID); `sample` is a share of the shards, drawn by `seed`: cuts, counts and
    subsets are then not made again. `head` is one that an earlier verification printed: a ledger that was cut since is found. `full`
    reads the pools' shards whole, also where size and times say that nothing changed.
    """
    if sample is not None and not 0 < sample <= 1:
        raise CeterisError(f"a sample is a share above 0 and at most 1, not {sample}", where="--sample", fix="for example --sample 0.1")
    at = store if isinstance(store, Store) else _there(store_address(store))
    if head is not None and not re.fullmatch("[0-9a-f]{8,64}", head):
        raise CeterisError(
            f"{head!r} is no head", where="--head", fix="give what `curate verify` printed last, or its first 8 digits at least"
        )
    if (why := _unready(at)) is not None:
        return Verification(at.address, START, [why], ["nothing else was looked at"], {"files": 1, "decisions": 0})
    few = len(at.storage.list("decisions/")) < FEW
    own = executor or (InProcess() if few else workers())
    try:
        with quiet(at):
            asked = Asked(run, sample if sample != 1 else None, seed, full, head)
            found, held = verify_store(at, asked, own, progress, lambda key: kind_of(key) is not None)
            if any(kind_of(key) for key in held.keys):
                from pipelines.provenance.verify_scores import verify_scores  # loads torch

                verify_scores(held, own, progress, found)
            return found
    finally:
        if executor is None:
            own.close()


def _there(address: str) -> Store:
    """A store as it is; unlike `Store.open` it writes no FORMAT where that is gone."""
    if not address.startswith("memory:") and not any((Path(address) / name).exists() for name in ("FORMAT", "ledger", "runs", "decisions")):
        raise StoreError("there is no store here", where=address, fix="name one with --store, or run `curate run` first")
    return Store(open_storage(address))


def _unready(store: Store) -> Finding | None:
    """What must be mended before anything of a store can be read."""
    try:
        data = store.storage.get("FORMAT")
    except KeyError:
        return Finding(f"it is gone; a store of this Ceteris has one that says {FORMAT}", "FORMAT")
    if data != FORMAT.encode():
        return Finding(f"it does not say {FORMAT}, which this Ceteris reads", "FORMAT", RESTORE)
    if store.storage.list(PENDING):
        return Finding("a take-down was begun and is not done", PENDING, "run `curate revoke --resume`")
    return None
