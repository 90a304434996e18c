"""A change of many files of a store that counts whole or not at all: written down first, then done, and finished by whoever comes next.

Everything new lies in the store before, under names that nothing lists. From `revocations/pending.json` on the change counts; each step
after it can be done again. `Store.open` finishes what it finds there, so that nobody reads a half.
"""

from typing import TYPE_CHECKING, Any

from curate.failpoint import reach

if TYPE_CHECKING:
    from curate.store import Store

PENDING = "revocations/pending.json"


def pending(store: "Store") -> bool:
    """Whether a change was begun and is not done."""
    return store.json(PENDING) is not None


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
    for key, value in change["records"].items():
        store.storage.delete(key)
        store.put_json(key, value)
        reach("revoke.applying")
    for key, text in change["texts"].items():
        store.storage.delete(key)
        store.storage.put(key, text.encode())
    for key in change["delete"]:
        store.storage.delete(key)
        reach("revoke.applying")
    reach("revoke.before_head")
    append_head(store, *change["head"])
    reach("revoke.before_finish")
    store.storage.delete(PENDING)
