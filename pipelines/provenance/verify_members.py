"""The rows that scores were trained on: the lists of uids beside the rows, held against their digests, the draws and the subsets."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.errors import CeterisError
from curate.executor import Crashed, Executor
from curate.store import Store
from curate.verify.findings import RESTORE
from curate.verify.records import Contents
from eval_fixed_model.arms import members_digest
from pipelines.scores.trained_rows import TrainedRows

Progress = Callable[[str, int, int], None]
A_TASK = 8
HEADER = 10
"""Bytes of an .npy file before its header's text; the last two are that text's length."""


@dataclass(frozen=True)
class MembersTask:
    """Lists of uids to read."""

    store: str
    keys: tuple[str, ...]


def look(task: MembersTask) -> list[str]:
    """Why each list is not the one that its name says; empty where it is. Runs in a worker."""
    store = Store.open(task.store)
    return [_why(store, key) for key in task.keys]


def _why(store: Store, key: str) -> str:
    try:
        data = store.storage.get(key)
    except (KeyError, OSError) as error:
        return f"it cannot be read: {error}"
    body = data[HEADER + int.from_bytes(data[HEADER - 2 : HEADER], "little") :]
    found = np.frombuffer(body[: len(body) // 16 * 16], "<u8").reshape(-1, 2).astype(np.uint64)
    again = io.BytesIO()
    np.save(again, found, allow_pickle=False)
    if again.getvalue() != data:
        return "it is no list of uids as Ceteris writes them"
    if members_digest(found)[:16] != key[-20:-4]:
        return "its rows are not those that its name is the digest of"
    return ""


def check_members(
    held: Contents, kinds: Mapping[str, str], places: Mapping[str, dict[str, Any]], executor: Executor, progress: Progress
) -> None:
    """Every list, and every score's: an arm's rows are its subset's, a draw's are the draw's."""
    keys = [key for key, kind in kinds.items() if kind == "members"]
    tasks = [MembersTask(held.store.address, tuple(keys[start : start + A_TASK])) for start in range(0, len(keys), A_TASK)]
    for index, result in executor.map(look, tasks):
        progress("rows trained on", index + 1, len(tasks))
        told = ["reading it killed its worker"] * A_TASK if isinstance(result, Crashed) else result
        for key, why in zip(tasks[index].keys, told, strict=False):
            if why:
                held.find(why, key)
    bad = held.bad
    if any(where.startswith(("subsets/", "ledger/")) for where in bad):
        held.notes.append("whether scores were trained on their subsets' rows was not looked at, since subsets or the ledger are damaged")
        return
    rows = TrainedRows(held.store.path(""), frozenset((run, head) for _, run, head in held.heads))
    lists = {key.rpartition("/")[2]: key for key in keys}  # of a run that only reads a score, the run that trained has the list
    taken = {key.rpartition("/")[2] for key, digest in held.named.items() if digest is None and "/members/" in key}
    for place, one in places.items():
        name = f"{place.split('/')[2]}.npy"
        if one["rows"] is None:
            continue
        if name not in lists:
            key = f"{one['rows']}/members/{name}"
            if held.named.get(key, "") is not None and name not in taken:  # else taken away with rows that were taken down
                held.find(f"the rows that {place} was trained on are gone", key)
        elif lists[name] not in bad and one["entry"]["run"] not in {where.rpartition("/")[0] for where in bad}:
            try:
                rows.unchecked(place.split("/")[2], one["arm"], one["seed"], one["entry"])
            except CeterisError as error:
                held.find(error.what, f"{place}/train.json", error.fix or RESTORE)
