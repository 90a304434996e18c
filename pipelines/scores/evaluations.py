"""Evaluations as they lie in a store: which arms were trained for a run under which conditions, and where each score is."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curate.digest import digest_of, sha256
from curate.ledger import Ledger, append_head, check
from curate.store import Store
from eval_fixed_model.scale import SHIPPED, Scale, kept_scale, load_scale
from eval_fixed_model.score import SeedScore, read_training
from eval_fixed_model.statistics import Look

FILES = "files.json"
"""In a folder of rows to train on: the digests of the files beside it."""


@dataclass(frozen=True)
class Entered:
    """An arm as it was trained: `kind` as in `eval_fixed_model.arms`, `rows` per seed, and where each seed's score lies in the store.

    `id` is equal for arms that train on the same rows, or are redrawn alike, whatever they are called.
    """

    name: str
    id: str
    kind: str
    rows: int
    scores: dict[int, str]


@dataclass(frozen=True)
class Evaluation:
    """What was trained for one run under one set of conditions; `look`, where it was one of several; `some`, where only some of the run's
    arms were asked for."""

    store: Store
    run: str
    pool: str
    scale: Scale
    conditions: str
    arms: dict[str, Entered]
    contrasts: tuple[tuple[str, str], ...]
    leaked: frozenset[int]
    rejected: int
    trained: int = 0
    look: Look | None = None
    some: bool = False

    def score(self, arm: str, seed: int, without_leaks: bool = False) -> SeedScore:
        """One training's score; with all items, or without those that occur in an arm."""
        folder = self.store.path(self.arms[arm].scores[seed])
        return SeedScore.read(folder, self.scale, self.leaked if without_leaks else frozenset())

    def training(self, arm: str, seed: int) -> dict[str, Any]:
        """One training's record: loss, repeats, seconds, weights."""
        return read_training(self.store.path(self.arms[arm].scores[seed]))

    def to_json(self) -> dict[str, Any]:
        """Every score, JSON-able."""
        arms = {
            name: {**asdict(arm), "seeds": {seed: self.score(name, seed).to_json() for seed in arm.scores}}
            for name, arm in self.arms.items()
        }
        about = {
            "run": self.run,
            "scale": self.scale.name,
            "conditions": self.conditions,
            "rejected rows": self.rejected,
            "trained": self.trained,
        }
        return {**about, "leaked items": sorted(self.leaked), "arms": arms}


def enter(done: Evaluation, named: str, rows: str | None = None) -> None:
    """Write down which arms were trained, once per set of arms and seeds; numbered over all conditions, so that the latest is known.

    Beside it a ledger of the trainings, whose head joins the store's chain, and which names the folder of the `rows` trained on; and the
    scale, which its file may say otherwise later: what trainings depend on once, with the conditions, and how their scores are judged with
    each entry. The entry comes after what it needs; where an ended attempt put it and got no further, the head follows now.
    """
    done.store.put_json(f"{done.conditions}/scale.json", {"record": done.scale.conditioned(), "tasks": list(done.scale.tasks)})
    arms = {name: {**asdict(arm), "scores": {str(seed): key for seed, key in arm.scores.items()}} for name, arm in done.arms.items()}
    entry: dict[str, Any] = {"run": done.run, "pool": done.pool, "scale": named, "arms": arms}
    entry |= {"contrasts": done.contrasts, "leaked": sorted(done.leaked), "rejected": done.rejected, "beside": done.scale.beside()}
    entry |= {"look": asdict(done.look)} if done.look else {}
    entry |= {"some": True} if done.some else {}
    name = f"-{digest_of(entry)[:16]}.json"
    known = _keys(done.store)
    there = next((key for key in known[::-1] if key.startswith(f"{done.conditions}/") and key.endswith(name)), None)
    if there:
        heads = [done.store.json(key) for key in done.store.storage.list("ledger/")]
        if not any(head["run"] == there for head in heads):
            append_head(done.store, there, check(done.store.storage.get(f"{there}l").decode(), where=f"{there}l"))
        # One of another scale or set of arms in between makes it an entry again: the last is what is spoken of.
        if not any(done.store.json(key)["run"] == done.run for key in known[known.index(there) + 1 :]):
            return
    place = f"{done.conditions}/entries/{len(known) + 1:06d}{name}"
    facts = Ledger()
    facts.record("evaluation", entry=place, run=done.run, pool=done.pool, scale=done.scale.digest, conditions=done.conditions)
    rested = [f"{done.conditions}/{name}" for name in ("conditions.json", "scale.json")] + ([f"{rows}/{FILES}"] if rows else [])
    facts.record("files", folder="", files={key: sha256(done.store.storage.get(key)) for key in rested})
    for arm in done.arms.values():
        for seed, key in arm.scores.items():
            facts.record("training", arm=arm.name, kind=arm.kind, score=key, **{**done.training(arm.name, seed), "seed": seed})
    facts.close()
    done.store.storage.delete(f"{place}l")  # of an attempt that ended before its entry
    done.store.storage.put(f"{place}l", facts.text().encode())
    done.store.put_json(place, entry)
    append_head(done.store, place, facts.head)


def _keys(store: Store) -> list[str]:
    found = [key for key in store.storage.list("scores/") if key.rpartition("/")[0].endswith("/entries") and key.endswith(".json")]
    return sorted(found, key=lambda key: key.rpartition("/")[2])


def look_of(entry: dict[str, Any]) -> Look | None:
    """The look that an entry was made for."""
    look = entry.get("look")
    return Look(tuple(look["schedule"]), look["number"], look["spending"]) if look else None


def entries(store: Store) -> list[Evaluation]:
    """Every evaluation in a store, oldest first."""
    found = []
    for key in _keys(store):
        value = store.json(key)
        arms = {
            name: Entered(**{**arm, "scores": dict(sorted((int(seed), place) for seed, place in arm["scores"].items()))})
            for name, arm in value["arms"].items()
        }
        contrasts = tuple((a, b) for a, b in value["contrasts"])
        held = key.rpartition("/entries/")[0]
        leaked = frozenset(value["leaked"])
        scale, taken = _scale(store, held, value), look_of(value)
        where, some = (store, value["run"], value["pool"], scale, held), value.get("some", False)
        found.append(Evaluation(*where, arms, contrasts, leaked, value["rejected"], look=taken, some=some))
    return found


def _scale(store: Store, held: str, entry: dict[str, Any]) -> Scale:
    """As it was when it was trained under and judged by, whatever is at its name now."""
    kept, named = store.json(f"{held}/scale.json"), entry["scale"]
    if kept is None:  # entered before scales were kept
        return load_scale(named)
    tasks = {name: kept["record"]["tasks"][name] for name in kept["tasks"]}  # in their order
    # An entry of before has it in the one record.
    return kept_scale(
        {**kept["record"], "tasks": tasks}, entry.get("beside", {}), Path(named).parent if named.endswith((".yaml", ".yml")) else SHIPPED
    )
