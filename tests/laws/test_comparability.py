"""Law 6: two scores are compared if and only if their conditions are equal."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from curate.digest import digest_of
from curate.errors import CeterisError
from curate.record import Run
from curate.store import Store
from eval_fixed_model.scale import load_scale
from pipelines.scores.verdicts import compare

CONTROL = "whole pool"


def _scored(folder: Path, run: str, conditions: dict[str, object], headlines: dict[str, list[bool]], scale: str) -> None:
    """An evaluation as it lies in a store: two arms, three seeds, made-up answers."""
    import polars as pl

    from curate import frames
    from eval_fixed_model.tasks.answers import ANSWERS

    held = f"scores/{digest_of(conditions)[:16]}"
    arms = {}
    for arm, right in headlines.items():
        for seed in range(3):
            place = folder / held / digest_of([run, arm])[:16] / f"seed-{seed}"
            place.mkdir(parents=True)
            rng = np.random.default_rng([seed, len(arm)])
            given = {"label": 0, "answer": 0, "sure": 0.5, "nats": -1.0}
            rows = [
                {"item": n, "task": task, "variant": "", "direction": way, "rank": 1 if rng.random() < right[0] else 9, **given}
                for n, (task, way) in enumerate((t, d) for t in _tasks(scale) for d in ("image to text",) * 50)
            ]
            (place / "items.parquet").write_bytes(frames.to_bytes(pl.DataFrame(rows, schema=ANSWERS)))
            about = {"seed": seed, "split": "test", "seconds": 1.0, "weights": "0" * 64}
            (place / "train.json").write_text(json.dumps(about), encoding="utf-8")
        kind = "pool" if arm == CONTROL else "candidate"
        keys = {str(seed): f"{held}/{digest_of([run, arm])[:16]}/seed-{seed}" for seed in range(3)}
        arms[arm] = {"name": arm, "id": digest_of([run, arm])[:16], "kind": kind, "rows": 10, "scores": keys}
    store = Store.open(folder)
    store.put_json(f"{held}/conditions.json", conditions)
    contrasts = [[arm, CONTROL] for arm in headlines if arm != CONTROL]
    entry = {"run": run, "pool": "pools/1", "scale": scale, "arms": arms, "contrasts": contrasts, "leaked": [], "rejected": 0}
    store.put_json(f"{held}/entries/000001-{digest_of(entry)[:16]}.json", entry)


def _tasks(scale: str) -> tuple[str, ...]:
    return tuple(load_scale(scale).tasks)


SAME = {"device": "cpu-AVX2", "versions": {"torch": "2.15.0"}}


@pytest.mark.parametrize("other", [SAME, {**SAME, "device": "cpu-AVX512"}, {**SAME, "versions": {"torch": "2.16.0"}}])
def test_scores_of_two_runs(other: dict[str, object], tmp_path: Path) -> None:
    good, bad = [0.9], [0.4]
    _scored(tmp_path / "s", "runs/one-1", SAME, {"best": good, CONTROL: bad}, "tiny-image-text")
    _scored(tmp_path / "t", "runs/two-2", other, {"best": bad, CONTROL: bad}, "tiny-image-text")
    for path in (tmp_path / "t" / "scores").rglob("*"):
        target = tmp_path / "s" / "scores" / path.relative_to(tmp_path / "t" / "scores")
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target.with_name(target.name.replace("000001", "000002")))
    run = Run(Store.open(tmp_path / "s"), "runs/one-1")
    assert compare(run, "best", "pool").answer == "better"
    if other == SAME:
        assert compare(run, "best", "two-2/best").difference > 20
        return
    part = next(key for key in SAME if SAME[key] != other[key])
    with pytest.raises(CeterisError, match=f"two-2/best was scored under other conditions: {part}"):
        compare(run, "best", "two-2/best")
