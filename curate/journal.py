"""A change of many files of a store that counts whole or not at all: written down first, then done, and finished by whoever comes next.

Everything new lies in the store before, under names that nothing lists. From `revocations/pending.json` on the change counts; each step
after it can be done again. `Store.open` finishes what it finds there, so that nobody reads a half. Who has opened the store before reads a
record as it was or as it is, never none; a file that left is said to have left (`taken_away`).
"""

from typing import TYPE_CHECKING, Any

from curate.errors import StoreError
from curate.failpoint import reach
from curate.seal import sealed

if TYPE_CHECKING:
    from curate.store import Store

PENDING = "revocations/pending.json"


FIRST = ("revoked/", "revocations/")
"""Where it is listed what is refused and by which request: it changes before all else, so that nobody takes a row for one of no pool."""


def pending(store: "Store") -> bool:
    """Whether a change was begun and is not done."""
    return store.json(PENDING) is not None


def taken_away(store: "Store", key: str) -> StoreError | None:
    """Why a file is not there that was named a moment ago: rows are being taken down, or were since; None where neither is so."""
    where = f"{store.address}/{key}"
    if pending(store):
        return StoreError("rows are being taken down", where=where, fix="ask again when that is done: `curate revoke --resume` sees to it")
    told = f'"file":"{key}"'.encode()
    ledgers = (one for one in store.storage.list("revocations/") if one.endswith(".jsonl"))
    if any(told in store.storage.get(one) for one in ledgers):
        return StoreError("rows were taken down since this was begun", where=where, fix="ask again")
    return None


def commit(store: "Store", change: dict[str, Any]) -> None:
    """Make a change count, and do it. `change` has `records` (key: a JSON value that stands there from now on), `texts` (key: text),
    `delete` (keys), and `head`: the key of the ledger that joins the store's chain, and its head."""
    reach("revoke.before_commit")
    store.put_json(PENDING, change)
    reach("revoke.after_commit")
    finish(store)


def finish(store: "Store") -> None:
    """Do what the pending change says, as often as it takes. Only the lock's owner calls this."""
    from curate.ledger import append_head  # knows stores

    change = store.json(PENDING)
    if change is None:
        return
    for key, value in sorted(change["records"].items(), key=lambda one: [not one[0].startswith(first) for first in FIRST]):
        store.storage.replace(key, sealed(value))
        reach("revoke.applying")
    for key, text in change["texts"].items():
        store.storage.replace(key, text.encode())
    for key in change["delete"]:
        store.storage.delete(key)
        reach("revoke.applying")
    reach("revoke.before_head")
    append_head(store, *change["head"])
    reach("revoke.before_finish")
    store.storage.delete(PENDING)
