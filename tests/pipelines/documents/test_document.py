"""Datasheet, card, PROV and the hub's card: every sentence with a source that is there, nothing invented, nothing hostile or barred."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from huggingface_hub import DatasetCard
from typer.testing import CliRunner

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from pipelines import verbs
from pipelines.cli import app
from pipelines.documents.answers import MARK, QUESTIONS, SECTIONS, read_answers
from pipelines.documents.document import document
from pipelines.documents.exported import read_export
from pipelines.documents.facts import Facts
from pipelines.documents.huggingface import faults, metadata, size_of
from pipelines.documents.known import known
from pipelines.documents.opened import opened
from pipelines.documents.package import package
from pipelines.provenance.revoke import revoke
from pipelines.scores.evaluations import Evaluation
from tests.pipelines.documents.conftest import SECRET


@pytest.fixture(scope="module")
def pages(scored: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything about the judged subset, beside its rows."""
    folder = tmp_path_factory.mktemp("pages") / "x"
    document(Run(scored.store, scored.run), "long", folder, layout="parquet")
    return folder


def test_every_sentence_of_the_ledger_has_a_source_that_is_there(scored: Evaluation, pages: Path) -> None:
    facts = Facts(Run(scored.store, scored.run), "long")
    exported = read_export(pages, facts)
    parts = {one.facts for section in SECTIONS.values() for one in section if one.facts}
    told = [one for part in sorted(parts) for one in known(part, facts, exported)]
    stored = [one.source for one in told if one.source.partition("/")[0] in ("runs", "pools", "signals", "scores", "models")]
    assert len(stored) > 20
    assert [source for source in stored if not facts.run.store.path(source).exists()] == []
    sheet = (pages / "datasheet.md").read_text(encoding="utf-8")
    assert all(one.text in sheet for section in SECTIONS.values() for one in section)
    assert "120 of the 420 rows" in sheet


def test_what_nobody_recorded_is_marked_and_what_a_person_says_stays(texts: Run, tmp_path: Path) -> None:
    done = document(texts, "said", tmp_path / "x", ["datasheet", "card"])
    before = (tmp_path / "x" / "datasheet.md").read_text(encoding="utf-8")
    marks = [key for key in QUESTIONS if f"`{key}` in answers.yaml" in before]
    assert "funding" in marks
    assert "count" not in marks
    assert "missing" in done.unanswered  # the ledger could have answered it, and has nothing on it
    assert set(done.unanswered) - set(marks) == {
        "creator",
        "url",
        "published",
        "licence",
        "version",
        "publisher",
        "citation",
        "sources",
        "tasks",
    }
    own = tmp_path / "x" / "answers.yaml"
    own.write_text(re.sub(r"^funding:.*$", "funding: Nobody paid.", own.read_text(encoding="utf-8"), flags=re.M), encoding="utf-8")
    document(texts, "said", tmp_path / "x", ["datasheet"])
    after = (tmp_path / "x" / "datasheet.md").read_text(encoding="utf-8")
    assert "Nobody paid." in after
    assert after.count(MARK) == before.count(MARK) - 1
    assert read_answers(own) == {"funding": "Nobody paid."}


def test_all_57_questions_of_the_paper_are_asked_and_comments_are_nobodys_duty(texts: Run, tmp_path: Path) -> None:
    sizes = {"Motivation": 4, "Composition": 16, "Collection": 12, "Processing": 4, "Uses": 6, "Distribution": 7, "Maintenance": 8}
    assert {title: len(asked) for title, asked in SECTIONS.items() if title != "Fairness"} == sizes
    assert sum(sizes.values()) == 57
    done = document(texts, "said", tmp_path / "x", ["datasheet"])
    text = (tmp_path / "x" / "datasheet.md").read_text(encoding="utf-8")
    assert text.count("> Nothing more was said: `") == len(sizes)
    assert not [key for key in done.unanswered if key.endswith("_more")]


def test_answers_that_fit_no_question_are_refused(tmp_path: Path) -> None:
    for text, match in {"purpos: x": "no question purpos", "[1]": "are a mapping", "url: {a: 1}": "no text", "a: [": "no YAML"}.items():
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(CeterisError, match=match):
            read_answers(tmp_path / "a.yaml")


def test_a_document_that_somebody_changed_is_not_overwritten(texts: Run, tmp_path: Path) -> None:
    document(texts, "said", tmp_path / "x")
    document(texts, "said", tmp_path / "x")  # ours are written again
    (tmp_path / "x" / "README.md").write_text("mine", encoding="utf-8")
    with pytest.raises(CeterisError, match="written or changed"):
        document(texts, "said", tmp_path / "x")
    assert (tmp_path / "x" / "README.md").read_text(encoding="utf-8") == "mine"


def test_an_export_of_other_rows_is_refused(texts: Run, tmp_path: Path) -> None:
    verbs.export(texts.subset("often"), tmp_path / "x", "uids")
    with pytest.raises(CeterisError, match="the export there is of often"):
        document(texts, "said", tmp_path / "x")
    (tmp_path / "x" / "uids.txt").write_text("changed", encoding="utf-8")
    with pytest.raises(CeterisError, match="is not the one that was exported"):
        read_export(tmp_path / "x", Facts(texts, "often"))
    (tmp_path / "x" / "uids.txt").unlink()
    with pytest.raises(CeterisError, match=r"are gone: uids\.txt"):
        read_export(tmp_path / "x", Facts(texts, "often"))
    with pytest.raises(CeterisError, match="there is no document crossant"):
        document(texts, "said", tmp_path / "y", ["crossant"])


def test_hostile_licences_do_nothing_and_restricted_rows_are_nowhere(texts: Run, tmp_path: Path) -> None:
    document(texts, "said", tmp_path / "x", layout="parquet")
    barred = str(texts.pool.uids(texts.pool.shards[0])[0][7].astype(">u8").tobytes().hex())
    for path in (tmp_path / "x").iterdir():
        text = path.read_bytes().decode(errors="replace")
        assert SECRET not in text
        assert barred not in text
        if path.suffix == ".md":
            assert "<script" not in text
            assert not re.search(r"(?<!\\)\]\(javascript", text)
            assert not {"\u202e", "\u2066", "\u2069"} & set(text)
    assert "1 restricted" in (tmp_path / "x" / "datasheet.md").read_text(encoding="utf-8")


def test_rows_that_were_taken_down_leave_in_no_document(texts: Run, tmp_path: Path) -> None:
    shutil.copytree(texts.store.path(""), tmp_path / "s")
    uid, run = texts.subset("often").hex[0], Run.open(tmp_path / "s" / texts.folder)
    revoke([f"uid:{uid}"], store=run.store, copies=False, yes=True, who="a test")
    after = Run.open(tmp_path / "s" / texts.folder)
    document(after, "often", tmp_path / "x", layout="parquet")
    assert not any(uid.encode() in path.read_bytes() for path in (tmp_path / "x").iterdir())
    assert "19 rows, used 57 times" in (tmp_path / "x" / "datasheet.md").read_text(encoding="utf-8")
    with pytest.raises(CeterisError, match="were taken down after its run"):
        package(after, "often", tmp_path / "p")


def test_a_store_that_refuses_more_than_its_run_left_out_documents_nothing(texts: Run, tmp_path: Path) -> None:
    store, shard = Store.open(tmp_path / "s"), texts.pool.shards[0]
    recipe = Recipe.parse("stages: {a: {keep: 'pool.flag == 0'}}\nsubsets: [a]")
    run = verbs.run(recipe, texts.pool.root, store=store, executor=InProcess())
    part = store.put_frame("revoked", "rows", pl.DataFrame({"row": [3], "request": [1]}), scope=shard.digest, stop=shard.rows)
    store.publish("revoked", [part], 1)
    with pytest.raises(CeterisError, match="1 rows of a were taken down"):
        document(run, "a", tmp_path / "x")


def test_the_hub_reads_the_card(pages: Path, texts: Run, tmp_path: Path) -> None:
    read = DatasetCard((pages / "README.md").read_text(encoding="utf-8")).data.to_dict()
    assert faults(read) == []
    assert read["license"] == "other"
    assert (pages / read["license_link"]).is_file()
    assert read["size_categories"] == ["n<1K"]
    assert read["configs"][0]["data_files"][0]["path"] == "long-*.parquet"
    assert metadata(Facts(texts, "said"), None, {"licence": ["MIT"], "sources": ["a/b"]})["license"] == "mit"
    wrong = {"license": "my own", "language": ["english"], "size_categories": ["big"], "configs": [{"config_name": "?", "data_files": []}]}
    wrong |= {"task_categories": ["Text generation"]}
    assert len(faults(wrong)) == 5
    assert len(faults({"license": "other"})) == 1
    assert [size_of(rows) for rows in (0, 999, 1000, 10**12)] == ["n<1K", "n<1K", "1K<n<10K", "n>1T"]


def test_provenance_leads_from_scores_and_files_back_to_the_pool(pages: Path, scored: Evaluation) -> None:
    told = json.loads((pages / "prov.json").read_text(encoding="utf-8"))
    known_names = {*told["entity"], *told["activity"], *told["agent"]}
    assert {end for relation in told if relation[0] in "uw" for one in told[relation].values() for end in one.values()} <= known_names
    parents: dict[str, set[str]] = {}
    for one in told["wasDerivedFrom"].values():
        parents.setdefault(one["prov:generatedEntity"], set()).add(one["prov:usedEntity"])

    def origins(name: str, above: tuple[str, ...] = ()) -> set[str]:
        assert name not in above  # nothing is made from itself
        return {name} if name not in parents else set().union(*[origins(one, (*above, name)) for one in parents[name]])

    leaves = [name for name in told["entity"] if name.startswith(("ceteris:score/", "ceteris:file/"))]
    assert len(leaves) == 3  # two seeds and one file
    pool = Run(scored.store, scored.run).pool.id
    assert all(origins(name) == {f"ceteris:pool/{pool[:16]}"} for name in leaves)
    scores = [one["ceteris:headline"] for name, one in told["entity"].items() if name.startswith("ceteris:score/")]
    assert np.allclose(scores, [scored.score("long", seed).headline for seed in scored.arms["long"].scores])


def test_the_card_tells_the_verdict(pages: Path, scored: Evaluation) -> None:
    card = (pages / "data-card.md").read_text(encoding="utf-8")
    controls = [control for candidate, control in scored.contrasts if candidate == "long"]
    assert controls
    assert all(f"| {control} |" in card for control in controls)


def test_only_models_whose_evidence_the_stages_asked_for_are_named(done: Run, tmp_path: Path) -> None:
    asked = {name: [one.name for one in Facts(done, name).models] for name in ("basic", "best", "rest")}
    assert asked == {"basic": [], "best": ["matcher"], "rest": ["matcher"]}  # rest: by the stage that it is less
    assert [one.name for one in Facts(done, "basic").made] == ["matcher"]
    for name in ("basic", "best"):
        made = document(done, name, tmp_path / name, ["card", "datasheet", "prov", "croissant"])
        text = "".join((made.folder / file).read_text(encoding="utf-8").partition("## To make it again")[0] for file in made.files)
        assert ("model matcher" in text) == (name == "best")
        assert ("| matcher | filter_network |" in text) == (name == "best")
    path = package(done, "basic", tmp_path / "basic.tar.zst").path
    with opened(path) as packed:  # made again it runs the whole recipe, which trains it
        assert list(packed.manifest["models"]) == ["matcher"]
        assert "matcher (model" not in (packed.folder / "NOTICE.txt").read_text(encoding="utf-8")


def test_the_command_says_what_only_a_person_can_answer(texts: Run, tmp_path: Path) -> None:
    call = ["document", "said", str(tmp_path / "x"), "--store", texts.store.address, "--as", "croissant", "--complete"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 1
    assert "creator, url, published" in done.stdout
    (tmp_path / "a.yaml").write_text("creator: A\nurl: https://data.example\npublished: 2026-01-02\n", encoding="utf-8")
    done = CliRunner().invoke(app, [*call, "--answers", str(tmp_path / "a.yaml"), "--json"])
    assert done.exit_code == 0
