"""Scores of a store as they are listed: which arm of which run each is of, and the rows it was trained on, where their list is kept."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.digest import UInt64s
from curate.errors import CeterisError, StoreError, nearest
from curate.plan import POOL
from curate.record import Run
from curate.store import Store
from curate.takedown.revoked import REQUESTS, must_be_made_again
from pipelines.scores.arms import places_of

Mask = npt.NDArray[np.bool_]
WITHOUT = " without its rule"
"""What the control of a stage with several parents is called, see `pipelines.scores.arms`."""


@dataclass(frozen=True)
class Score:
    """One training as an entry lists it: `key` is its folder in the store, `arm` {name, id, kind, rows}, `entry` the entry's key."""

    key: str
    seed: int
    arm: dict[str, Any]
    run: str
    pool: str
    scale: str
    entry: str

    @property
    def conditions(self) -> str:
        """scores/CONDITIONS."""
        return "/".join(self.key.split("/")[:2])

    @property
    def digest(self) -> str:
        """The first 16 hex digits of the digest of the rows trained on."""
        return self.key.split("/")[2]


def scores_of(store: Store) -> list[Score]:
    """Every listed score, the latest entry first."""
    keys = [key for key in store.storage.list("scores/") if "/entries/" in key and key.endswith(".json")]
    found = []
    for key in sorted(keys, key=lambda one: one.rpartition("/")[2], reverse=True):
        entry = store.json(key)
        for arm in entry["arms"].values():
            about = {name: arm[name] for name in ("name", "id", "kind", "rows")}
            for seed, place in sorted(arm["scores"].items(), key=lambda one: int(one[0])):
                found.append(Score(place, int(seed), about, entry["run"], entry["pool"], entry["scale"], key))
    return found


def score_at(store: Store, words: Sequence[str], run: str | None = None, seed: int | None = None) -> Score:
    """The score that is meant by a folder or key under scores/, or by an arm's name of a run (the latest that has it), with `seed` or words
    `seed N`; else the arm's first seed. CeterisError where there is none."""
    listed = scores_of(store)
    if not listed:
        raise StoreError("this store has no scores", where=store.address, fix="run `curate eval` first")
    if len(words) >= 3 and words[-2] == "seed" and words[-1].lstrip("-").isdigit():
        words, seed = words[:-2], int(words[-1])
    name = " ".join(words)
    key = name.removeprefix(store.address).strip("/")
    key = key if key.startswith("scores/") else f"scores/{key}"
    if "/" in key.removeprefix("scores/"):
        found = [one for one in listed if one.key == key or one.key.rpartition("/")[0] == key]
    else:
        of_run = Run.latest(store, run).folder if run else None
        found = [one for one in listed if one.arm["name"] == name and of_run in (None, one.run)]
        found = [one for one in found if one.run == found[0].run]
    found = [one for one in found if seed in (None, one.seed)]
    if not found:
        arms = dict.fromkeys(one.arm["name"] for one in listed)
        at = f" with the seed {seed}" if seed is not None else ""
        raise CeterisError(f"no score is called {name}{at}", where=store.address, fix=f"{nearest(name, arms)}; or a folder under scores/")
    return found[0]


def member_lists(store: Store) -> dict[str, str]:
    """Where the lists of rows that trainings used lie, by their digests."""
    keys = [key for key in store.storage.list("rows/") if "/members/" in key]
    return {key.rpartition("/")[2].removesuffix(".npy"): key for key in keys}


def members_of(store: Store, lists: Mapping[str, str], digest: str) -> UInt64s | None:
    """The uids that a score was trained on, a row used k times listed k times; None where their list is not kept any more."""
    if digest not in lists:
        return None
    found: UInt64s = np.load(io.BytesIO(store.storage.get(lists[digest])), allow_pickle=False)
    return found


def stage_of(run: Run, arm: dict[str, Any]) -> str | None:
    """The node of the run that an arm's rows come from: its own, of a draw the pool that it is drawn from; None for trusted rows alone."""
    name = arm["name"].removesuffix(WITHOUT)
    if arm["kind"] in ("pool", "random"):
        return run.node_of(POOL)
    return name if name in run.facts["nodes"] else None


def taken_down_since(store: Store, score: Score) -> dict[int, int]:
    """By request, how many rows of the subset that a score was trained on were taken down after it, as the ledgers tell: of the pool, all
    that left it. Empty for scores that rest on none, and for arms that are no subset."""
    first = must_be_made_again(store).get(score.key.rpartition("/")[0])
    name, found = POOL if score.arm["kind"] == "pool" else score.arm["name"], dict[int, int]()
    for key in store.storage.list(f"{REQUESTS}/"):
        if first is not None and key.endswith(".jsonl") and (number := int(key.split("/")[1])) >= first:
            facts = [json.loads(line) for line in store.storage.get(key).decode().split("\n") if '"run revised"' in line]
            left = sum(fact.get("left", {}).get(name, 0) for fact in facts if fact["run"] == score.run)
            found |= {number: found.get(number, 0) + left} if left else {}
    return found


def trained_rows(run: Run, score: Score, lists: Mapping[str, str]) -> tuple[Mask | None, int, str]:
    """Which rows of the run's pool the score was trained on, by pool-wide number; how many different rows of other pools; and how that is
    known. None where it cannot be told: of a draw, or of trusted rows, whose list is not kept."""
    members = members_of(run.store, lists, score.digest)
    if members is not None:
        mask: Mask = np.zeros(run.pool.rows, bool)
        mask[places_of(run.uids(), members)] = True
        return mask, len(np.unique(members, axis=0)) - int(mask.sum()), "the list of rows that it was trained on"
    stage = stage_of(run, score.arm)
    if stage is None or score.arm["kind"] == "random" or score.arm["name"].endswith(WITHOUT):
        return None, 0, "the list of rows that it was trained on is not kept any more"
    return run.copies(stage) > 0, 0, f"the rows of {stage}; the list of those that could be decoded is not kept any more"
