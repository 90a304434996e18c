"""Law 4: the same evidence gives the same subsets, in process or on Ray, through a worker's death, whatever the sharding and order."""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.executor import Processes, Ray
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import Outcome
from curate.store import Store
from tests.laws import reference
from tests.laws.conftest import Runner


def _facts(outcome: Outcome) -> tuple[dict[str, str], dict[str, Any]]:
    return outcome.subsets, {name: (one.counts, one.sums, one.samples) for name, one in outcome.decided.items()}


class LosesWorkers:
    """Ray, on which the first attempt of every other task dies: some before their work, some after it was written but not reported."""

    name, workers = "ray", 2

    def __init__(self, inner: Ray, deaths: Path) -> None:
        self.inner, self.deaths = inner, deaths

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        folder = Path(tempfile.mkdtemp(dir=self.deaths))

        def dying(numbered: tuple[int, Any]) -> Any:
            number, task = numbered
            mark = folder / str(number)
            first = number % 2 == 0 and not mark.exists()
            mark.touch()
            if first and number % 4 == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(task)
            if first:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        yield from self.inner.map(dying, list(enumerate(tasks)))

    def close(self) -> None:
        """Not ours to end."""


@pytest.mark.ray
def test_ray_with_two_workers_decides_as_this_process_does(
    case: tuple[Recipe, Pool], undisturbed: tuple[Store, Outcome], ray_of_two: Ray, do: Runner, tmp_path: Path
) -> None:
    assert _facts(do(*case, tmp_path / "store", ray_of_two)) == _facts(undisturbed[1])


@pytest.mark.ray
@pytest.mark.parametrize("case", ["texts", "demo.yaml", "demo-text.yaml", "metaclip.yaml"], indirect=True)  # alike for all
def test_killed_workers_change_nothing(
    case: tuple[Recipe, Pool], undisturbed: tuple[Store, Outcome], ray_of_two: Ray, do: Runner, tmp_path: Path
) -> None:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    assert _facts(do(*case, tmp_path / "store", LosesWorkers(ray_of_two, deaths))) == _facts(undisturbed[1])
    assert any(deaths.glob("*/0"))


def test_processes_decide_as_this_process_does(text_folder: Path, do: Runner, tmp_path: Path) -> None:
    recipe = Recipe.parse(
        '{stages: {a: {keep: "text_length.words > 4"}, b: {after: a, keep: {top: pool.quality, count: 9}}}, subsets: [b]}'
    )
    executor = Processes(2)
    try:
        beside = do(recipe, Pool.open(text_folder), tmp_path / "beside", executor)
    finally:
        executor.close()
    assert _facts(beside) == _facts(do(recipe, Pool.open(text_folder), tmp_path / "here"))


_X = st.one_of(st.none(), st.integers(-3, 3), st.floats(-3, 3, allow_nan=False))
_ROWS = st.lists(st.tuples(st.sampled_from(["one", "two words", "three more words", "and four more words"]), _X), min_size=1, max_size=24)
_RULES = st.one_of(
    st.sampled_from(
        ["pool.x > 0", "text_length.words > 1", "text_length.words > 2 and pool.x > -1", "pool.x > -2 and text_length.words > 1"]
    ),
    st.builds(lambda by, f: {"top": by, "fraction": f}, st.sampled_from(["pool.x", "pool.x asc"]), st.sampled_from([0.0, 0.29, 0.5, 1.0])),
    st.builds(lambda n: {"top": "pool.x", "count": n}, st.integers(0, 9)),
    st.builds(lambda f, s: {"random": f, "seed": s}, st.sampled_from([0.25, 0.5]), st.integers(0, 2)),
    st.just({"one_per": "exact_duplicate", "prefer": ["pool.x desc"]}),
    st.builds(
        lambda by, n: {"top": by, "tokens": n, "of": "text_length.words"}, st.sampled_from(["pool.x", "pool.x asc"]), st.integers(0, 60)
    ),
    st.builds(
        lambda shares, more: {"mix": shares, "by": "pool.text", "seed": 1, **more},
        st.sampled_from([{"one": 0.5, "two": 0.5}, {"one": 0.25, "three more words": 0.75}, {"two": 1.0}]),
        st.sampled_from([{}, {"count": 3}, {"of": "text_length.words"}, {"of": "text_length.words", "tokens": 7}]),
    ),
    st.builds(
        lambda limit, s: {"balance": "pool.text", "seed": s, **limit},
        st.sampled_from([{"at_most": 1}, {"at_most": 3}, {"tail": 0.25}, {"tail": 0.6}]),
        st.integers(0, 2),
    ),
    st.builds(lambda n: {"repeat": n}, st.integers(1, 3)),
    st.builds(
        lambda p, size, more: {"soft_cap": "pool.x", "penalty": p, "seed": 1, **size, **more},
        st.sampled_from([0, 0.15, 1.5]),
        st.sampled_from([{"count": 0}, {"count": 7}, {"count": 40}, {"fraction": 0.5}, {"fraction": 1.0}]),
        st.sampled_from([{}, {"temperature": 0.5}]),
    ),
)


@st.composite
def _stages(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    stages: dict[str, dict[str, Any]] = {}
    for number in range(draw(st.integers(1, 5))):
        known = ["pool", *stages]
        kind = draw(st.sampled_from(["after", "all_of", "any_of", "minus"])) if len(known) > 1 else "after"
        parents: Any = draw(st.sampled_from(known))
        if kind != "after":
            parents = draw(st.lists(st.sampled_from(known), min_size=2, max_size=3))
        stage: dict[str, Any] = {kind: parents}
        if kind == "after" or draw(st.booleans()):
            stage["keep"] = draw(_RULES)
        stages[f"s{number}"] = stage
    return stages


def _written(rows: list[dict[str, Any]], folder: Path, shards: int, group: int) -> Pool:
    folder.mkdir(parents=True)
    for shard in range(shards):
        frame = pl.DataFrame(rows[shard::shards], schema={"uid": pl.String, "text": pl.String, "x": pl.Float64})
        frame.write_parquet(folder / f"{shard}.parquet", row_group_size=group)
    return Pool.open(folder)


@settings(max_examples=60)
@given(rows=_ROWS, stages=_stages(), shards=st.integers(1, 4), group=st.integers(1, 7), shuffle=st.randoms(use_true_random=False))
def test_any_sharding_and_order_agrees_with_a_naive_engine(do: Runner, rows, stages, shards, group, shuffle) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ceteris-"))
    try:
        made = [{"uid": f"row {i}", "text": text, "x": x} for i, (text, x) in enumerate(rows)]
        recipe = Recipe.parse(json.dumps({"stages": stages, "subsets": list(stages)}))
        store = Store.open(f"memory:{folder.name}")
        outcome = do(recipe, _written(made, folder / "one", 1, 100), store)
        shuffled = list(made)
        shuffle.shuffle(shuffled)
        other = do(recipe, _written(shuffled, folder / "other", shards, group), Store.open(f"memory:{folder.name} other"))
        assert other.subsets == outcome.subsets
        run = Run(store, outcome.folder)
        naive = [
            {"uid": uid, "x": row["x"], "words": len(row["text"].split()), "text": row["text"]}
            for uid, row in zip(run.uids().tolist(), made, strict=True)
        ]
        members, copies = reference.judged(naive, stages)
        for name, expected in members.items():
            if name == "pool":
                continue
            kinds = [run.decided(name).reasons[code].kind for code in run.codes(name).tolist()]
            assert [{"in": "in", "dropped": "out"}.get(kind, "unknown") for kind in kinds] == expected, name
            assert run.copies(name).tolist() == copies[name], name
    finally:
        shutil.rmtree(folder)
