"""Taking rows out of a store: every file that says something of them is written anew without it, and all of it counts at once.

Evidence keeps their line, with the error `revoked` and no value: they are neither measured again nor taken for rows without evidence.
Uids keep their place as keyed hashes. Decisions say `revoked`. Sketches keep their number, with another row's sketch, and have no links.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from curate import frames
from curate.changes import Changes
from curate.digest import sha256
from curate.subset import Subset, save
from curate.takedown.gone import Gone, decided_in, evidence_parts, runs_of, subset_files, trained_arms, training_lists
from curate.takedown.purge_counts import purge_counts
from curate.takedown.purge_links import purge_links
from curate.takedown.purge_runs import WORD, Blanked, blank_uids, judged_in, purge_decisions, purge_run
from curate.takedown.revoked import ERROR, FOLDER


def purge(gone: Gone, changes: Changes) -> dict[str, Any]:
    """Write all that holds the rows anew; returns what must be told of it: subsets before and after, folders, models, arms."""
    _list_refused(gone, changes)
    links = purge_links(gone, changes)
    evidence = purge_evidence(gone, changes)
    runs = runs_of(gone.store)
    sums = {key: blank_uids(gone, key, changes) for key in gone.pools if gone.store.json(f"{key}/indexed.json")}
    decisions = {folder: purge_decisions(gone, changes, folder, key, sums[key]) for folder, key in decided_in(runs).items() if key in sums}
    for folder in decisions:
        if (judged := judged_in(gone, changes, folder, decided_in(runs)[folder])) is not None:
            facts = next(one for one in runs.values() if folder in decided_in({"": one}))
            purge_counts(gone, changes, folder, facts["pool"], judged, facts)
    orphans = _drop_orphans(gone, changes, runs, sums)
    subsets = _purge_subsets(gone, changes)
    told = {folder: purge_run(gone, changes, folder, facts, subsets) for folder, facts in runs.items()}
    models = _purge_lists(gone, changes)
    arms, rows = trained_arms(gone)
    for folder in sorted(rows):
        for key in gone.store.storage.list(f"{folder}/"):
            changes.drop(key)
    for key in gone.pools:
        for name in gone.store.storage.list(f"indexes/{key.removeprefix('pools/')}-"):
            changes.drop(name)
    return {
        "evidence": evidence,
        "links": links,
        "decisions": {folder: rows for folder, rows in decisions.items() if rows},
        "undone": orphans,
        "subsets": subsets,
        "runs": {folder: one for folder, one in told.items() if one},
        "models": models,
        "arms": sorted(arms),
        "rows": sorted(rows),
    }


def _list_refused(gone: Gone, changes: Changes) -> None:
    for digest, (rows, requests) in gone.rows.items():
        frame = pl.DataFrame({"row": rows.astype(np.uint64), "request": requests.astype(np.uint32)})
        changes.publish.setdefault(FOLDER, []).append(changes.store.put_frame(FOLDER, digest[:16], frame, scope=digest))


def purge_evidence(gone: Gone, changes: Changes) -> dict[str, int]:
    """Values of the rows leave their evidence; returns how many lines of each folder."""
    found: dict[str, int] = {}
    for folder, part, mask in evidence_parts(gone):
        frame, here = gone.store.frame(part), pl.Series(mask)
        blank = [pl.when(~here).then(pl.col(name)).alias(name) for name in frame.columns if name not in ("row", "error")]
        frame = frame.with_columns(*blank, pl.when(here).then(pl.lit(ERROR)).otherwise(pl.col("error")).alias("error"))
        changes.publish.setdefault(folder, []).append(changes.rewrite(folder, part, frame, int(mask.sum())))
        found[folder] = found.get(folder, 0) + int(mask.sum())
    return found


def _drop_orphans(gone: Gone, changes: Changes, runs: Mapping[str, dict[str, Any]], pools: Mapping[str, Blanked]) -> list[str]:
    """Decisions that no run names, as an ended run leaves them: they are made again at no great cost, and leave where they are of a pool
    that holds the rows. Their sums say of which."""
    totals = [(gone.store.json(f"{key}/indexed.json")["rows"], *gone.store.json(f"{key}/indexed.json")["sums"]) for key in pools]
    known, dropped = decided_in(runs), []
    for folder in sorted({"/".join(key.split("/")[:2]) for key in gone.store.storage.list("decisions/")} - set(known)):
        value = gone.store.json(f"{folder}/manifest.json")
        sums = value and (sum(value["counts"]), *(sum(pair[word] for pair in value["sums"]) % WORD for word in (0, 1)))
        if value is None or sums in totals:
            dropped.append(folder)
            for key in gone.store.storage.list(f"{folder}/"):
                changes.drop(key)
    return dropped


def _purge_subsets(gone: Gone, changes: Changes) -> dict[str, dict[str, Any]]:
    """Subsets without the rows, under their own digests; by the first digits of the digest before: that after, and which rows left."""
    found = {}
    for name, key, mask in subset_files(gone):
        data = gone.store.storage.get(key)
        frame = frames.from_bytes(data, where=f"{gone.store.address}/{key}")
        left = frame.filter(~pl.Series(mask))
        digest = save(gone.store, Subset(left.select("high", "low").to_numpy().astype(np.uint64), left["copies"].to_numpy()))
        changes.drop(key)
        made = f"subsets/{digest[:16]}.parquet"
        place = {"file": key, "before": sha256(data), "file_after": made, "after": sha256(gone.store.storage.get(made))}
        changes.facts.append({"what": "purged", **place, "rows": int(mask.sum())})
        found[name] = {"after": digest, "left": int(mask.sum()), "rows": left.height}
    return found


def _purge_lists(gone: Gone, changes: Changes) -> list[str]:
    """Lists of training rows lose the rows; the models that were trained on them."""
    found = []
    for folder, part, mask in training_lists(gone):
        fresh = changes.rewrite(folder, part, gone.store.frame(part).filter(~pl.Series(mask)), int(mask.sum()))
        changes.record(f"{folder}/rows.json", {**asdict(fresh), "replaces": []})
        found.append(folder)
    return found
