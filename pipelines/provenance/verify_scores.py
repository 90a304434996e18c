"""What the instrument wrote into a store, verified: entries, trainings, answers, the rows trained on, and verdicts.

The digests are those that `pipelines.scores.verified` asks of scores from anywhere; here they are also held against the store around.
"""

import json
from collections.abc import Mapping
from typing import Any

from curate.digest import digest_of
from curate.errors import CeterisError, StoreError
from curate.executor import Executor
from curate.seal import unsealed
from curate.verify.files import Listed, check_files
from curate.verify.findings import RESTORE
from curate.verify.records import AGAIN, Contents
from curate.verify.store import Verification
from pipelines.provenance.verify import kind_of
from pipelines.provenance.verify_members import check_members
from pipelines.scores.evaluations import FILES
from pipelines.scores.reading import CHANGING
from pipelines.scores.verified import recorded_score
from pipelines.verbs import Progress

SEALED = ("conditions", "scale", "entry", "row files", "verdict")


def verify_scores(held: Contents, executor: Executor, progress: Progress, found: Verification) -> None:
    """Add what is wrong with them, and what was looked at."""
    kinds = {key: kind for key in held.keys if (kind := kind_of(key))}
    records = {key: value for key, kind in kinds.items() if kind in SEALED and (value := _record(held, key)) is not None}
    _identities(held, kinds, records)
    places = _trainings(held, kinds, records, progress)
    listed = [*_row_files(held, kinds, records), *_answers(held, places)]
    size = check_files(held, listed, executor, progress)
    check_members(held, kinds, places, executor, progress)
    trained = {key.rpartition("/")[0] for key, kind in kinds.items() if kind == "training"}
    if stray := sorted(trained - places.keys()):
        held.notes.append(f"{len(stray):,} scores are listed by no entry, since their evaluation was not finished; the first is {stray[0]}")
    if left := sum(kind == "attempt" for kind in kinds.values()):
        held.notes.append(f"{left:,} files are of evaluations that ended early; the next one goes on from them")
    found.checked |= {"files": found.checked["files"] + len(listed) + len(records), "bytes": found.checked["bytes"] + size}
    found.checked["scores"] = len(places)


def _record(held: Contents, key: str) -> dict[str, Any] | None:
    if key in held.bad:
        return None
    try:
        value = unsealed(held.store.storage.get(key), where=key)
    except StoreError as error:
        held.find(error.what, key)
        return None
    except (KeyError, OSError) as error:
        held.find(f"it cannot be read: {error}", key)
        return None
    if not isinstance(value, dict):
        held.find("it holds no record", key)
        return None
    return value


def _identities(held: Contents, kinds: Mapping[str, str], records: Mapping[str, dict[str, Any]]) -> None:
    """Records that are named by what they say."""
    for key, value in records.items():
        if kinds[key] == "conditions" and digest_of(value)[:16] != key.split("/")[1]:
            held.find(f"these are the conditions {digest_of(value)[:16]}, and lie in {key.split('/')[1]}", key)
        if kinds[key] == "entry" and not key.endswith(f"-{digest_of(value)[:16]}.json"):
            held.find("the entry is not the one that its name is the digest of", key)
        if kinds[key] == "verdict" and key not in held.named:
            held.find("no line of the store's chain names it", key, AGAIN)
    for key, kind in kinds.items():
        if kind == "entry's ledger" and key[:-1] not in kinds and not any(run == key[:-1] for _, run, _ in held.heads):
            held.notes.append(f"{key} is of an evaluation that was not finished")
    for key in held.keys:  # where pools lie now, as the last evaluation found them
        if key.startswith("rows/") and key.rpartition("/")[2] in CHANGING:
            _pools_again(held, key)


def _pools_again(held: Contents, key: str) -> None:
    known = [{**value, "digest_level": ""} for _, value in held.of_kind("pool")]
    try:
        here = json.loads(held.store.storage.get(key))
        sound = isinstance(here, list) and all(isinstance(one, dict) and {**one, "digest_level": ""} in known for one in here)
    except (KeyError, OSError, ValueError, RecursionError):
        sound = False
    if not sound:
        held.find("it does not describe pools that this store knows", key, "delete it; the next evaluation writes it again")


def _trainings(
    held: Contents, kinds: Mapping[str, str], records: Mapping[str, dict[str, Any]], progress: Progress
) -> dict[str, dict[str, Any]]:
    """Every score that entries list, by its key, with what its entry and its training say of it."""
    ledgers = {one.key[:-1]: one for one in held.ledgers if kinds.get(one.key) == "entry's ledger"}
    places: dict[str, dict[str, Any]] = {}
    entries = [key for key, kind in kinds.items() if kind == "entry" and key in records and key not in held.bad]
    for number, key in enumerate(entries):
        progress("scores", number, len(entries))
        entry, ledger = records[key], ledgers.get(key)
        if ledger is None:
            if f"{key}l" not in held.bad:
                held.find("the ledger of this entry is gone", f"{key}l")
            continue
        written = {fact["score"]: fact for fact in ledger.facts if fact.get("what") == "training"}
        rows: dict[str, str] = next((fact["files"] for fact in ledger.facts if fact.get("what") == "files"), {})
        folder = next((one.rpartition("/")[0] for one in rows if one.startswith("rows/")), None)
        for arm in entry["arms"].values():
            for seed, place in arm["scores"].items():
                about = _training(held, place, int(seed), written)
                places[place] = {"about": about, "arm": arm, "seed": int(seed), "entry": entry, "rows": folder}
    return places


def _training(held: Contents, place: str, seed: int, written: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return recorded_score(held.store.path(place), place, seed, written)
    except CeterisError as error:
        gone = f"{place}/train.json" not in held.keys
        held.find("an entry lists this score, and it is gone" if gone else error.what, f"{place}/train.json", error.fix or RESTORE)
        return None


def _answers(held: Contents, places: Mapping[str, dict[str, Any]]) -> list[Listed]:
    found = []
    for place, one in places.items():
        if one["about"] is not None:
            by, about = f"{place}/train.json", one["about"]
            found.append(Listed(f"{place}/items.parquet", about["answers"], by))
            before = about.get("answers before", {})
            found += [Listed(f"{place}/items-{step}.parquet", digest, by) for step, digest in before.items()]
    known = {one.key for one in found} | {f"{place}/train.json" for place in places}
    for key in held.keys:
        if places.get(key.rpartition("/")[0], {}).get("about") is not None and key not in known:
            held.find("no training wrote this file", key, "find out what put it there, and move it away")
    return found


def _row_files(held: Contents, kinds: Mapping[str, str], records: Mapping[str, dict[str, Any]]) -> list[Listed]:
    """The files that rows to train on lie in; unknown ones are found."""
    found = [
        Listed(f"{key.rpartition('/')[0]}/{name}", digest, key)
        for key, value in records.items()
        if kinds[key] == "row files"
        for name, digest in value.items()
    ]
    known, finished = {one.key for one in found}, {key.rpartition("/")[0] for key, kind in kinds.items() if kind == "row files"}
    loose = {key for key, kind in kinds.items() if kind == "rows" and key not in known and key.rpartition("/")[2] not in CHANGING}
    for key in sorted(loose):
        if key.rpartition("/")[0] in finished and f"{key.rpartition('/')[0]}/{FILES}" not in held.bad:
            held.find("no evaluation wrote this file", key, "find out what put it there, and move it away")
    if left := sorted({key.rpartition("/")[0] for key in loose} - finished):
        held.notes.append(
            f"{left[0]} holds rows of an evaluation that was not finished, or that an earlier version made: they are unchecked"
        )
    return found
