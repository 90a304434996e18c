import shutil
from pathlib import Path

import pytest

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.record import Run
from curate.store import Store
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.rank_transfer import rank_transfer
from pipelines.scores.training import evaluate


@pytest.fixture(scope="module")
def both(scored: Evaluation, two_tasks_longer: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Evaluation]:
    place = tmp_path_factory.mktemp("both") / "s"
    shutil.copytree(scored.store.path(""), place)
    store = Store.open(place)
    return store, evaluate(Run(store, scored.run), scale=str(two_tasks_longer), seeds=2, executor=InProcess())


def test_subsets_of_both_scales_are_compared_by_their_means(scored: Evaluation, both: tuple[Store, Evaluation]) -> None:
    store, longer = both
    found = rank_transfer(store, "two-tasks", "two-tasks-longer")
    names = {"whole pool", *[f"{scored.run.removeprefix('runs/')}/{name}" for name in ("long", "unique")]}
    assert names < found.means.keys()
    assert len(found.means) == 4
    assert found.conditions == (scored.conditions, longer.conditions)
    means = {name: tuple(sum(one.score(name, seed).headline for seed in (0, 1)) / 2 for one in (scored, longer)) for name in scored.arms}
    order = [[a < b for a in of_scale for b in of_scale] for of_scale in zip(*means.values(), strict=True)]
    agreed = sum(x == y for x, y in zip(*order, strict=True)) - len(means)
    assert found.found.accuracy.value == pytest.approx(agreed / (len(means) * (len(means) - 1)))
    assert found.found.answer == "cannot tell"  # four subsets are too few, whatever they say
    swapped = rank_transfer(store, "two-tasks-longer", "two-tasks")
    assert swapped.found.accuracy.value == found.found.accuracy.value


def test_what_was_not_evaluated_is_said(scored: Evaluation, both: tuple[Store, Evaluation]) -> None:
    with pytest.raises(CeterisError, match="nothing was evaluated at the scale two-tasks-longer") as error:
        rank_transfer(scored.store, "two-tasks", "two-tasks-longer")
    assert "two-tasks" in error.value.fix
    with pytest.raises(CeterisError, match="are one scale"):
        rank_transfer(scored.store, "two-tasks", "two-tasks")
    with pytest.raises(CeterisError, match="pools were evaluated at both"):
        rank_transfer(both[0], "two-tasks", "two-tasks-longer", "pools/0")
