"""The thorough demo: the tour on several pools of other seeds, and a verdict on the recipe, with pools and seeds in its error bars."""

import time
from pathlib import Path
from typing import Any

from curate.errors import CeterisError
from curate.executor import Executor
from curate.record import Run
from curate.store import Store
from eval_fixed_model.statistics import Draw, Verdict, verdict_over_pools
from pipelines import show, verbs
from pipelines.demo.tour import Demo, tour
from pipelines.scores import tables as score_tables
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.verdicts import latest


def thorough(folder: Path, executor: Executor, demo: Demo, *, pools: int = 3, quiet: bool = False) -> dict[str, Any]:
    """The demo in `folder`/pool-N for pool seeds 0 to `pools` - 1, then one verdict over pools. Returns what it printed, JSON-able.

    CeterisError with fewer than two pools.
    """
    if pools < 2:
        raise CeterisError("one pool says nothing of another", where="--pools", fix="give 2 or more; 3 is usual")
    began, done = time.perf_counter(), []
    for seed in range(pools):
        at = folder / f"pool-{seed}"
        show.note(f"pool {seed + 1} of {pools}: {at}")
        told = tour(at, executor, demo, seed=seed, quiet=True)
        done.append(latest(Run(Store.open(at / verbs.STORE), told["run"])))
    found = over_pools(done)
    seconds = time.perf_counter() - began
    if not quiet:
        score_tables.verdict_over_pools(found, done[0].scale)
        show.line(f"{seconds:.0f} s. The stores of each pool: {folder}/pool-N/{verbs.STORE}")
    return {"verdict": found.to_json(), "runs": [one.run for one in done], "seconds": seconds}


def over_pools(done: list[Evaluation]) -> Verdict:
    """One recipe evaluated on several pools: every candidate against its controls, a pool being one replication.

    A random control is called after its candidate, since sizes differ from pool to pool.
    """
    scores: dict[str, dict[int, dict[int, float]]] = {}
    kinds: dict[str, Draw] = {}
    contrasts: list[tuple[str, str]] = []
    for pool, one in enumerate(done):
        for candidate, control in one.contrasts:
            drawn = one.arms[control].kind == "random"
            named = f"random like {candidate}" if drawn else control
            contrasts.append((candidate, named))
            kinds |= {candidate: "fixed", named: "random" if drawn else "fixed"}
            for name, arm in ((candidate, candidate), (named, control)):
                scores.setdefault(name, {})[pool] = {seed: one.score(arm, seed).headline for seed in one.arms[arm].scores}
    headline = done[0].scale.headline
    return verdict_over_pools(scores, kinds, list(dict.fromkeys(contrasts)), headline.delta, better=headline.better)
