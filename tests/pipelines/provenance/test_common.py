import pytest
from typer.testing import CliRunner

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.recipe import Recipe
from pipelines import verbs
from pipelines.cli import app
from pipelines.provenance.common import common
from tests.pipelines.provenance.licensed import SHARDS, curated, rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return curated(tmp_path_factory.mktemp("licensed"))


def test_two_pools_meet_on_the_uids_that_both_have(run, tmp_path):
    later = rows().filter(rows()["uid"].str.slice(-1).is_in(list("02468ace")))
    (tmp_path / "later").mkdir()
    later.with_columns(license=later["license"].fill_null("MIT")).write_parquet(tmp_path / "later" / "0.parquet")
    fresh = verbs.run(
        Recipe.parse('stages: {told: {keep: "license.class is not None"}}\nsubsets: [told]'),
        tmp_path / "later",
        store=run.store.address,
        executor=InProcess(),
    )
    found = common(run.subset("told"), fresh.subset("told"), tmp_path / "common.txt")
    assert (found.rows, found.common) == ((rows().height, later.height), later.height)
    assert (tmp_path / "common.txt").read_text().split() == sorted(later["uid"])
    assert found.digest == fresh.subset("told").digest
    classes = {one["value"]: (one["one"], one["other"]) for one in found.columns["license.class"]}
    moved = later["license"].null_count()
    assert moved
    assert classes["unknown"] == (moved + classes["unknown"][1], classes["unknown"][1])
    assert classes["permissive"][1] - classes["permissive"][0] == moved


def test_nothing_in_common_is_refused(run):
    with pytest.raises(CeterisError, match="have no row in common"):
        common(run.subset("told"), _none(run))


def _none(run):
    made = verbs.run(
        Recipe.parse('stages: {none: {keep: "text_length.words > 99"}}\nsubsets: [none]'),
        run.pool,
        store=run.store.address,
        executor=InProcess(),
    )
    return made.subset("none")


def test_the_command_names_run_and_subset(run):
    name = run.folder.removeprefix("runs/")
    made = CliRunner().invoke(app, ["audit", "open", "--common", f"{name}/some", "--run", name, "--store", run.store.address])
    assert made.exit_code == 0
    assert f"{name}/some" in made.output
    assert SHARDS > 1
