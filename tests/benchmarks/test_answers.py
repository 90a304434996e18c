"""The benchmarks' own checks on a handful of documents, with the peers that tests install: they fail where an engine has rotted."""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks import dedup, language, licenses, memory, recipe, table, text_corpus, text_rules
from benchmarks._run import Workload, command
from curate.executor import InProcess, Ray
from curate.recipe import Recipe

COUNT = 120
Corpus = Path
LOREM = "Lorem ipsum dolor sit amet.\n" * 20
NOISE = "There # are words # with these # marks.\n" * 30


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    files = [Path(str(module.__file__)) for module in (argparse, subprocess, importlib.util)]
    read = [("en", text) for file in files for text in text_corpus.docstrings(file)]
    text_corpus.write(folder, [*read, ("en", LOREM), ("en", NOISE)], COUNT, seed=1)
    return folder


def installed(workload: Workload) -> dict[str, Any]:
    found = {name: engine.package.partition(".")[0] for name, engine in workload.engines.items()}
    return {name: workload.engines[name] for name, package in found.items() if not package or importlib.util.find_spec(package)}


def answers(workload: Workload, folder: Corpus, part: str, documents: int) -> dict[str, Any]:
    return {name: engine.load(folder, part, documents)() for name, engine in installed(workload).items()}


def test_the_corpus_plants_what_its_truth_says(corpus: Corpus) -> None:
    rows = pl.read_parquet(corpus / "text-*.parquet").join(pl.read_parquet(corpus / "truth.parquet"), on="id")
    copies = rows.filter(pl.col("orig_id") >= 0).join(rows.select("id", original="text"), left_on="orig_id", right_on="id")
    assert rows.height == COUNT
    assert copies.height == COUNT // 60 * len(text_corpus.LEVELS)
    for text, original, true in copies.select("text", "original", "jaccard_true").iter_rows():
        own, other = (text_corpus.grams(each.split()) for each in (text, original))
        assert len(own & other) / len(own | other) == pytest.approx(true)
    assert copies.filter(pl.col("level") == "exact").select((pl.col("text") == pl.col("original")).all()).item()


def test_near_duplicates_are_datasketch_s_and_planted_copies_are_found(corpus: Corpus) -> None:
    found = answers(dedup.WORKLOAD, corpus, "documents", COUNT)
    assert {"ceteris", "datasketch, same bands", "datasketch, its bands for .8"} <= found.keys()
    assert dedup.check(corpus, "documents", COUNT, found)["equal signatures"] > COUNT / 2
    for line in dedup.judge(corpus, "documents", COUNT, found).values():
        assert line["recall"]["exact"] == 1.0
        assert line["precision"] == 1.0


def test_an_engine_that_keeps_everything_fails_the_check(corpus: Corpus) -> None:
    with pytest.raises(AssertionError, match="lazy keeps no document twice"):
        dedup.check(corpus, "documents", COUNT, {"lazy": [True] * COUNT})


@pytest.mark.parametrize("part", language.WORKLOAD.parts)
def test_languages_are_langdetect_s(corpus: Corpus, part: str) -> None:
    found = answers(language.WORKLOAD, corpus, part, 30)
    assert {"ceteris, sampled", "ceteris, all n-grams", "langdetect", "py3langid"} <= found.keys()
    assert language.check(corpus, part, 30, found)["equal labels and probabilities"] == 30
    lines = language.judge(corpus, part, 30, found)
    assert lines["ceteris, sampled"]["as langdetect"] == 1.0
    assert lines["langdetect"]["accuracy"] > 0.5
    found["ceteris, sampled"][7][1] += 0.5
    with pytest.raises(AssertionError, match="langdetect's own answers, 1 others"):
        language.check(corpus, part, 30, found)


@pytest.mark.parametrize("part", text_rules.WORKLOAD.parts)
def test_rules_give_reasons_that_datatrove_s_can_be_held_against(corpus: Corpus, part: str) -> None:
    documents = pl.read_parquet(corpus / "pages-*.parquet").height
    found = answers(text_rules.WORKLOAD, corpus, part, documents)
    said = text_rules.check(corpus, part, documents, found)
    assert 0 < said["texts"] == len(found["ceteris"])
    known = {reason for reasons in text_rules.REASONS.values() for reason in reasons}
    for name in text_rules.CHAIN if part == text_rules.WHOLE else (part,):
        file, stage = text_rules.STAGES[name]
        rule = Recipe.load(Path(text_rules.ROOT) / "pipelines" / "recipes" / f"{file}.yaml").stages[stage].rule
        assert {clause.columns[0].split(".")[1] for clause in rule.clauses} <= known  # type: ignore[union-attr]


def test_rules_drop_what_was_planted(corpus: Corpus) -> None:
    texts = pl.read_parquet(corpus / "pages-*.parquet")["text"].to_list()
    reasons = {part: answers(text_rules.WORKLOAD, corpus, part, len(texts))["ceteris"] for part in ("Gopher quality", "C4 in FineWeb")}
    assert reasons["C4 in FineWeb"][texts.index(LOREM)] == "lorem_ipsum"
    assert reasons["Gopher quality"][texts.index(NOISE)] == "hashes"
    other = [text_rules.KEPT] * len(texts)
    with pytest.raises(AssertionError, match="reasons that nothing explains"):
        text_rules.check(corpus, "", len(texts), {"ceteris": reasons["Gopher quality"], text_rules.THEIRS: other, text_rules.ALIKE: other})


@pytest.mark.ray
def test_the_recipe_selects_the_same_rows_everywhere(corpus: Corpus, ray_of_two: Ray) -> None:
    found = {name: recipe.selected(corpus, 60, one)() for name, one in (("here", InProcess()), ("Ray", ray_of_two))}
    said = recipe.check(corpus, "documents", 60, found)
    assert said["documents"] == 60
    assert {"english", "unique"} <= said["subsets"].keys()
    found["Ray"]["subsets"]["unique"] = "other"
    with pytest.raises(AssertionError, match="the same rows"):
        recipe.check(corpus, "documents", 60, found)


def test_a_grown_corpus_holds_distinct_copies(corpus: Corpus) -> None:
    texts = pl.read_parquet(memory.grown(corpus, 2 * COUNT + 1) / "*.parquet")["text"]
    distinct = pl.read_parquet(corpus / "text-*.parquet")["text"].n_unique()
    assert len(texts) == 2 * COUNT + 1
    assert texts.n_unique() == 2 * distinct + 1


def test_licences_are_judged_by_what_was_declared() -> None:
    assert licenses.spdx("GPL-2+ and Expat") == "GPL-2.0-or-later AND MIT"
    assert licenses.spdx("whatever-9") is None
    texts = [licenses.Text("python field", name, "MIT License", truth, False) for name, truth in (("a", "MIT"), ("b", "GPL-3.0-only"))]
    said = licenses.judged(texts, "development", wrong=True)
    assert said["kinds"]["all"]["precision"] == 0.5
    assert said["worse"] == ["python field  b: is GPL-3.0-only, answered MIT"]


def test_a_command_checks_measures_and_names_what_is_missing(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "python").write_text(f'#!/bin/sh\ncase "$*" in *rensa*) exit 1;; esac\nexec {sys.executable} "$@"\n', encoding="utf-8")
    (tmp_path / "python").chmod(0o755)
    engines = ["ceteris", "datasketch, same bands", "rensa, streaming"]
    options = ["--documents", "60", "--rounds", "1", "--peers-python", str(tmp_path / "python"), "--out", str(tmp_path / "made.json")]
    report = command(dedup.WORKLOAD, [str(corpus), *options, "--engines", *engines])
    assert list(report["left out"]) == ["rensa, streaming"]
    assert report["parts"]["documents"]["ceteris"]["documents"] == 60
    assert set(report["ratios"]["documents"]) == {"datasketch, same bands"}
    assert [line[1].partition(" 2")[0] for line in table.lines({"workload": "dedup", **report})] == ["ceteris", "datasketch, same bands"]
    assert (tmp_path / "made.json").is_file()
