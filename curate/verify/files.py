"""The files that records name by digest: parts, weights and subsets, held against what they are said to be."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.digest import canonical_json, sha256, sha256_file
from curate.errors import CeterisError
from curate.executor import Crashed, Executor
from curate.store import Store
from curate.subset import load
from curate.takedown.touched import PAGE
from curate.verify.findings import RESTORE
from curate.verify.kinds import kind_of
from curate.verify.page_checks import damage
from curate.verify.records import Contents

Progress = Callable[[str, int, int], None]
AT_ONCE = 1 << 24
FILES_A_TASK = 32


@dataclass(frozen=True)
class Listed:
    """A file, the digest that `by` names it with, and the shard that it speaks of (empty: of no single one)."""

    key: str
    digest: str
    by: str
    shard: str = ""


@dataclass(frozen=True)
class FilesTask:
    """Files to read whole."""

    store: str
    files: tuple[Listed, ...]


@dataclass(frozen=True)
class Seen:
    """What a file turned out to be: its size and, where it is not what it should be, its digest and where it is damaged."""

    size: int
    other: str | None = None
    place: str = ""


def look(task: FilesTask) -> list[Seen]:
    """Runs in a worker."""
    store = Store.open(task.store)
    return [_seen(store, one) for one in task.files]


def _seen(store: Store, one: Listed) -> Seen:
    digest, size = hashlib.sha256(), 0
    try:
        while data := store.storage.get(one.key, size, AT_ONCE):
            digest.update(data)
            size += len(data)
        if digest.hexdigest() == one.digest:
            return Seen(size)
        place = damage(store.storage.get(one.key)) if one.key.endswith(".parquet") else ""
    except (KeyError, OSError) as error:
        return Seen(size, "", f"it cannot be read: {error}")
    return Seen(size, digest.hexdigest(), place)


def listed_files(held: Contents, shards_of: Mapping[str, Sequence[str]]) -> Iterator[Listed]:
    """Every file that sound records name by its digest; parts that others replace are not among them. `shards_of` says of decisions which
    shard each piece is of."""
    folders: dict[str, dict[str, Listed]] = {}
    for key, value in held.of_kind("manifest"):  # in their order
        there = folders.setdefault(key.rpartition("/manifests/")[0], {})
        for part in value["parts"]:
            for replaced in part["replaces"]:
                there.pop(replaced, None)
            there[part["key"]] = Listed(part["key"], part["sha256"], key, part["scope"])
    for there in folders.values():
        yield from there.values()
    pools = latest_pools(held)
    for key, part in held.of_kind("uids"):
        folder, number = key.rpartition("/uids/")[0], int(key[-11:-5])
        known = pools[folder]["shards"] if folder in pools else []
        yield Listed(part["key"], part["sha256"], key, known[number]["digest"] if number < len(known) else "")
    for key, part in held.of_kind("rows"):
        yield Listed(part["key"], part["sha256"], key)
    for key, value in held.of_kind("tombstone"):
        yield Listed(value["hashes"]["key"], value["hashes"]["sha256"], key)
    for key, value in held.of_kind("decisions"):
        cut, shards = value["cut"] or {}, shards_of.get(key.rpartition("/")[0], ())
        for number, part in enumerate(value["parts"]):
            yield Listed(part["key"], part["sha256"], key, shards[number] if number < len(shards) else "")
        for part in (cut[name] for name in ("survivors", "counts") if cut.get(name)):
            yield Listed(part["key"], part["sha256"], key)
    for key, value in held.of_kind("model"):
        made_before = {"card.json": sha256(canonical_json(value["card"]).encode())}
        for name, digest in value.get("files", made_before).items():
            yield Listed(f"{value['folder']}/{name}", digest, key)
    yield from (Listed(key, digest, "a ledger") for key, digest in held.named.items() if digest and _own(key, held))


def _own(key: str, held: Contents) -> bool:
    """Whether a file that a ledger names is named by no record, and is none itself; what runs write anew has its own check."""
    return key not in held.digests and "/parts/" not in key and kind_of(key) != "settled"


def latest_pools(held: Contents) -> dict[str, dict[str, Any]]:
    """pools/ID to its last record."""
    return {key.rpartition("/")[0]: value for key, value in held.of_kind("pool")}


def check_files(held: Contents, files: Sequence[Listed], executor: Executor, progress: Progress) -> int:
    """Read the files and find what is wrong with them; returns how many bytes were read."""
    there, owner = set(held.keys), {one.digest: one.key for one in files}
    for one in [one for one in files if one.key not in there | held.bad]:
        held.find(f"{one.by} names this file, and it is gone", one.key)
    left = [one for one in files if one.key in there]
    tasks = [FilesTask(held.store.address, tuple(left[start : start + FILES_A_TASK])) for start in range(0, len(left), FILES_A_TASK)]
    done = size = 0
    progress("files", 0, len(left))
    for index, result in executor.map(look, tasks):
        done += len(tasks[index].files)
        progress("files", done, len(left))
        if isinstance(result, Crashed):
            held.find(f"reading this file, or one of the next {FILES_A_TASK}, killed its worker", tasks[index].files[0].key)
            continue
        for one, seen in zip(tasks[index].files, result, strict=True):
            size += seen.size
            if seen.other is not None:
                also = f"; it holds what {owner[seen.other]} should" if seen.other in owner else ""
                held.find(f"it is not the file that {one.by} names{also}", one.key, RESTORE, "" if also else seen.place)
    return size


def check_exports(held: Contents, progress: Progress) -> None:
    """Hold exported files, where they still lie where they were written, against the digests that the store has of them: of each file the
    latest. What is there no more as a whole was deleted by its owner; what is there in part is a finding."""
    records = list(held.of_kind("export"))
    latest = {(str(value["folder"]), name): key for key, value in records for name in value["files"]}
    for number, (key, value) in enumerate(records):
        progress("exports", number, len(records))
        folder = Path(value["folder"])
        files = {name: digest for name, digest in value["files"].items() if latest[str(folder), name] == key}
        if files and not any((folder / name).exists() for name in files):
            held.notes.append(
                f"what {key} names is not at its place any more: {folder}: {', '.join(list(files)[:3])}{', ...' * (len(files) > 3)}"
            )
            continue
        again = "draw the page again" if value["layout"] == PAGE else "export the subset again"
        for name, digest in files.items():
            file = folder / name
            try:
                if sha256_file(file) != digest:
                    held.find(f"it is not the file that {key} names", str(file), again)
            except OSError as error:
                held.find(f"{key} names this exported file, and it cannot be read: {error.strerror}", str(file), again)


def check_subsets(held: Contents, wanted: Mapping[str, str]) -> None:
    """Hold the rows in subset files against their digests, and their order; `wanted` are the digests that runs name, with the run."""
    bad = held.bad
    for digest, run in wanted.items():
        key = f"subsets/{digest[:16]}.parquet"
        if key in bad:
            continue
        if key not in held.keys:
            held.find(f"{run} names this subset, and it is gone", key)
            continue
        try:
            found = load(held.store, digest)
        except CeterisError as error:
            held.find(error.what, key)
            continue
        uids = found.uids
        later = (uids[1:, 0] > uids[:-1, 0]) | ((uids[1:, 0] == uids[:-1, 0]) & (uids[1:, 1] > uids[:-1, 1]))
        if not later.all():
            held.find("its uids do not ascend", key, RESTORE, f"row {int(later.argmin()) + 1}")
