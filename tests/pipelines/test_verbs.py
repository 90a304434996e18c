"""The Python API: the verbs, lazily imported, with errors that a script's author understands."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import pipelines
from curate import InProcess, Recipe
from curate.errors import CeterisError, RecipeError
from curate.record import Run
from pipelines import verbs

ROOT = Path(__file__).parents[2]
RECIPE = '{stages: {a: {keep: "text_length.words > 3"}}, subsets: [a]}'


def test_every_verb_is_there_and_nothing_else() -> None:
    for name in pipelines.__all__:
        assert callable(getattr(pipelines, name))
    with pytest.raises(AttributeError, match="judge"):
        pipelines.judge  # noqa: B018


def test_a_run_can_be_opened_again(done: Run) -> None:
    again = Run.open(done.store.path(done.folder))
    assert again.funnel() == done.funnel()
    assert again.subset("best").digest == done.subset("best").digest
    with pytest.raises(CeterisError, match="no finished run here"):
        Run.open(done.store.path("runs/nothing"))
    with pytest.raises(CeterisError, match="no run called other"):
        Run.latest(done.store, "other")


def test_a_recipe_without_a_pool_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="names no pool") as error:
        verbs.run(Recipe.parse(RECIPE), store=tmp_path / "s", executor=InProcess())
    assert "--pool" in error.value.fix


def test_what_is_given_wins_over_the_recipe(place: Path, tmp_path: Path) -> None:
    pl.DataFrame({"body": ["one two three four", "one"]}).write_parquet(tmp_path / "a.parquet")
    recipe = Recipe.parse("{pool: {path: shards/}, " + RECIPE[1:], base=place)
    run = verbs.run(recipe, tmp_path, roles={"text": "body"}, store=tmp_path / "s", executor=InProcess())
    assert (run.pool.root, run.decided("a").kept) == (tmp_path, 1)


def test_a_script_that_starts_processes_while_being_imported_is_told_so(place: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    call = f"run(Recipe.parse('''{RECIPE}'''), {str(place / 'shards')!r}, store={str(tmp_path / 's')!r}, executor=Processes(2))"
    script.write_text(f"from curate import Processes, Recipe\nfrom pipelines import run\n{call}\n", encoding="utf-8")
    found = subprocess.run([sys.executable, script], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert '__name__ == "__main__"' in found.stderr.splitlines()[-1]


def test_nothing_to_audit_by_names_what_there_is(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["one two three four", "one"]}).write_parquet(tmp_path / "a.parquet")
    run = verbs.run(Recipe.parse(RECIPE), tmp_path, store=tmp_path / "s", executor=InProcess())
    with pytest.raises(CeterisError, match="nothing to audit by") as error:
        verbs.mixes(run)
    assert "text" in error.value.fix
    assert verbs.mixes(run, ["text_length.words"])["text_length.words"]["a"].sum() == 1


def test_an_export_without_personal_data_has_none_left_to_count(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    texts = ["Write to john.doe@mail.com or call +49 30 1234567.", "Server 8.8.8.8, gateway 10.0.0.1", "Nothing to see in this one"]
    pl.DataFrame({"text": texts}).write_parquet(tmp_path / "pool" / "a.parquet")
    recipe = Recipe.parse('{stages: {some: {keep: "pii.emails + pii.phones + pii.public_ips > 0"}}, subsets: [some, pool]}')
    run = verbs.run(recipe, tmp_path / "pool", store=tmp_path / "s", executor=InProcess())
    assert len(run.subset("some")) == 2
    about = verbs.export(run.subset("pool"), tmp_path / "out", redact="pii")
    assert about["redacted_rows"] == 2
    assert about["redacted"] == {"emails": 1, "public_ips": 1, "phones": 1, "cards": 0, "ibans": 0}
    assert pl.read_parquet(tmp_path / "out" / "*.parquet")["text"].to_list() == [
        "Write to email@example.com or call <PHONE>.",
        "Server 192.0.2.1, gateway 10.0.0.1",
        texts[2],
    ]
    again = verbs.run(recipe, tmp_path / "out", store=tmp_path / "s", executor=InProcess())
    assert len(again.subset("some")) == 0
    with pytest.raises(CeterisError, match="there is no redaction all") as error:
        verbs.export(run.subset("pool"), tmp_path / "other", redact="all")
    assert error.value.fix == "the only one is pii"
