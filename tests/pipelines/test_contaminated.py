"""Decontamination and recurring passages through the whole engine."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from pipelines import verbs
from pipelines.cli import app
from pipelines.contaminated import contaminated

QUESTION = "Which of the planets of our solar system has the largest number of known moons"  # 15 words
ANSWER = "The sum of the angles of any flat triangle is equal to two right angles"  # 15 words
NOTICE = "All rights are reserved by the owner of this page"
RECIPE = """
models:
  sets: {evaluation_ngrams: {sets: sets, fields: [question]}}
  lines: {passage_counts: {}}
signals:
  contamination: {contamination: {model: sets}}
  repeated_text: {repeated_text: {model: lines}}
stages:
  worded: {keep: "text_length.words > 3"}
  clean:  {after: worded, keep: "contamination.ngrams == 0"}
  fresh:  {after: clean, keep: "repeated_text.later_chars < 0.5"}
subsets: [worded, clean, fresh]
"""
TEXTS = [
    f"A quiz for you. {QUESTION}? Saturn.\n{NOTICE}",
    f"{ANSWER.upper()}!\nSo said Euclid, long before any of us were here",
    f"{QUESTION}\n{ANSWER}",
    f"Something of its own, and much longer than the notice that is below it here\n{NOTICE}",
    f"Of its own\n{NOTICE}",
    f"Own\n{NOTICE}",
    "too short",
    None,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two evaluation sets and the recipe; the same texts as one shard and, turned round, as three."""
    folder = tmp_path_factory.mktemp("contaminated")
    for name in ("sets", "one", "three"):
        (folder / name).mkdir()
    items = {"planets": ["short", QUESTION], "geometry": [ANSWER, "How many sides has a square of four corners and five points in all"]}
    for task, questions in items.items():
        lines = "".join(json.dumps({"question": question}) + "\n" for question in questions)
        (folder / "sets" / f"{task}.jsonl").write_text(lines, encoding="utf-8")
    pl.DataFrame({"text": TEXTS}).write_parquet(folder / "one" / "0.parquet")
    for shard in range(3):
        pl.DataFrame({"text": TEXTS[::-1][shard::3]}).write_parquet(folder / "three" / f"{shard}.parquet")
    (folder / "decontaminated.yaml").write_text(RECIPE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def runs(folder: Path) -> dict[str, Run]:
    """The recipe run on both."""
    recipe = Recipe.load(folder / "decontaminated.yaml")
    return {name: verbs.run(recipe, folder / name, store=folder / f"store-{name}", executor=InProcess()) for name in ("one", "three")}


def test_documents_with_evaluation_items_leave_and_one_owner_of_a_line_stays(runs: dict[str, Run]) -> None:
    counts = {stage["stage"]: stage["kept"] for stage in runs["one"].funnel()}
    assert (counts["worded"], counts["clean"]) == (6, 3)
    assert counts["fresh"] in (1, 2), "a notice is little of a long page, and of two short ones no more than one owns it"
    assert runs["one"].codes("fresh").tolist()[3] == 0


def test_sharding_and_order_of_the_pool_change_no_subset(runs: dict[str, Run]) -> None:
    for name in ("worded", "clean", "fresh"):
        assert runs["one"].facts["subsets"][name] == runs["three"].facts["subsets"][name]


def test_the_items_that_a_subset_holds_are_listed_by_task_and_number(runs: dict[str, Run]) -> None:
    for run in runs.values():
        found = contaminated(run)
        rows = found.items.filter(pl.col("subset") == "worded").select("task", "item", "rows").rows()
        assert rows == [("geometry", 0, 2), ("planets", 1, 2)]
        assert found.subsets.select("subset", "rows", "unknown", "items").rows() == [
            ("pool", 8, 2, 2),
            ("worded", 6, 0, 2),
            ("clean", 3, 0, 0),
            ("fresh", found.subsets["rows"][3], 0, 0),
        ]
        assert found.unchecked == {"contamination": {"planets": [0]}}
    assert contaminated(runs["one"], ["clean"]).items.height == 0


def test_the_command_says_it_in_both_faces(runs: dict[str, Run]) -> None:
    at = ["audit", "--contamination", "--store", runs["one"].store.address]
    shown = CliRunner().invoke(app, at)
    assert shown.exit_code == 0, shown.output
    assert re.search(r"contamination +worded +geometry +1 +2\n", shown.output)
    assert re.search(r"contamination +clean +3 +0 +0\n", shown.output)
    assert "1 items of planets are too short" in shown.output
    said = CliRunner().invoke(app, [*at, "--json", "--subset", "worded"])
    assert json.loads(said.stdout)["items"] == [
        {"signal": "contamination", "subset": "worded", "task": task, "item": item, "rows": 2}
        for task, item in (("geometry", 0), ("planets", 1))
    ]


def test_a_plan_does_not_know_what_a_model_over_the_pool_will_say(folder: Path, tmp_path: Path) -> None:
    planned = verbs.plan(Recipe.load(folder / "decontaminated.yaml"), folder / "one", store=tmp_path / "store")
    assert planned.forecast.evidence["repeated_text"].rows is None
    assert "unseen" not in planned.plan.nodes
    done = verbs.plan(Recipe.load(folder / "decontaminated.yaml"), folder / "one", store=folder / "store-one")
    assert done.forecast.evidence["repeated_text"].rows == 3


def test_another_evaluation_set_is_another_model(folder: Path, tmp_path: Path) -> None:
    recipe = Recipe.load(folder / "decontaminated.yaml")
    before = verbs.plan(recipe, folder / "one", store=tmp_path / "a").plan.models["sets"].id
    added = folder / "sets" / "more.jsonl"
    added.write_text('{"question": "x"}\n', encoding="utf-8")
    try:
        assert verbs.plan(recipe, folder / "one", store=tmp_path / "a").plan.models["sets"].id != before
    finally:
        added.unlink()
    assert verbs.plan(recipe, folder / "one", store=tmp_path / "a").plan.models["sets"].id == before


def test_a_run_that_did_not_look_says_so(folder: Path, tmp_path: Path) -> None:
    recipe = Recipe.parse('{stages: {a: {keep: "text_length.words > 1"}}, subsets: [a]}', where="recipe.yaml")
    run = verbs.run(recipe, folder / "one", store=tmp_path / "store", executor=InProcess())
    with pytest.raises(CeterisError, match="this run did not look for evaluation items"):
        contaminated(run)


def test_a_model_that_is_gone_is_named(folder: Path, tmp_path: Path) -> None:
    run = verbs.run(Recipe.load(folder / "decontaminated.yaml"), folder / "one", store=tmp_path / "store", executor=InProcess())
    for model in run.facts["models"].values():
        run.store.storage.delete(f"{model['folder']}/model.json")
    with pytest.raises(CeterisError, match="the model that contamination used is no longer in the store"):
        contaminated(run)
