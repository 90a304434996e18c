"""Training and scoring: every arm of a run, with every seed, on the fixed model."""

import json
import platform
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import asdict
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
from curate.takedown.revoked import revoked
from eval_fixed_model.arms import members_digest
from eval_fixed_model.conditions import conditions, conditions_id, differences, software
from eval_fixed_model.loops import Loop, Rows, loop_of
from eval_fixed_model.rows.survey import in_place
from eval_fixed_model.scale import Scale, load_scale, shipped
from eval_fixed_model.score import Job, SeedScore, take_part, train_and_score
from eval_fixed_model.statistics import Look
from eval_fixed_model.training.gang import Gang
from pipelines.provenance.restricted import refuse_restricted
from pipelines.scores.arms import arms_of, chosen, training_pools
from pipelines.scores.evaluations import Entered, Evaluation, enter, entries
from pipelines.scores.gangs import Sharing, results, sharing
from pipelines.scores.reading import refuse_other_modality, rows_of
from pipelines.verbs import Progress, silent, workers

SAME = "install the same versions on every node"


def evaluate(
    run: Run,
    *,
    scale: str | None = None,
    seeds: int | None = None,
    only: Collection[str] | None = None,
    look: Look | None = None,
    judges: Path | None = None,
    processes: int = 1,
    micro: int | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Train the scale's model on every arm with every seed and score it; equal arms train once, and what is scored is not trained again.

    `scale` and `seeds` default to the recipe's `evaluate`; `only` these arms (`arms.chosen`), where it is given; `look`, where it is one of
    several. `judges`, where it is given, is a folder for the trained networks, DIR/ARM/seed-N, new or of an ended attempt at the same; what
    is scored already is trained again for it, and must come out the same. `processes` share the batches of each training, and each
    computes at most `micro` rows at once; both are conditions of the scores, since they change the order of sums.

    CeterisError for a pool that the scale cannot read, or trusted rows that occur among the evaluation items.
    """
    named, asked = scale_of(run, scale), run.facts["evaluate"] or {}
    record = load_scale(named)
    refuse_other_modality(run.pool, record)
    refuse_restricted(run)
    judges = judges.absolute() if judges else None  # workers may stand elsewhere
    how = sharing(record, kind_for(record), processes, micro)
    own = executor or workers()
    try:
        with run.store.writer():
            sequence = record.seed_sequence(seeds or asked.get("seeds", 3))
            return _evaluate(run, record, named, sequence, only, look, judges, how, own, progress)
    except OSError as error:
        fix = "free space there, or mend what it says; what was finished is kept, and the same command goes on"
        raise CeterisError(error.strerror or str(error), where=str(error.filename or run.store.address), fix=fix) from error
    finally:
        if executor is None:
            own.close()


def scale_of(run: Run, given: str | None) -> str:
    """The scale given, else the recipe's; a file by its whole path, since others read it elsewhere. CeterisError where there is none."""
    named: str | None = given or (run.facts["evaluate"] or {}).get("scale")
    if named is None:
        fix = f"give --scale, or add `evaluate: {{scale: ..., seeds: 3}}` to the recipe; the scales are: {', '.join(shipped())}"
        raise CeterisError("the recipe names no scale", where=run.folder, fix=fix)
    return str(Path(named).absolute()) if named.endswith((".yaml", ".yml")) else named


def _evaluate(
    run: Run,
    scale: Scale,
    named: str,
    seeds: tuple[int, ...],
    only: Collection[str] | None,
    look: Look | None,
    judges: Path | None,
    how: Sharing,
    executor: Executor,
    progress: Progress,
) -> Evaluation:
    store, held = run.store, conditions(scale, **asdict(how))
    begun = {part: held[part] for part in ("code", "versions")}
    folder = f"scores/{conditions_id(held)}"
    if look:
        _refuse_other_schedule(run, folder, look)
    store.put_json(f"{folder}/conditions.json", held)
    if judges:
        _begin(judges, {"run": run.folder, "conditions": conditions_id(held)})
    loop = loop_of(scale)
    place = store.path(f"rows/{scale.name}-{_rows_id(run, loop, scale, held)}")
    rows = rows_of(run, scale, named, place, executor, progress)
    leaks = loop.leaked_pairs(rows, scale)
    _refuse_trusted_leaks(leaks["row"].to_numpy(), rows, _uids(store, training_pools(run, loop.ROLES)))
    found = arms_of(run, rows, _uids(store, training_pools(run, loop.ROLES, trusted=True)))
    found = found if only is None else chosen(found, only)
    arms: dict[str, Entered] = {}
    jobs: dict[str, Job] = {}
    kept: dict[str, list[Path]] = {}
    for name, arm in found.arms.items():
        scores = {}
        for seed in seeds:
            key = f"{folder}/{arm.digest(seed)[:16]}/seed-{seed}"
            scores[seed] = key
            judge = judges / name.replace("/", "_") / f"seed-{seed}" if judges else None
            if judge:
                kept.setdefault(key, []).append(judge)
            there = (store.path(key) / "train.json").is_file() and (judge is None or kept[key][0].is_dir())
            if key not in jobs and not there:
                jobs[key] = Job(
                    place, named, _members(place, arm.members(seed)), seed, store.path(key), judge=judge, software=begun, **asdict(how)
                )
        identity = members_digest(arm.uids) if arm.size is None else digest_of(["random", arm.size, members_digest(arm.uids)])
        arms[name] = Entered(name, identity[:16], arm.kind, arm.rows, scores)
    if jobs and in_place(scale):
        run.pool.refuse_changes(store.path("pools/files.json"))
    _train(jobs, executor, progress)
    for trained, *alike in kept.values():  # equal arms are one training
        for other in alike:
            if not other.is_dir():
                other.parent.mkdir(parents=True, exist_ok=True)
                attempt = Path(tempfile.mkdtemp(dir=other.parent, prefix="."))
                shutil.copytree(trained, attempt, dirs_exist_ok=True)
                attempt.rename(other)
    leaked = frozenset(leaks["item"].to_list())
    done = Evaluation(
        *(store, run.folder, run.facts["pool"], scale, folder, arms, found.contrasts, leaked, len(rows.rejected), len(jobs), look),
        some=only is not None,
    )
    enter(done, named, f"rows/{place.name}")
    return done


def _refuse_other_schedule(run: Run, conditions: str, look: Look) -> None:
    """CeterisError where this pool's scores were looked at by another schedule: two of them would spend the 5% twice."""
    for one in entries(run.store):
        if one.look and (one.conditions, one.pool) == (conditions, run.facts["pool"]) and one.look.schedule != look.schedule:
            begun = ", ".join(map(str, one.look.schedule))
            raise CeterisError(
                f"this pool was looked at by another schedule: {begun} seeds, in {one.run.removeprefix('runs/')}",
                where=conditions,
                fix=f"write `looks: [{begun}]` into the scale again, and go on with it",
            )


def _begin(judges: Path, about: dict[str, Any]) -> None:
    """A folder for trained networks that says what they are of. CeterisError where it is of something else, or not empty."""
    said = judges / "evaluation.json"
    if said.is_file() and json.loads(said.read_text(encoding="utf-8")) == about:
        return
    if judges.exists() and not (judges.is_dir() and not any(judges.iterdir())):
        what = "the place for the trained networks is not empty, nor of this evaluation"
        raise CeterisError(what, where=str(judges), fix="name a new folder, or move this one away: all of them are trained for it")
    judges.mkdir(parents=True, exist_ok=True)
    said.write_text(json.dumps(about), encoding="utf-8")


def kind_for(scale: Scale) -> str:
    """What trains a scale here: one of bfloat16 the GPUs that are there, else the processor; all trainings on one kind.

    CeterisError where GPUs of several kinds are there.
    """
    import torch

    from eval_fixed_model.training.place import kind_of

    if scale.precision != "bfloat16" or not torch.cuda.is_available():
        return kind_of("cpu")
    kinds = {kind_of(f"cuda:{number}") for number in range(torch.cuda.device_count())}
    if len(kinds) > 1:
        raise CeterisError(f"GPUs of several kinds: {', '.join(sorted(kinds))}", fix="name those of one kind in CUDA_VISIBLE_DEVICES")
    return kinds.pop()


def _uids(store: Store, pools: list[Pool]) -> UInt64s:
    """Every row's that was not taken down, each once."""
    refused = revoked(store)
    found = [pool.uids(shard)[0][~refused.mask(shard)] for pool in pools for shard in pool.shards]
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


def _train_one(job: Job) -> SeedScore | None:
    """The score; of a gang's other processes, which have none, nothing. CeterisError where this machine's software is not the driver's."""
    here = software(load_scale(job.scale))
    if other := differences(job.software or here, here):
        raise CeterisError(f"other software than where the evaluation began: {'; '.join(other)}", where=platform.node(), fix=SAME)
    if Gang.here().rank:
        take_part(job)
        return None
    judge = job.judge
    if judge is None:
        return train_and_score(job)
    from eval_fixed_model.judge_folder import write_judge  # knows the models of both modalities

    judge.parent.mkdir(parents=True, exist_ok=True)

    def keep(network: Any, scale: Scale) -> None:
        shutil.rmtree(judge, ignore_errors=True)  # of an attempt that ended before its score
        write_judge(network, scale, judge)

    return train_and_score(job, keep)


def _train(jobs: dict[str, Job], executor: Executor, progress: Progress) -> None:
    todo = list(jobs.values())
    if todo:
        progress("trainings", 0, len(todo))
    for number, (index, result) in enumerate(results(_train_one, todo, executor)):
        if isinstance(result, Crashed):
            raise CeterisError(
                f"a training killed its worker {result.attempts} times: {result.detail}",
                where=str(todo[index].out),
                fix="use fewer --workers: each needs about 1 GB",
            )
        progress("trainings", number + 1, len(todo))


def _rows_id(run: Run, loop: Loop, scale: Scale, held: dict[str, Any]) -> str:
    trusted = [pool.id for pool in training_pools(run, loop.ROLES)]
    barred: list[Any] = [run.facts["nodes"][LAWFUL]["id"]] if LAWFUL in run.facts["nodes"] else []
    # What is asked holds the digest of a tokenizer's file; a survey keeps which of it the pool shows.
    made = [held["items"]] if scale.tokens.tokenizer == "file" or in_place(scale) else []
    refused = [revoked(run.store).identity(pool) for pool in (run.pool, *training_pools(run, loop.ROLES))]
    barred += [["revoked", refused]] if any(refused) else []
    return digest_of([scale.digest, run.pool.id, trusted, held["versions"], held["code"], *made, *barred])[:16]


def _refuse_trusted_leaks(places: "np.ndarray[Any, np.dtype[np.int64]]", rows: Rows, trained_on: UInt64s) -> None:
    both = np.intersect1d(places, rows.indices(trained_on))
    if both.size:
        raise CeterisError(
            f"{both.size} trusted rows hold evaluation items",
            where=", ".join(f"trusted row {uid}" for uid in hex_of(rows.uids[both[:3]])),
            fix="remove them: the judge must not share rows with the filter",
        )
