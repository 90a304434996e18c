"""The verb index: which pools it indexes, what it says, and that it is asked for nothing twice."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from curate.errors import PoolError, StoreError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.store import Store
from pipelines import verbs
from pipelines.cli import QUICK, VERBS, app
from pipelines.provenance.index import by_pool, index, runs_of

RECIPE = '{stages: {some: {keep: "text_length.words > 1"}}, subsets: [some]}'
COUNT = '{stages: {some: {keep: "text_length.words > 2"}}, subsets: [some]}'


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two runs on one pool of texts with addresses, and one on a pool of images."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "images").mkdir()
    pl.DataFrame({"text": ["a b", "c"], "url": ["https://a.example/", None]}).write_parquet(tmp_path / "texts" / "0.parquet")
    held = pl.Series([{"bytes": b"one", "path": None}], dtype=pl.Struct({"bytes": pl.Binary, "path": pl.String}))
    pl.DataFrame({"image": held, "text": ["a b"]}).write_parquet(tmp_path / "images" / "0.parquet")
    for recipe, pool in ((RECIPE, "texts"), (COUNT, "texts"), (RECIPE, "images")):
        verbs.run(Recipe.parse(recipe, where=f"{pool}.yaml"), tmp_path / pool, store=tmp_path / "store", executor=InProcess())
    return Store.open(tmp_path / "store")


def test_every_pool_of_a_run_is_indexed_once(store: Store) -> None:
    assert [len(runs) for runs in by_pool(runs_of(store)).values()] == [1, 2]
    found = {Path(one.pool).name: one for one in index(store)}
    assert found["texts"].made == ("uid", "url", "host")
    assert found["texts"].records == {"uid": 2, "url": 1, "host": 1}
    assert found["images"].records == {"uid": 1, "image": 1}
    assert [one.made for one in index(store)] == [(), ()]


def test_images_can_be_left_for_later_and_one_run_be_named(store: Store) -> None:
    latest = runs_of(store)[0].folder.removeprefix("runs/")
    assert [one.made for one in index(store, latest, images=False)] == [("uid",)]
    assert [one.made for one in index(store, latest)] == [("image",)]


def test_the_command_says_what_it_made(store: Store) -> None:
    told = CliRunner().invoke(app, ["index", "--workers", "1", "--store", store.address])
    assert told.exit_code == 0, told.output
    assert "2 by uid, 1 by url, 1 by host (made now: uid, url, host)" in told.stdout
    again = CliRunner().invoke(app, ["index", "--workers", "1", "--store", store.address, "--json"])
    assert {tuple(one["made"]) for one in json.loads(again.stdout)} == {()}


def test_a_store_without_runs_and_a_pool_that_is_gone_are_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no run"):
        index(Store.open(tmp_path / "empty"))
    (tmp_path / "images" / "0.parquet").unlink()
    with pytest.raises(PoolError, match="the shard is gone"):
        index(store)


def test_a_quick_verb_is_where_it_is_said_to_be_and_loads_no_other_module_of_verbs() -> None:
    for verb, module in QUICK.items():
        commands = importlib.import_module(f"pipelines.commands.{module}").app.registered_commands
        assert verb in [one.name or one.callback.__name__ for one in commands]
        assert module in VERBS
    verbs = "[m for m in sys.modules if m.startswith('pipelines.commands.') and not m.endswith('.options')]"
    code = f"import sys; sys.argv = ['curate', 'why']; import pipelines.cli; print({verbs})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert found.stdout.strip() == "['pipelines.commands.runs']"
