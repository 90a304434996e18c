"""Looks: what `--until-verdict` trains and says, and that nothing later widens what they may spend."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from eval_fixed_model.scale import load_scale
from eval_fixed_model.statistics import Look, Verdict, verdict
from pipelines import verbs
from pipelines.report.scores import scored as scored_page
from pipelines.scores import account as account_of
from pipelines.scores import leaderboard
from pipelines.scores.account import account, limits
from pipelines.scores.evaluations import Evaluation, entries
from pipelines.scores.training import evaluate
from pipelines.scores.until_verdict import until_verdict
from pipelines.scores.verdicts import compare

SCHEDULE = (2, 5, 8)


@pytest.fixture(scope="module")
def scale(two_tasks: Path, write_scale: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two steps, few items, and all differences within delta: settled as soon as random arms have 4 degrees of freedom, at five seeds."""
    known, folder = load_scale(two_tasks), tmp_path_factory.mktemp("looks")
    every = pl.read_parquet(known.evaluation_file)
    every.filter(pl.int_range(pl.len()).over("task", "split") < 12).write_parquet(folder / "items.parquet")
    changes: dict[str, Any] = {"samples_seen": 128, "items__file": "items.parquet", "perturbed": None}
    changes["tasks"] = {name: task.model_dump(mode="json", exclude_defaults=True) for name, task in known.tasks.items()}
    changes |= {"headline__tasks": list(known.tasks), "headline__delta": 1_000.0, "seeds": {"first": 0, "looks": list(SCHEDULE)}}
    return str(write_scale(folder / "looks.yaml", **changes))


@pytest.fixture(scope="module")
def run(scored: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Run:
    shutil.copytree(scored.store.path(""), place := tmp_path_factory.mktemp("looks") / "s")
    return Run(Store.open(place), scored.run)


def test_it_stops_at_the_first_look_that_settles_every_line_and_stays_there(
    run: Run, scale: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = until_verdict(run, scale=scale, executor=InProcess())
    assert {line.answer for line in found.contrasts} == {"equivalent"}
    assert found.family.look is not None
    assert (found.family.look.schedule, found.family.look.number) == (SCHEDULE, 2)
    mine = [one for one in entries(run.store) if one.conditions == found.evaluation.conditions]
    assert [(one.look.number, len(one.arms["long"].scores)) for one in mine if one.look] == [(1, 2), (2, 5)]
    again = until_verdict(run, scale=scale, executor=InProcess())
    assert (again.evaluation.trained, again.family) == (0, found.family)

    # Another schedule would spend the 5% again.
    text = Path(scale).read_text(encoding="utf-8")
    other = Path(scale).with_name("other.yaml")
    other.write_text(text.replace("[2, 5, 8]", "[3, 6]").replace("- 2\n", "- 3\n").replace("- 5\n  - 8", "- 6"), encoding="utf-8")
    assert load_scale(other).seeds.looks != SCHEDULE
    with pytest.raises(CeterisError, match="looked at by another schedule: 2, 5, 8 seeds"):
        until_verdict(run, scale=str(other), executor=InProcess())

    # Seeds beyond the look are no look more.
    more = evaluate(run, scale=scale, seeds=6, executor=InProcess())
    for done in (more, run):
        later = compare(done)
        assert (later.family, later.contrasts) == (found.family, found.contrasts)
        assert "Seeds beyond the look were trained, and are not judged" in " ".join(limits(later))
        assert {len(arm.scores) for arm in later.evaluation.arms.values()} == {6}
        assert {len(arm.scores) for arm in later.rests_on.arms.values()} == {5}
        assert "| 0, 1, 2, 3, 4 |" in account(later)
        assert "0, 1, 2, 3, 4, 5" not in account(later)

    # Scores that were there before the first look are said.
    with monkeypatch.context() as once:
        assert "before the first look" not in " ".join(limits(later))
        once.setattr(account_of, "beside", lambda _: [replace(mine[0], look=None), *mine])
        assert "before the first look" in " ".join(limits(later))

    # Nor on the report's page, whose means are those that were judged.
    told = scored_page(run, scale)
    assert told.seeds == 5
    means = {later.names[arm]: f"{runs.mean:.1f}" for arm, runs in later.family.arms.items()}
    assert {name: mean for name, _, mean, *_ in told.headline_rows} == means
    assert all(len(seeds.split(", ")) == 5 for *_, seeds in told.headline_rows)

    # Nor on a leaderboard, which has one line for the subset: its means are of all seeds, its answers those of the look.
    judged: list[tuple[Look | None, int]] = []

    def noted(scores: Any, *given: Any, look: Look | None = None, **more: Any) -> Verdict:
        judged.append((look, max(len(of_seeds) for of_seeds in scores.values())))
        return verdict(scores, *given, look=look, **more)

    monkeypatch.setattr(leaderboard, "verdict", noted)
    (group,) = [one for one in leaderboard.leaderboard([run.store.path("")]).groups if one.scale == "looks"]
    assert [(line.seeds, line.against_pool, line.against_random) for line in group.lines if line.subset == "long"] == [
        (6, "equivalent", "equivalent")
    ]
    assert (found.evaluation.look, 5) in judged

    # Nor is the same subset under another recipe, whose own contrasts join the family.
    text = (place / "stages.yaml").read_text(encoding="utf-8").replace("subsets: [long]", "subsets: [long, unique]")
    second = verbs.run(Recipe.parse(text), place / "shards", store=run.store, executor=InProcess())
    beside = compare(evaluate(second, scale=scale, seeds=2, executor=InProcess()))
    assert second.folder != run.folder
    assert beside.family.look == replace(found.family.look, critical=beside.family.look.critical if beside.family.look else ())
    seeds = {beside.names[arm]: len(runs.seeds) for arm, runs in beside.family.arms.items()}
    assert (seeds["long"], seeds["whole pool"], seeds["unique"]) == (5, 5, 5)
    assert len(beside.family.contrasts) > len(found.family.contrasts)
    assert beside.family.critical is not None
    assert found.family.critical is not None
    assert beside.family.critical > found.family.critical
