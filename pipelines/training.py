"""Training and scoring: every arm of a run, with every seed, on the fixed model."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curate.digest import UInt64s, digest_of, hex_of
from curate.errors import CeterisError
from curate.executor import Crashed, Executor
from curate.plan import LAWFUL
from curate.pool import Pool
from curate.record import Run
from curate.store import Store
from eval_fixed_model.arms import members_digest
from eval_fixed_model.conditions import conditions, conditions_id
from eval_fixed_model.loops import Loop, Rows, loop_of
from eval_fixed_model.scale import Scale, load_scale, shipped
from eval_fixed_model.score import Job, SeedScore, train_and_score
from pipelines.arms import arms_of, training_pools
from pipelines.reading import reads, refuse_other_modality
from pipelines.verbs import Progress, silent, workers


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
    """What was trained for one run under one set of conditions."""

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

    def score(self, arm: str, seed: int, without_leaks: bool = False) -> SeedScore:
        """One training's score; with all items, or without those whose picture occurs in an arm."""
        folder = self.store.path(self.arms[arm].scores[seed])
        return SeedScore.read(folder, self.scale, self.leaked if without_leaks else frozenset())

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


def evaluate(
    run: Run, *, scale: str | None = None, seeds: int | None = None, executor: Executor | None = None, progress: Progress = silent
) -> Evaluation:
    """Train the scale's model on every arm with every seed and score it; equal arms train once, and what is scored is not trained again.

    `scale` and `seeds` default to the recipe's `evaluate`. CeterisError for a pool that the scale cannot read, or trusted rows that occur
    among the evaluation items.
    """
    asked = run.facts["evaluate"] or {}
    named = scale or asked.get("scale")
    if named is None:
        fix = f"give --scale, or add `evaluate: {{scale: ..., seeds: 3}}` to the recipe; the scales are: {', '.join(shipped())}"
        raise CeterisError("the recipe names no scale", where=run.folder, fix=fix)
    record = load_scale(named)
    refuse_other_modality(run.pool, record)
    own = executor or workers()
    try:
        with run.store.writer():
            return _evaluate(run, record, named, record.seed_sequence(seeds or asked.get("seeds", 3)), own, progress)
    finally:
        if executor is None:
            own.close()


def _evaluate(run: Run, scale: Scale, named: str, seeds: tuple[int, ...], executor: Executor, progress: Progress) -> Evaluation:
    store, held = run.store, conditions(scale)
    folder = f"scores/{conditions_id(held)}"
    store.put_json(f"{folder}/conditions.json", held)
    loop = loop_of(scale)
    place = store.path(f"rows/{scale.name}-{_rows_id(run, loop, scale, held)}")
    rows = loop.open_rows(place) if (place / "rows.json").is_file() else loop.materialise(reads(run, loop.ROLES, progress), scale, place)
    leaks = loop.leaked_pairs(rows, scale)
    _refuse_trusted_leaks(leaks["row"].to_numpy(), rows, _uids(training_pools(run, loop.ROLES)))
    found = arms_of(run, rows, _uids(training_pools(run, loop.ROLES, trusted=True)))
    arms, jobs = {}, {}
    for name, arm in found.arms.items():
        scores = {}
        for seed in seeds:
            key = f"{folder}/{arm.digest(seed)[:16]}/seed-{seed}"
            scores[seed] = key
            if key not in jobs and not (store.path(key) / "train.json").is_file():
                jobs[key] = Job(place, named, _members(place, arm.members(seed)), seed, store.path(key))
        identity = members_digest(arm.uids) if arm.size is None else digest_of(["random", arm.size, members_digest(arm.uids)])
        arms[name] = Entered(name, identity[:16], arm.kind, arm.rows, scores)
    _train(jobs, executor, progress)
    leaked = frozenset(leaks["item"].to_list())
    done = Evaluation(store, run.folder, run.facts["pool"], scale, folder, arms, found.contrasts, leaked, len(rows.rejected), len(jobs))
    _enter(done, named)
    return done


def _uids(pools: list[Pool]) -> UInt64s:
    """Every row's, each once."""
    found = [pool.uids(shard)[0] for pool in pools for shard in pool.shards]
    return np.unique(np.concatenate([np.zeros((0, 2), np.uint64), *found]), axis=0)


def _members(place: Path, members: UInt64s) -> Path:
    """The arm's uids in a file, so that tasks carry its address."""
    path = place / "members" / f"{members_digest(members)[:16]}.npy"
    path.parent.mkdir(exist_ok=True)
    if not path.is_file():
        attempt = path.with_suffix(".tmp.npy")
        np.save(attempt, members, allow_pickle=False)
        attempt.replace(path)
    return path


def _train(jobs: dict[str, Job], executor: Executor, progress: Progress) -> None:
    todo = list(jobs.values())
    if todo:
        progress("trainings", 0, len(todo))
    for number, (index, result) in enumerate(executor.map(train_and_score, todo)):
        if isinstance(result, Crashed):
            raise CeterisError(
                f"a training killed its worker {result.attempts} times: {result.detail}",
                where=str(todo[index].out),
                fix="use fewer --workers: each needs about 1 GB",
            )
        progress("trainings", number + 1, len(todo))


def _rows_id(run: Run, loop: Loop, scale: Scale, held: dict[str, Any]) -> str:
    trusted = [pool.id for pool in training_pools(run, loop.ROLES)]
    barred = [run.facts["nodes"][LAWFUL]["id"]] if LAWFUL in run.facts["nodes"] else []
    return digest_of([scale.digest, run.pool.id, trusted, held["versions"], held["code"], *barred])[:16]


def _refuse_trusted_leaks(places: "np.ndarray[Any, np.dtype[np.int64]]", rows: Rows, trained_on: UInt64s) -> None:
    both = np.intersect1d(places, rows.indices(trained_on))
    if both.size:
        raise CeterisError(
            f"{both.size} trusted rows hold evaluation items",
            where=", ".join(f"trusted row {uid}" for uid in hex_of(rows.uids[both[:3]])),
            fix="remove them: the judge must not share rows with the filter",
        )


def _enter(done: Evaluation, named: str) -> None:
    """Write down which arms were trained, once per set of arms and seeds; numbered over all conditions, so that the latest is known."""
    arms = {name: {**asdict(arm), "scores": {str(seed): key for seed, key in arm.scores.items()}} for name, arm in done.arms.items()}
    entry: dict[str, Any] = {"run": done.run, "pool": done.pool, "scale": named, "arms": arms}
    entry |= {"contrasts": done.contrasts, "leaked": sorted(done.leaked), "rejected": done.rejected}
    name = f"-{digest_of(entry)[:16]}.json"
    known = _entry_keys(done.store)
    if not any(key.startswith(f"{done.conditions}/") and key.endswith(name) for key in known):
        done.store.put_json(f"{done.conditions}/entries/{len(known) + 1:06d}{name}", entry)


def _entry_keys(store: Store) -> list[str]:
    found = [key for key in store.storage.list("scores/") if key.rpartition("/")[0].endswith("/entries")]
    return sorted(found, key=lambda key: key.rpartition("/")[2])


def entries(store: Store) -> list[Evaluation]:
    """Every evaluation in a store, oldest first."""
    found = []
    for key in _entry_keys(store):
        value = store.json(key)
        arms = {
            name: Entered(**{**arm, "scores": {int(seed): place for seed, place in arm["scores"].items()}})
            for name, arm in value["arms"].items()
        }
        contrasts = tuple((a, b) for a, b in value["contrasts"])
        held = key.rpartition("/entries/")[0]
        leaked = frozenset(value["leaked"])
        found.append(
            Evaluation(store, value["run"], value["pool"], load_scale(value["scale"]), held, arms, contrasts, leaked, value["rejected"])
        )
    return found
