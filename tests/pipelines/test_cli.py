"""The command as a user calls it: in a process of its own, with its exit codes and both faces."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from curate.record import Run
from pipelines.scores.evaluations import Evaluation

Called = subprocess.CompletedProcess[str]
Command = Callable[..., Called]


@pytest.fixture(scope="session")
def curate(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """`curate ARGUMENTS`, in an empty folder unless `cwd` says where."""
    nowhere = tmp_path_factory.mktemp("nowhere")
    environment = {name: value for name, value in os.environ.items() if name != "CETERIS_STORE"}

    def call(*arguments: str | Path, cwd: Path = nowhere, code: int = 0, **more: str) -> Called:
        command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
        env = {**environment, "PYTHONPATH": str(Path(__file__).parents[2]), **more}
        found = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
        assert found.returncode == code, found.stdout + found.stderr
        assert "Traceback" not in found.stderr
        return found

    return call


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Twelve texts with a quality each."""
    folder = tmp_path / "texts"
    folder.mkdir()
    rows = {"text": [f"{'word ' * n}{n}" for n in range(12)], "quality": [n / 12 for n in range(12)]}
    pl.DataFrame(rows).write_parquet(folder / "a.parquet")
    return folder


@pytest.fixture
def recipe(tmp_path: Path, texts: Path) -> Path:
    """Two stages over them."""
    path = tmp_path / "texts.yaml"
    stages = 'stages:\n  long: {keep: "text_length.words > 3"}\n  best: {after: long, keep: {top: pool.quality, fraction: 0.5}}\n'
    path.write_text(f"pool: {{path: {texts}}}\n{stages}subsets: [long, best]\n", encoding="utf-8")
    return path


def _json(found: Called) -> Any:
    return json.loads(found.stdout)


def test_pool_says_what_it_believes(curate: Command, texts: Path) -> None:
    assert "plain-text, text, 12 rows in 1 shards" in curate("pool", texts).stdout
    assert _json(curate("pool", texts, "--json"))["roles"] == {"text": "text"}


def test_pool_roles_can_be_named(curate: Command, tmp_path: Path) -> None:
    pl.DataFrame({"body": ["a b c"]}).write_parquet(tmp_path / "a.parquet")
    assert "--role" in curate("pool", tmp_path, code=2).stderr
    assert _json(curate("pool", tmp_path, "--role", "text=body", "--json"))["roles"] == {"text": "body"}
    assert "is not role=column" in curate("pool", tmp_path, "--role", "body", code=2).stderr


def test_plan_run_plan(curate: Command, recipe: Path) -> None:
    before = _json(curate("plan", recipe, "--json", cwd=recipe.parent))
    assert before["evidence"]["text_length"]["rows"] == 0
    ran = _json(curate("run", recipe, "--json", "--workers", "1", cwd=recipe.parent))
    assert (ran["subsets"]["long"]["rows"], ran["subsets"]["best"]["rows"]) == (9, 4)
    assert ran["measured"] == {"text_length": 12}
    after = curate("plan", recipe, cwd=recipe.parent).stdout
    assert "12 of 12" in after
    assert after.startswith(f"store: {recipe.parent / '.ceteris'}")
    again = curate("run", recipe, "--workers", "1", cwd=recipe.parent).stdout
    assert "nothing had to be measured" in again


def test_set_changes_the_recipe(curate: Command, recipe: Path) -> None:
    ran = _json(curate("run", recipe, "--set", "stages.best.keep.fraction=0.29", "--json", "--workers", "1", cwd=recipe.parent))
    assert ran["subsets"]["best"]["rows"] == 2
    failed = curate("plan", recipe, "--set", "stages.bset.keep.fraction=0.2", cwd=recipe.parent, code=2)
    assert "did you mean best?" in failed.stderr


def test_workers_and_ray_change_nothing(curate: Command, recipe: Path) -> None:
    found = [
        _json(curate("run", recipe, "--json", "--store", recipe.parent / f"s{n}", *how))["subsets"]
        for n, how in enumerate((["--workers", "1"], ["--workers", "2"], ["--ray", "local", "--workers", "2"]))
    ]
    assert found[0] == found[1] == found[2]


def test_the_store_is_the_one_given_else_the_environments_else_the_nearest(curate: Command, recipe: Path, tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    curate("run", recipe, "--workers", "1", cwd=tmp_path)
    assert curate("plan", recipe, cwd=below).stdout.startswith(f"store: {tmp_path / '.ceteris'}")
    assert curate("plan", recipe, cwd=below, CETERIS_STORE=str(tmp_path / "e")).stdout.startswith(f"store: {tmp_path / 'e'}")
    given = curate("plan", recipe, "--store", tmp_path / "g", cwd=below, CETERIS_STORE=str(tmp_path / "e"))
    assert given.stdout.startswith(f"store: {tmp_path / 'g'}")


MISTAKES = {
    "no such recipe": ({}, ["run", "nothing.yaml"], "there is no such recipe"),
    "a misspelt key": ({"stags": {}}, ["run", "wrong.yaml"], r"wrong\.yaml:1:2[\s\S]*did you mean stages\?"),
    "an unknown column": (
        {"stages": {"a": {"keep": "text_length.word > 3"}}, "subsets": ["a"]}, ["run", "wrong.yaml"], r"did you mean text_length\.words\?"
    ),
    "a cycle": (
        {"stages": {"a": {"after": "b"}, "b": {"after": "a"}}, "subsets": ["a"]}, ["run", "wrong.yaml"], "stages in a cycle: a -> b -> a"
    ),
    "an unknown filter": (
        {"stages": {"a": {"keep": "text_lenth.words > 3"}}, "subsets": ["a"]}, ["run", "wrong.yaml"], "did you mean text_length"
    ),
    "a role the pool lacks": (
        {"stages": {"a": {"keep": "image_shape.width > 3"}}, "subsets": ["a"]}, ["run", "wrong.yaml"], "role image, which this pool lacks"
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place_and_its_fix(curate: Command, texts: Path, mistake: str) -> None:
    value, command, message = MISTAKES[mistake]
    (texts.parent / "wrong.yaml").write_text(json.dumps(value), encoding="utf-8")
    failed = curate(*command, "--pool", texts, cwd=texts.parent, code=2)
    assert re.search(message, failed.stderr)
    told = _json(curate(*command, "--pool", texts, "--json", cwd=texts.parent, code=2))
    assert told["error"]
    assert told["where"]


def test_why_audit_export(curate: Command, done: Run, tmp_path: Path) -> None:
    store = ["--store", done.store.path("")]
    kept = done.subset("best").hex[0]
    story = _json(curate("why", kept, *store, "--json"))
    assert "best" in story["subsets"]
    assert f"{kept}  " in curate("why", kept, *store).stdout
    assert "around the cut of best" in curate("why", "--stage", "best", "--near", *store).stdout
    mixed = _json(curate("audit", *store, "--json"))
    assert sum(line["best"] for line in mixed["source"]) == 100
    assert "not legal clearance" in curate("audit", *store).stdout
    assert "100 rows" in curate("export", "best", tmp_path / "rows", *store).stdout
    assert pl.read_parquet(tmp_path / "rows")["uid"].sort().to_list() == done.subset("best").hex
    curate("export", "best", tmp_path / "npy", "--layout", "npy", *store)
    pairs = np.load(tmp_path / "npy" / "subset.npy")
    assert [f"{a:016x}{b:016x}" for a, b in pairs.tolist()] == done.subset("best").hex
    curate("export", "best", tmp_path / "uids", "--layout", "uids", *store)
    assert (tmp_path / "uids" / "uids.txt").read_text(encoding="ascii").split() == done.subset("best").hex
    assert "not empty" in curate("export", "best", tmp_path / "uids", *store, code=2).stderr
    assert "no subset bset" in curate("export", "bset", tmp_path / "x", *store, code=2).stderr
    assert "name a row" in curate("why", *store, code=2).stderr
    assert "has no role [/b]" in curate("audit", "--by", "[/b]", *store, code=2).stderr


def test_eval_and_compare(curate: Command, judged: Evaluation, small_scale: Path, tmp_path: Path) -> None:
    shutil.copytree(judged.store.path(""), tmp_path / "s")
    store = ["--store", tmp_path / "s"]
    found = curate("eval", "--scale", small_scale, "--seeds", "2", "--workers", "1", *store).stdout
    assert "(0 trainings now)" in found
    assert "trusted only" in found
    lines = _json(curate("compare", *store, "--json"))["contrasts"]
    assert {(line["candidate"], line["control"]) for line in lines} == set(judged.contrasts)
    shown = curate("compare", "best", "pool", *store).stdout
    assert "contrasts in the family" in shown
    assert "scored" not in shown
    curate("compare", "--require", "worse", *store, code=1)
    assert "no verdict says 'beter'" in curate("compare", "--require", "beter", *store, code=2).stderr
    assert "best and best train on the same rows" in curate("compare", "best", "best", "--require", "better", *store, code=1).stdout


def test_filters_and_doctor(curate: Command, tmp_path: Path) -> None:
    names = {line["filter"] for line in _json(curate("filters", "--json"))}
    assert {"text_length", "language", "license", "near_duplicate_text", "near_duplicate_image", "clip_score", "filter_network"} <= names
    assert "text_length" in curate("filters").stdout
    told = curate("filters", "head_score").stdout
    assert "parameters: features: evidence, model: a model" in told
    assert "Without a vector there is no score" in told
    assert "did you mean head_score" in curate("filters", "head_scores", code=2).stderr
    assert {line["what"] for line in _json(curate("doctor", "--json"))} >= {"python", "torch", "cores", "store"}


def test_a_filter_of_ones_own(curate: Command, recipe: Path, texts: Path) -> None:
    mine = recipe.parent / "mine"
    mine.mkdir()
    (mine / "shouting.py").write_text(
        "import polars as pl\nfrom curate import signal\n\n\n"
        "@signal(version=1, reads=['text'], writes={'share': pl.Float32})\n"
        "def shouting(batch: pl.DataFrame) -> pl.DataFrame:\n"
        "    return batch.select(share=(pl.col('text').str.count_matches('o') / pl.col('text').str.len_chars()).cast(pl.Float32))\n",
        encoding="utf-8",
    )
    own = recipe.parent / "own.yaml"
    own.write_text('stages:\n  loud: {keep: "shouting.share > 0.1"}\nsubsets: [loud]\n', encoding="utf-8")
    for workers in ("1", "2"):
        ran = _json(
            curate("run", own, "--pool", texts, "--filters", mine, "--workers", workers, "--store", recipe.parent / workers, "--json")
        )
        assert ran["subsets"]["loud"]["rows"] == 11
    assert "shouting" in curate("filters", "--filters", mine).stdout
    (mine / "license.py").write_text("", encoding="utf-8")
    assert "two filters are called license" in curate("filters", "--filters", mine, code=2).stderr
    (mine / "license.py").unlink()
    (mine / "torn.py").write_text("def (", encoding="utf-8")
    assert f"where: {mine / 'torn.py'}:1" in curate("filters", "--filters", mine, code=2).stderr


def test_pool_make_and_audit_dedup(curate: Command, tmp_path: Path) -> None:
    assert "--make python-docs" in curate("pool", "--make", "docs", tmp_path / "x", code=2).stderr
    assert "not empty" in curate("pool", "--make", "python-docs", Path(__file__).parent, code=2).stderr
    rows = [" ".join(f"word{(n * n + m) % 997}" for m in range(60)) for n in range(60)]
    (tmp_path / "texts").mkdir()
    pl.DataFrame({"text": rows}).write_parquet(tmp_path / "texts" / "a.parquet")
    (tmp_path / "own.yaml").write_text("stages: {one: {keep: {one_per: near_duplicate_text}}}\nsubsets: [one]\n", encoding="utf-8")
    curate("run", "own.yaml", "--pool", "texts", "--workers", "1", cwd=tmp_path)
    found = _json(curate("audit", "--dedup", "--sample", "30", "--json", cwd=tmp_path))
    assert found["sampled"] == 30
    assert [one["low"] for one in found["bins"]] == sorted((one["low"] for one in found["bins"]), reverse=True)
    shown = curate("audit", "--dedup", "--sample", "30", "--grouping", "near_duplicate_text", cwd=tmp_path).stdout
    assert "16 bands of 8" in shown
    assert "precision" in shown
    assert "called twins" in curate("audit", "--dedup", "--grouping", "twins", cwd=tmp_path, code=2).stderr
