from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.executor import InProcess
from curate.recipe import Recipe
from pipelines import verbs
from pipelines.catalog import catalogue
from pipelines.cli import app
from pipelines.commands.options import RECIPES
from pipelines.provenance.notice import ROOT, carried, notice, pieces_of
from tests.pipelines.provenance.licensed import curated


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return curated(tmp_path_factory.mktemp("licensed"))


def names(pieces):
    return {one.name for one in pieces}


def used(kind, **parameters):
    return names(pieces_of({"x": (kind, parameters)}, {}, None, ""))


def test_only_what_a_run_used_is_listed(run):
    assert names(notice(run).pieces) == {"scancode-licensedb", "license-phrases"}


def test_parameters_scales_and_models_decide_what_was_used():
    assert used("token_count", tokenizer="bytes") == set()
    assert used("token_count", tokenizer="clip") == {"clip-vocabulary"}
    assert used("language", engine="sampled") == {"langdetect-profiles"}
    assert used("language_agreement", first="all", second="py3langid") == {"langdetect-profiles", "py3langid-model"}
    assert used("language_agreement", first="f" * 64, second="py3langid") == {"py3langid-model"}
    judged = pieces_of({}, {"b32": {"kind": "open_clip", "card": {"architecture": {"preprocess": {}}}}}, "tiny-image-text", "demo-text")
    assert names(judged) == {"clip-vocabulary", "handwritten-digits", "documentation-snapshot"}
    assert [one.used_by for one in judged] == [["b32"], ["scale tiny-image-text"], ["recipe demo-text"]]


def test_models_speak_through_their_cards(run):
    recipe = """
models: {c: {concept_list: {file: list.txt}}}
signals: {r: {concepts: {model: c}}}
stages: {all: {keep: "r.count >= 0"}}
subsets: [all]
"""
    folder = Path(run.store.address)
    (folder / "list.txt").write_text("text\n", encoding="utf-8")
    (piece,) = notice(verbs.run(Recipe.parse(recipe, base=folder), run.pool, store=folder, executor=InProcess())).pieces
    assert (piece.name, piece.kind, piece.used_by) == ("c", "model", ["r"])
    assert piece.licence == "that of the list"
    assert piece.version.startswith("weights ")


def test_the_text_holds_licences_and_notices_of_packages(run, tmp_path):
    text = notice(run).text()
    assert "CC-BY-4.0, https://creativecommons.org/licenses/by/4.0/" in text
    assert "Creative Commons Attribution 4.0 International Public License" in text
    made = CliRunner().invoke(app, ["notice", "--out", str(tmp_path / "N.txt"), "--store", run.store.address])
    assert made.exit_code == 0
    assert "NOTICE of run" in (tmp_path / "N.txt").read_text()


def test_every_entry_names_filters_files_and_recipes_that_are_there():
    known = set(catalogue())
    for one in carried().values():
        assert {*one.filters, *one.when, *one.models} <= known
        assert set(one.when) <= set(one.filters)
        assert not one.file or (ROOT / one.file).is_file()
        assert one.source.startswith("https://") or (ROOT / one.source).is_file()
        assert all((RECIPES / f"{name}.yaml").is_file() for name in one.recipes)


def test_the_page_on_licences_and_the_entries_agree():
    page = (Path(ROOT) / "docs" / "licences.md").read_text()
    for name in ("handwritten-digits", "documentation-items", "documentation-snapshot"):
        assert carried()[name].file in page
    assert carried()["handwritten-digits"].source in page
