"""Concepts and captions through the whole engine, on the demo's pool."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.model import _SHELF, loaded
from curate.recipe import Recipe
from curate.record import Run
from pipelines import verbs
from pipelines.captions import coverage, tails
from pipelines.cli import app
from pipelines.demo import captions, scenes

RECIPE = """
models:
  classes: {concept_list: {file: classes.txt}}
  known: {entity_list: {wordnet: wordnet, ids: wordnet/ids}}
  counted: {caption_counts: {}}
signals:
  concepts: {concepts: {model: classes}}
  caption_entities: {caption_entities: {model: known}}
  caption_frequency: {caption_frequency: {model: counted}}
stages:
  worded: {keep: "caption.words > 2 and caption_frequency.captions > 0"}
  named:  {after: worded, keep: "concepts.count > 0 and caption_entities.count >= 0"}
  clean:  {after: named, keep: "caption.boilerplate is None and caption.form is None"}
subsets: [worded, named, clean]
"""
CLASSES = [*scenes.COLOURS, *scenes.SHAPES, *captions.COUNT_WORDS, "unicorn"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe, a list of the demo's classes, and a WordNet of two words."""
    folder = tmp_path_factory.mktemp("captions")
    (folder / "classes.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    wordnet = folder / "wordnet"
    wordnet.mkdir()
    for part in ("noun", "verb", "adj", "adv"):
        (wordnet / f"index.{part}").write_text("circle n 1 0 1 0 00000007\ndrawing n 1 0 1 0 00000008\n" if part == "noun" else "", "utf-8")
        (wordnet / f"{part}.exc").write_text("", encoding="utf-8")
    (wordnet / "ids").write_text("n00000007\nn00000009\n", encoding="utf-8")
    (folder / "captions.yaml").write_text(RECIPE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path, place: Path) -> Run:
    """The recipe run once."""
    return verbs.run(Recipe.load(folder / "captions.yaml"), place / "shards", store=folder / "store", executor=InProcess())


@pytest.fixture(scope="module")
def texts(place: Path) -> list[str]:
    """Every caption of the pool, in its order."""
    frames = [pl.read_parquet(path) for path in sorted((place / "shards").glob("*.parquet"))]
    return [text or "" for text in pl.concat([frame.select("text") for frame in frames])["text"]]


def _matched(text: str) -> list[int]:
    for mark in ",.;:?!`":
        text = text.replace(mark, f" {mark} ")
    return [number for number, entry in enumerate(CLASSES) if f" {entry} " in re.sub("[\t\n\r]", " ", f" {text} ")]


def test_a_run_matches_the_pools_captions_as_the_plain_rule_does(run: Run, texts: list[str]) -> None:
    worded = np.flatnonzero(run.codes("worded") == 0)
    expected = {int(row): _matched(texts[row]) for row in worded}
    found = run.evidence("concepts")
    assert {row: np.frombuffer(entries, "<u4").tolist() for row, entries in found.select("row", "entries").rows()} == expected
    named = np.flatnonzero(run.codes("named") == 0)
    assert named.tolist() == [row for row, entries in expected.items() if entries]
    assert 0 < named.size < worded.size


def test_how_matches_spread_over_the_list(run: Run, texts: list[str]) -> None:
    counts = Counter(number for row in np.flatnonzero(run.codes("named") == 0) for number in _matched(texts[row]))
    found = tails(run, ["named", "pool"], at_most=40)
    of_list = found.subsets.filter(pl.col("signal") == "concepts")
    line = of_list.row(0, named=True)
    total = sum(counts.values())
    assert (line["signal"], line["subset"], line["unknown"], line["matches"]) == ("concepts", "named", 0, total)
    assert line["matched"] == line["rows"]
    assert line["never"] == len(CLASSES) - len(counts)
    assert line["tail"] == sum(count < 40 for count in counts.values())
    assert line["head"] == sum(count >= 40 for count in counts.values())
    assert line["tail_share"] == pytest.approx(sum(count for count in counts.values() if count < 40) / total)
    assert line["tail_share"] + line["head_share"] == pytest.approx(1)
    entries = found.entries.filter((pl.col("signal") == "concepts") & (pl.col("subset") == "named"))
    assert dict(entries.select("number", "rows").rows()) == counts
    assert entries["rows"].to_list() == sorted(counts.values(), reverse=True)
    assert entries["entry"].to_list() == [CLASSES[number] for number in entries["number"]]
    pool = of_list.filter(pl.col("subset") == "pool")
    assert pool["unknown"].to_list() == [run.pool.rows - run.evidence("concepts").height]


def test_the_tail_of_a_share_is_that_of_the_rule(run: Run) -> None:
    found = tails(run, ["named"], tail=0.2).subsets.filter(pl.col("signal") == "concepts").row(0, named=True)
    counts = tails(run, ["named"], at_most=1).entries.filter(pl.col("signal") == "concepts")["rows"].sort()
    edges = [edge for edge in counts if counts.filter(counts < edge).sum() <= 0.2 * counts.sum()]
    assert found["at_most"] == edges[-1]
    assert 0 < found["tail_share"] <= 0.2
    assert found["tail"] == (counts < edges[-1]).sum() > 0


def test_what_captions_say_and_never_say(run: Run, texts: list[str]) -> None:
    found = coverage(run, ["clean"])
    rows = np.flatnonzero(run.codes("clean") == 0)
    line = found.captions.row(0, named=True)
    said = [set(re.findall("[a-z]+", texts[row].lower())) for row in rows]
    colours = sum(bool(words & set(scenes.COLOURS)) for words in said)
    assert (line["captions"], line["unknown"], line["writer"]) == (rows.size, 0, "(all)")
    assert line["colour"] >= colours / rows.size > 0.3
    assert (line["boilerplate"], line["no caption"], line["concept"]) == (0.0, 0.0, 1.0)
    assert line["entity"] == pytest.approx(sum("circle" in texts[row].lower().split() for row in rows) / rows.size, abs=0.05)
    assert 0 < line["repeated"] < 1
    assert 0 < line["specificity"] < 1
    assert found.kinds.filter(pl.col("column") != "file").height == 0
    never = {of: (words, heard, silent) for of, words, heard, silent in found.never.drop("subset").rows()}
    assert list(never) == ["colour", "count", "spatial", "concepts", "caption_entities"]
    assert "magenta" in never["colour"][2]
    assert "unicorn" in never["concepts"][2]
    assert all(words == heard + len(silent) for words, heard, silent in never.values())
    assert never["caption_entities"] == (2, 1, ["n00000009"])


def test_boilerplate_of_the_pool_is_counted_by_kind(run: Run, texts: list[str]) -> None:
    found = coverage(run, ["worded"])
    kinds = dict(found.kinds.filter(pl.col("column") == "boilerplate").select("kind", "rows").rows())
    rows = [texts[row] for row in np.flatnonzero(run.codes("worded") == 0)]
    assert kinds["enlarge"] >= sum("click to enlarge" in text.lower() for text in rows) > 0
    assert found.captions["boilerplate"][0] == pytest.approx(sum(kinds.values()) / len(rows))


def test_the_command_says_it_in_both_faces(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for digest in list(_SHELF):  # as in a process that did not run the recipe
        monkeypatch.delitem(_SHELF, digest)
    loaded.cache_clear()
    at = ["audit", "--store", run.store.address, "--run", run.folder.removeprefix("runs/")]
    shown = CliRunner().invoke(app, [*at, "--concepts", "--subset", "named", "--at-most", "40"])
    assert shown.exit_code == 0, shown.output
    assert re.search(r"concepts, named, most: \w+ \d+", shown.output)
    said = CliRunner().invoke(app, [*at, "--captions", "--subset", "clean"])
    assert said.exit_code == 0, said.output
    assert re.search(r"clean +\(all\) +\d+ +0 +\d+\.\d%", said.output)
    assert "unicorn" in said.output
    for face, keys in {"--concepts": {"subsets", "entries"}, "--captions": {"captions", "kinds", "never"}}.items():
        found = CliRunner().invoke(app, [*at, face, "--json"])
        assert set(json.loads(found.stdout)) == keys


def test_writers_are_reported_where_the_pool_tells(tmp_path: Path) -> None:
    pool = {"text": ["a red dog", "a DOG", "IMG_0001.jpg", "two dogs"], "caption_source": ["blip2", "alt", "alt", "annotator 3"]}
    (tmp_path / "pool").mkdir()
    pl.DataFrame(pool).write_parquet(tmp_path / "pool" / "0.parquet")
    recipe = Recipe.parse('{stages: {a: {keep: "caption.words > 0"}}, subsets: [a]}', where="recipe.yaml")
    run = verbs.run(recipe, tmp_path / "pool", store=tmp_path / "store", executor=InProcess())
    found = coverage(run, ["a"])
    by_writer = found.captions.select("writer", "captions", "colour", "no caption").rows()
    assert by_writer == [
        ("(all)", 4, 0.25, 0.25),
        ("alt-text", 2, 0.0, 0.5),
        ("human", 1, 0.0, 0.0),
        ("synthetic", 1, 1.0, 0.0),
    ]
    assert found.captions["entity"].null_count() == 4
    with pytest.raises(CeterisError, match="this run looked for no list of concepts"):
        tails(run)


def test_runs_and_questions_that_cannot_be_answered_say_so(run: Run, place: Path, tmp_path: Path) -> None:
    with pytest.raises(CeterisError, match="the tail's share follows from the count"):
        tails(run, at_most=3, tail=0.1)
    recipe = Recipe.parse('{stages: {a: {keep: "text_length.words > 1"}}, subsets: [a]}', where="recipe.yaml")
    other = verbs.run(recipe, place / "shards", store=tmp_path / "store", executor=InProcess())
    with pytest.raises(CeterisError, match="this run did not measure captions"):
        coverage(other)
